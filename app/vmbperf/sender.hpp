// SPDX-License-Identifier: BSD-3-Clause
// The sending half of the measuring loop. One thread.
#pragma once

#include <rte_cycles.h>

#include "mbuf.hpp"
#include "traffic.hpp"

namespace vmbperf {

/// Cycles per frame of the burst calls that were timed and moved frames. Their median counts: in the midst of some calls the
/// CPU ran something else.
class Timing {
 public:
  void add(std::uint64_t cycles, std::uint16_t frames) noexcept { calls_.add(cycles * kParts / frames); }
  void add(const Timing& other) { calls_.add(other.calls_); }
  [[nodiscard]] double per_frame() const { return static_cast<double>(calls_.percentile(0.5)) / kParts; }

 private:
  static constexpr std::uint64_t kParts = 16;  // of a cycle
  Histogram calls_;
};

class Sender {
 public:
  Sender(const Flow& flow, const Endpoint& end, std::uint64_t measurement)
      : flow_{flow}, end_{end}, measurement_{measurement} {}

  /// One call of tx_burst; a burst stays with its queue until all of it is taken.
  void step() noexcept {
    if (sent_ == filled_ && !fill()) return;
    const auto rest = static_cast<std::uint16_t>(filled_ - sent_);
    const bool timed = ++calls_ % kTimed == 0;
    const std::uint64_t before = timed ? rte_rdtsc() : 0;
    const std::uint16_t taken = end_.tx(end_.context, queue_, &frames_[sent_], rest);
    if (timed && taken != 0) timing_.add(rte_rdtsc() - before, taken);
    accepted_ += taken;
    sent_ = static_cast<std::uint16_t>(sent_ + taken);
    if (sent_ == filled_ && flow_.queues > 1) queue_ = static_cast<std::uint16_t>((queue_ + 1) % flow_.queues);
  }

  /// Keep nothing that was not taken.
  void stop() noexcept {
    rte_pktmbuf_free_bulk(&frames_[sent_], static_cast<unsigned>(filled_ - sent_));
    sent_ = filled_ = 0;
  }

  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
  [[nodiscard]] const Timing& timing() const { return timing_; }

 private:
  bool fill() noexcept;
  void write_contents() noexcept;

  const Flow& flow_;
  const Endpoint end_;
  const std::uint64_t measurement_;
  std::uint16_t queue_ = 0;
  std::uint16_t filled_ = 0;
  std::uint16_t sent_ = 0;  // of the filled ones
  std::uint64_t accepted_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t next_probe_ = 0;
  Timing timing_;
  alignas(RTE_CACHE_LINE_SIZE) std::array<rte_mbuf*, kMaxBurst> frames_{};
  std::array<std::uint64_t, kMaxQueues> next_{};  // index in its queue of the frame to be filled next
};

}  // namespace vmbperf
