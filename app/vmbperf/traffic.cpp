// SPDX-License-Identifier: BSD-3-Clause
#include "traffic.hpp"

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "lcore_clock.hpp"
#include "receiver.hpp"
#include "sender.hpp"

namespace vmbperf {
namespace {

constexpr unsigned kPollsPerClock = 64;  // reading the clock costs as much as a frame or two
constexpr double kQuietSeconds = 0.1;    // quiet for so long and so many polls: no frame is left on the way
constexpr unsigned kQuietPolls = 10'000;
constexpr double kAlonePolling = 0.01;  // before the first frame: to a driver not polled for long, nobody is there

/// stop: nothing more is sent. quit: nor received.
enum class Phase : int { warm_up, window, stop, quit };

/// What one lcore does. Another thread may set `phase` and read `sent` and `received`; the rest once the lcore has ended.
struct Work {
  Sender* sender = nullptr;
  Receiver* receiver = nullptr;
  alignas(RTE_CACHE_LINE_SIZE) std::atomic<Phase> phase{Phase::warm_up};
  alignas(RTE_CACHE_LINE_SIZE) std::atomic<std::uint64_t> sent{0};  // final, once stopped
  std::atomic<std::uint64_t> received{0};                           // so far, once stopped
  std::atomic<bool> stopped{false};
  Stamp window_from{}, window_to{};

  void turn() noexcept {
    if (sender != nullptr) sender->step();
    if (receiver != nullptr) (void)receiver->step();
  }

  [[nodiscard]] Stamp stamp() const {
    Stamp stamp = stamp_now();
    if (sender != nullptr) stamp.sent = sender->accepted();
    if (receiver != nullptr) {
      stamp.received = receiver->received();
      stamp.bytes = receiver->bytes();
    }
    return stamp;
  }

  void enter(Phase next) {
    if (next == Phase::window) window_from = stamp();
    if (next == Phase::stop) {
      window_to = stamp();
      if (sender != nullptr) sender->stop();
      sent.store(sender != nullptr ? sender->accepted() : 0, std::memory_order_relaxed);
      publish();
      stopped.store(true, std::memory_order_release);
    }
  }

  void publish() noexcept {
    if (receiver != nullptr) received.store(receiver->received(), std::memory_order_relaxed);
  }

