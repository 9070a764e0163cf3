// SPDX-License-Identifier: BSD-3-Clause
// The ethdev operations and bursts of a port.
#pragma once

#include <ethdev_driver.h>

namespace vmbpmd {

/// Give the ethdev its operations, and the bursts of the port's kind.
void set_bursts(rte_eth_dev* dev) noexcept;

}  // namespace vmbpmd
