// SPDX-License-Identifier: BSD-3-Clause
// One end of a link as the measuring loops see it: two burst calls, so that ports and the floor go through the same loop.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace vmbperf {

struct Endpoint {
  /// As rte_eth_tx_burst and rte_eth_rx_burst: how many of `count` frames were taken or given; ownership goes with them.
  /// One thread at a time per queue and direction.
  using Burst = std::uint16_t (*)(void* context, std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept;
  using Count = std::uint64_t (*)(void* context) noexcept;

  void* context = nullptr;  // outlives the endpoint; the pair's
  Burst tx = nullptr;       // null: nothing can be sent
  Burst rx = nullptr;       // null: what is sent is swallowed
  Count dropped = nullptr;  // frames that this end says it dropped, so far

  [[nodiscard]] std::uint64_t dropped_so_far() const noexcept { return dropped == nullptr ? 0 : dropped(context); }
};

/// @param port  a started port, which the caller keeps.
Endpoint endpoint_of_port(std::uint16_t port) noexcept;

}  // namespace vmbperf
