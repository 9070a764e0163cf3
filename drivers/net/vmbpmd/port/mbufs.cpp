// SPDX-License-Identifier: BSD-3-Clause
#include "port/mbufs.hpp"

#include <algorithm>

namespace vmbpmd {

rte_mbuf* MbufFiller::take_empty() const noexcept {
  rte_mbuf* frame;
  if (!take(&frame, 1)) return nullptr;
  reset(frame, 0);
  return frame;
}

rte_mbuf* MbufFiller::fill(const PieceView& view, std::uint64_t offset, std::uint32_t bytes) const noexcept {
  rte_mbuf* const frame = take_empty();
  if (frame == nullptr) return nullptr;
  rte_mbuf* segment = frame;
  const bool complete = view.for_each(offset, bytes, [&](const std::byte* at, std::uint32_t left) {
    while (left > 0) {
      if (segment->data_len == room_) {
        rte_mbuf* const next = take_empty();
        if (next == nullptr) return false;
        segment->next = next;
        segment = next;
        ++frame->nb_segs;
      }
      const std::uint32_t part = std::min<std::uint32_t>(left, std::uint32_t{room_} - segment->data_len);
      rte_memcpy(rte_pktmbuf_mtod_offset(segment, void*, segment->data_len), at, part);
      segment->data_len = static_cast<std::uint16_t>(segment->data_len + part);
      frame->pkt_len += part;
      at += part;
      left -= part;
    }
    return true;
  });
  if (complete) return frame;
  rte_pktmbuf_free(frame);
  return nullptr;
}

}  // namespace vmbpmd
