// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "plots.hpp"
#include "report.hpp"

namespace vmbperf {
namespace {

constexpr const char* kHead =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>vmbperf</title><style>\n"
    "body{font:15px/1.45 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\n"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right}\n"
    "td:first-child,th:first-child{text-align:left}.met{color:#176117}.missed{color:#a11}svg{max-width:100%;height:auto}\n"
    "</style></head><body>\n<h1>vmbperf</h1>\n";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += letter; break;
    }
  }
  return out;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 100 ? "%.2f" : "%.0f", value);
  return text;
}

template <class... Cells> void row(std::ostream& page, const char* tag, const Cells&... cells) {
  page << "<tr>";
  ((page << '<' << tag << '>' << cells << "</" << tag << '>'), ...);
  page << "</tr>\n";
}

std::string spread_text(const Spread& spread) {
  return number(spread.median) + " (" + number(spread.min) + " .. " + number(spread.max) + ")";
}

void write_machine(std::ostream& page, const Report& report) {
  page << "<table>\n";
  for (const auto& [name, value] : report.machine) row(page, "td", escaped(name), escaped(value));
  page << "</table>\n";
}

std::string verdict(const Target& target, const std::optional<Comparison>& comparison) {
  if (!comparison) return "";
  const bool met = target.is_met(*comparison);
  return number(comparison->ours) + " / " + number(comparison->theirs) + " = <b class=\"" + (met ? "met" : "missed") +
         "\">" + number(comparison->ratio()) + "</b>";
}

void write_targets(std::ostream& page, const Report& report) {
  page << "<h2>Targets</h2>\n<p>The slower direction of vmbpmd against the others' faster one; medians.</p>\n<table>\n";
  row(page, "th", "figure", "target", "nothing touched", "header touched", "");
  for (const Target& target : judge(report.cells, report.packets)) {
    const std::string whose = target.measured ? target.measured->whose : "";
    row(page, "td", escaped(target.figure + ", " + target.unit),
        (target.at_least ? "&ge; " : "&le; ") + number(target.bound), verdict(target, target.measured),
        verdict(target, target.touched),
        escaped(whose + (whose.empty() || target.note.empty() ? "" : "; ") + target.note));
  }
  page << "</table>\n";
}

void write_cells(std::ostream& page, const Report& report) {
  page
      << "<h2>All figures</h2>\n<p>Median over " << report.options.rounds
      << " rounds, least and greatest in brackets. Cycles: of TSC, per frame, of a burst call that moved any.</p>\n<table>\n";
  row(page, "th", "link", "mode", "bytes", "burst", "queues", "touched", "Mpps", "Gbit/s", "cycles tx", "cycles rx",
      "p50, ns", "p99, ns", "p99.9, ns", "max, ns");
  for (const Cell& cell : report.cells) {
    const bool latency = cell.what.mode == Mode::latency;
    const auto rate = [&](const std::string& text) { return latency ? std::string{} : text; };
    const auto time = [&](double value) { return latency ? number(value) : std::string{}; };
    row(page, "td", escaped(cell.link.name()), name_of(cell.what.mode), cell.what.size.name(), cell.what.burst,
        cell.what.queues, name_of(cell.what.touch), rate(spread_text(cell.mpps())), rate(number(cell.gbps().median)),
        rate(number(cell.cycles_tx().median)), rate(number(cell.cycles_rx().median)), time(cell.round_trip(0.5).median),
        time(cell.round_trip(0.99).median), time(cell.round_trip(0.999).median),
        time(static_cast<double>(cell.worst_round_trip())));
  }
  page << "</table>\n";
  for (const Absent& absent : report.absent)
    page << "<p>Not measured: " << escaped(absent.name) << ": " << escaped(absent.reason) << "</p>\n";
}

}  // namespace

std::string write_html(const Report& report, const std::string& file) {
  std::ostringstream page;
  page << kHead;
  write_machine(page, report);
  if (report.options.quick) write_targets(page, report);
  for (const Plot& plot : plots_of(report.cells)) {
    std::string svg;
    if (std::string problem = draw(plot, svg); !problem.empty()) return problem;
    page << "<figure>" << svg << "</figure>\n";
  }
  write_cells(page, report);
  page << "</body></html>\n";
  std::ofstream stream{file};
  stream << page.str();
  return stream.flush().good() ? std::string{} : file + ": " + std::strerror(errno);
}

}  // namespace vmbperf
