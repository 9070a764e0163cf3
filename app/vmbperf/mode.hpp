// SPDX-License-Identifier: BSD-3-Clause
// Which lcore does what.
#pragma once

#include <cstdint>

namespace vmbperf {

enum class Mode : std::uint8_t {
  one_way,    // the worker lcore sends, the calling thread receives
  both_ways,  // each sends and receives
  one_lcore,  // the calling thread does both, in turn
  latency,    // one frame there and back: latency.hpp
};

const char* name_of(Mode mode);

}  // namespace vmbperf
