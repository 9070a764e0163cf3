// SPDX-License-Identifier: BSD-3-Clause
// Queues whose links lie in what is queued, so that queueing never allocates: packets that wait for room and replies
// that do wait in one queue, for neither may overtake the other.
#pragma once

#include <atomic>
#include <cstdint>

#include "api/received.hpp"
#include "packet/object.hpp"

namespace vmb {

/// One thing in a queue: an outgoing packet, or a received one.
class Queued {
 public:
  Queued() = default;
  explicit Queued(std::uintptr_t word) noexcept : word_(word) {}
  explicit Queued(vmb_packet* packet) noexcept : word_(reinterpret_cast<std::uintptr_t>(packet)) {}
  explicit Queued(Received* received) noexcept : word_(reinterpret_cast<std::uintptr_t>(received) | kIsReceived) {}

  explicit operator bool() const noexcept { return word_ != 0; }
  std::uintptr_t word() const noexcept { return word_; }

  bool is_received() const noexcept { return (word_ & kIsReceived) != 0; }
  vmb_packet* packet() const noexcept { return reinterpret_cast<vmb_packet*>(word_); }
  Received* received() const noexcept { return reinterpret_cast<Received*>(word_ - kIsReceived); }
  std::uintptr_t& next() const noexcept { return is_received() ? received()->next : packet()->next; }

 private:
  static constexpr std::uintptr_t kIsReceived = 1;  // addresses of both are multiples of 16

  std::uintptr_t word_{};
};

class Fifo {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::uint32_t size() const noexcept { return size_; }
  Queued front() const noexcept { return head_; }

  void push(Queued item) noexcept {
    item.next() = 0;
    if (empty()) {
      head_ = item;
    } else {
      tail_.next() = item.word();
    }
    tail_ = item;
    ++size_;
  }

  /// Not empty.
  Queued pop() noexcept {
    const Queued item = head_;
    head_ = Queued{item.next()};
    --size_;
    return item;
  }

  /// Walks the queue; for assertions.
  bool holds(const vmb_packet* packet) const noexcept {
    Queued item = head_;
    for (std::uint32_t left = size_; left > 0; --left, item = Queued{item.next()}) {
      if (!item.is_received() && item.packet() == packet) return true;
    }
    return false;
  }

 private:
  Queued head_;
  Queued tail_;
  std::uint32_t size_{};
};

/// Where threads leave things for the one that is inside the channel. Many put, one takes all.
class Inbox {
 public:
  void put(Queued item) noexcept {
    std::uintptr_t head = head_.load(std::memory_order_relaxed);
    do item.next() = head;
    while (!head_.compare_exchange_weak(head, item.word(), std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == 0; }

  /// Everything, in the order in which it was put.
  template <class Sink> void take(Sink sink) noexcept {
    std::uintptr_t newest = head_.exchange(0, std::memory_order_seq_cst);
    std::uintptr_t oldest = 0;
    while (newest != 0) {
      const Queued item{newest};
      newest = item.next();
      item.next() = oldest;
      oldest = item.word();
    }
    while (oldest != 0) {
      const Queued item{oldest};
      oldest = item.next();
      sink(item);
    }
  }

 private:
  std::atomic<std::uintptr_t> head_{};
};

}  // namespace vmb
