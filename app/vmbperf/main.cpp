// SPDX-License-Identifier: BSD-3-Clause
// vmbperf: how fast is this port, next to the others, on this machine.
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "report.hpp"

namespace vmbperf {
namespace {

constexpr unsigned kMbufs = 16383;
constexpr unsigned kMbufCache = 256;

int fail(const std::string& why) {
  std::fprintf(stderr, "vmbperf: %s\n", why.c_str());
  return 1;
}

std::vector<std::string> driver_names() {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) {
    if (std::find(names.begin(), names.end(), recipe.driver) == names.end()) names.push_back(recipe.driver);
  }
  return names;
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

struct Pools {
  rte_mempool* tx;
  rte_mempool* rx;
};

/// Apart, so that what is received never overwrites what is to be sent.
Pools make_pools() {
  const auto pool = [](const char* name) {
    return rte_pktmbuf_pool_create(name, kMbufs, kMbufCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                   static_cast<int>(rte_socket_id()));
  };
  return {.tx = pool("vmbperf_tx"), .rx = pool("vmbperf_rx")};
}

int run(const Options& options) {
  const unsigned receiver = rte_lcore_id();
  const unsigned sender = rte_get_next_lcore(~0u, 1, 0);
  if (sender >= RTE_MAX_LCORE) return fail("two lcores are needed, and EAL was given one: see --lcores");
  const Pools pools = make_pools();
  if (pools.tx == nullptr || pools.rx == nullptr)
    return fail(std::string{"no memory for mbufs: "} + rte_strerror(rte_errno));
  prefill(pools.tx);

  Report report{.machine = machine_facts(sender, receiver), .options = options};
  print_machine(report.machine);

  std::vector<std::unique_ptr<DriverPair>> pairs;
  const auto open = [&](const Recipe& recipe) -> const DriverPair* {
    std::string why_not;
    std::unique_ptr<DriverPair> pair = DriverPair::open(recipe, pools.rx, why_not);
    if (pair != nullptr) return pairs.emplace_back(std::move(pair)).get();
    std::fprintf(stderr, "%s is not measured: %s\n", recipe.name().c_str(), why_not.c_str());
    report.absent.push_back({recipe.name(), why_not});
    return nullptr;
  };
  std::vector<Link> links;
  if (const DriverPair* const null = open(null_recipe()); null != nullptr) links.push_back(null_link(*null));
  for (const Recipe& recipe : recipes()) {
    const DriverPair* const pair = options.wants(recipe.driver) ? open(recipe) : nullptr;
    if (pair == nullptr) continue;
    for (Link& link : links_of(*pair)) links.push_back(std::move(link));
    report.footprints.push_back({recipe.name(), pair->eal_bytes()});
  }
  if (report.footprints.empty()) return fail("no driver could be started");

  report.cells = measure(links, options, pools.tx, sender);
  print_results(report);
  if (!options.json_file.empty() && !write_json(report, options.json_file)) {
    return fail(options.json_file + ": " + std::strerror(errno));
  }
  const bool sound = std::all_of(report.cells.begin(), report.cells.end(), [](const Cell& cell) {
    return cell.sum(&Sample::misplaced) == 0 || cell.sum(&Sample::lost) != 0;
  });
  return sound ? 0 : fail("frames arrived out of place: see above");
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
  const int status = run(options);
  (void)rte_eal_cleanup();
  return status;
}
