// SPDX-License-Identifier: BSD-3-Clause
// The reading end of one ring: peek at a packet, copy out of it, take it; give any number back with one index store.
//
// It owns read_index and interrupt_mask, keeps a private copy of the peer's write_index, and reloads that only when
// the copy says empty. What the peer wrote is copied out once, judged as a copy, and used as a copy.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "base/status.hpp"
#include "ring/memory.hpp"
#include "wire/packet.hpp"

namespace vmb {

/// A packet found in a ring: the copy of its descriptor, already judged, and where it lies.
struct PeekedPacket {
  wire::PacketDescriptor descriptor;
  RingOffset at;

  std::uint32_t header_bytes() const noexcept { return descriptor.offset8 * 8u; }
  std::uint32_t payload_bytes() const noexcept { return (descriptor.length8 - descriptor.offset8) * 8u; }
  bool wants_completion() const noexcept { return (descriptor.flags & wire::kFlagCompletionRequested) != 0; }
};

class Consumer {
 public:
  Consumer() = default;

  /// @param max_packet_bytes  the largest packet (descriptor to padding) that this end takes; larger is a fault.
  Consumer(RingMemory ring, std::uint32_t max_packet_bytes) noexcept
      : ring_(ring), max_packet_bytes_(max_packet_bytes) {}

  /// Look at the next packet without taking it.
  /// Errors   empty. corrupt: see fault(); the ring is dead and stays so.
  /// Threads  one consumer at a time (the channel's try-lock). Never blocks.
  Status peek(PeekedPacket& packet) noexcept {
    if (next_ == write_) {
      if (const Status more = refresh(std::memory_order_acquire); more != Status::ok) return more;  // A1
    }
    const std::uint32_t available = ring_.distance(next_, write_);
    if (available < sizeof(wire::PacketDescriptor) + wire::kTrailerBytes) return fail(Fault::truncated_packet);
    packet.descriptor = std::bit_cast<wire::PacketDescriptor>(  // the only read of these bytes
        std::array{ring_.load_word(next_), ring_.load_word(ring_.after(next_, 8))});
    packet.at = next_;
    if (const Fault found = judge(packet.descriptor, available); found != Fault::none) [[unlikely]]
      return fail(found);
    return Status::ok;
  }

  /// peek() has something to look at without a look at the peer's write_index.
  bool has_seen_more() const noexcept { return next_ != write_; }

  /// Copy `bytes` of the packet, from `from` bytes behind its first; from + bytes <= header + payload.
  void copy(const PeekedPacket& packet, std::uint32_t from, void* to, std::uint32_t bytes) const noexcept {
    if (bytes != 0) ring_.copy_out(ring_.after(packet.at, from), to, bytes);
  }

  /// Where `bytes` of the packet lie, from `from` bytes behind its first; from + bytes <= header + payload. Null: the ring
  /// wraps within. The peer may change them; give_back_only_to() keeps them.
  const std::byte* in_place(const PeekedPacket& packet, std::uint32_t from, std::uint32_t bytes) const noexcept {
    return ring_.in_place(ring_.after(packet.at, from), bytes);
  }

  /// Step over the packet last peeked at. The producer gets its room back at the next advance().
  void take(const PeekedPacket& packet) noexcept {
    const RingOffset end = end_of(packet);
    if (const std::uint32_t left = ring_.distance(end, write_); left > kPrefetch) {
      ring_.prefetch(ring_.after(end, kPrefetch), std::min(left - kPrefetch, ring_.distance(next_, end)));
    }
    next_ = end;
  }

  /// Where the packet ends; a limit for advance().
  RingOffset end_of(const PeekedPacket& packet) const noexcept {
    return ring_.after(packet.at, packet.descriptor.length8 * 8u + wire::kTrailerBytes);
  }

  /// From now on advance() gives back no more than up to `limit`, which lies among what was taken and not given back: what
  /// follows is still read in place.
  void give_back_only_to(RingOffset limit) noexcept {
    limited_ = true;
    limit_ = limit;
  }
  void give_back_all() noexcept { limited_ = false; }

