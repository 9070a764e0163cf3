// SPDX-License-Identifier: BSD-3-Clause
// Time as a lcore sees it: TSC, and what it lost to others on its CPU.
#pragma once

#include <rte_cycles.h>

#include <cstdint>

namespace vmbperf {

inline std::uint64_t cycles_of(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}

/// A moment on one thread, and what that thread had done by then.
struct Stamp {
  std::uint64_t tsc = 0;
  std::uint64_t sent = 0;       // frames that tx_burst took
  std::uint64_t received = 0;   // frames
  std::uint64_t bytes = 0;      // of those received
  std::uint64_t waited_ns = 0;  // ready to run while the CPU ran something else
};

/// The calling thread's, with the counts left at 0. Costs some microseconds.
Stamp stamp_now();

double seconds_between(const Stamp& from, const Stamp& to);

/// The share of the time between them in which the CPU ran something else.
double waiting_between(const Stamp& from, const Stamp& to);

}  // namespace vmbperf
