// SPDX-License-Identifier: BSD-3-Clause
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "report.hpp"

namespace vmbperf {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Spread& spread) { return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}}; }

Json latency_of(const Cell& cell) {
  Json json{{"p50", cell.round_trip(0.5).median},
            {"p99", cell.round_trip(0.99).median},
            {"p999", cell.round_trip(0.999).median},
            {"max", cell.worst_round_trip()},
            {"p50_of_rounds", json_of(cell.round_trip(0.5))},
            {"p99_of_rounds", json_of(cell.round_trip(0.99))},
            {"round_trips", cell.round_trips().count()}};
  return json;
}

Json json_of(const Report& report, const Cell& cell) {
  const Case& what = cell.what;
  const bool is_latency = what.mode == Mode::latency;
  Json json{
      {"driver", cell.link.driver},
      {"variant", cell.link.variant},
      {"direction", cell.link.direction},
      {"mode", name_of(what.mode)},
      {"frame_bytes", std::lround(what.size.mean())},
      {"imix", what.size.is_imix()},
      {"burst", what.burst},
      {"queues", what.queues},
      {"touch", name_of(what.touch)},
      {"mpps", is_latency ? Json{} : json_of(cell.mpps())},
      {"gbps", is_latency ? Json{} : json_of(cell.gbps())},
      {"latency_ns", is_latency ? latency_of(cell) : Json{}},
      {"cycles_tx", is_latency ? Json{} : Json(cell.cycles_tx().median)},
      {"cycles_rx", is_latency ? Json{} : Json(cell.cycles_rx().median)},
      {"accepted", cell.sum(&Sample::accepted)},
      {"lost", cell.sum(&Sample::lost)},
      {"dropped", cell.sum(&Sample::dropped)},
      {"out_of_place", cell.sum(&Sample::misplaced)},
      {"reordered", cell.sum(&Sample::reordered)},
      {"changed", cell.sum(&Sample::changed)},
      {"cpu_waiting", cell.waiting()},
      {"quiet_rounds", cell.quiet_rounds()},
  };
  if (cell.link.is_null() || is_latency) return json;
  const double median = cell.mpps().median;
  if (const double memif = memif_mpps(report.cells, what); memif > 0) json["ratio_to_memif_copy"] = median / memif;
  if (const double floor = floor_mpps(report.cells, what); floor > 0) json["ratio_to_floor"] = median / floor;
  for (const Sample& sample : cell.samples) {
    json["mpps_of_rounds"].push_back(sample.mpps);
    json["cpu_waiting_of_rounds"].push_back(sample.waiting);
  }
  return json;
}

Json json_of(const Comparison& comparison, const Target& target) {
  return {{"ours", comparison.ours},
          {"other", comparison.theirs},
          {"whose", comparison.whose},
          {"ratio", comparison.ratio()},
          {"met", target.is_met(comparison)}};
}

Json json_of(const Target& target) {
  return {{"figure", target.figure},
          {"unit", target.unit},
          {target.at_least ? "at_least" : "at_most", target.bound},
          {"nothing_touched", target.measured ? json_of(*target.measured, target) : Json{}},
          {"header_touched", target.touched ? json_of(*target.touched, target) : Json{}},
          {"note", target.note}};
}

}  // namespace

bool write_json(const Report& report, const std::string& file) {
  Json json;
  for (const auto& [name, value] : report.machine) json["machine"][name] = value;
  json["rounds"] = report.options.rounds;
  json["verified"] = report.options.verify;
  json["cells"] = Json::array();
  for (const Cell& cell : report.cells) json["cells"].push_back(json_of(report, cell));
  json["absent"] = Json::array();
  for (const Absent& absent : report.absent)
    json["absent"].push_back({{"driver", absent.name}, {"reason", absent.reason}});
  for (const Footprint& footprint : report.footprints) json["eal_bytes_of_pair"][footprint.name] = footprint.bytes;
  if (report.options.quick) {
    for (const Target& target : judge(report.cells, report.packets)) json["targets"].push_back(json_of(target));
  }
  std::ofstream stream{file};
  stream << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  return stream.flush().good();
}

}  // namespace vmbperf
