// SPDX-License-Identifier: BSD-3-Clause
// What frames look like: lengths, what the two ends read and write of them, and numbers that tell whether each came
// once, in order and unchanged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vmbperf {

inline constexpr std::uint32_t kMinFrame = 64;
inline constexpr std::uint32_t kMaxFrame = 9014;       // without FCS; MTU 9000
inline constexpr std::uint32_t kStandardFrame = 1518;  // longer ones have ports and pools of their own
inline constexpr std::uint16_t kMaxBurst = 512;
inline constexpr std::uint16_t kMaxQueues = 16;

/// The simple IMIX: 7 of 64 bytes, 4 of 594, 1 of 1518, in this order.
inline constexpr std::array<std::uint16_t, 12> kImix{64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64};

/// A frame length, or the IMIX.
struct FrameSize {
  std::uint32_t bytes = 0;  // 0: IMIX

  [[nodiscard]] bool is_imix() const { return bytes == 0; }
  [[nodiscard]] double mean() const;
  [[nodiscard]] std::uint32_t longest() const { return is_imix() ? kStandardFrame : bytes; }
  [[nodiscard]] std::string name() const { return is_imix() ? "imix" : std::to_string(bytes); }
  friend bool operator==(FrameSize, FrameSize) = default;
};

/// What sender and receiver do with the bytes of a frame. none: nothing, but for a probe now and then. header: eight bytes
/// written and read. all: every byte of it written and read.
enum class Touch : std::uint8_t { none, header, all };

const char* name_of(Touch touch);

/// Where a probe's number, the header's word and verification's numbers lie: the first aligned word behind the header.
inline constexpr std::size_t kWordOffset = 16;

/// Fill a frame, Ethernet header apart, from its number, and put number and checksum in.
/// @param number  tells the frame: sequence_number().
void write_numbered(std::span<std::byte> frame, std::uint64_t number) noexcept;

/// @param measurement  tells frames of one measurement from those an earlier one left behind.
/// @param index        of the frame in its queue, from 0; below 2^36.
constexpr std::uint64_t sequence_number(std::uint64_t measurement, std::uint16_t queue, std::uint64_t index) {
  return measurement << 40 | static_cast<std::uint64_t>(queue) << 36 | index;
}

/// Finds out whether numbered frames arrive once, in order and unchanged. One thread.
class Checker {
 public:
  struct Counts {
    std::uint64_t good = 0;
    std::uint64_t skipped = 0;    // numbers that had not come when a later one came
    std::uint64_t reordered = 0;  // came after a later one, or twice
    std::uint64_t changed = 0;    // checksum or number wrong, or of another measurement
  };

  explicit Checker(std::uint64_t measurement) : measurement_{measurement} {}

  /// @param frame   all of it.
  /// @param length  that it should have; 0: any.
  void check(std::span<const std::byte> frame, std::uint32_t length) noexcept;
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  std::uint64_t measurement_;
  std::array<std::uint64_t, kMaxQueues> next_{};  // index expected in each queue
  Counts counts_;
};

}  // namespace vmbperf
