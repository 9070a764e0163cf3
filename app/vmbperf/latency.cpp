// SPDX-License-Identifier: BSD-3-Clause
#include "latency.hpp"

#include <rte_launch.h>

#include <atomic>

#include "lcore_clock.hpp"
#include "mbuf.hpp"

namespace vmbperf {
namespace {

constexpr double kPatience = 0.05;      // seconds till a frame counts as lost
constexpr std::uint16_t kAnswers = 32;  // taken per poll: there should be one
constexpr std::uint64_t kMagic = 0x564D'4250'0000'0000;

std::uint64_t* number_in(rte_mbuf* frame) noexcept {
  return rte_pktmbuf_mtod_offset(frame, std::uint64_t*, kWordOffset);
}

/// One frame with its number. @return  false: no mbuf, or not taken within kPatience.
bool send(const Flow& flow, const Endpoint& end, std::uint64_t number) noexcept {
  rte_mbuf* frame = nullptr;
  if (rte_mempool_get(flow.pool, reinterpret_cast<void**>(&frame)) != 0) return false;
  make_ready(*frame, flow.size.longest());
  *number_in(frame) = number;
  if (end.tx(end.context, 0, &frame, 1) == 1) return true;
  const std::uint64_t deadline = rte_rdtsc() + cycles_of(kPatience);
  while (rte_rdtsc() < deadline) {
    if (end.tx(end.context, 0, &frame, 1) == 1) return true;
  }
  rte_pktmbuf_free(frame);
  return false;
}

struct Answerer {
  const Flow& flow;
  std::atomic<bool> stop{false};

  static int main(void* self) {
    auto& answerer = *static_cast<Answerer*>(self);
    const Endpoint& end = answerer.flow.to;
    rte_mbuf* frames[kAnswers];
    while (!answerer.stop.load(std::memory_order_relaxed)) {
      const std::uint16_t count = end.rx(end.context, 0, frames, kAnswers);
      for (std::uint16_t i = 0; i < count; ++i) (void)send(answerer.flow, end, *number_in(frames[i]));
      if (count != 0) rte_pktmbuf_free_bulk(frames, count);
    }
    return 0;
  }
};

/// @return  false: not within kPatience.
bool await(const Endpoint& end, std::uint64_t number, std::uint64_t& strangers) noexcept {
  rte_mbuf* frames[kAnswers];
  const std::uint64_t deadline = rte_rdtsc() + cycles_of(kPatience);
  do {
    const std::uint16_t count = end.rx(end.context, 0, frames, kAnswers);
    bool found = false;
    for (std::uint16_t i = 0; i < count; ++i) {
      const bool mine = *number_in(frames[i]) == number;
      found |= mine;
      strangers += mine ? 0 : 1;
    }
    if (count != 0) rte_pktmbuf_free_bulk(frames, count);
    if (found) return true;
  } while (rte_rdtsc() < deadline);
  return false;
}

}  // namespace

Sample round_trips(const Flow& flow) {
  static std::uint64_t number = kMagic;
  Sample sample;
  Answerer answerer{.flow = flow};
  if (rte_eal_remote_launch(Answerer::main, &answerer, flow.worker_lcore) != 0) return sample;
  const double to_ns = 1e9 / static_cast<double>(rte_get_tsc_hz());
  const std::uint64_t warm = rte_rdtsc() + cycles_of(flow.warm_up_s);
  const std::uint64_t end = warm + cycles_of(flow.seconds);
  Stamp from = stamp_now();
  for (bool counted = false; rte_rdtsc() < end;) {
    if (!counted && rte_rdtsc() >= warm) {
      counted = true;
      from = stamp_now();
    }
    ++number;
    ++sample.accepted;
    const std::uint64_t before = rte_rdtsc();
    if (!send(flow, flow.from, number) || !await(flow.from, number, sample.misplaced)) {
      ++sample.lost;
    } else if (counted) {
      sample.round_trip.add(static_cast<std::uint64_t>(static_cast<double>(rte_rdtsc() - before) * to_ns));
    }
  }
  sample.waiting = waiting_between(from, stamp_now());
  answerer.stop.store(true, std::memory_order_relaxed);
  (void)rte_eal_wait_lcore(flow.worker_lcore);
  return sample;
}

}  // namespace vmbperf
