// SPDX-License-Identifier: BSD-3-Clause
// Where frames live. What is sent and what is received have pools of their own, so that received frames never overwrite
// those to be sent: these are written once and go out again and again.
#pragma once

#include <rte_mempool.h>

#include <cstdint>

namespace vmbperf {

struct Pools {
  rte_mempool* tx = nullptr;  // every mbuf of it holds a frame of the greatest length, header written
  rte_mempool* rx = nullptr;

  [[nodiscard]] explicit operator bool() const { return tx != nullptr && rx != nullptr; }
};

/// Made once and kept till EAL ends.
/// @param frame_bytes  the longest frame; one mbuf holds it.
/// @param queues       of each port: more of them keep more mbufs.
/// @return  false as a bool: no memory, and rte_errno says so.
Pools make_pools(const char* name, std::uint32_t frame_bytes, unsigned queues);

}  // namespace vmbperf
