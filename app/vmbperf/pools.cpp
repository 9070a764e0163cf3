// SPDX-License-Identifier: BSD-3-Clause
#include "pools.hpp"

#include <rte_ether.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace vmbperf {
namespace {

constexpr unsigned kMbufs = 16383;      // small frames: rings of all ports, and bursts on their way
constexpr unsigned kMbufsLarge = 8191;  // large ones take four times the memory
constexpr unsigned kMbufsPerQueue = 4096;
constexpr unsigned kCache = 256;
constexpr std::uint16_t kEtherType = 0x88b5;  // IEEE 802: local experiments

void write_frame(rte_mempool*, void*, void* object, unsigned) {
  auto* const frame = static_cast<rte_mbuf*>(object);
  rte_pktmbuf_reset(frame);  // never used so far, so data_off is not yet what allocation makes it
  auto* const header = rte_pktmbuf_mtod(frame, rte_ether_hdr*);
  header->dst_addr = {{0x02, 0, 0, 0, 0, 2}};
  header->src_addr = {{0x02, 0, 0, 0, 0, 1}};
  header->ether_type = rte_cpu_to_be_16(kEtherType);
  std::memset(header + 1, 0, rte_pktmbuf_tailroom(frame) - sizeof *header);
}

}  // namespace

Pools make_pools(const char* name, std::uint32_t frame_bytes, unsigned queues) {
  const std::uint32_t room =
      std::max<std::uint32_t>(RTE_MBUF_DEFAULT_DATAROOM, (frame_bytes + 1023) / 1024 * 1024) + RTE_PKTMBUF_HEADROOM;
  const unsigned mbufs =
      (room > RTE_MBUF_DEFAULT_BUF_SIZE ? kMbufsLarge : kMbufs) + kMbufsPerQueue * (queues > 1 ? queues - 1 : 0);
  const auto pool = [&](const char* what) {
    const std::string full = std::string{"vmbperf_"} + name + what;
    return rte_pktmbuf_pool_create(full.c_str(), mbufs, kCache, 0, static_cast<std::uint16_t>(room),
                                   static_cast<int>(rte_socket_id()));
  };
  const Pools pools{.tx = pool("_tx"), .rx = pool("_rx")};
  if (pools.tx != nullptr) (void)rte_mempool_obj_iter(pools.tx, write_frame, nullptr);
  return pools;
}

}  // namespace vmbperf
