// SPDX-License-Identifier: BSD-3-Clause
#include <cinttypes>
#include <cstdio>

#include "report.hpp"

namespace vmbperf {
namespace {

std::string ratio_text(double ours, double theirs) {
  if (theirs <= 0) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", ours / theirs);
  return text;
}

std::string case_text(const Case& what) {
  std::string text = std::string{name_of(what.mode)} + ", " + what.size.name() + " B";
  if (what.mode == Mode::latency) return text;
  text += ", burst " + std::to_string(what.burst);
  if (what.queues != 1) text += ", " + std::to_string(what.queues) + " queues";
  return text + ", touched: " + name_of(what.touch);
}

void print_throughput(const Report& report, const Cell& cell) {
  const Spread mpps = cell.mpps();
  std::printf("  %-36s %8.2f  %7.2f .. %-7.2f %8.2f  %7s  %7s  %8.1f %8.1f  %5.1f %%  %5zu\n", cell.link.name().c_str(),
              mpps.median, mpps.min, mpps.max, cell.gbps().median,
              ratio_text(mpps.median, memif_mpps(report.cells, cell.what)).c_str(),
              ratio_text(mpps.median, floor_mpps(report.cells, cell.what)).c_str(), cell.cycles_tx().median,
              cell.cycles_rx().median, cell.waiting() * 100, cell.quiet_rounds());
}

void print_latency(const Cell& cell) {
  const Spread middle = cell.round_trip(0.5);
  std::printf("  %-36s %8.0f  %7.0f .. %-7.0f %8.0f  %9.0f  %10" PRIu64 "  %5.1f %%  %5zu\n", cell.link.name().c_str(),
              middle.median, middle.min, middle.max, cell.round_trip(0.99).median, cell.round_trip(0.999).median,
              cell.worst_round_trip(), cell.waiting() * 100, cell.quiet_rounds());
}

void print_heading(const Case& what) {
  std::printf("\n%s\n", case_text(what).c_str());
  if (what.mode == Mode::latency) {
    std::printf("  %-36s %8s  %-18s %8s  %9s  %10s  %7s  %5s\n", "round trip, ns", "p50", "", "p99", "p99.9", "max",
                "waiting", "quiet");
  } else {
    std::printf("  %-36s %8s  %-18s %8s  %7s  %7s  %8s %8s  %7s  %5s\n", "", "Mpps", "", "Gbit/s", "/ memif", "/ floor",
                "cyc. tx", "cyc. rx", "waiting", "quiet");
  }
}

void print_own_cost(const Cell& cell) {
  const Spread mpps = cell.mpps();
  if (mpps.median <= 0) return;
  std::printf("%s's own cost with net_null, %s: %.1f ns a frame (%.1f Mpps, %.1f .. %.1f)\n",
              cell.link.direction.c_str(), case_text(cell.what).c_str(), 1e3 / mpps.median, mpps.median, mpps.min,
              mpps.max);
}

void print_faults(const Cell& cell) {
  const std::string what = cell.link.name() + ", " + case_text(cell.what);
  const std::uint64_t accepted = cell.sum(&Sample::accepted);
  const auto print = [&](const char* label, std::uint64_t Sample::*count, const char* explanation) {
    const std::uint64_t frames = cell.sum(count);
    if (frames == 0) return;
    std::printf("%s: %s: %" PRIu64 " of %" PRIu64 " frames%s\n", label, what.c_str(), frames, accepted, explanation);
  };
  print("DROPPED", &Sample::dropped, ", by a port that says so");
  print("LOST", &Sample::lost, " that tx_burst took");
  print("OUT OF PLACE", &Sample::misplaced, ": probes that were not the frame sent there");
  print("REORDERED", &Sample::reordered, "");
  print("CHANGED", &Sample::changed, " arrived with other bytes than were sent");
}

std::string text_of(const std::optional<Comparison>& comparison, const Target& target) {
  if (!comparison) return "-";
  char text[64];
  const int digits = comparison->ours < 100 ? 2 : 0;
  std::snprintf(text, sizeof text, "%8.*f %8.*f %6.2f %s", digits, comparison->ours, digits, comparison->theirs,
                comparison->ratio(), target.is_met(*comparison) ? "met" : "missed");
  return text;
}

}  // namespace

void print_machine(const Facts& facts) {
  for (const auto& [name, value] : facts) std::printf("%-10s %s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
}

void print_results(const Report& report) {
  std::printf("\n%u rounds, drivers in turn; median over rounds, min .. max\n", report.options.rounds);
  const Case* last = nullptr;
  for (const Cell& cell : report.cells) {
    if (cell.link.is_null()) continue;
    if (last == nullptr || !(*last == cell.what)) print_heading(cell.what);
    last = &cell.what;
    if (cell.what.mode == Mode::latency) {
      print_latency(cell);
    } else {
      print_throughput(report, cell);
    }
  }
  std::printf(
      "\n/ memif: to memif copy's faster direction. / floor: to the same frames through a bare ring. cyc.: TSC cycles of\n"
      "a burst call per frame, where it moved any. waiting: worst round's share of time that a CPU ran something else. quiet:\n"
      "rounds with no more of it than --max-waiting; where all of a table have %zu or more, others do not count.\n",
      kEnoughRounds);
  for (const Absent& absent : report.absent)
    std::printf("not measured: %s: %s\n", absent.name.c_str(), absent.reason.c_str());
  for (const Cell& cell : report.cells) {
    if (cell.link.is_null()) print_own_cost(cell);
  }
  for (const Footprint& footprint : report.footprints) {
    std::printf("EAL memory of a pair beyond its mbuf pools, %s: %.1f MiB\n", footprint.name.c_str(),
                static_cast<double>(footprint.bytes) / 1048576);
  }
  for (const Cell& cell : report.cells) {
    if (!cell.link.is_null()) print_faults(cell);
  }
  std::fflush(stdout);
}

void print_targets(const std::vector<Target>& targets) {
  std::printf("\ntargets: vmbpmd's slower direction against the others' faster one; medians\n");
  std::printf("  %-72s %-7s %-33s %-33s\n", "", "", "nothing touched", "header touched");
  std::printf("  %-72s %-7s %8s %8s %6s %-7s %8s %8s %6s\n", "", "target", "ours", "other", "ratio", "", "ours",
              "other", "ratio");
  for (const Target& target : targets) {
    char bound[16];
    std::snprintf(bound, sizeof bound, "%s %.1f", target.at_least ? ">=" : "<=", target.bound);
    std::string other = target.measured && !target.measured->whose.empty() ? "other: " + target.measured->whose : "";
    if (target.touched && target.touched->whose != target.measured->whose)
      other += "; header touched: " + target.touched->whose;
    if (!target.note.empty()) other += (other.empty() ? "" : "; ") + target.note;
    std::printf("  %-72s %-7s %-33s %-33s\n", (target.figure + ", " + target.unit).c_str(), bound,
                target.measured ? text_of(target.measured, target).c_str() : target.note.c_str(),
                target.touched ? text_of(target.touched, target).c_str() : "");
    if (target.measured) std::printf("      %s\n", other.c_str());
  }
  std::fflush(stdout);
}

}  // namespace vmbperf
