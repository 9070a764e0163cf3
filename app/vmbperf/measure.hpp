// SPDX-License-Identifier: BSD-3-Clause
// Which measurements are made, and in which order: a round measures every link once, one after another, so that drift of
// the machine hits all alike; then the next round.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "driver_pair.hpp"
#include "options.hpp"
#include "traffic.hpp"

namespace vmbperf {

/// One direction of a pair.
struct Link {
  std::string driver;
  std::string variant;
  std::string direction;  // empty where both are the same
  std::uint16_t tx_port = 0;
  std::optional<std::uint16_t> rx_port;

  [[nodiscard]] std::string name() const;
  [[nodiscard]] bool is_baseline() const { return driver == "memif" && variant == "copy"; }
  [[nodiscard]] bool is_null() const { return !rx_port; }
};

std::vector<Link> links_of(const DriverPair& pair);
Link null_link(const DriverPair& null);

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;

  [[nodiscard]] Spread times(double factor) const { return {median * factor, min * factor, max * factor}; }
};

Spread spread_of(std::vector<double> values);

/// One link with one frame length and one burst size: a sample of each round.
struct Cell {
  Link link;
  std::uint32_t frame_bytes = 0;
  std::uint16_t burst = 0;
  std::vector<Sample> samples{};

  [[nodiscard]] Spread mpps() const;
  [[nodiscard]] Spread gbps() const { return mpps().times(frame_bytes * 8 / 1e3); }
  [[nodiscard]] std::uint64_t sum(std::uint64_t Sample::*count) const;  // over rounds
  [[nodiscard]] double waiting() const;                                 // the worst round's
};

/// The median of memif's copy mode, its faster direction, for the frame length and burst size of `cell`; 0 if not measured.
double baseline_mpps(const std::vector<Cell>& cells, const Cell& cell);

/// Says on stderr how far it is. The calling thread is the receiver.
std::vector<Cell> measure(const std::vector<Link>& links, const Options& options, rte_mempool* tx_pool,
                          unsigned sender_lcore);

}  // namespace vmbperf
