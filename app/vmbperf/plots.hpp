// SPDX-License-Identifier: BSD-3-Clause
// Which plots a run's cells give.
#pragma once

#include <vector>

#include "cell.hpp"
#include "gnuplot.hpp"

namespace vmbperf {

/// Throughput against frame length, one plot per mode, burst, queues and touch; throughput as a share of the floor's; and
/// how round trips are distributed.
std::vector<Plot> plots_of(const std::vector<Cell>& cells);

}  // namespace vmbperf
