// SPDX-License-Identifier: BSD-3-Clause
#include "machine.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_version.h>
#include <sys/utsname.h>

#include <fstream>
#include <sstream>

namespace vmbperf {
namespace {

std::string first_line(const std::string& file) {
  std::string line;
  std::ifstream stream{file};
  std::getline(stream, line);
  return line;
}

/// The value of the first line `name : value`, as /proc has them.
std::string proc_value(const char* file, const std::string& name) {
  std::ifstream stream{file};
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t value = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  return "unknown";
}

std::string cpus_of(unsigned lcore) {
  const rte_cpuset_t set = rte_lcore_cpuset(lcore);
  std::string text;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) text.append(text.empty() ? "" : ",").append(std::to_string(cpu));
  }
  return text;
}

/// SMT: two threads of one core share its caches and its units, which makes another measurement.
std::string pinning(unsigned sender, unsigned receiver) {
  if (sender >= RTE_MAX_LCORE) return "one lcore, on CPU " + cpus_of(receiver);
  const std::string from = cpus_of(sender);
  const std::string to = cpus_of(receiver);
  std::string text = "sender on CPU " + from + ", receiver on CPU " + to;
  const std::string siblings = "/sys/devices/system/cpu/cpu";
  const std::string of_from = first_line(siblings + from + "/topology/thread_siblings_list");
  if (from == to)
    text += " (THE SAME: figures mean little)";
  else if (!of_from.empty() && of_from == first_line(siblings + to + "/topology/thread_siblings_list"))
    text += " (threads of one core)";
  return text;
}

std::string hugepages() {
  if (rte_eal_has_hugepages() == 0) return "none (--no-huge)";
  return proc_value("/proc/meminfo", "HugePages_Total") + " of " + proc_value("/proc/meminfo", "Hugepagesize") + ", " +
         proc_value("/proc/meminfo", "HugePages_Free") + " free";
}

std::string load() {
  std::istringstream line{first_line("/proc/loadavg")};
  std::string one, five;
  line >> one >> five;
  return one + " (1 min), " + five + " (5 min) at the start";
}

std::string cpu_model() {
  char tsc[32];
  std::snprintf(tsc, sizeof tsc, "%.2f GHz", static_cast<double>(rte_get_tsc_hz()) / 1e9);
  return proc_value("/proc/cpuinfo", "model name") + ", " + first_line("/sys/devices/system/cpu/online") + ", TSC " +
         tsc;
}

}  // namespace

Facts machine_facts(unsigned sender_lcore, unsigned receiver_lcore) {
  utsname kernel{};
  (void)uname(&kernel);
  return {
      {"cpu", cpu_model()},       {"kernel", std::string{kernel.sysname} + " " + kernel.release},
      {"dpdk", rte_version()},    {"build", VMBPERF_BUILD},
      {"hugepages", hugepages()}, {"pinning", pinning(sender_lcore, receiver_lcore)},
      {"load", load()},
  };
}

}  // namespace vmbperf
