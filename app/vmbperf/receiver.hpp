// SPDX-License-Identifier: BSD-3-Clause
// The receiving half of the measuring loop. One thread.
#pragma once

#include "sender.hpp"

namespace vmbperf {

class Receiver {
 public:
  Receiver(const Flow& flow, const Endpoint& end, std::uint64_t measurement)
      : flow_{flow}, end_{end}, measurement_{measurement}, checker_{measurement} {}

  /// One call of rx_burst, on the next queue. @return  frames that came.
  std::uint16_t step() noexcept {
    const bool timed = ++calls_ % kTimed == 0;
    const std::uint64_t before = timed ? rte_rdtsc() : 0;
    const std::uint16_t count = end_.rx(end_.context, queue_, frames_.data(), flow_.burst);
    if (flow_.queues > 1) queue_ = static_cast<std::uint16_t>((queue_ + 1) % flow_.queues);
    if (count == 0) return 0;
    if (timed) timing_.add(rte_rdtsc() - before, count);
    received_ += count;
    if (flow_.verify || flow_.touch != Touch::none || flow_.size.is_imix()) {
      read_contents(count);
    } else if (flow_.queues == 1 && next_probe_ < received_) {
      misplaced_ += is_expected(*frames_[next_probe_ + count - received_]) ? 0 : 1;
      next_probe_ += kProbe;
    }
    rte_pktmbuf_free_bulk(frames_.data(), count);
    return count;
  }

  [[nodiscard]] std::uint64_t received() const { return received_; }  // frames
  [[nodiscard]] std::uint64_t bytes() const { return flow_.size.is_imix() ? bytes_ : received_ * flow_.size.bytes; }
  [[nodiscard]] std::uint64_t misplaced() const { return misplaced_; }
  [[nodiscard]] const Checker::Counts& checks() const { return checker_.counts(); }
  [[nodiscard]] const Timing& timing() const { return timing_; }

 private:
  [[nodiscard]] bool is_expected(const rte_mbuf& frame) const noexcept {
    return end_.rx != nullptr && frame.pkt_len == flow_.size.bytes &&
           *rte_pktmbuf_mtod_offset(&frame, const std::uint64_t*, kWordOffset) ==
               sequence_number(measurement_, 0, next_probe_);
  }
  void read_contents(std::uint16_t count) noexcept;
  void verify(const rte_mbuf& frame) noexcept;

  const Flow& flow_;
  const Endpoint end_;
  const std::uint64_t measurement_;
  std::uint16_t queue_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t bytes_ = 0;  // counted for the IMIX only
  std::uint64_t calls_ = 0;
  std::uint64_t next_probe_ = 0;
  std::uint64_t misplaced_ = 0;
  std::uint64_t read_ = 0;  // the sum of what was read, so that it is read
  Timing timing_;
  Checker checker_;
  std::array<rte_mbuf*, kMaxBurst> frames_{};
};

}  // namespace vmbperf
