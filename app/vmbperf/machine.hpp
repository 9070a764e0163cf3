// SPDX-License-Identifier: BSD-3-Clause
// What a figure depends on besides the driver: CPU, kernel, DPDK, build, memory, pinning, load. Printed with every result.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace vmbperf {

using Facts = std::vector<std::pair<std::string, std::string>>;  // name, value; in the order in which to show them

/// EAL must be running.
Facts machine_facts(unsigned sender_lcore, unsigned receiver_lcore);

}  // namespace vmbperf
