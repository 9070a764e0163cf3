// SPDX-License-Identifier: BSD-3-Clause
// Payloads that tell by themselves whether they are the next one, whole and unchanged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/bits.hpp"

namespace vmb::test {

/// number, checksum, flag, filling. Sizes are multiples of 8, so that padding is none.
class Numbered {
 public:
  static constexpr std::uint32_t kLeast = 24;

  /// @param most  largest payload; the sizes of a stream vary below it, the same way on both sides.
  explicit Numbered(std::uint32_t most) : most_(most < sizeof bytes_ ? most : sizeof bytes_) {}

  /// Write number `n`. @return its bytes, valid until the next call.
  std::span<const std::byte> make(std::uint64_t n, bool last) {
    const std::uint32_t size = size_of(n);
    for (std::uint32_t at = kLeast; at < size; at += 8) put(at, mix(n + at));
    put(0, n);
    put(16, last);
    put(8, checksum(size));
    return std::span{bytes_}.first(size);
  }

  /// Room for a payload of `size` bytes that was received; nothing if no payload is as large.
  std::span<std::byte> room(std::uint32_t size) {
    return size <= sizeof bytes_ ? std::span{bytes_}.first(size) : std::span<std::byte>{};
  }

  /// room() was filled: is it number `n`?
  bool is(std::uint64_t n, std::uint32_t size) const {
    return size == size_of(n) && get(0) == n && get(8) == checksum(size);
  }
  bool last() const { return get(16) != 0; }

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185u;
    return (x ^ (x >> 27)) * 0x81dadef4bc2dd44du;
  }

  std::uint32_t size_of(std::uint64_t n) const {
    return kLeast + static_cast<std::uint32_t>(mix(n) % ((most_ - kLeast) / 8 + 1)) * 8;
  }

  std::uint64_t checksum(std::uint32_t size) const {
    std::uint64_t sum = size;
    for (std::uint32_t at = 0; at < size; at += 8) sum = at == 8 ? sum : (sum << 7 | sum >> 57) ^ get(at);
    return sum;
  }

  std::uint64_t get(std::uint32_t at) const { return load<std::uint64_t>(bytes_, at); }
  void put(std::uint32_t at, std::uint64_t v) { std::memcpy(bytes_.data() + at, &v, sizeof v); }

  std::array<std::byte, 4096> bytes_{};
  std::uint32_t most_;
};

}  // namespace vmb::test
