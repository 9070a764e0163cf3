// SPDX-License-Identifier: BSD-3-Clause
// What was measured: for people, on stdout; for programs, as JSON; as a page with plots.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "machine.hpp"
#include "measure.hpp"
#include "packet_cost.hpp"
#include "targets.hpp"

namespace vmbperf {

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
  std::optional<PacketCost> packets{};
};

// table.cpp
void print_machine(const Facts& facts);
void print_results(const Report& report);
void print_targets(const std::vector<Target>& targets);

/// @return  false: the file could not be written; errno says why.
bool write_json(const Report& report, const std::string& file);

/// A page that needs no network and no other file. Runs gnuplot.
/// @return  empty; else one line that says what went wrong.
std::string write_html(const Report& report, const std::string& file);

}  // namespace vmbperf
