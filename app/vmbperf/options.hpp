// SPDX-License-Identifier: BSD-3-Clause
// What the user asks of vmbperf, behind EAL's own arguments.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vmbperf {

struct Options {
  std::vector<std::uint32_t> frame_bytes{64, 1518};
  std::vector<std::uint16_t> bursts{32};
  std::vector<std::string> drivers;  // empty: all
  unsigned rounds = 5;
  double seconds = 1.0;      // of each measurement, after a warm-up
  double max_waiting = 1.0;  // share of its time that a CPU may run something else; a measurement beyond is made again
  std::string json_file;
  bool help = false;

  [[nodiscard]] bool wants(const std::string& driver) const;
};

inline constexpr std::uint32_t kMinFrame = 64;
inline constexpr std::uint32_t kMaxFrame = 1518;
inline constexpr std::uint16_t kMaxBurst = 512;

/// @param arguments  those behind `--`, no program name.
/// @param drivers    the names that --drivers may give.
/// @param error      set to one line that names the bad option, its value and what is allowed; else left empty.
Options parse_options(std::span<char* const> arguments, std::span<const std::string> drivers, std::string& error);

std::string usage(std::span<const std::string> drivers);

}  // namespace vmbperf
