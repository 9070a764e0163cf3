// SPDX-License-Identifier: BSD-3-Clause
// What an end counts. Each counter has one writer at a time (who holds the lock of its side) and any number of readers:
// relaxed loads and stores, no locked instruction.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/bits.hpp"
#include "base/status.hpp"

namespace vmbpmd {

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed) - base_.load(std::memory_order_relaxed);
  }

  /// Since it was made, whatever reset() did.
  std::uint64_t total() const noexcept { return value_.load(std::memory_order_relaxed); }

  /// From any thread: later values count from here. What is added meanwhile is not lost.
  void reset() noexcept { base_.store(value_.load(std::memory_order_relaxed), std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{};
  std::atomic<std::uint64_t> base_{};
};

/// Written by who holds the inbound ring.
struct alignas(vmb::kCacheLine) RxCounters {
  Counter packets, bytes;
  Counter no_mbuf;             // allocation failures; the frames wait
  Counter missed;              // frames that found no poller: acknowledged and dropped
  Counter filtered;            // frames for somebody else
  Counter bad_section;         // section index, or bytes used beyond it
  Counter bad_rndis;           // RNDIS lengths or offsets that do not hold, too many packets in a message
  Counter bad_message;         // NVSP or RNDIS message that is unknown, too short or too long
  Counter unknown_completion;  // completions of nothing in flight
  Counter peer_failures;       // our sends that the peer completed with a failure
  Counter control_overflow;    // control messages that came faster than they are handled
};

/// Written by who holds the outbound ring.
struct alignas(vmb::kCacheLine) TxCounters {
  Counter packets, bytes;
  Counter too_big;     // frames the peer cannot take: freed
  Counter malformed;   // frames with no bytes or too many segments: freed
  Counter filtered;    // frames that the guest's packet filter does not want: freed
  Counter no_room;     // bursts cut short for want of sections or ring space
  Counter aggregates;  // VMBus packets that carried data
  Counter direct;      // frames sent from where they lie, not copied
  Counter in_ring;     // frames sent in the ring itself
};

/// Written by the control plane.
struct LinkCounters {
  Counter attaches, detaches;
  Counter lost_in_flight;  // frames under way when a channel closed
  Counter attach_failures;
  Counter refused_messages;        // NVSP and RNDIS control messages of the peer that do not hold, or not at this time
  std::array<Counter, 12> faults;  // channels closed, by vmb::Fault
};

}  // namespace vmbpmd
