// SPDX-License-Identifier: BSD-3-Clause
#include "targets.hpp"

#include <algorithm>
#include <cstdio>
#include <functional>

namespace vmbperf {
namespace {

constexpr const char* kOurs = "vmbpmd";
constexpr const char* kOursZeroCopy = "vmbpmd zero-copy";
constexpr const char* kMemif = "memif copy";
constexpr const char* kFloor = "floor";

Case one_way(std::uint32_t bytes, std::uint16_t burst, Touch touch) {
  return {.mode = Mode::one_way, .size = {.bytes = bytes}, .burst = burst, .touch = touch};
}

Case both_ways(Touch touch) { return {.mode = Mode::both_ways, .size = {.bytes = 64}, .burst = 32, .touch = touch}; }

const Case kLatency{.mode = Mode::latency, .size = {.bytes = 64}, .burst = 1};

using Figure = std::function<double(const Cell&)>;
double mpps(const Cell& cell) { return cell.mpps().median; }
double ns_per_frame(const Cell& cell) { return 1e3 / cell.mpps().median; }

bool is_peer(const Cell& cell) { return cell.link.driver == "memif" || cell.link.driver == "virtio"; }

/// The least, or the greatest, figure among cells.
template <class Wanted>
const Cell* extreme(const std::vector<Cell>& cells, const Figure& figure, bool least, Wanted wanted) {
  const Cell* found = nullptr;
  for (const Cell& cell : cells) {
    if (cell.samples.empty() || !wanted(cell)) continue;
    if (found == nullptr || (least ? figure(cell) < figure(*found) : figure(cell) > figure(*found))) found = &cell;
  }
  return found;
}

/// Our worse direction against their better one.
/// @param theirs  the pair; empty: any peer's.
std::optional<Comparison> compare(const std::vector<Cell>& cells, const Case& what, const std::string& ours,
                                  const std::string& theirs, const Figure& figure, bool more_is_better) {
  const auto of_pair = [&](const std::string& pair) {
    return [&what, pair](const Cell& cell) {
      return cell.what == what && (pair.empty() ? is_peer(cell) : cell.link.pair() == pair);
    };
  };
  const Cell* const mine = extreme(cells, figure, more_is_better, of_pair(ours));
  const Cell* const best = extreme(cells, figure, !more_is_better, of_pair(theirs));
  if (mine == nullptr || best == nullptr || figure(*best) <= 0) return std::nullopt;
  return Comparison{.ours = figure(*mine), .theirs = figure(*best), .whose = best->link.name()};
}

Target throughput(const std::vector<Cell>& cells, const std::string& figure, const std::function<Case(Touch)>& what,
                  const std::string& ours, const std::string& theirs, double bound) {
  Target target{.figure = figure, .unit = "Mpps", .bound = bound};
  target.measured = compare(cells, what(Touch::none), ours, theirs, mpps, true);
  target.touched = compare(cells, what(Touch::header), ours, theirs, mpps, true);
  if (!target.measured) target.note = ours == kOursZeroCopy ? "not there yet" : "not measured";
  return target;
}

Target latency(const std::vector<Cell>& cells, const char* name, double share) {
  Target target{.figure = std::string{"round trip of one 64 B frame, "} + name + " / memif copy",
                .unit = "ns",
                .bound = 0.9,
                .at_least = false};
  target.measured = compare(
      cells, kLatency, kOurs, kMemif, [share](const Cell& cell) { return cell.round_trip(share).median; }, false);
  if (!target.measured) target.note = "not measured";
  return target;
}

Target packets_target(const std::optional<PacketCost>& packets) {
  Target target{.figure = "packet allocate + free, 32 at once / mempool get + put, one word marked",
                .unit = "ns",
                .bound = 1.1,
                .at_least = false};
  if (!packets) {
    target.note = "not measured";
    return target;
  }
  target.measured = {.ours = packets->packets().median, .theirs = packets->marked().median, .whose = "mempool"};
  char raw[128];
  std::snprintf(raw, sizeof raw, "bare mempool: %.1f ns; test/bench/packet_bench is the stricter measure",
                packets->raw().median);
  target.note = raw;
  return target;
}

}  // namespace

std::vector<Case> target_cases() {
  std::vector<Case> all;
  for (const Touch touch : {Touch::none, Touch::header}) {
    for (const Case& what : {one_way(64, 32, touch), one_way(1518, 32, touch), both_ways(touch), one_way(64, 1, touch)})
      all.push_back(what);
  }
  all.push_back(kLatency);
  return all;
}

bool is_for_targets(const std::string& driver, const std::string& variant, const Case& what) {
  if (what.mode == Mode::one_way && what.burst != 1) return true;
  if (driver == "null") return false;
  return driver == kOurs || driver == kFloor || (driver == "memif" && variant == "copy");
}

std::vector<Target> judge(const std::vector<Cell>& cells, const std::optional<PacketCost>& packets) {
  const auto small = [](Touch touch) { return one_way(64, 32, touch); };
  const auto large = [](Touch touch) { return one_way(1518, 32, touch); };
  const auto single = [](Touch touch) { return one_way(64, 1, touch); };
  std::vector<Target> targets{
      throughput(cells, "one way 64 B, burst 32 / memif copy", small, kOurs, kMemif, 3.0),
      throughput(cells, "one way 64 B, burst 32 / the fastest mode of all", small, kOurs, "", 1.5),
      throughput(cells, "both ways 64 B, burst 32 / memif copy", both_ways, kOurs, kMemif, 2.5),
      throughput(cells, "one way 1518 B, burst 32 / the fastest mode of all", large, kOurs, "", 1.2),
      throughput(cells, "one way 1518 B, zero-copy / the fastest mode of all", large, kOursZeroCopy, "", 1.5),
  };
  Target floor{.figure = "one way 64 B, time per frame / the floor's", .unit = "ns", .bound = 1.5, .at_least = false};
  floor.measured = compare(cells, small(Touch::none), kOurs, kFloor, ns_per_frame, false);
  floor.touched = compare(cells, small(Touch::header), kOurs, kFloor, ns_per_frame, false);
  if (!floor.measured) floor.note = "not measured";
  targets.push_back(std::move(floor));
  targets.push_back(latency(cells, "p50", 0.5));
  targets.push_back(latency(cells, "p99", 0.99));
  targets.push_back(packets_target(packets));
  targets.push_back(throughput(cells, "one way 64 B, burst 1 / memif copy", single, kOurs, kMemif, 1.5));
  return targets;
}

}  // namespace vmbperf
