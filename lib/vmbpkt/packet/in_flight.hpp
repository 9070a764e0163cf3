// SPDX-License-Identifier: BSD-3-Clause
// Transactions between a send and its completion: slot <-> transaction id.
//
// A slot is the owner's index of whatever the transaction holds (a section, a packet object). An id is never 0 and
// names one use of one slot: a completion that comes twice, late, or for something never sent retires nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>

namespace vmb {

/// Sender's cookie on the wire; the receiver echoes it and reads nothing into it.
enum class TransactionId : std::uint64_t { none = 0 };

class InFlight {
 public:
  /// Control plane. @return false: no memory. All slots are idle afterwards.
  [[nodiscard]] bool reset(std::uint32_t slots) noexcept {
    cells_.reset(new (std::nothrow) std::atomic<std::uint32_t>[slots] {});
    slots_ = cells_ ? slots : 0;
    return cells_ != nullptr || slots == 0;
  }

  std::uint32_t slots() const noexcept { return slots_; }

  /// The slot goes into flight. Threads: the sending side. `slot` < slots() and idle.
  TransactionId begin(std::uint32_t slot) noexcept {
    const std::uint32_t use = cells_[slot].load(std::memory_order_relaxed) + 1;  // even: idle; odd: in flight
    cells_[slot].store(use, std::memory_order_relaxed);  // the ring's publish orders it before any completion
    return TransactionId{std::uint64_t{use} << 32 | (slot + 1)};
  }

  /// A send that did not happen. Threads: the sending side.
  /// @return  false: the slot is no longer the caller's. A peer guessed the id and completed it first.
  bool cancel(TransactionId id) noexcept { return retire(id).has_value(); }

  /// The peer completed `id`. Threads: the receiving side.
  /// @return  the slot, idle again; nothing when the id is not in flight: the peer's mistake, to be counted.
  std::optional<std::uint32_t> retire(TransactionId id) noexcept {
    const auto raw = static_cast<std::uint64_t>(id);
    const auto slot = static_cast<std::uint32_t>(raw) - 1;
    auto use = static_cast<std::uint32_t>(raw >> 32);
    if (slot >= slots_ || use % 2 == 0) return std::nullopt;
    // One step, for cancel() and a completion of a guessed id may meet: only one of them gets the slot.
    if (!cells_[slot].compare_exchange_strong(use, use + 1, std::memory_order_relaxed)) return std::nullopt;
    return slot;
  }

  bool in_flight(std::uint32_t slot) const noexcept { return cells_[slot].load(std::memory_order_relaxed) % 2 != 0; }

 private:
  std::unique_ptr<std::atomic<std::uint32_t>[]> cells_;
  std::uint32_t slots_{};
};

}  // namespace vmb
