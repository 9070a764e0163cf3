// SPDX-License-Identifier: BSD-3-Clause
// The writing end of one ring: append any number of packets, publish them with one index store.
//
// It owns write_index and pending_send_size, keeps a private copy of the peer's read_index, and reloads that only when
// the copy says full. It knows bytes, not packets: descriptors are the channel's business.
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "base/status.hpp"
#include "ring/memory.hpp"
#include "wire/packet.hpp"

namespace vmb {

class Producer {
 public:
  Producer() = default;

  /// Both indices of `ring` must be 0 (RingMemory::format); one producer at a time per ring.
  explicit Producer(RingMemory ring) noexcept : ring_(ring) {}

  /// Append one packet: `header` (descriptor and extension, a multiple of 8), `payload` (padded to 8 here), trailer.
  /// The peer sees nothing before publish().
  /// Errors   full: nothing changed. too_big: no empty ring could hold it. corrupt: see fault(); the ring is dead.
  /// Threads  one at a time (the channel's try-lock). Never blocks or allocates.
  template <std::size_t H, std::size_t P>
  Status append(std::span<const std::byte, H> header, std::span<const std::byte, P> payload) noexcept {
    if (payload.size() > wire::kMaxPacketBytes - header.size()) [[unlikely]]
      return Status::too_big;  // length8: 16 bits
    const auto header_bytes = static_cast<std::uint32_t>(header.size());
    const auto payload_bytes = static_cast<std::uint32_t>(payload.size());
    const std::uint32_t total = wire::ring_bytes(header_bytes, payload_bytes);
    if (total >= free_) [[unlikely]] {
      if (const Status room = make_room(total); room != Status::ok) return room;
    }
    RingOffset at = next_;
    ring_.copy_in(at, header.data(), header_bytes);
    at = ring_.after(at, header_bytes);
    if (payload_bytes % 8 != 0) ring_.copy_in(ring_.after(at, payload_bytes & ~7u), kZeros, sizeof kZeros);  // padding
    if (payload_bytes != 0) ring_.copy_in(at, payload.data(), payload_bytes);
    at = ring_.after(at, align_up(payload_bytes, 8u));
    const std::uint64_t trailer = std::uint64_t{next_.v} << 32;
    ring_.copy_in(at, &trailer, sizeof trailer);
    next_ = ring_.after(at, sizeof trailer);
    free_ -= total;
    return Status::ok;
  }

  /// Room for the payload of one packet behind a header of `header_bytes` (a multiple of 8), to be written in place: what
  /// is free before the ring's end by the last read_index seen, down to a multiple of 8. Nothing happens before commit().
  std::span<std::byte> reserve(std::uint32_t header_bytes) const noexcept {
    const std::uint32_t around = header_bytes + wire::kTrailerBytes;
    const std::uint32_t before_end = ring_.size() - next_.v;
    const std::uint32_t free = std::min(free_ - 8, before_end);
    if (free <= around) return {};
    return {ring_.in_place(next_, header_bytes) + header_bytes, (free - around) & ~7u};
  }

  /// The packet whose payload was written where reserve() said; no more than that, and a multiple of 8.
  template <std::size_t H> void commit(std::span<const std::byte, H> header, std::uint32_t payload_bytes) noexcept {
    const auto header_bytes = static_cast<std::uint32_t>(header.size());
    ring_.copy_in(next_, header.data(), header_bytes);
    const RingOffset end = ring_.after(next_, header_bytes + payload_bytes);
    const std::uint64_t trailer = std::uint64_t{next_.v} << 32;
    ring_.copy_in(end, &trailer, sizeof trailer);
    next_ = ring_.after(end, sizeof trailer);
    free_ -= header_bytes + payload_bytes + wire::kTrailerBytes;
  }

  /// Forget what was appended since the last publish().
  void revert() noexcept {
    if (fault_ == Fault::none) free_ += ring_.distance(published_, next_);
    next_ = published_;
  }

  /// Make everything appended visible. Kick::yes: the ring was empty and the consumer asks for signals.
  Kick publish() noexcept {
    if (next_ == published_) return Kick::no;
    const RingOffset before = std::exchange(published_, next_);
    ring_.write_index().store(next_.v, std::memory_order_seq_cst);                     // R1, S1
    if (ring_.interrupt_mask().load(std::memory_order_seq_cst) != 0) return Kick::no;  // S1
    return ring_.read_index().load(std::memory_order_seq_cst) == before.v ? Kick::yes : Kick::no;
  }

  /// The same for a consumer that never sleeps: nothing is to be decided, so no store-to-load order is paid for.
  void publish_to_poller() noexcept {
    if (next_ == published_) return;
    const std::uint32_t bytes = ring_.distance(std::exchange(published_, next_), next_);
    ring_.write_index().store(next_.v, std::memory_order_release);  // R1
    // The lines some packets further on, which the consumer read a lap ago; none that it may not have read yet.
    if (free_ > 2 * kAhead) ring_.prefetch_for_write(ring_.after(next_, kAhead), std::min(bytes, kAhead));
  }

  /// Before sleeping on a full ring: ask for a kick once a packet of `total` ring bytes fits.
  /// True: do not sleep: it fits already, or the ring is dead, as append() will say. Call publish() first.
  [[nodiscard]] bool wait_for(std::uint32_t total) noexcept {
    ring_.pending_send_size().store(total, std::memory_order_seq_cst);        // S3
    const bool awake = !refresh(std::memory_order_seq_cst) || total < free_;  // S3
    if (awake) ring_.pending_send_size().store(0, std::memory_order_relaxed);
    return awake;
  }

  /// Ring bytes a packet may take now (its trailer included) by the last read_index seen.
  std::uint32_t room() const noexcept { return free_ - 8; }

  /// Reload the peer's index, then say the same.
  std::uint32_t refreshed_room() noexcept {
    (void)refresh(std::memory_order_acquire);
    return room();
  }

  Fault fault() const noexcept { return fault_; }
  const RingMemory& memory() const noexcept { return ring_; }

 private:
  static constexpr std::byte kZeros[8]{};
  static constexpr std::uint32_t kAhead = 4096;  // bytes

  [[gnu::noinline]] Status make_room(std::uint32_t total) noexcept {
    if (total > ring_.size() - 8) return Status::too_big;
    if (!refresh(std::memory_order_acquire)) return Status::corrupt;  // A2
    return total < free_ ? Status::ok : Status::full;
  }

  /// A read_index is believed only between the last one and what was published.
  bool refresh(std::memory_order order) noexcept {
    if (fault_ != Fault::none) return false;
    const std::uint32_t index = ring_.read_index().load(order);
    if (!ring_.valid(index) || ring_.distance(read_, {index}) > ring_.distance(read_, published_)) {
      fault_ = Fault::read_index;
      free_ = 8;  // nothing fits any more
      return false;
    }
    read_ = {index};
    free_ = ring_.size() - ring_.distance(read_, next_);
    return true;
  }

  RingMemory ring_;
  RingOffset next_;                   // where the next packet goes
  RingOffset published_;              // what the peer has been told
  RingOffset read_;                   // peer's read_index as last seen
  std::uint32_t free_{ring_.size()};  // raw: a packet fits only if smaller
  Fault fault_{Fault::none};
};

}  // namespace vmb
