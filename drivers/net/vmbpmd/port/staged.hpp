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

template <class T, std::uint32_t N>
class BoundedQueue {
 public:
  static_assert((N & (N - 1)) == 0);

  std::uint32_t size() const noexcept { return tail_ - head_; }
  std::uint32_t room() const noexcept { return N - size(); }
  bool empty() const noexcept { return head_ == tail_; }
  void push(const T& value) noexcept { slots_[tail_++ % N] = value; }
  const T& operator[](std::uint32_t i) const noexcept { return slots_[(head_ + i) % N]; }
  T& front() noexcept { return slots_[head_ % N]; }
  void pop(std::uint32_t n = 1) noexcept {
    head_ += n;
    if (head_ == tail_) head_ = tail_ = 0;
  }
  /// Take back the newest.
  void unpush(std::uint32_t n) noexcept { tail_ -= n; }
  void clear() noexcept { head_ = tail_ = 0; }

 private:
  std::array<T, N> slots_{};
  std::uint32_t head_{}, tail_{};
};

class StagedFrames {
 public:
  static constexpr std::uint32_t kMaxPieces = 4096;
  static constexpr std::uint32_t kMaxTransactions = 1024;

  std::uint32_t frames() const noexcept { return frames_; }
  std::uint32_t transactions() const noexcept { return transactions_.size(); }
  bool room_for(std::uint32_t pieces) const noexcept {
    return pieces_.room() >= pieces && transactions_.room() > 0;
  }

  void add_piece(const Piece& piece) noexcept {
    pieces_.push(piece);
    ++open_pieces_;
    if (piece.last_of_frame) ++open_frames_;
  }

  /// The pieces added since the last commit() or rollback() make up one transaction of at least one frame.
  void commit(std::uint64_t id) noexcept {
    transactions_.push({id, open_frames_});
    frames_ += open_frames_;
    open_pieces_ = open_frames_ = 0;
  }

  /// The ring packet turned out bad: forget its pieces.
  void rollback() noexcept {
    pieces_.unpush(open_pieces_);
    open_pieces_ = open_frames_ = 0;
  }

  /// i-th piece from the oldest.
  const Piece& piece(std::uint32_t i) const noexcept { return pieces_[i]; }

  /// The oldest frame has been delivered. @return its transaction if that is complete now, else null.
  const Transaction* pop_frame(std::uint32_t pieces) noexcept {
    pieces_.pop(pieces);
    --frames_;
    Transaction& oldest = transactions_.front();
    if (--oldest.frames_left > 0) return nullptr;
    done_ = oldest;
    transactions_.pop();
    return &done_;
  }

  void clear() noexcept {
    pieces_.clear();
    transactions_.clear();
    frames_ = open_pieces_ = open_frames_ = 0;
  }

 private:
  BoundedQueue<Piece, kMaxPieces> pieces_;
  BoundedQueue<Transaction, kMaxTransactions> transactions_;
  Transaction done_{};
  std::uint32_t frames_{};
  std::uint32_t open_pieces_{}, open_frames_{};
};

}  // namespace vmbpmd
