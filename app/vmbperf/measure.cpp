// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "latency.hpp"
#include "targets.hpp"

namespace vmbperf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kMaxTries = 10;
constexpr double kWarmUp = 0.1;
constexpr double kQuickWarmUp = 0.02;
constexpr double kQuickOverhead = 0.04;  // of a sample, beside its window: warm-up, polling before, draining after

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One line on a terminal, rewritten; in a log a line per round.
void show_progress(std::size_t done, std::size_t all, unsigned round, unsigned rounds, const Cell& cell) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  if (terminal) {
    std::fprintf(stderr, "\r\033[K%3zu %%  round %u of %u: %s, %s, %s B, burst %u", done * 100 / all, round, rounds,
                 cell.link.name().c_str(), name_of(cell.what.mode), cell.what.size.name().c_str(), cell.what.burst);
  } else if (done * rounds % all == 0) {
    std::fprintf(stderr, "%3zu %%  round %u of %u\n", done * 100 / all, round, rounds);
  }
}

void end_progress() {
  if (isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[K");
}

Sample once(const Flow& flow) { return flow.mode == Mode::latency ? round_trips(flow) : exchange(flow); }

/// What went wrong counts over all tries, whichever is kept.
void add_counts(Sample& sample, const Sample& other) {
  for (std::uint64_t Sample::*const count :
       {&Sample::accepted, &Sample::lost, &Sample::dropped, &Sample::misplaced, &Sample::reordered, &Sample::changed})
    sample.*count += other.*count;
}

/// One measurement, or of several the least disturbed one.
Sample quiet_sample(const Flow& flow, double max_waiting, const std::function<bool()>& has_time) {
  Sample best = once(flow);
  for (unsigned tries = 1; tries < kMaxTries && best.waiting > max_waiting && has_time(); ++tries) {
    Sample again = once(flow);
    if (again.waiting < best.waiting) std::swap(again, best);
    add_counts(best, again);
  }
  return best;
}

std::vector<Link> links_of(const Pair& pair, Mode mode) {
  const Recipe& recipe = pair.recipe;
  const auto link = [&](const std::string& direction, const Endpoint& from, const Endpoint& to) {
    return Link{recipe.driver, recipe.variant, direction, from, to};
  };
  if (recipe.driver == "null") {
    if (mode != Mode::one_way) return {};
    Endpoint source = pair.first, sink = pair.first;
    source.tx = nullptr;
    sink.rx = nullptr;
    return {link("sender", sink, sink), link("receiver", source, source)};
  }
  if (mode == Mode::both_ways || mode == Mode::latency) {
    if (pair.is_loop()) return {};
    return {link("", pair.first, pair.second)};
  }
  if (pair.is_loop() || recipe.kind != Recipe::Kind::ports) return {link("", pair.first, pair.second)};
  const std::string& one = recipe.ends.front();
  const std::string& other = recipe.ends.back();
  return {link(one + " to " + other, pair.first, pair.second), link(other + " to " + one, pair.second, pair.first)};
}

bool is_for(const Pair& pair, const FrameSize& size) {
  return (size.longest() > kStandardFrame) == (pair.max_frame > kStandardFrame);
}

std::vector<Case> cases(const Options& options) {
  if (options.quick) return target_cases();
  std::vector<Case> all;
  for (const Mode mode : options.modes) {
    for (const FrameSize& size : options.sizes) {
      if (mode == Mode::latency) {
        if (!size.is_imix()) all.push_back({.mode = mode, .size = size, .burst = 1});
        continue;
      }
      for (const std::uint16_t burst : options.bursts) {
        for (const std::uint16_t queues : options.queues) {
          for (const Touch touch : options.touches)
            all.push_back({.mode = mode, .size = size, .burst = burst, .queues = queues, .touch = touch});
        }
      }
    }
  }
  return all;
}

}  // namespace

std::vector<Cell> plan(const std::vector<Pair>& pairs, const Options& options, std::vector<Absent>& absent) {
  std::vector<Cell> cells;
  for (const Case& what : cases(options)) {
    for (const Pair& pair : pairs) {
      if (!is_for(pair, what.size)) continue;
      if (options.quick && !is_for_targets(pair.recipe.driver, pair.recipe.variant, what)) continue;
      if (pair.recipe.kind == Recipe::Kind::floor_one_copy && (options.verify || what.touch == Touch::all)) continue;
      if (what.queues > pair.queues) {
        const std::string name = pair.recipe.name() + ", " + std::to_string(what.queues) + " queues";
        const auto same = [&](const Absent& other) { return other.name == name; };
        if (std::none_of(absent.begin(), absent.end(), same))
          absent.push_back({name, "its ports have no more than " + std::to_string(pair.queues)});
        continue;
      }
      for (const Link& link : links_of(pair, what.mode))
        cells.push_back({.link = link, .what = what, .max_waiting = options.max_waiting});
    }
  }
  return cells;
}

void measure(std::vector<Cell>& cells, const Options& options, const Pools& small, const Pools& large, Lcores lcores,
             const std::function<void()>& each_round) {
  const std::size_t all = cells.size() * options.rounds;
  const Clock::time_point start = Clock::now();
  std::size_t done = 0;
  double seconds = options.seconds;
  if (options.quick) seconds = std::max(0.05, kQuickBudget / static_cast<double>(all) - kQuickOverhead);
  const auto has_time = [&] {
    return !options.quick || seconds_since(start) < kQuickMost * static_cast<double>(done) / static_cast<double>(all);
  };
  for (unsigned round = 1; round <= options.rounds; ++round) {
    for (Cell& cell : cells) {
      show_progress(done, all, round, options.rounds, cell);
      cell.samples.push_back(quiet_sample({.mode = cell.what.mode,
                                           .from = cell.link.from,
                                           .to = cell.link.to,
                                           .pool = cell.what.size.longest() > kStandardFrame ? large.tx : small.tx,
                                           .size = cell.what.size,
                                           .burst = cell.what.burst,
                                           .queues = cell.what.queues,
                                           .touch = cell.what.touch,
                                           .verify = options.verify && !cell.link.is_null(),
                                           .worker_lcore = lcores.worker,
                                           .warm_up_s = options.quick ? kQuickWarmUp : kWarmUp,
                                           .seconds = seconds},
                                          options.max_waiting, has_time));
      ++done;
    }
    each_round();
  }
  leave_out_disturbed(cells);
  end_progress();
}

}  // namespace vmbperf
