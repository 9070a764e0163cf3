// SPDX-License-Identifier: BSD-3-Clause
#include "packet/pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <new>

namespace vmb {
namespace {

constexpr std::uint32_t kMostCached = 256;

/// A cache holds up to one and a half times its size; a mempool wants at least that many objects.
constexpr std::uint32_t cache_size(std::uint32_t count) noexcept { return std::min(kMostCached, count * 2 / 3); }

struct Blank {
  vmb_channel* channel;
  PacketWord word;
};

void format(rte_mempool* /*pool*/, void* argument, void* object, unsigned /*index*/) noexcept {
  const auto& blank = *static_cast<const Blank*>(argument);
  auto* const packet = new (object) vmb_packet{};
  packet->channel = blank.channel;
  packet->store(blank.word);
}

}  // namespace

std::unique_ptr<PacketPool> PacketPool::create(vmb_channel* channel, std::uint16_t channel_number, std::uint32_t count,
                                               std::uint32_t packet_bytes, int numa_node) noexcept {
  static std::atomic<unsigned> number{0};
  std::array<char, RTE_MEMPOOL_NAMESIZE> name;
  (void)std::snprintf(name.data(), name.size(), "vmbp_%x_%x", static_cast<unsigned>(getpid()),
                      number.fetch_add(1, std::memory_order_relaxed));
  rte_mempool* const mempool = rte_mempool_create(name.data(), count, packet_bytes, cache_size(count), 0, nullptr,
                                                  nullptr, nullptr, nullptr, numa_node, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (mempool == nullptr) return nullptr;
  std::unique_ptr<PacketPool> pool{new (std::nothrow) PacketPool{mempool, channel_number}};
  if (pool == nullptr) {
    rte_mempool_free(mempool);
    return nullptr;
  }
  Blank blank{channel, pool->pooled_};
  (void)rte_mempool_obj_iter(mempool, format, &blank);
  return pool;
}

/// Have at least `count` packets in the cache, and as many more as it is meant to hold. All or nothing.
bool PacketPool::refill(rte_mempool_cache* cache, std::uint32_t count) noexcept {
  const std::uint32_t length = cache->len;
  if (count > RTE_MEMPOOL_CACHE_MAX_SIZE) return false;
  const std::uint32_t more = count + cache->size - length;  // count + size entries: within the cache's memory
  if (rte_mempool_ops_dequeue_bulk(pool_, cache->objs + length, more) != 0) return false;
  for (std::uint32_t place = length; place < length + more; ++place) {
    static_cast<vmb_packet*>(cache->objs[place])->store(at_place(idle_, rte_lcore_id(), place));
  }
  set_length(cache, length + more);
  return true;
}

/// The cache does not hold `count` packets, or there is none.
bool PacketPool::allocate_slowly(vmb_packet** packets, std::uint32_t count, rte_mempool_cache* cache) noexcept {
  if (count == 0) return true;
  if (cache != nullptr && refill(cache, count)) return allocate(packets, count);
  const std::uint32_t cached = cache != nullptr ? cache->len : 0;  // all of the cache, and the rest from behind it
  if (rte_mempool_ops_dequeue_bulk(pool_, reinterpret_cast<void**>(packets + cached), count - cached) != 0)
    return false;
  for (std::uint32_t i = cached; i < count; ++i) packets[i]->store(idle_);
  return cached == 0 || allocate(packets, cached);
}

/// Everything in the cache goes to the backend.
void PacketPool::flush(rte_mempool_cache* cache) noexcept {
  const std::uint32_t length = cache->len;
  if (length == 0) return;
  for (std::uint32_t place = 0; place < length; ++place) static_cast<vmb_packet*>(cache->objs[place])->store(pooled_);
  set_length(cache, 0);
  rte_mempool_ops_enqueue_bulk(pool_, cache->objs, length);
}

/// The cache has no room for `count` packets, or there is none.
std::uint32_t PacketPool::free_slowly(vmb_packet* const* packets, std::uint32_t count,
                                      rte_mempool_cache* cache) noexcept {
  if (cache != nullptr) {
    flush(cache);
    if (count <= cache->flushthresh) return free(packets, count);
  }
  std::uint32_t good = 0;
  for (; good < count && packets[good] != nullptr && is_out(packets[good]); ++good) packets[good]->store(pooled_);
  if (good > 0) rte_mempool_ops_enqueue_bulk(pool_, reinterpret_cast<void* const*>(packets), good);
  return good;
}

}  // namespace vmb
