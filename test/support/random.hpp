// SPDX-License-Identifier: BSD-3-Clause
// Random numbers that can be had again. The run's seed is --seed=N, else VMB_TEST_SEED, else the clock's; main.cpp
// prints it at the start and with each failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vmb::test {

/// The run's seed; main.cpp sets it before the first test.
inline std::uint64_t& seed() {
  static std::uint64_t value = 1;
  return value;
}

/// splitmix64: the same numbers on every machine and with every library.
class Random {
 public:
  /// @param salt  tells apart the streams of one run.
  explicit Random(std::uint64_t salt = 0) : state_(mixed(mixed(seed()) + salt)) {}

  std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15u); }

  /// In [0, bound); bound > 0.
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }

  bool one_in(std::uint32_t n) { return below(n) == 0; }

  void fill(std::span<std::byte> bytes) {
    for (std::byte& b : bytes) b = static_cast<std::byte>(next());
  }

 private:
  /// Neighbouring seeds and salts begin far apart in the sequence.
  static std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

}  // namespace vmb::test
