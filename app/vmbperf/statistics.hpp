// SPDX-License-Identifier: BSD-3-Clause
// What is said about many values: median and extremes of a few, percentiles of very many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmbperf {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;

  [[nodiscard]] Spread times(double factor) const { return {median * factor, min * factor, max * factor}; }
};

/// All zero of no values.
Spread spread_of(std::vector<double> values);

/// Counts of values in classes that are 1/32 of their value wide: exact up to 64, then within 3 %. Any unit.
class Histogram {
 public:
  struct Bin {
    std::uint64_t from = 0;   // least value of the class
    std::uint64_t count = 0;  // never 0
  };

  void add(std::uint64_t value) noexcept;
  void add(const Histogram& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }  // exact

  /// The greatest value of the class that the value of that rank is in, but no more than max(). 0 of no values.
  /// @param share  [0, 1]: 0.99 is the 99th percentile.
  [[nodiscard]] std::uint64_t percentile(double share) const;

  /// In ascending order.
  [[nodiscard]] std::vector<Bin> bins() const;

 private:
  static constexpr unsigned kBits = 5;  // of a value, that tell its class beside its magnitude
  static constexpr std::size_t kClasses = std::size_t{64 - kBits + 1} << kBits;
  static std::size_t class_of(std::uint64_t value) noexcept;
  static std::uint64_t least_of(std::size_t index) noexcept;

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(kClasses);
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace vmbperf
