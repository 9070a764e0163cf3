// SPDX-License-Identifier: BSD-3-Clause
// Frames between mbufs and shared memory: copied out into mbufs of a pool, copied in from mbuf chains.
#pragma once

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include <cstdint>
#include <cstring>

#include "port/frame_loops.hpp"
#include "port/staged.hpp"
#include "rndis/packet.hpp"

namespace vmbpmd {

/// Copy a whole chain to contiguous memory of at least pkt_len bytes.
inline void copy_in(std::byte* to, const rte_mbuf* frame) noexcept {
  for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
    rte_memcpy(to, rte_pktmbuf_mtod(segment, const void*), segment->data_len);
    to += segment->data_len;
  }
}

/// What FrameLoops::pack() leaves over: one frame of any shape. `to` has room for the message.
inline Packed pack_chain(std::byte* to, const rte_mbuf* frame, std::uint32_t alignment) noexcept {
  const std::uint32_t bytes = vmb::align_up(rndis::kPacketHeaderBytes + frame->pkt_len, alignment);
  const std::uint32_t padding = bytes - rndis::kPacketHeaderBytes - frame->pkt_len;
  const wire::RndisPacket header = rndis::packet_header(frame->pkt_len, padding);
  std::memcpy(to, &header, sizeof header);
  copy_in(to + sizeof header, frame);
  std::memset(to + bytes - padding, 0, padding);
  return {1, bytes, frame->pkt_len};
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

  /// What the loops write into each mbuf, and how much fits one.
  std::uint64_t rearm() const noexcept { return rearm_; }
  std::uint16_t room() const noexcept { return room_; }

  /// `count` mbufs, none filled. @return false: the pool is short, none was taken.
  bool take(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    return rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(mbufs), count) == 0;
  }
  void give_back(rte_mbuf** mbufs, std::uint16_t count) const noexcept {
    if (count > 0) rte_mempool_put_bulk(pool_, reinterpret_cast<void**>(mbufs), count);
  }

  /// Copy a frame that fits one into a fresh mbuf.
  void fill_plain(rte_mbuf* frame, const Piece& data) const noexcept {
    reset(frame, data.bytes);
    std::memcpy(static_cast<char*>(frame->buf_addr) + RTE_PKTMBUF_HEADROOM, data.at, data.bytes);
  }

  /// A frame of `bytes` bytes from `offset` on, in an mbuf or a chain of them.
  /// @return null: the pool is short, nothing was taken.
  rte_mbuf* fill(const PieceView& view, std::uint64_t offset, std::uint32_t bytes) const noexcept;

 private:
  rte_mbuf* take_empty() const noexcept;

  /// What a pool does not keep from one use of an mbuf to the next; the rest is as raw free left it.
  void reset(rte_mbuf* frame, std::uint32_t bytes) const noexcept {
    std::memcpy(static_cast<void*>(&frame->rearm_data), &rearm_, sizeof rearm_);
    frame->ol_flags = 0;
    frame->packet_type = 0;
    frame->pkt_len = bytes;
    frame->data_len = static_cast<std::uint16_t>(bytes);
    frame->vlan_tci = 0;
    frame->hash.rss = 0;
  }

  rte_mempool* pool_{};
  std::uint64_t rearm_{};  // data_off, refcnt, nb_segs, port
  std::uint16_t room_{};
};

}  // namespace vmbpmd
