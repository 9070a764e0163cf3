// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace vmbperf {
namespace {

void print_cell(const Report& report, const Cell& cell) {
  const Spread mpps = cell.mpps();
  const double baseline = baseline_mpps(report.cells, cell);
  char ratio[16] = "-";
  if (baseline > 0) std::snprintf(ratio, sizeof ratio, "%.2f", mpps.median / baseline);
  std::printf("  %5u  %5u  %-36s %8.2f  %7.2f .. %-7.2f %8.2f  %8s  %5.1f %%\n", cell.frame_bytes, cell.burst,
              cell.link.name().c_str(), mpps.median, mpps.min, mpps.max, cell.gbps().median, ratio,
              cell.waiting() * 100);
}

void print_own_cost(const Cell& cell) {
  const Spread mpps = cell.mpps();
  if (mpps.median <= 0) return;
  std::printf("sender's own cost, %u B, burst %u, into net_null: %.1f ns a frame (%.1f Mpps, %.1f .. %.1f)\n",
              cell.frame_bytes, cell.burst, 1e3 / mpps.median, mpps.median, mpps.min, mpps.max);
}

void print_losses(const Cell& cell) {
  const std::string what =
      cell.link.name() + ", " + std::to_string(cell.frame_bytes) + " B, burst " + std::to_string(cell.burst);
  const std::uint64_t accepted = cell.sum(&Sample::accepted);
  if (const std::uint64_t lost = cell.sum(&Sample::lost); lost != 0) {
    std::printf("LOST: %s: %" PRIu64 " of %" PRIu64
                " frames that tx_burst took; the receiving port says it missed %" PRIu64 "\n",
                what.c_str(), lost, accepted, cell.sum(&Sample::missed));
  }
  if (const std::uint64_t misplaced = cell.sum(&Sample::misplaced); misplaced != 0) {
    std::printf("OUT OF PLACE: %s: %" PRIu64 " of %" PRIu64 " probes were not the frame sent there\n", what.c_str(),
                misplaced, accepted / kProbe);
  }
}

nlohmann::ordered_json json_of(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

nlohmann::ordered_json json_of(const Report& report, const Cell& cell) {
  const double baseline = baseline_mpps(report.cells, cell);
  nlohmann::ordered_json json{
      {"driver", cell.link.driver},
      {"variant", cell.link.variant},
      {"direction", cell.link.direction},
      {"mode", "one-way"},
      {"frame_bytes", cell.frame_bytes},
      {"burst", cell.burst},
      {"queues", 1},
      {"mpps", json_of(cell.mpps())},
      {"gbps", json_of(cell.gbps())},
      {"lost", cell.sum(&Sample::lost)},
      {"missed_by_port", cell.sum(&Sample::missed)},
      {"out_of_place", cell.sum(&Sample::misplaced)},
      {"cpu_waiting", cell.waiting()},
  };
  if (baseline > 0 && !cell.link.is_null()) json["ratio_to_memif_copy"] = cell.mpps().median / baseline;
  for (const Sample& sample : cell.samples) json["mpps_of_rounds"].push_back(sample.mpps);
  return json;
}

}  // namespace

void print_machine(const Facts& facts) {
  for (const auto& [name, value] : facts) std::printf("%-10s %s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
}

void print_results(const Report& report) {
  std::printf("\none way, lcore to lcore, %u rounds of %g s, drivers in turn; median over rounds, min .. max\n",
              report.options.rounds, report.options.seconds);
  std::printf("  bytes  burst  %-36s %8s  %-18s %8s  %8s  %7s\n", "link", "Mpps", "", "Gbit/s", "/ memif", "waiting");
  for (const Cell& cell : report.cells) {
    if (!cell.link.is_null()) print_cell(report, cell);
  }
  for (const Absent& absent : report.absent)
    std::printf("  %5s  %5s  %-36s not measured: %s\n", "-", "-", absent.name.c_str(), absent.reason.c_str());
  std::printf(
      "/ memif: to memif copy's faster direction. waiting: worst round's share of time that a CPU ran something else.\n");
  for (const Cell& cell : report.cells) {
    if (cell.link.is_null()) print_own_cost(cell);
  }
  for (const Footprint& footprint : report.footprints) {
    std::printf("EAL memory of a pair beyond its mbuf pools, %s: %.1f MiB\n", footprint.name.c_str(),
                static_cast<double>(footprint.bytes) / 1048576);
  }
  for (const Cell& cell : report.cells) print_losses(cell);
  std::fflush(stdout);
}

bool write_json(const Report& report, const std::string& file) {
  nlohmann::ordered_json json;
  for (const auto& [name, value] : report.machine) json["machine"][name] = value;
  json["rounds"] = report.options.rounds;
  json["seconds"] = report.options.seconds;
  json["cells"] = nlohmann::ordered_json::array();
  for (const Cell& cell : report.cells) json["cells"].push_back(json_of(report, cell));
  json["absent"] = nlohmann::ordered_json::array();
  for (const Absent& absent : report.absent)
    json["absent"].push_back({{"driver", absent.name}, {"reason", absent.reason}});
  for (const Footprint& footprint : report.footprints) json["eal_bytes_of_pair"][footprint.name] = footprint.bytes;
  std::ofstream stream{file};
  stream << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  return stream.flush().good();
}

}  // namespace vmbperf
