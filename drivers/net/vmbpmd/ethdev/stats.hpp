// SPDX-License-Identifier: BSD-3-Clause
// Basic and extended statistics: the ends' counters under ethdev's names.
#pragma once

#include <ethdev_driver.h>

namespace vmbpmd {

int stats_get(rte_eth_dev* dev, rte_eth_stats* stats);
int stats_reset(rte_eth_dev* dev);  // both kinds: the extended ones include the basic ones
int xstats_get(rte_eth_dev* dev, rte_eth_xstat* xstats, unsigned n);
int xstats_get_names(rte_eth_dev* dev, rte_eth_xstat_name* names, unsigned n);

}  // namespace vmbpmd
