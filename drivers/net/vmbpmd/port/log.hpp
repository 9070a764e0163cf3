// SPDX-License-Identifier: BSD-3-Clause
// The driver's log: one line each, from the control plane only.
#pragma once

#include <rte_log.h>

namespace vmbpmd {
extern int log_type;  // pmd.net.vmbpmd
}

#define VMBPMD_LOG(level, format, ...) \
  rte_log(RTE_LOG_##level, ::vmbpmd::log_type, "vmbpmd: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
