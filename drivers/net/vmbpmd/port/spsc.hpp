// SPDX-License-Identifier: BSD-3-Clause
// What one side of an end hands to the other: resources that came back, acknowledgements that are due.
//
// One producer (whoever holds the inbound ring) and one consumer (whoever holds the outbound ring) at a time. Bounded,
// allocated once. Order: push (release) pairs with front (acquire), pop (release) with room (acquire).
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <new>

#include "base/bits.hpp"

namespace vmbpmd {

template <class T> class Spsc {
 public:
  /// Control plane, with nobody inside. @return false: no memory.
  [[nodiscard]] bool reset(std::uint32_t capacity) noexcept {
    const std::uint32_t slots = std::bit_ceil(capacity);
    if (slots != mask_ + 1 || !slots_) slots_.reset(new (std::nothrow) T[slots]{});
    mask_ = slots - 1;
    head_.v.store(0, std::memory_order_relaxed);
    tail_.v.store(0, std::memory_order_relaxed);
    return slots_ != nullptr;
  }

  std::uint32_t size() const noexcept {
    return tail_.v.load(std::memory_order_acquire) - head_.v.load(std::memory_order_acquire);
  }
  bool empty() const noexcept { return size() == 0; }
  std::uint32_t room() const noexcept { return mask_ + 1 - size(); }

  /// Producer. @return false: full, nothing happened.
  bool push(const T& value) noexcept {
    const std::uint32_t tail = tail_.v.load(std::memory_order_relaxed);
    if (tail - head_.v.load(std::memory_order_acquire) > mask_) return false;
    slots_[tail & mask_] = value;
    tail_.v.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// Consumer. @return the oldest, or null. It stays until pop().
  const T* front() const noexcept {
    const std::uint32_t head = head_.v.load(std::memory_order_relaxed);
    return head == tail_.v.load(std::memory_order_acquire) ? nullptr : &slots_[head & mask_];
  }
  void pop() noexcept { head_.v.store(head_.v.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

 private:
  struct alignas(vmb::kCacheLine) Index {
    std::atomic<std::uint32_t> v{};
  };

  Index head_, tail_;
  std::unique_ptr<T[]> slots_;
  std::uint32_t mask_{~0u};  // no slots yet
};

}  // namespace vmbpmd
