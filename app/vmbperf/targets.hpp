// SPDX-License-Identifier: BSD-3-Clause
// What this driver is to reach beside the others, and whether it does.
//
// Of our two directions the slower one counts, of each other's the faster one. The fastest of all the others' modes is out
// of memif and virtio-user with vhost; net_ring, which moves pointers within one pool, is shown and not counted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cell.hpp"
#include "packet_cost.hpp"

namespace vmbperf {

inline constexpr double kQuickBudget = 45;  // seconds that --quick spends on measuring
inline constexpr double kQuickMost = 85;    // and with what a busy machine spoiled measured again

/// What --quick measures.
std::vector<Case> target_cases();

/// Some target needs this pair in this case.
bool is_for_targets(const std::string& driver, const std::string& variant, const Case& what);

/// Ours against somebody else's.
struct Comparison {
  double ours = 0;
  double theirs = 0;
  std::string whose;  // which link of theirs

  [[nodiscard]] double ratio() const { return ours / theirs; }
};

struct Target {
  std::string figure;
  std::string unit;
  double bound = 0;
  bool at_least = true;                  // else at most
  std::optional<Comparison> measured{};  // nothing touched; none: one of both was not measured
  std::optional<Comparison> touched{};   // the same with the header written and read, where that makes a difference
  std::string note{};                    // why there is no figure, or what stands beside it

  [[nodiscard]] bool is_met(const Comparison& comparison) const {
    return at_least ? comparison.ratio() >= bound : comparison.ratio() <= bound;
  }
};

/// @param packets  nothing: was not measured.
std::vector<Target> judge(const std::vector<Cell>& cells, const std::optional<PacketCost>& packets);

}  // namespace vmbperf
