// SPDX-License-Identifier: BSD-3-Clause
#include "targets.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace vmbperf {
namespace {

const Case kSmall{.mode = Mode::one_way, .size = {64}, .burst = 32};
const Case kLarge{.mode = Mode::one_way, .size = {1518}, .burst = 32};
const Case kRoundTrip{.mode = Mode::latency, .size = {64}, .burst = 1};

Cell cell(const std::string& driver, const std::string& variant, const std::string& direction, const Case& what,
          double mpps) {
  Cell made{.link = {.driver = driver, .variant = variant, .direction = direction}, .what = what};
  for (const double factor : {0.5, 1.0, 3.0}) {  // median: 1
    Sample sample;
    sample.mpps = mpps * factor;
    made.samples.push_back(sample);
  }
  return made;
}

Cell round_trip(const std::string& driver, const std::string& variant, std::uint64_t ns) {
  Cell made{.link = {.driver = driver, .variant = variant}, .what = kRoundTrip, .samples = std::vector<Sample>(1)};
  made.samples[0].round_trip.add(ns);
  return made;
}

Target target(const std::vector<Cell>& cells, const std::string& figure) {
  for (const Target& one : judge(cells, std::nullopt)) {
    if (one.figure.starts_with(figure)) return one;
  }
  ADD_FAILURE() << "no target '" << figure << "'";
  return {};
}

TEST(Targets, TakeOurSlowerAndTheirFasterDirection) {
  const Target memif =
      target({cell("vmbpmd", "", "host to guest", kSmall, 40), cell("vmbpmd", "", "guest to host", kSmall, 30),
              cell("memif", "copy", "a to b", kSmall, 8), cell("memif", "copy", "b to a", kSmall, 10)},
             "one way 64 B, burst 32 / memif");
  ASSERT_TRUE(memif.measured);
  EXPECT_DOUBLE_EQ(memif.measured->ours, 30);
  EXPECT_DOUBLE_EQ(memif.measured->theirs, 10);
  EXPECT_EQ(memif.measured->whose, "memif copy, b to a");
  EXPECT_TRUE(memif.is_met(*memif.measured));
}

TEST(Targets, FastestOfAllLeavesOutRingFloorAndOurselves) {
  const Target fastest = target({cell("vmbpmd", "", "", kLarge, 6), cell("memif", "zero-copy", "", kLarge, 4),
                                 cell("virtio", "packed", "", kLarge, 5), cell("ring", "", "", kLarge, 90),
                                 cell("floor", "", "", kLarge, 20), cell("null", "", "sender", kLarge, 99)},
                                "one way 1518 B, burst 32");
  ASSERT_TRUE(fastest.measured);
  EXPECT_EQ(fastest.measured->whose, "virtio packed");
  EXPECT_DOUBLE_EQ(fastest.measured->ratio(), 1.2);
  EXPECT_TRUE(fastest.is_met(*fastest.measured));
}

TEST(Targets, SayWhatIsNotThere) {
  const std::vector<Target> targets = judge({}, std::nullopt);
  for (const Target& one : targets) {
    EXPECT_FALSE(one.measured) << one.figure;
    EXPECT_FALSE(one.note.empty()) << one.figure;
  }
  EXPECT_EQ(target({cell("memif", "copy", "", kLarge, 5)}, "one way 1518 B, zero-copy").note, "not there yet");
}

TEST(Targets, DoNotTakeTouchedFramesForUntouchedOnes) {
  Case touched = kSmall;
  touched.touch = Touch::header;
  const Target memif = target({cell("vmbpmd", "", "", touched, 4), cell("memif", "copy", "", touched, 2)},
                              "one way 64 B, burst 32 / memif");
  EXPECT_FALSE(memif.measured);
  ASSERT_TRUE(memif.touched);
  EXPECT_DOUBLE_EQ(memif.touched->ratio(), 2);
  EXPECT_FALSE(memif.is_met(*memif.touched));
}

TEST(Targets, CompareTimesWithTheFloorAndWithMemif) {
  const Target floor =
      target({cell("vmbpmd", "", "", kSmall, 50), cell("floor", "", "", kSmall, 100)}, "one way 64 B, time");
  ASSERT_TRUE(floor.measured);
  EXPECT_DOUBLE_EQ(floor.measured->ours, 20);
  EXPECT_DOUBLE_EQ(floor.measured->ratio(), 2);
  EXPECT_FALSE(floor.is_met(*floor.measured));

  const Target trip =
      target({round_trip("vmbpmd", "", 40), round_trip("memif", "copy", 50)}, "round trip of one 64 B frame, p50");
  ASSERT_TRUE(trip.measured);
  EXPECT_DOUBLE_EQ(trip.measured->ratio(), 0.8);
  EXPECT_TRUE(trip.is_met(*trip.measured));
}

TEST(Targets, PacketsStandBesideTheMarkedMempool) {
  const std::vector<Target> targets =
      judge({}, PacketCost{.raw_ns = {0.5}, .marked_ns = {1, 2, 3}, .packets_ns = {2.2}});
  const auto found =
      std::find_if(targets.begin(), targets.end(), [](const Target& one) { return one.figure.starts_with("packet"); });
  ASSERT_NE(found, targets.end());
  EXPECT_DOUBLE_EQ(found->measured->ratio(), 1.1);
  EXPECT_NE(found->note.find("0.5"), std::string::npos);
}

TEST(Targets, EveryCaseIsNeededByBothSidesOfAComparison) {
  for (const Case& what : target_cases()) {
    EXPECT_TRUE(is_for_targets("vmbpmd", "", what));
    EXPECT_TRUE(is_for_targets("memif", "copy", what));
  }
}

}  // namespace
}  // namespace vmbperf
