// SPDX-License-Identifier: BSD-3-Clause
// External data of a GPA-direct packet: lists of guest-physical ranges, built by a guest, walked by a host.
//
// Wire form: ranges back to back, each a byte count, an offset into its first page, and its page numbers
// (vmbus.md 3.4). A range is one contiguous item for the receiver even where its pages are not.
#pragma once

#include <array>
#include <optional>

#include "base/bits.hpp"
#include "wire/packet.hpp"

namespace vmb {

/// An address in the guest's physical address space, as this transport defines it.
enum class Gpa : std::uint64_t {};

/// Builds the ranges of one packet, in the caller's stack frame.
class GpaList {
 public:
  static constexpr std::uint32_t kMaxRanges = 32;   // what every known client stays within (netvsc.md 5.1)
  static constexpr std::uint32_t kMaxQwords = 256;  // 32 ranges of up to 7 pages each; a jumbo frame takes 4

  explicit GpaList(std::uint32_t max_ranges = kMaxRanges) noexcept : max_ranges_(max_ranges) {}

  /// One range over contiguous guest memory. @return false: the list is full, nothing was added. `bytes` > 0.
  bool add(Gpa at, std::uint32_t bytes) noexcept {
    const auto address = static_cast<std::uint64_t>(at);
    const wire::GpaRange range{bytes, static_cast<std::uint32_t>(address % kPageSize)};
    const std::uint64_t pages = wire::pages_of(range);
    if (count_ == max_ranges_ || used_ + 1 + pages > kMaxQwords) return false;
    words_[used_++] = std::bit_cast<std::uint64_t>(range);
    for (std::uint64_t page = 0; page < pages; ++page) words_[used_++] = address / kPageSize + page;
    ++count_;
    return true;
  }

  /// What it holds now; back_to() forgets what was added since.
  struct Mark {
    std::uint32_t used, count;
  };
  Mark mark() const noexcept { return {used_, count_}; }
  void back_to(Mark mark) noexcept {
    used_ = mark.used;
    count_ = mark.count;
  }

  std::uint32_t count() const noexcept { return count_; }
  std::span<const std::byte> bytes() const noexcept { return std::as_bytes(std::span{words_}.first(used_)); }

 private:
  std::array<std::uint64_t, kMaxQwords> words_;  // words_[0, used_) are written
  std::uint32_t used_{};
  std::uint32_t count_{};
  std::uint32_t max_ranges_;
};

/// Walks the private copy of a packet's ranges; stops at the first that is malformed.
class GpaWalk {
 public:
  GpaWalk(std::span<const std::byte> extension, std::uint32_t range_count) noexcept
      : rest_(extension), ranges_left_(range_count) {}

  /// One piece of contiguous guest memory: consecutive pages of a range are merged.
  struct Piece {
    Gpa at;
    std::uint32_t bytes;
    bool first_of_range;
  };

  /// @return the next piece; nothing at the end, or when malformed() has become true.
  std::optional<Piece> next() noexcept {
    if (bytes_left_ == 0 && !enter_range()) return std::nullopt;
    const bool first = first_of_range_;
    const std::uint64_t page = take_page();
    if (page >= kPages) {
      malformed_ = true;
      bytes_left_ = 0;
      return std::nullopt;
    }
    const std::uint64_t start = page * kPageSize + offset_;
    std::uint32_t bytes = std::min(kPageSize - offset_, bytes_left_);
    bytes_left_ -= bytes;
    offset_ = 0;
    for (std::uint64_t next_page = page + 1;
         bytes_left_ > 0 && next_page < kPages && load<std::uint64_t>(rest_) == next_page; ++next_page) {
      (void)take_page();
      const std::uint32_t more = std::min(kPageSize, bytes_left_);
      bytes += more;
      bytes_left_ -= more;
    }
    first_of_range_ = false;
    return Piece{Gpa{start}, bytes, first};
  }

  bool malformed() const noexcept { return malformed_; }

 private:
  static constexpr std::uint64_t kPages = std::uint64_t{1} << 52;  // more have no 64-bit address

  bool enter_range() noexcept {
    if (ranges_left_ == 0 || malformed_) return false;
    malformed_ = true;  // until shown otherwise
    if (rest_.size() < 16) return false;
    const auto range = load<wire::GpaRange>(rest_);
    rest_ = rest_.subspan(sizeof range);
    if (range.byte_count == 0 || range.byte_offset >= kPageSize || wire::pages_of(range) > rest_.size() / 8)
      return false;
    malformed_ = false;
    --ranges_left_;
    bytes_left_ = range.byte_count;
    offset_ = range.byte_offset;
    first_of_range_ = true;
    return true;
  }

  std::uint64_t take_page() noexcept {
    const auto page = load<std::uint64_t>(rest_);
    rest_ = rest_.subspan(sizeof page);
    return page;
  }

  std::span<const std::byte> rest_;
  std::uint32_t ranges_left_;
  std::uint32_t bytes_left_{};
  std::uint32_t offset_{};
  bool first_of_range_{};
  bool malformed_{};
};

}  // namespace vmb
