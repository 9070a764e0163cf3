// SPDX-License-Identifier: BSD-3-Clause
// vmbperf: how fast is this port, next to the others, on this machine.
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "private_folder.hpp"
#include "report.hpp"

namespace vmbperf {
namespace {

int fail(const std::string& why) {
  std::fprintf(stderr, "vmbperf: %s\n", why.c_str());
  return 1;
}

/// The plugin of this build, if EAL would take it: it refuses those below a folder that anybody may write to, and itself
/// with them.
std::string own_plugin() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path plugin = fs::canonical(self.parent_path() / "../../drivers/net/vmbpmd/librte_net_vmbpmd.so", error);
  if (error) return {};
  for (fs::path part = plugin; part != part.parent_path(); part = part.parent_path()) {
    if ((fs::status(part, error).permissions() & fs::perms::others_write) != fs::perms::none) return {};
  }
  return plugin;
}

/// Opens pairs, and notes those that cannot be opened.
class Opener {
 public:
  Opener(const Options& options, Report& report) : options_{options}, report_{report} {}

  void open(const Recipe& recipe, const Setup& setup, std::vector<Pair>& pairs) {
    std::string why_not;
    std::optional<Pair> pair = open_pair(recipe, setup, why_not);
    const std::string name = recipe.name() + (setup.max_frame > kStandardFrame ? ", large frames" : "");
    if (!pair) {
      std::fprintf(stderr, "%s is not measured: %s\n", name.c_str(), why_not.c_str());
      report_.absent.push_back({name, why_not});
      return;
    }
    if (recipe.driver != "null") report_.footprints.push_back({name, pair->eal_bytes});
    pairs.push_back(std::move(*pair));
  }

  /// Those of all setups together, recipe by recipe: the last recipe's are opened last.
  std::vector<Pair> open_all(const std::vector<Setup>& setups, const std::string& folder) {
    std::vector<Pair> pairs;
    open(null_recipe(), setups.front(), pairs);
    std::vector<std::vector<Recipe>> of_setups;
    for (const Setup& setup : setups) {
      of_setups.push_back(recipes({.folder = folder,
                                   .suffix = setup.max_frame > kStandardFrame ? "_large" : "",
                                   .queues = setup.queues,
                                   .max_frame = setup.max_frame}));
    }
    for (std::size_t i = 0; i < of_setups.front().size(); ++i) {
      for (std::size_t j = 0; j < setups.size(); ++j) {
        if (options_.wants(of_setups[j][i].driver)) open(of_setups[j][i], setups[j], pairs);
      }
    }
    return pairs;
  }

 private:
  const Options& options_;
  Report& report_;
};

/// Whether all frames arrived as they should. Loss is known of net_virtio_user and others: it fails with --verify only.
bool is_sound(const Cell& cell, bool verified) {
  if (cell.sum(&Sample::reordered) != 0 || cell.sum(&Sample::changed) != 0) return false;
  return cell.sum(&Sample::lost) == 0 ? cell.sum(&Sample::misplaced) == 0 : !verified;
}

int run(const Options& options) {
  const Lcores lcores{.main = rte_lcore_id(), .worker = rte_get_next_lcore(~0u, 1, 0)};
  if (lcores.worker >= RTE_MAX_LCORE && !options.one_lcore_will_do())
    return fail("two lcores are needed, and EAL was given one: see --lcores, or ask for --mode one-lcore");
  const Pools small = make_pools("small", kStandardFrame, options.most_queues());
  const bool any_large = options.longest_frame() > kStandardFrame;
  const Pools large = any_large ? make_pools("large", kMaxFrame, options.most_queues()) : Pools{};
  if (!small || (any_large && !large)) return fail(std::string{"no memory for mbufs: "} + rte_strerror(rte_errno));

  Report report{.machine = machine_facts(lcores.worker, lcores.main), .options = options};
  print_machine(report.machine);
  const PrivateFolder folder;
  std::vector<Setup> setups{{.pools = small, .queues = options.most_queues()}};
  if (any_large) setups.push_back({.pools = large, .max_frame = kMaxFrame, .queues = options.most_queues()});
  std::string why_not;
  const std::unique_ptr<PacketBench> packets = options.quick ? PacketBench::make(why_not) : nullptr;
  const std::vector<Pair> pairs = Opener{options, report}.open_all(setups, folder.path());
  if (report.footprints.empty()) return fail("no driver could be started");

  report.cells = plan(pairs, options, report.absent);
  measure(report.cells, options, small, large, lcores, [&] {
    if (packets != nullptr) packets->measure();
  });
  if (packets != nullptr) report.packets = packets->cost();
  print_results(report);
  if (options.quick) print_targets(judge(report.cells, report.packets));
  if (!options.json_file.empty() && !write_json(report, options.json_file))
    return fail(options.json_file + ": " + std::strerror(errno));
  if (!options.report_file.empty()) {
    if (const std::string problem = write_html(report, options.report_file); !problem.empty()) return fail(problem);
  }
  const bool sound = std::all_of(report.cells.begin(), report.cells.end(), [&](const Cell& cell) {
    return cell.link.is_null() || is_sound(cell, options.verify);
  });
  return sound ? 0 : fail("not all frames arrived as they were sent: see above");
}

bool asks_for_help(std::span<char* const> arguments) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [](const char* word) { return std::strcmp(word, "--help") == 0 || std::strcmp(word, "-h") == 0; });
}

}  // namespace
}  // namespace vmbperf

int main(int argc, char** argv) {
  using namespace vmbperf;
  const std::span<char* const> words{argv, static_cast<std::size_t>(argc)};
  const auto dashes =
      std::find_if(words.begin(), words.end(), [](const char* word) { return std::strcmp(word, "--") == 0; });
  const std::vector<std::string> drivers = driver_names();
  if (asks_for_help(words)) {
    std::fputs(usage(drivers).c_str(), stdout);
    return 0;
  }
  std::string error;
  const Options options = parse_options({dashes == words.end() ? dashes : dashes + 1, words.end()}, drivers, error);
  if (!error.empty()) return fail(error);

  std::vector<char*> eal{words.begin(), dashes};
  const bool given =
      std::any_of(eal.begin(), eal.end(), [](const char* word) { return std::strncmp(word, "-d", 2) == 0; });
  std::string plugin = given ? "" : own_plugin();
  static char load[] = "-d";
  if (!plugin.empty()) eal.insert(eal.end(), {load, plugin.data()});
  const auto count = static_cast<int>(eal.size());
  eal.push_back(nullptr);
  if (rte_eal_init(count, eal.data()) < 0) return fail(std::string{"EAL does not start: "} + rte_strerror(rte_errno));
  for (const char* const talkative : {"lib.vhost.*", "pmd.net.*"})
    (void)rte_log_set_level_pattern(talkative, RTE_LOG_ERR);
  const int status = run(options);
  (void)rte_eal_cleanup();
  return status;
}
