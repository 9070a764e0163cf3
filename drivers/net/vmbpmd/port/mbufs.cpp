// SPDX-License-Identifier: BSD-3-Clause
#include "port/mbufs.hpp"

#include <algorithm>

namespace vmbpmd {

std::uint32_t MbufFiller::fill_chain(rte_mbuf* frame, const StagedFrames& staged, std::uint32_t first) const noexcept {
  rte_mbuf* segment = frame;
  frame->data_len = 0;
  frame->pkt_len = 0;
  std::uint32_t pieces = 0;
  for (bool more = true; more; ++pieces) {
    const Piece& piece = staged.piece(first + pieces);
    more = !piece.last_of_frame;
    for (std::uint32_t done = 0; done < piece.bytes;) {
      if (segment->data_len == room_) {
        rte_mbuf* next;
        if (!take(&next, 1)) {
          rte_pktmbuf_free(frame->next);
          frame->next = nullptr;
          frame->nb_segs = 1;
          return 0;
        }
        reset(next, 0);
        segment->next = next;
        segment = next;
        ++frame->nb_segs;
      }
      const std::uint32_t bytes = std::min<std::uint32_t>(piece.bytes - done, std::uint32_t{room_} - segment->data_len);
      rte_memcpy(rte_pktmbuf_mtod_offset(segment, void*, segment->data_len), piece.at + done, bytes);
      segment->data_len = static_cast<std::uint16_t>(segment->data_len + bytes);
      frame->pkt_len += bytes;
      done += bytes;
    }
  }
  return pieces;
}

}  // namespace vmbpmd
