// SPDX-License-Identifier: BSD-3-Clause
// A received packet: a copy of its payload and what its completion needs, in a slot of its channel; and the token that
// names it to the user.
#pragma once

#include <vmbpkt.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"
#include "packet/in_flight.hpp"

namespace vmb {

/// The payload, and later the reply, follows in the same slot.
struct alignas(kCacheLine) Received {
  enum class State : std::uint32_t { free, parked, held, replying };

  std::uintptr_t next;               // the free list's, the backlog's, or the outgoing queue's
  TransactionId id;                  // the sender's
  std::uint32_t index;               // of the slot
  std::atomic<std::uint32_t> named;  // State in the low 4 bits, above it the generation: what a token must match
  std::uint32_t length;              // payload bytes; of the reply once completed
  std::uint32_t opening;             // which opening of the channel it came with: a reply goes nowhere else
  bool wants_completion;

  std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this) + sizeof(Received); }

  std::uint32_t generation() const noexcept { return named.load(std::memory_order_relaxed) >> 4; }
  State state() const noexcept { return static_cast<State>(named.load(std::memory_order_relaxed) & 15); }
  void set_state(State state) noexcept { name(generation(), state); }
  void start_at(std::uint32_t generation) noexcept { name(generation, State::free); }
  void next_generation() noexcept { name(generation() + 1, state()); }

 private:
  void name(std::uint32_t generation, State state) noexcept {
    named.store(generation << 4 | static_cast<std::uint32_t>(state), std::memory_order_relaxed);
  }
};
static_assert(sizeof(Received) == kCacheLine);

/// The token, which is no address: 16 bits of the channel's number + 1, 20 of the slot, 28 of the slot's generation.
struct Token {
  std::uint32_t channel;
  std::uint32_t index;
  std::uint32_t generation;

  static Token of(const vmb_packet_completion* handle) noexcept {
    const auto word = reinterpret_cast<std::uint64_t>(handle);
    return {static_cast<std::uint32_t>(word & 0xFFFF) - 1, static_cast<std::uint32_t>(word >> 16 & 0xF'FFFF),
            static_cast<std::uint32_t>(word >> 36)};
  }

  vmb_packet_completion* handle() const noexcept {
    return reinterpret_cast<vmb_packet_completion*>(std::uint64_t{generation} << 36 | std::uint64_t{index} << 16 |
                                                    (channel + 1));
  }
};
static_assert(sizeof(void*) == 8, "a token holds 64 bits");

}  // namespace vmb
