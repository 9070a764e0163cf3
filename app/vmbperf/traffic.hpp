// SPDX-License-Identifier: BSD-3-Clause
// Frames between two ends for a while, with loops as light as can be: a sender takes prefilled mbufs in bulk, sets their
// lengths and sends; what tx_burst did not take it sends again. A receiver counts and frees in bulk. With one queue and
// nothing touched, every kProbe-th frame carries its number, which the receiver, which counts too, expects there.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <vector>

#include "endpoint.hpp"
#include "frames.hpp"
#include "mode.hpp"
#include "statistics.hpp"

namespace vmbperf {

inline constexpr std::uint64_t kProbe = 1024;
inline constexpr std::uint64_t kTimed = 16;  // every so many burst calls one is timed

struct Flow {
  Mode mode = Mode::one_way;
  Endpoint from;                // where frames go in. No tx: nothing is sent, and what is received counts all the same
  Endpoint to;                  // where they come out. No rx: `from` swallows them, and what it took counts
  rte_mempool* pool = nullptr;  // Pools::tx
  FrameSize size{};
  std::uint16_t burst = 0;
  std::uint16_t queues = 1;
  Touch touch = Touch::none;
  bool verify = false;  // number and check every frame, whatever `touch` says
  unsigned worker_lcore = 0;
  double warm_up_s = 0.1;
  double seconds = 1.0;
};

struct Sample {
  double mpps = 0;  // frames that reached a receiver within the window; both ways: of both directions together
  double gbps = 0;  // of their bytes, FCS, preamble and gap not counted

  double cycles_tx =
      0;  // TSC cycles of tx_burst per frame it took: the median of the calls that were timed and took some
  double cycles_rx = 0;  // the same of rx_burst

  std::uint64_t accepted = 0;   // by tx_burst, warm-up and end included
  std::uint64_t lost = 0;       // of these, neither arrived nor dropped by an end that says so
  std::uint64_t dropped = 0;    // by an end that says so: imissed and rx_nombuf
  std::uint64_t misplaced = 0;  // probes that were not the frame expected: lost, reordered or changed ones before it
  std::uint64_t reordered = 0;  // verification's
  std::uint64_t changed = 0;    // verification's

  double waiting = 0;      // share of the window in which a CPU ran something else: the worse of both lcores
  Histogram round_trip{};  // latency: nanoseconds
};

/// Measure once, not Mode::latency. The worker is a lcore that waits for work. Ends in bounded time.
Sample exchange(const Flow& flow);

}  // namespace vmbperf
