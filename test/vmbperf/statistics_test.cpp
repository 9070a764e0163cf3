// SPDX-License-Identifier: BSD-3-Clause
#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "support/random.hpp"

namespace vmbperf {
namespace {

TEST(Spread, OfNothingIsZero) { EXPECT_EQ(spread_of({}).median, 0); }

TEST(Spread, TakesTheMiddleOfAnOddNumber) {
  const Spread spread = spread_of({9, 1, 4});
  EXPECT_EQ(spread.min, 1);
  EXPECT_EQ(spread.median, 4);
  EXPECT_EQ(spread.max, 9);
}

TEST(Spread, TakesTheMeanOfTheMiddleTwo) { EXPECT_EQ(spread_of({9, 1, 4, 5}).median, 4.5); }

TEST(Histogram, OfNothingHasNoPercentiles) {
  EXPECT_EQ(Histogram{}.percentile(0.5), 0u);
  EXPECT_TRUE(Histogram{}.bins().empty());
}

TEST(Histogram, IsExactForSmallValues) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 64; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0), 0u);
  EXPECT_EQ(histogram.percentile(0.5), 31u);
  EXPECT_EQ(histogram.percentile(1), 63u);
  EXPECT_EQ(histogram.bins().size(), 64u);
}

TEST(Histogram, HoldsTheGreatestValueThereIs) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  Histogram histogram;
  histogram.add(kMost);
  EXPECT_EQ(histogram.percentile(0.5), kMost);
  EXPECT_EQ(histogram.max(), kMost);
}

TEST(Histogram, AgreesWithSortedValuesWithinThreePercent) {
  std::mt19937_64 random{vmb::test::seed()};
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random() >> (random() % 60));
    histogram.add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_GE(static_cast<double>(histogram.percentile(share)), exact) << share;
    EXPECT_LE(static_cast<double>(histogram.percentile(share)), exact * 1.04 + 1) << share;
  }
}

TEST(Histogram, AddsUp) {
  Histogram one, other, both;
  for (std::uint64_t value = 1; value < 100'000; value += 7) {
    (value % 2 == 0 ? one : other).add(value);
    both.add(value);
  }
  one.add(other);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.max(), both.max());
  EXPECT_EQ(one.percentile(0.9), both.percentile(0.9));
}

TEST(Histogram, ListsItsClassesInOrderWithAllThatWasCounted) {
  Histogram histogram;
  for (const std::uint64_t value : {5u, 5u, 1000u, 70'000u}) histogram.add(value);
  const std::vector<Histogram::Bin> bins = histogram.bins();
  ASSERT_EQ(bins.size(), 3u);
  EXPECT_EQ(bins[0].from, 5u);
  EXPECT_EQ(bins[0].count, 2u);
  EXPECT_LE(bins[1].from, 1000u);
  EXPECT_GT(bins[1].from, 960u);
  EXPECT_LT(bins[1].from, bins[2].from);
}

}  // namespace
}  // namespace vmbperf
