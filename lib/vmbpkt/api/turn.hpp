// SPDX-License-Identifier: BSD-3-Clause
// One thread's stay inside a channel, and its stays in user code.
#pragma once

#include "api/endpoint.hpp"

namespace vmb {

/// What the library knows about a thread: who it is, by address, and how deep it stands in user code.
struct ThisThread {
  std::uint32_t user_code_depth{};
};
inline thread_local ThisThread this_thread;

/// Around every call of a routine or callback.
class UserCode {
 public:
  UserCode() noexcept { ++this_thread.user_code_depth; }
  UserCode(const UserCode&) = delete;
  UserCode& operator=(const UserCode&) = delete;
  ~UserCode() { --this_thread.user_code_depth; }
};

/// Owns the endpoint's traffic state and, where it is open, its outbound ring. What was sent in a turn is published at
/// its end. Within user code of the same endpoint it joins the turn that is on.
class Endpoint::Turn {
 public:
  enum class Kind : std::uint8_t { data, owner, control };  // control waits; owner and control settle what is due

  explicit Turn(Endpoint& endpoint, Kind kind = Kind::data) noexcept : endpoint_(endpoint) {
    if (endpoint.holder_.load(std::memory_order_relaxed) == &this_thread) {
      inside_ = true;
      return;
    }
    if (kind == Kind::control) {
      endpoint.wait_for_turn();
    } else if (endpoint.waiting_.load(std::memory_order_relaxed) != 0 || !endpoint.turn_.try_lock()) {
      return;
    }
    owned_ = inside_ = true;
    endpoint.holder_.store(&this_thread, std::memory_order_relaxed);
    if (kind != Kind::data) endpoint.settle();
    endpoint.outgoing_.emplace(endpoint.channel_);
    if (!*endpoint.outgoing_) endpoint.outgoing_.reset();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  ~Turn() {
    if (!owned_) return;
    endpoint_.outgoing_.reset();
    endpoint_.shown_outstanding_.store(endpoint_.outstanding_, std::memory_order_relaxed);
    endpoint_.shown_queued_.store(endpoint_.queue_.size(), std::memory_order_relaxed);
    endpoint_.shown_held_.store(endpoint_.held_, std::memory_order_relaxed);
    endpoint_.holder_.store(nullptr, std::memory_order_relaxed);
    endpoint_.turn_.unlock();
  }

  /// False: another thread is inside.
  explicit operator bool() const noexcept { return inside_; }

  /// False: within a turn that is on already.
  bool is_outermost() const noexcept { return owned_; }

 private:
  Endpoint& endpoint_;
  bool owned_{};
  bool inside_{};
};

}  // namespace vmb
