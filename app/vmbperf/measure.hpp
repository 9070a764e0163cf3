// SPDX-License-Identifier: BSD-3-Clause
// Which measurements are made, and in which order: a round measures every cell once, the links of one case one after
// another, so that drift of the machine hits all alike; then the next round.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cell.hpp"
#include "options.hpp"
#include "pair.hpp"

namespace vmbperf {

/// A pair, or a pair in some case, that is not measured, and why.
struct Absent {
  std::string name;
  std::string reason;
};

/// Cells without samples, in the order of a round.
/// @param absent  what a pair cannot do is added.
std::vector<Cell> plan(const std::vector<Pair>& pairs, const Options& options, std::vector<Absent>& absent);

struct Lcores {
  unsigned main = 0;
  unsigned worker = 0;  // RTE_MAX_LCORE: there is none
};

/// Fill the cells. Says on stderr how far it is. The calling thread is the main lcore's.
/// @param large, small  frames beyond kStandardFrame, and the others.
/// @param each_round    called after each round.
void measure(std::vector<Cell>& cells, const Options& options, const Pools& small, const Pools& large, Lcores lcores,
             const std::function<void()>& each_round);

}  // namespace vmbperf
