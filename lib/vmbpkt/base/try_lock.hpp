// SPDX-License-Identifier: BSD-3-Clause
// The only lock on the data path: tried, never waited for, by bursts; waited for by the control plane alone.
//
// One guards each direction of a channel. A queue polled by one lcore never contends for it. Because a burst holds it
// from its first to its last access to shared memory, owning it also means "no burst is inside": that is what a
// control thread waits for before memory is unmapped.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "base/bits.hpp"

namespace vmb {

class alignas(kCacheLine) TryLock {
 public:
  [[nodiscard]] bool try_lock() noexcept {
    if (waiting_.load(std::memory_order_relaxed) != 0) return false;  // an lcore that polls would starve them
    return take();
  }

  void unlock() noexcept { held_.store(false, std::memory_order_release); }

  /// Control plane only: gives the CPU away until the burst inside has left; no other burst gets in before.
  void lock() noexcept {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    while (!take()) sched_yield();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  bool take() noexcept {
    return !held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire);
  }

  std::atomic<bool> held_{false};
  std::atomic<std::uint32_t> waiting_{0};  // threads in lock()
};

}  // namespace vmb
