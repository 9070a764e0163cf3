// SPDX-License-Identifier: BSD-3-Clause
#include "plots.hpp"

#include <algorithm>

namespace vmbperf {
namespace {

std::string case_name(const Case& what) {
  std::string text = name_of(what.mode);
  if (what.mode == Mode::latency) return text + ", " + what.size.name() + " B";
  text += ", burst " + std::to_string(what.burst);
  if (what.queues != 1) text += ", " + std::to_string(what.queues) + " queues";
  return text + ", touched: " + name_of(what.touch);
}

/// The same but for the frame's length.
bool alike(Case one, const Case& other) {
  one.size = other.size;
  return one == other;
}

/// Cases that differ in more than the frame's length, each once, in the order of the cells.
std::vector<Case> kinds_of(const std::vector<Cell>& cells) {
  std::vector<Case> kinds;
  for (const Cell& cell : cells) {
    if (cell.what.mode == Mode::latency || cell.link.is_null()) continue;
    if (std::none_of(kinds.begin(), kinds.end(), [&](const Case& kind) { return alike(kind, cell.what); }))
      kinds.push_back(cell.what);
  }
  return kinds;
}

std::vector<FrameSize> sizes_of(const std::vector<Cell>& cells, const Case& kind) {
  std::vector<FrameSize> sizes;
  for (const Cell& cell : cells) {
    if (alike(kind, cell.what) && !cell.link.is_null() &&
        std::find(sizes.begin(), sizes.end(), cell.what.size) == sizes.end())
      sizes.push_back(cell.what.size);
  }
  std::stable_sort(sizes.begin(), sizes.end(), [](const FrameSize& a, const FrameSize& b) {
    return !a.is_imix() && (b.is_imix() || a.bytes < b.bytes);
  });
  return sizes;
}

std::vector<std::string> links_of(const std::vector<Cell>& cells, const Case& kind) {
  std::vector<std::string> links;
  for (const Cell& cell : cells) {
    if (alike(kind, cell.what) && !cell.link.is_null() &&
        std::find(links.begin(), links.end(), cell.link.name()) == links.end())
      links.push_back(cell.link.name());
  }
  return links;
}

constexpr std::size_t kCurvePoints = 3;  // of fewer lengths, and of the IMIX, bars say more

/// A curve per link, or a group of bars per length.
Plot against_size(const std::vector<Cell>& cells, const Case& kind, bool share_of_floor) {
  Plot plot{.title = (share_of_floor ? "throughput as a share of the floor's: " : "throughput: ") + case_name(kind),
            .x_label = "frame length, bytes",
            .y_label = share_of_floor ? "floor = 1" : "Mpps",
            .style = Plot::Style::bars};
  const std::vector<FrameSize> sizes = sizes_of(cells, kind);
  for (const FrameSize& size : sizes) plot.categories.push_back(size.name());
  if (sizes.size() >= kCurvePoints && !sizes.back().is_imix()) {
    plot.style = Plot::Style::points;
    plot.log_x = plot.log_y = true;
  }
  for (const std::string& link : links_of(cells, kind)) {
    if (share_of_floor && link.starts_with("floor")) continue;
    Plot::Curve curve{.name = link, .points = {}};
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      double value = 0;
      for (const Cell& cell : cells) {
        if (!alike(kind, cell.what) || !(cell.what.size == sizes[i]) || cell.link.name() != link) continue;
        const double floor = floor_mpps(cells, cell.what);
        value = cell.mpps().median;
        if (share_of_floor) value = floor > 0 ? value / floor : 0;
      }
      if (value > 0 || plot.style == Plot::Style::bars) curve.points.emplace_back(sizes[i].mean(), value);
    }
    plot.curves.push_back(std::move(curve));
  }
  return plot;
}

constexpr double kShown = 0.9995;  // what is beyond would squeeze the rest; tables name it

/// Frames within a time: each curve climbs from 0 to 1.
std::vector<Plot> of_latency(const std::vector<Cell>& cells) {
  std::vector<Plot> plots;
  for (const Cell& cell : cells) {
    if (cell.what.mode != Mode::latency) continue;
    const std::string title = "round trips: " + case_name(cell.what);
    if (plots.empty() || plots.back().title != title)
      plots.push_back({.title = title, .x_label = "nanoseconds", .y_label = "share within that time", .log_x = true});
    const Histogram all = cell.round_trips();
    Plot::Curve curve{.name = cell.link.name(), .points = {}};
    std::uint64_t seen = 0;
    for (const Histogram::Bin& bin : all.bins()) {
      seen += bin.count;
      const double share = static_cast<double>(seen) / static_cast<double>(all.count());
      curve.points.emplace_back(static_cast<double>(std::max<std::uint64_t>(1, bin.from)), share);
      if (share > kShown) break;
    }
    if (!curve.points.empty()) plots.back().curves.push_back(std::move(curve));
  }
  return plots;
}

}  // namespace

std::vector<Plot> plots_of(const std::vector<Cell>& cells) {
  std::vector<Plot> plots;
  const bool with_floor =
      std::any_of(cells.begin(), cells.end(), [](const Cell& cell) { return cell.link.pair() == "floor"; });
  for (const Case& kind : kinds_of(cells)) {
    plots.push_back(against_size(cells, kind, false));
    if (with_floor) plots.push_back(against_size(cells, kind, true));
  }
  for (Plot& plot : of_latency(cells)) plots.push_back(std::move(plot));
  std::erase_if(plots, [](const Plot& plot) { return plot.curves.empty(); });
  return plots;
}

}  // namespace vmbperf
