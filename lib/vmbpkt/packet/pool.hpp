// SPDX-License-Identifier: BSD-3-Clause
// Where allocated packets come from: an rte_mempool of one channel, on its NUMA node, with a cache per lcore.
//
// A bulk touches each entry of the cache once and, when it frees, each packet's line once; allocating touches no packet
// at all. That is possible because a free packet in a cache needs no mark of its own: its word names its place, and it
// is free exactly if it is found there. (Out of the cache, its place lies beyond the cache's length, or is another
// packet's.) So a second free of a packet finds the first. Packets that go on to the mempool's backend are marked, one
// store each way, for there no place can be looked up.
//
// The cache is the mempool's own, filled and emptied here and by nobody else. Its length is stored after its entries,
// for another lcore that frees a packet a second time looks there, too.
//
// This file and transport/memory.cpp are all that needs an EAL.
#pragma once

#include <rte_lcore.h>
#include <rte_memcpy.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>

#include "packet/object.hpp"

namespace vmb {

class PacketPool {
 public:
  /// @param count  packets, > 0: exactly that many can be out at a time.
  /// @return  null: no memory, or no EAL (its business to have asked: transport/memory.hpp).
  static std::unique_ptr<PacketPool> create(vmb_channel* channel, std::uint16_t channel_number, std::uint32_t count,
                                            std::uint32_t packet_bytes, int numa_node) noexcept;
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;
  ~PacketPool() { rte_mempool_free(pool_); }

  /// All or none; the packets are idle, with neither pointer nor routine.
  [[nodiscard]] bool allocate(vmb_packet** packets, std::uint32_t count) noexcept {
    rte_mempool_cache* const cache = rte_mempool_default_cache(pool_, rte_lcore_id());
    if (cache == nullptr || cache->len < count) [[unlikely]]
      return allocate_slowly(packets, count, cache);
    const std::uint32_t left = cache->len - count;
    rte_memcpy(packets, cache->objs + left, count * sizeof(void*));
    set_length(cache, left);
    return true;
  }

  /// Free packets in order up to the first that must not be freed.
  /// @return  how many were freed: less than `count` if that one was found.
  [[nodiscard]] std::uint32_t free(vmb_packet* const* packets, std::uint32_t count) noexcept {
    const std::uint32_t lcore = rte_lcore_id();
    rte_mempool_cache* const cache = rte_mempool_default_cache(pool_, lcore);
    if (cache == nullptr || count > cache->flushthresh - cache->len) [[unlikely]] {
      return free_slowly(packets, count, cache);
    }
    const std::uint32_t length = cache->len;
    std::uint64_t word = raw(at_place(idle_, lcore, length));
    std::uint32_t good = 0;
    for (; good < count; ++good, ++word) {
      vmb_packet* const packet = packets[good];
      if (packet == nullptr) [[unlikely]]
        break;
      const std::uint64_t found = raw(packet->load());
      if (found == word) continue;                             // as it left: the same place, and nothing was set
      if (((found ^ word) & ~kMayDiffer) != 0) [[unlikely]] {  // last put by another lcore, or not to be freed
        if (!is_out(packet)) break;
      } else if (const auto last = static_cast<std::uint32_t>(found % kPlaces); last < length + good) {
        if ((last < length ? cache->objs[last] : packets[last - length]) == packet) [[unlikely]]
          break;
      }
      packet->store(PacketWord{word});
    }
    rte_memcpy(cache->objs + length, packets, good * sizeof(void*));
    set_length(cache, length + good);
    return good;
  }

  /// An allocated packet of this pool, and idle: the caller's. False also for what is not a packet.
  bool is_out(const vmb_packet* packet) const noexcept {
    const PacketWord word = packet->load();
    return essence(word) == idle_ && !is_cached(packet, word);
  }

  /// Packets that are out. Walks all caches; control plane.
  std::uint32_t in_use() const noexcept { return rte_mempool_in_use_count(pool_); }

 private:
  static constexpr std::uint64_t kMayDiffer = kPacketFlags | (kPlaces - 1);
  static_assert(RTE_MAX_LCORE <= kPlaces && RTE_MEMPOOL_CACHE_MAX_SIZE * 2 <= kPlaces);

  PacketPool(rte_mempool* pool, std::uint16_t channel_number) noexcept
      : pool_(pool),
        idle_(packet_word(channel_number, PacketKind::allocated, PacketState::idle)),
        pooled_(packet_word(channel_number, PacketKind::allocated, PacketState::pooled)) {}

  static void set_length(rte_mempool_cache* cache, std::uint32_t length) noexcept {
    __atomic_store_n(&cache->len, length, __ATOMIC_RELEASE);
  }

  bool is_cached(const vmb_packet* packet, PacketWord word) const noexcept {
    rte_mempool_cache* const cache = rte_mempool_default_cache(pool_, lcore_of(word));
    if (cache == nullptr || place_of(word) >= __atomic_load_n(&cache->len, __ATOMIC_ACQUIRE)) return false;
    return __atomic_load_n(&cache->objs[place_of(word)], __ATOMIC_RELAXED) == packet;
  }

  bool allocate_slowly(vmb_packet** packets, std::uint32_t count, rte_mempool_cache* cache) noexcept;
  std::uint32_t free_slowly(vmb_packet* const* packets, std::uint32_t count, rte_mempool_cache* cache) noexcept;
  void flush(rte_mempool_cache* cache) noexcept;
  bool refill(rte_mempool_cache* cache, std::uint32_t count) noexcept;

  rte_mempool* pool_;
  PacketWord idle_;
  PacketWord pooled_;
};

}  // namespace vmb