  /// Give back what was taken. Kick::yes: a producer waits for room, and this made it (vmbus.md 2.3).
  Kick advance() noexcept {
    const RingOffset to = returnable();
    if (to == published_) return Kick::no;
    const std::uint32_t freed = ring_.distance(published_, to);
    published_ = to;
    ring_.read_index().store(to.v, std::memory_order_seq_cst);                                     // R2, S4
    const std::uint32_t wanted = ring_.pending_send_size().load(std::memory_order_seq_cst) & ~7u;  // S4
    if (wanted == 0) [[likely]]
      return Kick::no;
    const std::uint32_t write = ring_.write_index().load(std::memory_order_seq_cst);  // S4
    if (!ring_.valid(write)) return Kick::no;                                         // the next peek() finds it
    const std::uint32_t free = ring_.size() - ring_.distance(to, {write});
    return free > wanted && free - wanted <= freed ? Kick::yes : Kick::no;  // no free - freed: a producer runs ahead
  }

  /// The same for a producer that never sleeps.
  /// @param worth  bytes: with less than that, put it off for some calls. For who knows that the producer looks at
  ///               read_index only when the ring seems full to it: its own index is on the same line.
  void advance_for_poller(std::uint32_t worth = 0) noexcept {
    const RingOffset to = returnable();
    if (to == published_) return;
    if (ring_.distance(published_, to) < worth && ++put_off_ < kMostPutOff) return;
    put_off_ = 0;
    published_ = to;
    ring_.read_index().store(to.v, std::memory_order_release);  // R2
  }

  /// Before sleeping: unmask, then look again. True: nothing is there, sleep. False: masked again, go on reading.
  /// Call advance() first: a producer that sees unread packets does not kick.
  [[nodiscard]] bool arm() noexcept {
    ring_.interrupt_mask().store(0, std::memory_order_seq_cst);                                                // S2
    if (fault_ == Fault::none && ring_.write_index().load(std::memory_order_seq_cst) == next_.v) return true;  // S2
    disarm();
    return false;
  }

  /// No kicks, please: this end polls.
  void disarm() noexcept { ring_.interrupt_mask().store(1, std::memory_order_relaxed); }

  Fault fault() const noexcept { return fault_; }

  /// The owner found, behind the descriptor, what no correct peer writes. Sticky: peek() answers corrupt from now on.
  Status fail(Fault fault) noexcept {
    if (fault_ == Fault::none) fault_ = fault;
    return Status::corrupt;
  }

  const RingMemory& memory() const noexcept { return ring_; }

 private:
  static constexpr std::uint32_t kMostPutOff = 256;
  static constexpr std::uint32_t kPrefetch = 512;  // bytes

  RingOffset returnable() const noexcept { return limited_ ? limit_ : next_; }

  Status refresh(std::memory_order order) noexcept {
    if (fault_ != Fault::none) return Status::corrupt;
    const std::uint32_t index = ring_.write_index().load(order);
    if (index == next_.v) return Status::empty;
    const bool behind = ring_.distance(published_, {index}) < ring_.distance(published_, next_);  // among what we took
    if (!ring_.valid(index) || behind) return fail(Fault::write_index);
    write_ = {index};
    // All at once, not one behind the other. Never before they are there: the producer would have to take them back.
    ring_.prefetch(next_, std::min(ring_.distance(next_, write_), kPrefetch));
    return Status::ok;
  }

  Fault judge(const wire::PacketDescriptor& desc, std::uint32_t available) const noexcept {
    if (fault_ != Fault::none) return fault_;
    if (!wire::is_known(desc.type)) return Fault::packet_type;
    if ((desc.flags & ~wire::kFlagCompletionRequested) != 0) return Fault::flags;
    const bool extended = desc.type == wire::PacketType::transfer_pages || desc.type == wire::PacketType::gpa_direct;
    if (desc.offset8 < (extended ? 3 : 2) || desc.length8 < desc.offset8) return Fault::header_length;
    const std::uint32_t bytes = desc.length8 * 8u;
    if (bytes + wire::kTrailerBytes > available) return Fault::truncated_packet;
    if (bytes > max_packet_bytes_) return Fault::packet_length;
    return Fault::none;
  }

  RingMemory ring_;
  RingOffset next_;       // the next packet to look at
  RingOffset published_;  // what the peer has been told
  RingOffset write_;      // peer's write_index as last seen
  RingOffset limit_;      // give back no more than this, if limited_
  bool limited_{};
  std::uint32_t put_off_{};
  std::uint32_t max_packet_bytes_{};
  Fault fault_{Fault::none};
};

}  // namespace vmb
