// SPDX-License-Identifier: BSD-3-Clause
// Frames between mbufs and shared memory: copied out into mbufs of a pool, copied in from mbuf chains.
#pragma once

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <array>
#include <cstdint>
#include <span>

#include "port/staged.hpp"

namespace vmbpmd {

/// Copy a whole chain to contiguous memory of at least pkt_len bytes.
inline void copy_in(std::byte* to, const rte_mbuf* frame) noexcept {
  for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
    rte_memcpy(to, rte_pktmbuf_mtod(segment, const void*), segment->data_len);
    to += segment->data_len;
  }
}

/// Fills mbufs of one pool with staged frames.
class MbufFiller {
 public:
  MbufFiller() = default;
  MbufFiller(rte_mempool* pool, std::uint16_t port) noexcept
      : pool_(pool), room_(static_cast<std::uint16_t>(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM)), port_(port) {}

  bool ready() const noexcept { return pool_ != nullptr; }

  /// One mbuf for each of `count` frames, none filled. @return false: the pool is short, none was taken.
  bool take(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    return rte_pktmbuf_alloc_bulk(pool_, mbufs, count) == 0;
  }
  void give_back(rte_mbuf** mbufs, std::uint16_t count) const noexcept { rte_pktmbuf_free_bulk(mbufs, count); }

  /// Copy the oldest staged frame into `frame`, chaining further mbufs when it is larger than one.
  /// @return  pieces used; 0: the pool is short, nothing has changed.
  std::uint32_t fill(rte_mbuf* frame, const StagedFrames& staged) const noexcept {
    const Piece& first = staged.piece(0);
    frame->port = port_;
    if (first.last_of_frame && first.bytes <= room_) [[likely]] {
      rte_memcpy(rte_pktmbuf_mtod(frame, void*), first.at, first.bytes);
      frame->data_len = static_cast<std::uint16_t>(first.bytes);
      frame->pkt_len = first.bytes;
      return 1;
    }
    return fill_chain(frame, staged);
  }

 private:
  std::uint32_t fill_chain(rte_mbuf* frame, const StagedFrames& staged) const noexcept;

  rte_mempool* pool_{};
  std::uint16_t room_{};
  std::uint16_t port_{};
};

}  // namespace vmbpmd
