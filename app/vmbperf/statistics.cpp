// SPDX-License-Identifier: BSD-3-Clause
#include "statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vmbperf {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

/// Values below 2^(kBits + 1) are their own class; of others, magnitude and the kBits bits behind the first one count.
std::size_t Histogram::class_of(std::uint64_t value) noexcept {
  const auto magnitude = static_cast<unsigned>(std::bit_width(value));
  if (magnitude <= kBits + 1) return static_cast<std::size_t>(value);
  const unsigned shift = magnitude - kBits - 1;
  return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::least_of(std::size_t index) noexcept {
  constexpr std::size_t kFirst = std::size_t{2} << kBits;
  if (index < kFirst) return index;
  const std::size_t shift = (index >> kBits) - 1;
  return ((index & ((std::size_t{1} << kBits) - 1)) + (std::size_t{1} << kBits)) << shift;
}

void Histogram::add(std::uint64_t value) noexcept {
  ++counts_[class_of(value)];
  ++count_;
  max_ = std::max(max_, value);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::percentile(double share) const {
  if (count_ == 0) return 0;
  const auto rank =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return i + 1 == counts_.size() ? max_ : std::min(max_, least_of(i + 1) - 1);
  }
  return max_;
}

std::vector<Histogram::Bin> Histogram::bins() const {
  std::vector<Bin> bins;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) bins.push_back({.from = least_of(i), .count = counts_[i]});
  }
  return bins;
}

}  // namespace vmbperf
