// SPDX-License-Identifier: BSD-3-Clause
// Frames between mbufs and shared memory: copied out into mbufs of a pool, copied in from mbuf chains.
#pragma once

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <cstdint>
#include <cstring>

#include "port/staged.hpp"

namespace vmbpmd {

/// Copy a whole chain to contiguous memory of at least pkt_len bytes.
inline void copy_in(std::byte* to, const rte_mbuf* frame) noexcept {
  for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
    rte_memcpy(to, rte_pktmbuf_mtod(segment, const void*), segment->data_len);
    to += segment->data_len;
  }
}

/// Frees frames that are sent.
/// @param fast  the application promised one pool and single references (MBUF_FAST_FREE) and sends no chains.
inline void free_sent(rte_mbuf** frames, std::uint32_t count, bool fast) noexcept {
  if (count == 0) return;
  if (fast) {
    rte_mempool_put_bulk(frames[0]->pool, reinterpret_cast<void**>(frames), count);
  } else {
    rte_pktmbuf_free_bulk(frames, count);
  }
}

/// Fills mbufs of one pool with staged frames.
class MbufFiller {
 public:
  MbufFiller() = default;
  MbufFiller(rte_mempool* pool, std::uint16_t port) noexcept
      : pool_(pool), room_(static_cast<std::uint16_t>(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM)) {
    rte_mbuf fresh{};
    fresh.data_off = RTE_PKTMBUF_HEADROOM;
    rte_mbuf_refcnt_set(&fresh, 1);
    fresh.nb_segs = 1;
    fresh.port = port;
    std::memcpy(&rearm_, &fresh.rearm_data, sizeof rearm_);
  }

  bool ready() const noexcept { return pool_ != nullptr; }

  /// One mbuf for each of `count` frames, none filled. @return false: the pool is short, none was taken.
  bool take(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    return rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(mbufs), count) == 0;
  }
  void give_back(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(mbufs), count);
  }

  /// Copy the staged frame that begins at piece `first` into `frame`, chaining further mbufs when it is larger than one.
  /// @return  pieces used; 0: the pool is short, nothing has changed.
  std::uint32_t fill(rte_mbuf* frame, const StagedFrames& staged, std::uint32_t first) const noexcept {
    const Piece piece = staged.piece(first);
    reset(frame, piece.bytes);
    if (piece.last_of_frame && piece.bytes <= room_) [[likely]] {
      rte_memcpy(static_cast<char*>(frame->buf_addr) + RTE_PKTMBUF_HEADROOM, piece.at, piece.bytes);
      return 1;
    }
    return fill_chain(frame, staged, first);
  }

 private:
  /// What a pool does not keep from one use of an mbuf to the next, in three stores; the rest is as raw free left it.
  void reset(rte_mbuf* frame, std::uint32_t bytes) const noexcept {
    std::memcpy(static_cast<void*>(&frame->rearm_data), &rearm_, sizeof rearm_);
    frame->ol_flags = 0;
    const struct {
      std::uint32_t packet_type, pkt_len;
      std::uint16_t data_len, vlan_tci;
      std::uint32_t rss;
    } fields{0, bytes, static_cast<std::uint16_t>(bytes), 0, 0};
    static_assert(sizeof fields == 16);
    std::memcpy(static_cast<void*>(&frame->rx_descriptor_fields1), &fields, sizeof fields);
  }

  std::uint32_t fill_chain(rte_mbuf* frame, const StagedFrames& staged, std::uint32_t first) const noexcept;

  rte_mempool* pool_{};
  std::uint64_t rearm_{};  // data_off, refcnt, nb_segs, port
  std::uint16_t room_{};
};

}  // namespace vmbpmd
