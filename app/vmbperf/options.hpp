// SPDX-License-Identifier: BSD-3-Clause
// What the user asks of vmbperf, behind EAL's own arguments.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "frames.hpp"
#include "mode.hpp"

namespace vmbperf {

struct Options {
  bool quick = false;  // the table of targets, and nothing else
  std::vector<Mode> modes{Mode::one_way};
  std::vector<FrameSize> sizes{{64}, {kStandardFrame}};
  std::vector<std::uint16_t> bursts{32};
  std::vector<std::uint16_t> queues{1};
  std::vector<Touch> touches{Touch::none};
  bool verify = false;
  std::vector<std::string> drivers;  // empty: all
  unsigned rounds = 5;
  double seconds = 1.0;      // of each measurement, after a warm-up
  double max_waiting = 1.0;  // share of its time that a CPU may run something else; a measurement beyond is made again
  std::string json_file;
  std::string report_file;
  bool help = false;

  [[nodiscard]] bool wants(const std::string& driver) const;
  [[nodiscard]] std::uint32_t longest_frame() const;
  [[nodiscard]] std::uint16_t most_queues() const;

  /// --mode one-lcore and nothing else.
  [[nodiscard]] bool one_lcore_will_do() const;
};

/// @param arguments  those behind `--`, no program name.
/// @param drivers    the names that --drivers may give.
/// @param error      set to one line that names the bad option, its value and what is allowed; else left empty.
Options parse_options(std::span<char* const> arguments, std::span<const std::string> drivers, std::string& error);

std::string usage(std::span<const std::string> drivers);

}  // namespace vmbperf
