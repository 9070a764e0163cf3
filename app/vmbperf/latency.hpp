// SPDX-License-Identifier: BSD-3-Clause
// How long one frame takes there and back: sent at one end, answered at the other with a frame that carries its number.
#pragma once

#include "traffic.hpp"

namespace vmbperf {

/// Measure once. The calling thread sends from Flow::from and waits for each answer there, the worker lcore answers at
/// Flow::to. Sample::round_trip and the counts are set. A frame without an answer is lost. Ends in bounded time.
Sample round_trips(const Flow& flow);

}  // namespace vmbperf
