// SPDX-License-Identifier: BSD-3-Clause
#include "mode.hpp"

namespace vmbperf {

const char* name_of(Mode mode) {
  switch (mode) {
    case Mode::one_way: return "one-way";
    case Mode::both_ways: return "both-ways";
    case Mode::one_lcore: return "one-lcore";
    case Mode::latency: return "latency";
  }
  return "?";
}

}  // namespace vmbperf
