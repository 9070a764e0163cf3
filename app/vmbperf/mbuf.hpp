// SPDX-License-Identifier: BSD-3-Clause
// An mbuf straight from its pool, made ready in three stores: what rte_pktmbuf_reset does, for one that was freed as the
// mbuf library leaves it (no next segment, one reference).
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace vmbperf {

/// @param bytes  of the one segment, from the usual headroom on.
inline void make_ready(rte_mbuf& frame, std::uint32_t bytes) noexcept {
  // data_off, refcnt, nb_segs and port lie in the eight bytes that rearm_data names
  constexpr std::uint64_t kRearm =
      RTE_PKTMBUF_HEADROOM | 1ull << 16 | 1ull << 32 | std::uint64_t{RTE_MBUF_PORT_INVALID} << 48;
  static_assert(offsetof(rte_mbuf, refcnt) == offsetof(rte_mbuf, data_off) + 2 &&
                offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, data_off) + 4 &&
                offsetof(rte_mbuf, port) == offsetof(rte_mbuf, data_off) + 6 && RTE_LITTLE_ENDIAN == RTE_BYTE_ORDER);
  __builtin_memcpy(&frame.rearm_data, &kRearm, sizeof kRearm);
  frame.ol_flags = 0;
  // packet_type, pkt_len, data_len and vlan_tci
  static_assert(offsetof(rte_mbuf, pkt_len) == offsetof(rte_mbuf, rx_descriptor_fields1) + 4 &&
                offsetof(rte_mbuf, data_len) == offsetof(rte_mbuf, rx_descriptor_fields1) + 8);
  const std::uint64_t fields[2] = {std::uint64_t{bytes} << 32, bytes};
  __builtin_memcpy(&frame.rx_descriptor_fields1, fields, 12);
}

}  // namespace vmbperf
