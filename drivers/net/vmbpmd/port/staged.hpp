// SPDX-License-Identifier: BSD-3-Clause
// Received transactions between ring and application: where their bytes lie in shared memory.
//
// A ring packet becomes pieces; its ring bytes are then free, its section or pages are not until the transaction is
// acknowledged. Where the messages lie in the ring itself, there is nothing to acknowledge, and its bytes are free when
// they are read. Messages are judged when they are read, so a transaction costs one entry whatever the number of its
// frames. Both queues are bounded; when they are empty they start again at their beginning, so that a receiver that
// keeps up stays in a few warm lines. Owned by who holds the inbound ring.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/bits.hpp"
#include "ring/memory.hpp"

namespace vmbpmd {

/// Contiguous bytes in shared memory. The peer may change them at any time.
struct Piece {
  const std::byte* at;
  std::uint32_t bytes;
};

/// A received transaction that is not read to its end.
struct Transaction {
  std::uint64_t id;
  std::uint64_t bytes;     // left
  std::uint32_t pieces;    // left
  std::uint32_t messages;  // read so far
  bool any_good;           // of these, a frame that holds
  bool any_bad;            // one that does not
  bool in_ring;            // its pieces lie in the ring
  vmb::RingOffset end;     // of its ring packet, if they do
};

/// Pieces next to one another in the queue, read as one sequence of bytes.
class PieceView;

class StagedTransactions {
 public:
  // All that our own peer can have under way, so that a control message behind it is always reached: 341 sections and
  // 128 direct frames of a few pieces one way, a piece for each chunk of 4 MiB the other, and 1,260 packets in half a
  // ring. A foreign host has 2,470 suballocs there.
  static constexpr std::uint32_t kMaxPieces = 15 * 1024;
  static constexpr std::uint32_t kMaxPiecesOfOne = 1024;
  static constexpr std::uint32_t kMaxTransactions = 2048;

  bool empty() const noexcept { return first_transaction_ == last_transaction_; }
  std::uint32_t size() const noexcept { return last_transaction_ - first_transaction_; }
  bool room_for(std::uint32_t pieces) const noexcept {
    return kMaxPieces - (added_ - first_) >= pieces && size() < kMaxTransactions;
  }

  /// A piece of the next transaction, which has kMaxPiecesOfOne at most; there is always room for one transaction more.
  void add_piece(const std::byte* at, std::uint32_t bytes) noexcept {
    pieces_[added_++ % kSlots] = {at, bytes};
    added_bytes_ += bytes;
  }

  /// The pieces added since the last commit() or rollback(), and their bytes.
  PieceView added() const noexcept;
  std::uint64_t added_bytes() const noexcept { return added_bytes_; }

  /// They are a transaction. Room was judged before.
  void commit(std::uint64_t id) noexcept {
    transactions_[last_transaction_++ % kMaxTransactions] = {
        id, added_bytes_, added_ - committed_, 0, false, false, false, {}};
    committed_ = added_;
    added_bytes_ = 0;
  }

  /// The same for pieces that lie in the ring, in the packet of [from, end).
  void commit_in_ring(vmb::RingOffset from, vmb::RingOffset end) noexcept {
    if (in_ring_++ == 0) ring_limit_ = from;
    transactions_[last_transaction_++ % kMaxTransactions] = {0,    added_bytes_, added_ - committed_, 0, false, false,
                                                             true, end};
    committed_ = added_;
    added_bytes_ = 0;
  }

  /// How far the ring may be given back, if not all of it.
  std::optional<vmb::RingOffset> ring_limit() const noexcept {
    return in_ring_ > 0 ? std::optional{ring_limit_} : std::nullopt;
  }

  /// Have the pieces' memory on its way: the lines of a whole section are worth more at once than one after another.
  void prefetch_added() const noexcept {
    std::uint32_t left = kMaxPrefetch;
    for (std::uint32_t i = committed_; i != added_ && left > 0; ++i) {
      const Piece& piece = pieces_[i % kSlots];
      const std::uint32_t bytes = std::min(left, piece.bytes);
      vmb::prefetch(piece.at, bytes);
      left -= bytes;
    }
  }

  /// They are nothing.
  void rollback() noexcept {
    added_ = committed_;
    added_bytes_ = 0;
  }

