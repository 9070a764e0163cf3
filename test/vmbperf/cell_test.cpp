// SPDX-License-Identifier: BSD-3-Clause
#include "cell.hpp"

#include <gtest/gtest.h>

namespace vmbperf {
namespace {

/// A cell with rounds of these rates, and the share of time that each one's CPUs were away.
Cell cell(const std::vector<std::pair<double, double>>& rounds, double max_waiting) {
  Cell made{.link = {.driver = "any"}, .what = {}, .max_waiting = max_waiting};
  for (const auto& [mpps, waiting] : rounds) {
    Sample sample;
    sample.mpps = mpps;
    sample.waiting = waiting;
    sample.lost = 1;
    made.samples.push_back(sample);
  }
  return made;
}

const std::vector<std::pair<double, double>> kThreeQuiet{{10, 0}, {1, 0.5}, {11, 0.01}, {2, 0.6}, {12, 0}};
const std::vector<std::pair<double, double>> kTwoQuiet{{10, 0}, {1, 0.5}, {11, 0.01}, {2, 0.6}};

TEST(Cell, CountsQuietRoundsOnlyWhereAllOfItsCaseHaveEnough) {
  std::vector<Cell> cells{cell(kThreeQuiet, 0.01), cell(kThreeQuiet, 0.01)};
  leave_out_disturbed(cells);
  for (const Cell& one : cells) {
    EXPECT_EQ(one.quiet_rounds(), 3u);
    EXPECT_EQ(one.mpps().median, 11);
    EXPECT_EQ(one.mpps().min, 10);
    EXPECT_EQ(one.waiting(), 0.01);
  }
}

TEST(Cell, NeverComparesQuietRoundsWithDisturbedOnes) {
  std::vector<Cell> cells{cell(kThreeQuiet, 0.01), cell(kTwoQuiet, 0.01), cell(kThreeQuiet, 0.01)};
  cells[2].what.burst = 1;  // another case
  leave_out_disturbed(cells);
  EXPECT_EQ(cells[0].mpps().min, 1);
  EXPECT_EQ(cells[0].waiting(), 0.6);
  EXPECT_EQ(cells[1].mpps().min, 1);
  EXPECT_EQ(cells[2].mpps().min, 10);
}

TEST(Cell, CountsFramesOfAllRounds) {
  EXPECT_EQ(cell({{10, 0}, {10, 0}, {10, 0}, {1, 0.5}}, 0.01).sum(&Sample::lost), 4u);
}

TEST(Cell, TakesTheFasterDirectionOfABaseline) {
  std::vector<Cell> cells{cell({{5, 0}}, 1), cell({{7, 0}}, 1), cell({{9, 0}}, 1)};
  cells[0].link = {.driver = "memif", .variant = "copy", .direction = "one"};
  cells[1].link = {.driver = "memif", .variant = "copy", .direction = "other"};
  cells[2].link = {.driver = "floor", .variant = "one-copy"};
  EXPECT_EQ(memif_mpps(cells, {}), 7);
  EXPECT_EQ(floor_mpps(cells, {}), 0);
  EXPECT_EQ(memif_mpps(cells, {.burst = 1}), 0);
}

}  // namespace
}  // namespace vmbperf
