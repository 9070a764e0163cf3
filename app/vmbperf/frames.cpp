// SPDX-License-Identifier: BSD-3-Clause
#include "frames.hpp"

#include <cstring>
#include <numeric>

namespace vmbperf {
namespace {

constexpr std::size_t kSumOffset = kWordOffset + sizeof(std::uint64_t);
constexpr std::size_t kBodyOffset = kSumOffset + sizeof(std::uint64_t);
constexpr std::uint64_t kOdd = 0x9E37'79B9'7F4A'7C15;  // odd: multiplication by it loses nothing

std::uint64_t word_at(const std::byte* bytes, std::size_t length = sizeof(std::uint64_t)) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, length);
  return word;
}

/// Of all bytes but the sum's own. A step maps different states to different ones, so one changed word always shows.
std::uint64_t sum_of(std::span<const std::byte> frame) noexcept {
  std::uint64_t sum = frame.size();
  const auto add = [&sum](std::uint64_t word) { sum = (sum ^ word) * kOdd; };
  for (std::size_t at = 0; at < kSumOffset; at += sizeof(std::uint64_t)) add(word_at(&frame[at]));
  std::size_t at = kBodyOffset;
  for (; at + sizeof(std::uint64_t) <= frame.size(); at += sizeof(std::uint64_t)) add(word_at(&frame[at]));
  if (at < frame.size()) add(word_at(&frame[at], frame.size() - at));
  return sum;
}

}  // namespace

const char* name_of(Touch touch) {
  switch (touch) {
    case Touch::none: return "none";
    case Touch::header: return "header";
    case Touch::all: return "all";
  }
  return "?";
}

double FrameSize::mean() const {
  return is_imix() ? std::accumulate(kImix.begin(), kImix.end(), 0.0) / kImix.size() : bytes;
}

void write_numbered(std::span<std::byte> frame, std::uint64_t number) noexcept {
  std::memcpy(&frame[kWordOffset], &number, sizeof number);
  std::uint64_t word = number * kOdd;  // what an older frame left in the same place differs everywhere
  std::size_t at = kBodyOffset;
  for (; at + sizeof word <= frame.size(); at += sizeof word, word += kOdd) std::memcpy(&frame[at], &word, sizeof word);
  if (at < frame.size()) std::memcpy(&frame[at], &word, frame.size() - at);
  const std::uint64_t sum = sum_of(frame);
  std::memcpy(&frame[kSumOffset], &sum, sizeof sum);
}

void Checker::check(std::span<const std::byte> frame, std::uint32_t length) noexcept {
  const bool long_enough = frame.size() >= kBodyOffset && (length == 0 || frame.size() == length);
  const std::uint64_t number = long_enough ? word_at(&frame[kWordOffset]) : 0;
  const auto queue = static_cast<std::uint16_t>(number >> 36 & 0xF);
  const std::uint64_t index = number & 0xF'FFFF'FFFF;
  if (!long_enough || number != sequence_number(measurement_, queue, index) ||
      word_at(&frame[kSumOffset]) != sum_of(frame)) {
    ++counts_.changed;
    return;
  }
  std::uint64_t& next = next_[queue];
  if (index < next) {
    ++counts_.reordered;
    return;
  }
  counts_.skipped += index - next;
  next = index + 1;
  ++counts_.good;
}

}  // namespace vmbperf
