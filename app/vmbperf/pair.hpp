// SPDX-License-Identifier: BSD-3-Clause
// Two ends that are each other's peer in one process, opened from a recipe: two ports, one port that is its own peer, or
// the floor.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "endpoint.hpp"
#include "pools.hpp"
#include "recipes.hpp"

namespace vmbperf {

/// What all pairs of a run have in common.
struct Setup {
  Pools pools;  // frames of max_frame bytes; kept by the caller
  std::uint32_t max_frame = kStandardFrame;
  std::uint16_t queues = 1;  // wanted of each port; a pair has them or fewer
};

struct Pair {
  Recipe recipe{};
  std::uint32_t max_frame = 0;
  std::uint16_t queues = 1;
  Endpoint first{};
  Endpoint second{};             // of a port that is its own peer: the same again
  std::size_t eal_bytes = 0;     // EAL memory that the pair took; pools come on top
  std::shared_ptr<void> ends{};  // what the endpoints stand on; the last copy stops and closes it

  [[nodiscard]] bool is_loop() const { return first.context == second.context; }
};

/// Create, configure and start, and wait for links (5 s at most).
/// @param why_not  set to one line when nothing is returned.
std::optional<Pair> open_pair(const Recipe& recipe, const Setup& setup, std::string& why_not);

}  // namespace vmbperf
