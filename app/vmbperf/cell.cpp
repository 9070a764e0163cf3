// SPDX-License-Identifier: BSD-3-Clause
#include "cell.hpp"

#include <algorithm>
#include <numeric>

namespace vmbperf {
namespace {

double best_mpps(const std::vector<Cell>& cells, const Case& what, const char* pair) {
  double best = 0;
  for (const Cell& cell : cells) {
    if (cell.what == what && cell.link.pair() == pair) best = std::max(best, cell.mpps().median);
  }
  return best;
}

}  // namespace

std::size_t Cell::quiet_rounds() const {
  return static_cast<std::size_t>(std::count_if(
      samples.begin(), samples.end(), [this](const Sample& sample) { return sample.waiting <= max_waiting; }));
}

bool Cell::counts(const Sample& sample) const { return !quiet_only || sample.waiting <= max_waiting; }

Spread Cell::over(double Sample::*value) const {
  std::vector<double> values;
  for (const Sample& sample : samples) {
    if (counts(sample)) values.push_back(sample.*value);
  }
  return spread_of(std::move(values));
}

Spread Cell::round_trip(double share) const {
  std::vector<double> values;
  for (const Sample& sample : samples) {
    if (counts(sample) && sample.round_trip.count() != 0)
      values.push_back(static_cast<double>(sample.round_trip.percentile(share)));
  }
  return spread_of(std::move(values));
}

std::uint64_t Cell::worst_round_trip() const {
  std::uint64_t worst = 0;
  for (const Sample& sample : samples) {
    if (counts(sample)) worst = std::max(worst, sample.round_trip.max());
  }
  return worst;
}

Histogram Cell::round_trips() const {
  Histogram all;
  for (const Sample& sample : samples) {
    if (counts(sample)) all.add(sample.round_trip);
  }
  return all;
}

std::uint64_t Cell::sum(std::uint64_t Sample::*count) const {
  return std::accumulate(samples.begin(), samples.end(), std::uint64_t{0},
                         [count](std::uint64_t so_far, const Sample& sample) { return so_far + sample.*count; });
}

double Cell::waiting() const {
  double worst = 0;
  for (const Sample& sample : samples) {
    if (counts(sample)) worst = std::max(worst, sample.waiting);
  }
  return worst;
}

void leave_out_disturbed(std::vector<Cell>& cells) {
  for (Cell& cell : cells) {
    cell.quiet_only = std::all_of(cells.begin(), cells.end(), [&](const Cell& other) {
      return !(other.what == cell.what) || other.link.is_null() || other.quiet_rounds() >= kEnoughRounds;
    });
  }
}

double memif_mpps(const std::vector<Cell>& cells, const Case& what) { return best_mpps(cells, what, "memif copy"); }

double floor_mpps(const std::vector<Cell>& cells, const Case& what) { return best_mpps(cells, what, "floor"); }

}  // namespace vmbperf
