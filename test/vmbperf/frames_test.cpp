// SPDX-License-Identifier: BSD-3-Clause
#include "frames.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

namespace vmbperf {
namespace {

constexpr std::uint64_t kMeasurement = 7;

using Frame = std::vector<std::byte>;

Frame numbered(std::uint64_t index, std::size_t length = 64, std::uint16_t queue = 0,
               std::uint64_t measurement = kMeasurement) {
  Frame frame(length);
  write_numbered(frame, sequence_number(measurement, queue, index));
  return frame;
}

/// Feeds frames with these indices, all of one queue.
Checker::Counts after(std::initializer_list<std::uint64_t> indices) {
  Checker checker{kMeasurement};
  for (const std::uint64_t index : indices) checker.check(numbered(index), 64);
  return checker.counts();
}

TEST(Checker, FindsNothingWhereAllCameInOrder) {
  const Checker::Counts counts = after({0, 1, 2, 3});
  EXPECT_EQ(counts.good, 4u);
  EXPECT_EQ(counts.skipped + counts.reordered + counts.changed, 0u);
}

TEST(Checker, CountsWhatIsMissingInBetween) {
  const Checker::Counts counts = after({0, 1, 5, 6});
  EXPECT_EQ(counts.good, 4u);
  EXPECT_EQ(counts.skipped, 3u);
  EXPECT_EQ(counts.reordered, 0u);
}

TEST(Checker, CountsWhatIsMissingBeforeTheFirst) { EXPECT_EQ(after({2}).skipped, 2u); }

TEST(Checker, CountsFramesThatChangedPlaces) {
  const Checker::Counts counts = after({0, 2, 1, 3});
  EXPECT_EQ(counts.reordered, 1u);
  EXPECT_EQ(counts.good, 3u);
}

TEST(Checker, CountsAFrameThatCameTwice) { EXPECT_EQ(after({0, 1, 1, 2}).reordered, 1u); }

TEST(Checker, FindsAnyChangedByteBehindTheAddresses) {
  for (std::size_t at = 0; at < 65; ++at) {
    for (const int bit : {0, 3, 7}) {
      Frame frame = numbered(0, 65);
      frame[at] ^= std::byte{1} << bit;
      Checker checker{kMeasurement};
      checker.check(frame, 65);
      EXPECT_EQ(checker.counts().changed, 1u) << "byte " << at << ", bit " << bit;
      EXPECT_EQ(checker.counts().good, 0u);
    }
  }
}

TEST(Checker, FindsTheTailOfAnotherFrame) {
  for (const std::size_t length : {200u, 1518u, 9014u}) {
    Frame frame = numbered(0, length);
    const Frame other = numbered(1, length);
    std::copy(other.begin() + 128, other.end(), frame.begin() + 128);
    Checker checker{kMeasurement};
    checker.check(frame, 0);
    EXPECT_EQ(checker.counts().changed, 1u) << length;
  }
}

TEST(Checker, FindsFramesOfAnotherLength) {
  Checker checker{kMeasurement};
  checker.check(numbered(0, 128), 64);
  checker.check(std::span<const std::byte>{numbered(0)}.first(60), 0);
  checker.check({}, 0);
  EXPECT_EQ(checker.counts().changed, 3u);
}

TEST(Checker, FindsWhatAnEarlierMeasurementLeftBehind) {
  Checker checker{kMeasurement};
  checker.check(numbered(0, 64, 0, kMeasurement - 1), 64);
  EXPECT_EQ(checker.counts().changed, 1u);
}

TEST(Checker, CountsEachQueueForItself) {
  Checker checker{kMeasurement};
  for (std::uint64_t index = 0; index < 3; ++index) {
    for (const auto queue : std::to_array<std::uint16_t>({0, 5, 15})) checker.check(numbered(index, 64, queue), 64);
  }
  EXPECT_EQ(checker.counts().good, 9u);
  EXPECT_EQ(checker.counts().skipped + checker.counts().reordered, 0u);
}

TEST(FrameSize, KnowsTheMeanOfTheImix) {
  EXPECT_DOUBLE_EQ(FrameSize{.bytes = 64}.mean(), 64);
  EXPECT_DOUBLE_EQ(FrameSize{.bytes = 0}.mean(), (7 * 64 + 4 * 594 + 1518) / 12.0);
  EXPECT_EQ(FrameSize{.bytes = 0}.longest(), 1518u);
}

}  // namespace
}  // namespace vmbperf
