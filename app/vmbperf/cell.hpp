// SPDX-License-Identifier: BSD-3-Clause
// One thing that is measured, and what came out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "traffic.hpp"

namespace vmbperf {

/// One direction of a pair, or both of them.
struct Link {
  std::string driver;
  std::string variant{};
  std::string direction{};  // empty where all are the same
  Endpoint from{};
  Endpoint to{};

  [[nodiscard]] std::string pair() const { return variant.empty() ? driver : driver + " " + variant; }
  [[nodiscard]] std::string name() const { return direction.empty() ? pair() : pair() + ", " + direction; }
  [[nodiscard]] bool is_null() const { return driver == "null"; }
};

/// What is measured of a link.
struct Case {
  Mode mode = Mode::one_way;
  FrameSize size{.bytes = 64};
  std::uint16_t burst = 32;
  std::uint16_t queues = 1;
  Touch touch = Touch::none;

  friend bool operator==(const Case&, const Case&) = default;
};

inline constexpr std::size_t kEnoughRounds = 3;

/// A sample of each round. What is derived from them is over rounds; counts of frames over all of them, the rest over the
/// quiet ones if quiet_only says so: leave_out_disturbed().
struct Cell {
  Link link;
  Case what;
  std::vector<Sample> samples{};
  double max_waiting = 1;  // of a quiet round
  bool quiet_only = false;

  [[nodiscard]] Spread mpps() const { return over(&Sample::mpps); }
  [[nodiscard]] Spread gbps() const { return over(&Sample::gbps); }
  [[nodiscard]] Spread cycles_tx() const { return over(&Sample::cycles_tx); }
  [[nodiscard]] Spread cycles_rx() const { return over(&Sample::cycles_rx); }

  /// Of rounds' percentiles of the round trip, nanoseconds. A round that a busy machine spoiled does not spoil the median.
  [[nodiscard]] Spread round_trip(double share) const;
  [[nodiscard]] std::uint64_t worst_round_trip() const;
  [[nodiscard]] Histogram round_trips() const;  // of all counted rounds

  [[nodiscard]] std::uint64_t sum(std::uint64_t Sample::*count) const;
  [[nodiscard]] double waiting() const;  // the worst counted round's
  [[nodiscard]] std::size_t quiet_rounds() const;

 private:
  [[nodiscard]] bool counts(const Sample& sample) const;
  [[nodiscard]] Spread over(double Sample::*value) const;
};

/// In each case whose links all have kEnoughRounds quiet rounds, these alone count. Where one link has fewer, all rounds of
/// all links do: the quiet rounds of one beside the disturbed ones of another would be no comparison.
void leave_out_disturbed(std::vector<Cell>& cells);

/// Of memif's copy mode in the same case, the faster direction's median; 0 if it was not measured.
double memif_mpps(const std::vector<Cell>& cells, const Case& what);

/// The same of the floor that copies at both ends.
double floor_mpps(const std::vector<Cell>& cells, const Case& what);

}  // namespace vmbperf
