// SPDX-License-Identifier: BSD-3-Clause
// Sections or chunks that are free, in the order in which they came back.
//
// Which to take next is a matter of caches: the other core has just read the newest, so its lines must be taken away from
// there before they can be written; by the time that all others have been used, those of the oldest have left. With
// a few lines in each it is the other way round: all of them together leave no cache, so the newest, whose lines are
// the fewest, are best.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace vmbpmd {

class FreeList {
 public:
  /// Control plane: room for `capacity` numbers; empty afterwards.
  void reset(std::uint32_t capacity) {
    if (slots_.size() < capacity) slots_.resize(std::bit_ceil(capacity));
    head_ = tail_ = 0;
  }

  std::uint32_t size() const noexcept { return tail_ - head_; }
  bool empty() const noexcept { return head_ == tail_; }

  void push(std::uint32_t number) noexcept { slots_[tail_++ & mask()] = number; }
  /// @param bytes  about as many will be used. Only if not empty().
  std::uint32_t take(std::uint32_t bytes) noexcept {
    return bytes <= kFewBytes ? slots_[--tail_ & mask()] : slots_[head_++ & mask()];
  }
  /// What take() would give.
  std::uint32_t next(std::uint32_t bytes) const noexcept {
    return slots_[(bytes <= kFewBytes ? tail_ - 1 : head_) & mask()];
  }

 private:
  static constexpr std::uint32_t kFewBytes = 1024;

  std::uint32_t mask() const noexcept { return static_cast<std::uint32_t>(slots_.size()) - 1; }

  std::vector<std::uint32_t> slots_;
  std::uint32_t head_{}, tail_{};
};

}  // namespace vmbpmd
