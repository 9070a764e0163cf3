// SPDX-License-Identifier: BSD-3-Clause
// How each driver makes two ports that are each other's peer in one process. A driver is added by a line in recipes().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frames.hpp"

namespace vmbperf {

struct Recipe {
  struct Vdev {
    std::string name;
    std::string arguments;
  };
  enum class Kind : std::uint8_t {
    ports,
    floor,           // the least that a driver can do: floor.hpp
    floor_one_copy,  // the same, and the receiver takes the first line of each frame only: not with all touched or verified
  };

  std::string driver;
  std::string variant;              // empty where there is one only
  std::vector<Vdev> vdevs{};        // two peers, the one to be started first first; or one, that is its own peer
  std::vector<std::string> ends{};  // what to call the peers
  Kind kind = Kind::ports;
  std::string not_yet{};  // why it cannot be measured yet, if so

  [[nodiscard]] std::string name() const { return variant.empty() ? driver : driver + " " + variant; }
};

/// What recipes depend on.
struct Place {
  std::string folder{};  // for sockets, ours alone; empty: there is none
  std::string suffix{};  // of device names: tells the ports for large frames from the others
  std::uint16_t queues = 1;
  std::uint32_t max_frame = kStandardFrame;
};

/// Every driver vmbperf knows, in the order in which to open and to measure them.
std::vector<Recipe> recipes(const Place& place);

/// A port that swallows what it is sent and gives empty frames: what the measuring loops themselves cost.
Recipe null_recipe();

/// The names that --drivers takes.
std::vector<std::string> driver_names();

}  // namespace vmbperf