  /// The oldest transaction, of at least one piece, and its first unread piece; only if not empty().
  Transaction& front() noexcept { return transactions_[first_transaction_ % kMaxTransactions]; }
  Piece& piece() noexcept { return pieces_[first_ % kSlots]; }
  PieceView rest() const noexcept;

  /// `bytes` of the oldest transaction are read, of one or more pieces.
  void consume(std::uint32_t bytes) noexcept {
    front().bytes -= bytes;
    while (bytes > 0) {
      const std::uint32_t part = std::min(bytes, piece().bytes);
      piece().at += part;
      piece().bytes -= part;
      bytes -= part;
      if (piece().bytes == 0) step();
    }
  }

  /// What is left of the first unread piece does not matter.
  void next_piece() noexcept {
    front().bytes -= piece().bytes;
    step();
  }

  /// The oldest transaction is done with.
  void pop() noexcept {
    first_ += front().pieces;
    if (front().in_ring) {
      --in_ring_;
      ring_limit_ = front().end;
    }
    ++first_transaction_;
    if (empty()) clear();
  }

  void clear() noexcept {
    added_bytes_ = 0;
    first_ = added_ = committed_ = 0;
    first_transaction_ = last_transaction_ = 0;
    in_ring_ = 0;
  }

 private:
  friend class PieceView;
  void step() noexcept {
    ++first_;
    --front().pieces;
  }

  static constexpr std::uint32_t kMaxPrefetch = 8192;  // bytes: a part of the first-level cache
  static constexpr std::uint32_t kSlots = kMaxPieces + kMaxPiecesOfOne;

  // [first_, committed_) belong to transactions, [committed_, added_) not yet.
  std::vector<Piece> pieces_ = std::vector<Piece>(kSlots);
  std::array<Transaction, kMaxTransactions> transactions_{};
  std::uint32_t first_{}, committed_{}, added_{};
  std::uint32_t first_transaction_{}, last_transaction_{};
  std::uint64_t added_bytes_{};
  std::uint32_t in_ring_{};
  vmb::RingOffset ring_limit_{};
};

class PieceView {
 public:
  PieceView(const StagedTransactions& staged, std::uint32_t first, std::uint32_t count) noexcept
      : staged_(staged), first_(first), count_(count) {}

  std::uint32_t pieces() const noexcept { return count_; }
  const Piece& piece(std::uint32_t i) const noexcept {
    return staged_.pieces_[(first_ + i) % StagedTransactions::kSlots];
  }
  /// The i-th alone.
  PieceView only(std::uint32_t i) const noexcept { return {staged_, first_ + i, 1}; }

  /// A copy of the T at `offset`; it lies inside.
  template <class T> T load(std::uint64_t offset) const noexcept {
    T object;
    copy(offset, &object, sizeof object);
    return object;
  }

  /// Copy [offset, offset + bytes) out; it lies inside.
  void copy(std::uint64_t offset, void* to, std::uint32_t bytes) const noexcept {
    auto* out = static_cast<std::byte*>(to);
    for_each(offset, bytes, [&out](const std::byte* at, std::uint32_t n) {
      std::memcpy(out, at, n);
      out += n;
      return true;
    });
    asm volatile("" ::"r"(to) : "memory");  // read once: the compiler may not go back to shared memory for it
  }

  /// Call visit(at, bytes) for each contiguous part of [offset, offset + bytes), which lies inside, until one is false.
  template <class Visit> bool for_each(std::uint64_t offset, std::uint32_t bytes, Visit visit) const noexcept {
    for (std::uint32_t i = 0; bytes > 0; ++i) {
      const Piece here = piece(i);
      if (offset >= here.bytes) {
        offset -= here.bytes;
        continue;
      }
      const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, here.bytes - offset));
      if (!visit(here.at + offset, n)) return false;
      bytes -= n;
      offset = 0;
    }
    return true;
  }

 private:
  const StagedTransactions& staged_;
  std::uint32_t first_, count_;
};

inline PieceView StagedTransactions::added() const noexcept { return {*this, committed_, added_ - committed_}; }
inline PieceView StagedTransactions::rest() const noexcept {
  return {*this, first_, transactions_[first_transaction_ % kMaxTransactions].pieces};
}

}  // namespace vmbpmd
