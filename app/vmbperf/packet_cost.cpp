// SPDX-License-Identifier: BSD-3-Clause
#include "packet_cost.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <vmbpkt.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace vmbperf {
namespace {

constexpr unsigned kBurst = 32;
constexpr unsigned kCache = 256;  // what a pool of packets of the default size has
constexpr unsigned kTurns = 2'000;
constexpr unsigned kPasses = 16;  // of all three; the median pass counts
constexpr std::uint64_t kMark = 0x564D'0123'A11E'0000;

/// Keeps the compiler from knowing what is in memory.
template <class Objects> void memory_is_used(Objects& objects) { asm volatile("" : : "g"(objects.data()) : "memory"); }

std::uint64_t& word_of(void* object) { return *static_cast<std::uint64_t*>(object); }

/// @return  nanoseconds per object.
template <class Turn> double time_of(const Turn& turn) {
  const std::uint64_t before = rte_rdtsc_precise();
  for (unsigned i = 0; i < kTurns; ++i) turn();
  const auto cycles = static_cast<double>(rte_rdtsc_precise() - before);
  return cycles * 1e9 / static_cast<double>(rte_get_tsc_hz()) / kTurns / kBurst;
}

}  // namespace

std::unique_ptr<PacketBench> PacketBench::make(std::string& why_not) {
  std::unique_ptr<PacketBench> bench{new PacketBench};
  if (vmb_channel_allocate(nullptr, false, &bench->channel_) != VMB_STATUS_SUCCESS) {
    why_not = "no channel can be made";
    return nullptr;
  }
  bench->mempool_ = rte_mempool_create("vmbperf_objects", VMB_DEFAULT_MAXIMUM_PACKET_COUNT,
                                       vmb_channel_sizeof_packet(bench->channel_), kCache, 0, nullptr, nullptr, nullptr,
                                       nullptr, SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  vmb_packet* first = vmb_packet_allocate(bench->channel_);  // makes the pool
  if (bench->mempool_ == nullptr || first == nullptr) {
    why_not = "no memory for its pools";
    return nullptr;
  }
  vmb_packet_free(first);
  return bench;
}

PacketBench::~PacketBench() {
  vmb_channel_cleanup(channel_);
  rte_mempool_free(mempool_);
}

void PacketBench::measure() {
  rte_mempool* const mempool = mempool_;  // locals: what the compiler cannot see through would be read again and again
  vmb_channel* const channel = channel_;
  std::array<void*, kBurst> objects{};
  std::array<vmb_packet*, kBurst> packets{};
  const auto raw = [&] {
    if (rte_mempool_get_bulk(mempool, objects.data(), kBurst) != 0) std::abort();
    memory_is_used(objects);
    rte_mempool_put_bulk(mempool, objects.data(), kBurst);
  };
  const auto marked = [&] {
    if (rte_mempool_get_bulk(mempool, objects.data(), kBurst) != 0) std::abort();
    for (void* const object : objects) word_of(object) = kMark;
    memory_is_used(objects);
    for (void* const object : objects) {
      if (word_of(object) != kMark) std::abort();
    }
    rte_mempool_put_bulk(mempool, objects.data(), kBurst);
  };
  const auto bulk = [&] {
    if (vmb_packet_allocate_bulk(channel, packets.data(), kBurst) != VMB_STATUS_SUCCESS) std::abort();
    memory_is_used(packets);
    vmb_packet_free_bulk(packets.data(), kBurst);
  };
  std::vector<double> of_raw, of_marked, of_packets;
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    of_raw.push_back(time_of(raw));
    of_marked.push_back(time_of(marked));
    of_packets.push_back(time_of(bulk));
  }
  cost_.raw_ns.push_back(spread_of(std::move(of_raw)).median);
  cost_.marked_ns.push_back(spread_of(std::move(of_marked)).median);
  cost_.packets_ns.push_back(spread_of(std::move(of_packets)).median);
}

}  // namespace vmbperf
