// SPDX-License-Identifier: BSD-3-Clause
#include "floor.hpp"

#include <rte_malloc.h>
#include <rte_mempool.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "mbuf.hpp"
#include "pair.hpp"

namespace vmbperf {
namespace {

constexpr std::uint32_t kBlock = 64;
// Deep, for a reason: lines that the other core has just read or written cost more to write again than those which have
// left its cache since. 1518-byte frames go five times as fast through 4 MiB as through 512 KiB.
constexpr std::uint32_t kBlocks = 65536;  // 4 MiB
constexpr std::uint32_t kFrames = 8192;
constexpr std::uint32_t kInline = 8;  // blocks up to which copying them one by one beats calling memcpy

std::uint32_t blocks_of(std::uint32_t bytes) noexcept { return (bytes + kBlock - 1) / kBlock; }

/// Copies whole blocks: mbufs have room for the rest of the last one.
void copy(void* to, const void* from, std::uint32_t blocks) noexcept {
  if (blocks > kInline) {
    std::memcpy(to, from, blocks * kBlock);
    return;
  }
  auto* into = static_cast<std::byte*>(to);
  const auto* outof = static_cast<const std::byte*>(from);
  for (; blocks > 0; --blocks, into += kBlock, outof += kBlock) std::memcpy(into, outof, kBlock);
}

/// Where frames lie, found alike by both ends: blocks are numbered for ever, and a frame lies in one piece.
std::uint32_t place(std::uint32_t next, std::uint32_t blocks) noexcept {
  const std::uint32_t to_end = kBlocks - next % kBlocks;
  return blocks <= to_end ? next : next + to_end;
}

}  // namespace

/// One producer, one consumer. Each writes one index a burst, on a line of its own, and reads the peer's only when its copy
/// of it says full or empty. Order: `written` and `read` are stored with release and loaded with acquire, so frames are
/// visible before their number is, and blocks are read before they are given back.
class FloorRing {
 public:
  std::uint16_t put(rte_mbuf** frames, std::uint16_t count) noexcept {
    std::uint16_t done = 0;
    for (; done < count; ++done) {
      const std::uint32_t bytes = frames[done]->pkt_len;
      const std::uint32_t blocks = blocks_of(bytes);
      const std::uint32_t at = place(tx_.next, blocks);
      if (!has_room(at + blocks)) {
        tx_.given_back = given_back_.load(std::memory_order_acquire);
        if (!has_room(at + blocks)) break;
      }
      copy(block(at), rte_pktmbuf_mtod(frames[done], const void*), blocks);
      lengths_[tx_.frames++ % kFrames] = static_cast<std::uint16_t>(bytes);
      tx_.next = at + blocks;
    }
    if (done == 0) return 0;
    written_.store(tx_.frames, std::memory_order_release);
    rte_mempool_put_bulk(frames[0]->pool, reinterpret_cast<void**>(frames), done);
    return done;
  }

  std::uint16_t take(rte_mbuf** frames, std::uint16_t count, rte_mempool* pool, bool one_copy) noexcept {
    if (rx_.written - rx_.frames < count) rx_.written = written_.load(std::memory_order_acquire);
    const auto ready = static_cast<std::uint16_t>(std::min<std::uint32_t>(rx_.written - rx_.frames, count));
    if (ready == 0 || rte_mempool_get_bulk(pool, reinterpret_cast<void**>(frames), ready) != 0) return 0;
    for (std::uint16_t i = 0; i < ready; ++i) {
      const std::uint32_t bytes = lengths_[rx_.frames++ % kFrames];
      const std::uint32_t blocks = blocks_of(bytes);
      const std::uint32_t at = place(rx_.next, blocks);
      make_ready(*frames[i], bytes);
      copy(rte_pktmbuf_mtod(frames[i], void*), block(at), one_copy ? 1 : blocks);
      rx_.next = at + blocks;
    }
    given_back_.store(static_cast<std::uint64_t>(rx_.next) << 32 | rx_.frames, std::memory_order_release);
    return ready;
  }

 private:
  [[nodiscard]] bool has_room(std::uint32_t end) const noexcept {
    return end - static_cast<std::uint32_t>(tx_.given_back >> 32) <= kBlocks &&
           tx_.frames - static_cast<std::uint32_t>(tx_.given_back) < kFrames;
  }
  [[nodiscard]] std::byte* block(std::uint32_t number) noexcept { return blocks_[number % kBlocks]; }

  struct alignas(128) Tx {
    std::uint32_t next = 0;        // block
    std::uint32_t frames = 0;      // written so far
    std::uint64_t given_back = 0;  // as last read
  } tx_;
  struct alignas(128) Rx {
    std::uint32_t next = 0;
    std::uint32_t frames = 0;
    std::uint32_t written = 0;  // as last read
  } rx_;
  alignas(128) std::atomic<std::uint32_t> written_ = 0;     // frames; the producer's
  alignas(128) std::atomic<std::uint64_t> given_back_ = 0;  // next block << 32 | frames; the consumer's
  alignas(128) std::uint16_t lengths_[kFrames]{};
  alignas(4096) std::byte blocks_[kBlocks][kBlock]{};
};

namespace {

FloorRing* make_ring() noexcept {
  void* const memory = rte_malloc_socket("vmbperf_floor", sizeof(FloorRing), alignof(FloorRing), SOCKET_ID_ANY);
  return memory == nullptr ? nullptr : new (memory) FloorRing;
}

}  // namespace

std::shared_ptr<Floor> Floor::make(const Setup& setup, bool one_copy) {
  std::shared_ptr<Floor> floor{new Floor};
  auto& [first, second] = floor->ends_;
  for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
    first.out[queue] = second.in[queue] = make_ring();
    second.out[queue] = first.in[queue] = make_ring();
    if (first.out[queue] == nullptr || second.out[queue] == nullptr) return nullptr;
  }
  for (End& end : floor->ends_) {
    end.pool = setup.pools.rx;
    end.one_copy = one_copy;
  }
  return floor;
}

Floor::~Floor() {
  for (End& end : ends_) {
    for (FloorRing* const ring : end.out) rte_free(ring);
  }
}

Endpoint Floor::endpoint(End& end) noexcept {
  return {.context = &end,
          .tx = [](void* context, std::uint16_t queue, rte_mbuf** frames,
                   std::uint16_t count) noexcept { return static_cast<End*>(context)->out[queue]->put(frames, count); },
          .rx =
              [](void* context, std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
                const End& self = *static_cast<End*>(context);
                return self.in[queue]->take(frames, count, self.pool, self.one_copy);
              }};
}

}  // namespace vmbperf
