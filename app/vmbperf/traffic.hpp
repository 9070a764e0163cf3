// SPDX-License-Identifier: BSD-3-Clause
// Frames from one lcore to another for a while, with loops as light as can be: the sender takes prefilled mbufs in bulk,
// sets their lengths and sends; what tx_burst did not take it sends again. The receiver counts and frees in bulk. Every
// kProbe-th frame carries its number, which the receiver, which counts too, expects there.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <optional>

namespace vmbperf {

inline constexpr std::uint64_t kProbe = 1024;

struct Flow {
  std::uint16_t tx_port = 0;
  std::optional<std::uint16_t> rx_port;  // none: tx_port swallows the frames, and counts
  rte_mempool* pool = nullptr;           // prepared by prefill()
  std::uint32_t frame_bytes = 0;
  std::uint16_t burst = 0;
  unsigned sender_lcore = 0;
  double warm_up_s = 0.1;
  double seconds = 1.0;
};

struct Sample {
  double mpps = 0;              // that reached the receiver within the window
  std::uint64_t accepted = 0;   // by tx_burst, warm-up and end included
  std::uint64_t lost = 0;       // of these, never arrived
  std::uint64_t missed = 0;     // that the receiving port says it dropped: imissed and rx_nombuf
  std::uint64_t misplaced = 0;  // probes that were not the frame expected: lost, reordered or changed ones before it
  double waiting = 0;           // share of the window in which a CPU ran something else: the worse of both lcores
};

/// Write a header into each mbuf of the pool; frames are sent as they are from then on.
void prefill(rte_mempool* pool) noexcept;

/// Measure once. The calling thread receives; the sender is a worker lcore that waits for work. Ends in bounded time.
Sample one_way(const Flow& flow) noexcept;

}  // namespace vmbperf
