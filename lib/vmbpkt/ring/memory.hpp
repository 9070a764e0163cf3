// SPDX-License-Identifier: BSD-3-Clause
// One ring's shared memory, and the protocol of its words. This file alone knows that a ring wraps.
//
// Invariant: bytes in [read_index, write_index), cyclic, are whole packets, frozen until read_index passes them.
// The indices are equal only when the ring is empty: a producer keeps at least 8 bytes free.
//
//   word               written by  read by    ordering
//   write_index        producer    consumer   R1 publish (release or stronger) pairs with A1 refresh (acquire): bytes
//                                             are visible
//   read_index         consumer    producer   R2 advance (release) pairs with A2 refresh (acquire): reads end before
//                                             the bytes are overwritten
//   interrupt_mask     consumer    producer   S1/S2 below
//   pending_send_size  producer    consumer   S3/S4 below, the mirror image
//
// S1 (producer): store write_index, then load interrupt_mask, then load read_index. S2 (consumer, before it sleeps):
// store mask = 0, then load write_index again. All seq_cst, so at least one side sees the other.
//   FORBIDDEN: consumer asleep, ring not empty, no kick sent. Allowed: one spurious kick.
// S3 (producer, before it sleeps): store pending_send_size, then load read_index again. S4 (consumer): store
// read_index, then load pending_send_size, then load write_index. All seq_cst.
//   FORBIDDEN: producer asleep, room for its packet, no kick sent.
//
// Order comes from the operations, not from fences: ThreadSanitizer sees operations only.
// Source: vmbus.md 1.4 to 1.7 and 2.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bits.hpp"
#include "wire/ring_page.hpp"

namespace vmb {

/// Whether the peer must be notified now. The ring decides; its owner decides when in a burst.
enum class [[nodiscard]] Kick : bool{no, yes};

constexpr Kick operator|(Kick a, Kick b) noexcept { return a == Kick::yes ? a : b; }

/// Bytes from the start of a ring's data, in [0, size), a multiple of 8.
struct RingOffset {
  std::uint32_t v{};
  friend constexpr bool operator==(RingOffset, RingOffset) = default;
};

class RingMemory {
 public:
  RingMemory() = default;

  /// @param page  control page, page-aligned, followed by the data; borrowed for the life of this object.
  /// @param data_bytes  a positive multiple of 4096 (vmbus.md 1.1).
  RingMemory(std::byte* page, std::uint32_t data_bytes) noexcept
      : page_(reinterpret_cast<wire::RingPage*>(page)), data_(page + kPageSize), size_(data_bytes) {}

  static constexpr bool valid_size(std::uint64_t data_bytes) noexcept {
    return data_bytes >= kPageSize && data_bytes % kPageSize == 0 && data_bytes <= 0x4000'0000;
  }

  std::uint32_t size() const noexcept { return size_; }

  std::atomic_ref<std::uint32_t> write_index() const noexcept { return std::atomic_ref(page_->write_index); }
  std::atomic_ref<std::uint32_t> read_index() const noexcept { return std::atomic_ref(page_->read_index); }
  std::atomic_ref<std::uint32_t> interrupt_mask() const noexcept { return std::atomic_ref(page_->interrupt_mask); }
  std::atomic_ref<std::uint32_t> pending_send_size() const noexcept {
    return std::atomic_ref(page_->pending_send_size);
  }
  std::atomic_ref<std::uint32_t> feature_bits() const noexcept { return std::atomic_ref(page_->feature_bits); }

  bool valid(std::uint32_t index) const noexcept { return index < size_ && index % 8 == 0; }

  /// The offset `bytes` (a multiple of 8, at most the ring's size) further on.
  RingOffset after(RingOffset at, std::uint32_t bytes) const noexcept {
    const std::uint32_t next = at.v + bytes;
    return {next >= size_ ? next - size_ : next};
  }

  /// Cyclic distance from one offset forward to another: [0, size).
  std::uint32_t distance(RingOffset from, RingOffset to) const noexcept {
    return to.v >= from.v ? to.v - from.v : size_ - from.v + to.v;
  }

  /// Copy into the ring in at most two pieces; `bytes` < size.
  void copy_in(RingOffset at, const void* from, std::uint32_t bytes) const noexcept {
    const std::uint32_t head = size_ - at.v;
    if (bytes <= head) [[likely]] {
      std::memcpy(data_ + at.v, from, bytes);
      return;
    }
    std::memcpy(data_ + at.v, from, head);
    std::memcpy(data_, static_cast<const std::byte*>(from) + head, bytes - head);
  }

  /// Copy out of the ring in at most two pieces; `bytes` < size. The copy is read once: a compiler may not go back to
  /// the ring for it.
  void copy_out(RingOffset at, void* to, std::uint32_t bytes) const noexcept {
    const std::uint32_t head = size_ - at.v;
    if (bytes <= head) [[likely]] {
      std::memcpy(to, data_ + at.v, bytes);
    } else {
      std::memcpy(to, data_ + at.v, head);
      std::memcpy(static_cast<std::byte*>(to) + head, data_, bytes - head);
    }
    asm volatile("" ::"r"(to) : "memory");
  }

  /// The bytes themselves; null if they wrap. `bytes` < size.
  std::byte* in_place(RingOffset at, std::uint32_t bytes) const noexcept {
    return bytes <= size_ - at.v ? data_ + at.v : nullptr;
  }

  /// The 8 bytes at `at`, read once; an aligned word never straddles the end.
  std::uint64_t load_word(RingOffset at) const noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(data_ + at.v)).load(std::memory_order_relaxed);
  }

  /// Clear the control page and announce that pending_send_size is honoured: once, before the channel is opened.
  void format() const noexcept {
    std::memset(static_cast<void*>(page_), 0, sizeof *page_);
    page_->feature_bits = wire::kFeaturePendingSendSize;
  }

  void prefetch(RingOffset at, std::uint32_t bytes) const noexcept { vmb::prefetch(data_ + at.v, bytes); }
  void prefetch_for_write(RingOffset at, std::uint32_t bytes) const noexcept {
    vmb::prefetch_for_write(data_ + at.v, bytes);
  }

 private:
  static_assert(std::atomic_ref<std::uint32_t>::is_always_lock_free);
  static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

  wire::RingPage* page_{};
  std::byte* data_{};
  std::uint32_t size_{};
};

}  // namespace vmb
