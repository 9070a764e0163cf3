// SPDX-License-Identifier: BSD-3-Clause
// Received frames between ring and application: where they lie in shared memory, and which transaction each belongs to.
//
// A ring packet is judged once, here become pieces of frames; its ring bytes are then free, its section or pages are not
// until the last frame has been copied out and the transaction acknowledged. Both queues are bounded; when they are
// empty they start again at their beginning, so that a receiver that keeps up stays in a few warm lines.
// Owned by who holds the inbound ring.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmbpmd {

/// Contiguous bytes of one frame in shared memory.
struct Piece {
  const std::byte* at;
  std::uint32_t bytes;
  bool last_of_frame;
};

/// A received transaction whose frames are not all delivered.
struct Transaction {
  std::uint64_t id;
  std::uint32_t frames_left;
};

class StagedFrames {
 public:
  // All that our own peer can have under way, so that a control message behind it is always reached: 341 sections of 32
  // frames and 512 direct frames one way, 4 MiB of the smallest frames the other.
  static constexpr std::uint32_t kMaxPieces = 65536;
  static constexpr std::uint32_t kMaxTransactions = 1024;

  std::uint32_t frames() const noexcept { return frames_; }
  std::uint32_t transactions() const noexcept { return last_transaction_ - first_transaction_; }
  bool room_for(std::uint32_t pieces) const noexcept {
    return kMaxPieces - (added_ - first_) >= pieces && transactions() < kMaxTransactions;
  }

  /// Room was judged before.
  void add_piece(const std::byte* at, std::uint32_t bytes, bool last_of_frame) noexcept {
    pieces_[added_++ % kMaxPieces] = {at, bytes, last_of_frame};
  }

  /// The pieces added since the last commit() or rollback() make up one transaction of `frames` frames, at least one.
  void commit(std::uint64_t id, std::uint32_t frames) noexcept {
    transactions_[last_transaction_++ % kMaxTransactions] = {id, frames};
    frames_ += frames;
    committed_ = added_;
  }

  /// The ring packet turned out bad: forget its pieces.
  void rollback() noexcept { added_ = committed_; }

  /// i-th piece from the oldest.
  const Piece& piece(std::uint32_t i) const noexcept { return pieces_[(first_ + i) % kMaxPieces]; }

  /// The oldest `frames` frames, which are `pieces` pieces, have been delivered. Calls complete(id) for each transaction
  /// that has none left.
  template <class Complete> void pop(std::uint32_t frames, std::uint32_t pieces, Complete complete) noexcept {
    frames_ -= frames;
    first_ += pieces;
    while (frames > 0) {
      Transaction& oldest = transactions_[first_transaction_ % kMaxTransactions];
      const std::uint32_t taken = frames < oldest.frames_left ? frames : oldest.frames_left;
      frames -= taken;
      oldest.frames_left -= taken;
      if (oldest.frames_left > 0) break;
      complete(oldest.id);
      ++first_transaction_;
    }
    if (frames_ == 0) clear();
  }

  void clear() noexcept {
    frames_ = 0;
    first_ = added_ = committed_ = 0;
    first_transaction_ = last_transaction_ = 0;
  }

 private:
  // [first_, committed_) belong to transactions, [committed_, added_) not yet.
  std::vector<Piece> pieces_ = std::vector<Piece>(kMaxPieces);
  std::array<Transaction, kMaxTransactions> transactions_{};
  std::uint32_t frames_{};
  std::uint32_t first_{}, committed_{}, added_{};
  std::uint32_t first_transaction_{}, last_transaction_{};
};

}  // namespace vmbpmd