  /// On a lcore of its own, until told to quit.
  static int main(void* self) {
    auto& work = *static_cast<Work*>(self);
    Phase seen = Phase::warm_up;
    while (seen < Phase::stop) {
      work.turn();
      const Phase now = work.phase.load(std::memory_order_relaxed);
      for (; seen < now && seen < Phase::stop; seen = static_cast<Phase>(static_cast<int>(seen) + 1))
        work.enter(static_cast<Phase>(static_cast<int>(seen) + 1));
    }
    while (work.phase.load(std::memory_order_relaxed) != Phase::quit) {
      if (work.receiver != nullptr) (void)work.receiver->step();
      work.publish();
    }
    return 0;
  }
};

/// Do this lcore's part for so long.
void pass(Work& mine, double seconds) {
  if (mine.sender == nullptr && mine.receiver == nullptr) {
    (void)usleep(static_cast<useconds_t>(seconds * 1e6));
    return;
  }
  const std::uint64_t end = rte_rdtsc() + cycles_of(seconds);
  do {
    for (unsigned i = 0; i < kPollsPerClock; ++i) mine.turn();
  } while (rte_rdtsc() < end);
}

/// Nothing has arrived anywhere for kQuietSeconds and kQuietPolls: time alone may have passed while the CPU ran something
/// else. The thread goes on receiving meanwhile.
bool stays_quiet(Work& mine, const Work& other) {
  const std::uint64_t end = rte_rdtsc() + cycles_of(kQuietSeconds);
  const std::uint64_t others = other.received.load(std::memory_order_relaxed);
  for (unsigned polls = 0; polls < kQuietPolls || rte_rdtsc() < end; ++polls) {
    if (mine.receiver != nullptr && mine.receiver->step() != 0) return false;
    if (other.received.load(std::memory_order_relaxed) != others) return false;
  }
  return true;
}

/// Take in what is left once nothing more is sent.
void drain(Work& mine, const Work& other, bool other_works) {
  const auto all_here = [&] {
    const std::uint64_t sent =
        mine.sent.load(std::memory_order_relaxed) + (other_works ? other.sent.load(std::memory_order_relaxed) : 0);
    const std::uint64_t received = (mine.receiver != nullptr ? mine.receiver->received() : 0) +
                                   (other_works ? other.received.load(std::memory_order_relaxed) : 0);
    return received >= sent;
  };
  while (!all_here() && !stays_quiet(mine, other)) {}
}

std::uint64_t dropped_at(const Flow& flow) {
  std::uint64_t dropped = flow.to.rx == nullptr ? 0 : flow.to.dropped_so_far();
  if (flow.mode == Mode::both_ways) dropped += flow.from.dropped_so_far();
  return dropped;
}

/// What a lcore's window adds to a sample.
void add_rates(const Work& work, bool counts_sent, Sample& sample) {
  const double seconds = seconds_between(work.window_from, work.window_to);
  if (seconds <= 0) return;
  const auto frames = static_cast<double>(counts_sent ? work.window_to.sent - work.window_from.sent
                                                      : work.window_to.received - work.window_from.received);
  sample.mpps += frames / seconds / 1e6;
  sample.gbps += static_cast<double>(work.window_to.bytes - work.window_from.bytes) * 8 / seconds / 1e9;
  sample.waiting = std::max(sample.waiting, waiting_between(work.window_from, work.window_to));
}

}  // namespace

Sample exchange(const Flow& flow) {
  static std::uint64_t measurement = 0;
  measurement = measurement % 0xFF'FFFF + 1;  // so that what an earlier one left behind is never expected
  const bool two_lcores = flow.mode != Mode::one_lcore;
  const bool both = flow.mode == Mode::both_ways;

  Sender there{flow, flow.from, measurement}, back{flow, flow.to, measurement};
  Receiver at_to{flow, flow.to, measurement}, at_from{flow, flow.from, measurement};
  Sender* const sender = flow.from.tx != nullptr ? &there : nullptr;
  Receiver* const receiver = flow.to.rx != nullptr ? &at_to : nullptr;
  Work mine, other;
  mine.receiver = receiver;
  if (two_lcores) {
    other.sender = sender;
    if (both) {
      other.receiver = &at_from;
      mine.sender = &back;
    }
  } else {
    mine.sender = sender;
  }

  const std::uint64_t dropped_before = dropped_at(flow);
  const std::uint64_t alone = rte_rdtsc() + cycles_of(kAlonePolling);
  while (sender != nullptr && receiver != nullptr && rte_rdtsc() < alone) (void)receiver->step();
  const bool other_works = two_lcores && other.sender != nullptr;
  if (other_works && rte_eal_remote_launch(Work::main, &other, flow.worker_lcore) != 0) return {};

  pass(mine, flow.warm_up_s);
  other.phase.store(Phase::window, std::memory_order_relaxed);
  mine.enter(Phase::window);
  pass(mine, flow.seconds);
  mine.enter(Phase::stop);
  other.phase.store(Phase::stop, std::memory_order_relaxed);
  // What is sent is taken in all the while: a driver may hold its sender up until there is room.
  while (other_works && !other.stopped.load(std::memory_order_acquire)) {
    if (mine.receiver != nullptr) (void)mine.receiver->step();
  }
  if (sender != nullptr && receiver != nullptr) drain(mine, other, other_works);
  other.phase.store(Phase::quit, std::memory_order_relaxed);
  if (other_works) (void)rte_eal_wait_lcore(flow.worker_lcore);

  Sample sample;
  if (receiver == nullptr) {
    add_rates(two_lcores ? other : mine, true, sample);
  } else {
    add_rates(mine, false, sample);
    if (other_works && !both) {  // its own window counts for nothing but its waiting
      sample.waiting = std::max(sample.waiting, waiting_between(other.window_from, other.window_to));
    } else if (other_works) {
      add_rates(other, false, sample);
    }
  }
  std::uint64_t received = 0;
  Timing tx, rx;
  for (const Sender* const one : {other.sender, mine.sender}) {
    if (one == nullptr) continue;
    sample.accepted += one->accepted();
    tx.add(one->timing());
  }
  for (const Receiver* const one : {other.receiver, mine.receiver}) {
    if (one == nullptr) continue;
    received += one->received();
    rx.add(one->timing());
    sample.misplaced += one->misplaced();
    sample.reordered += one->checks().reordered;
    sample.changed += one->checks().changed;
  }
  sample.cycles_tx = tx.per_frame();
  sample.cycles_rx = rx.per_frame();
  if (sender != nullptr && receiver != nullptr) {
    const std::uint64_t missing = sample.accepted - std::min(received, sample.accepted);
    sample.dropped = std::min(missing, dropped_at(flow) - dropped_before);
    sample.lost = missing - sample.dropped;
  }
  return sample;
}

}  // namespace vmbperf
