// SPDX-License-Identifier: BSD-3-Clause
// What was measured, for people (a table on stdout) and for programs (JSON).
#pragma once

#include <string>
#include <vector>

#include "machine.hpp"
#include "measure.hpp"

namespace vmbperf {

/// A driver that could not be measured, and why.
struct Absent {
  std::string name;
  std::string reason;
};

/// EAL memory of a running pair, its pools not counted.
struct Footprint {
  std::string name;
  std::size_t bytes = 0;
};

struct Report {
  Facts machine;
  Options options;
  std::vector<Absent> absent{};
  std::vector<Footprint> footprints{};
  std::vector<Cell> cells{};
};

void print_machine(const Facts& facts);
void print_results(const Report& report);

/// @return  false: the file could not be written; errno says why.
bool write_json(const Report& report, const std::string& file);

}  // namespace vmbperf
