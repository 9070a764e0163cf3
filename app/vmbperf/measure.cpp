// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace vmbperf {
namespace {

constexpr unsigned kMaxTries = 10;

/// One line on a terminal, rewritten; in a log a line per round.
void show_progress(std::size_t done, std::size_t all, unsigned round, unsigned rounds, const Cell& cell) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  if (terminal) {
    std::fprintf(stderr, "\r\033[K%3zu %%  round %u of %u: %s, %u B, burst %u", done * 100 / all, round, rounds,
                 cell.link.name().c_str(), cell.frame_bytes, cell.burst);
  } else if (done * rounds % all == 0) {
    std::fprintf(stderr, "%3zu %%  round %u of %u\n", done * 100 / all, round, rounds);
  }
}

void end_progress() {
  if (isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[K");
}

/// One measurement, or of several the least disturbed one; frames are counted over all of them.
Sample quiet_sample(const Flow& flow, double max_waiting) {
  Sample best = one_way(flow);
  for (unsigned tries = 1; tries < kMaxTries && best.waiting > max_waiting; ++tries) {
    const Sample again = one_way(flow);
    best.accepted += again.accepted;
    best.lost += again.lost;
    best.missed += again.missed;
    best.misplaced += again.misplaced;
    if (again.waiting < best.waiting) {
      best.mpps = again.mpps;
      best.waiting = again.waiting;
    }
  }
  return best;
}

}  // namespace

std::string Link::name() const {
  std::string text = driver;
  if (!variant.empty()) text += " " + variant;
  if (!direction.empty()) text += ", " + direction;
  return text;
}

std::vector<Link> links_of(const DriverPair& pair) {
  const Recipe& recipe = pair.recipe();
  if (recipe.vdevs.size() == 1) {
    return {{.driver = recipe.driver,
             .variant = recipe.variant,
             .direction = "",
             .tx_port = pair.first(),
             .rx_port = pair.first()}};
  }
  const std::string& one = recipe.ends.front();
  const std::string& other = recipe.ends.back();
  return {{recipe.driver, recipe.variant, one + " to " + other, pair.first(), pair.second()},
          {recipe.driver, recipe.variant, other + " to " + one, pair.second(), pair.first()}};
}

Link null_link(const DriverPair& null) {
  return {.driver = "null", .variant = "", .direction = "", .tx_port = null.first(), .rx_port = std::nullopt};
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

Spread Cell::mpps() const {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.mpps);
  return spread_of(std::move(values));
}

std::uint64_t Cell::sum(std::uint64_t Sample::*count) const {
  return std::accumulate(samples.begin(), samples.end(), std::uint64_t{0},
                         [count](std::uint64_t so_far, const Sample& sample) { return so_far + sample.*count; });
}

double Cell::waiting() const {
  double worst = 0;
  for (const Sample& sample : samples) worst = std::max(worst, sample.waiting);
  return worst;
}

double baseline_mpps(const std::vector<Cell>& cells, const Cell& cell) {
  double best = 0;
  for (const Cell& other : cells) {
    if (other.link.is_baseline() && other.frame_bytes == cell.frame_bytes && other.burst == cell.burst) {
      best = std::max(best, other.mpps().median);
    }
  }
  return best;
}

std::vector<Cell> measure(const std::vector<Link>& links, const Options& options, rte_mempool* tx_pool,
                          unsigned sender_lcore) {
  std::vector<Cell> cells;
  for (const std::uint32_t frame_bytes : options.frame_bytes) {
    for (const std::uint16_t burst : options.bursts) {
      for (const Link& link : links) cells.push_back({.link = link, .frame_bytes = frame_bytes, .burst = burst});
    }
  }
  const std::size_t all = cells.size() * options.rounds;
  std::size_t done = 0;
  for (unsigned round = 1; round <= options.rounds; ++round) {
    for (Cell& cell : cells) {
      show_progress(done, all, round, options.rounds, cell);
      cell.samples.push_back(quiet_sample({.tx_port = cell.link.tx_port,
                                           .rx_port = cell.link.rx_port,
                                           .pool = tx_pool,
                                           .frame_bytes = cell.frame_bytes,
                                           .burst = cell.burst,
                                           .sender_lcore = sender_lcore,
                                           .seconds = options.seconds},
                                          options.max_waiting));
      ++done;
    }
  }
  end_progress();
  return cells;
}

}  // namespace vmbperf
