// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint.hpp"

#include <rte_ethdev.h>

namespace vmbperf {
namespace {

std::uint16_t port_of(void* context) noexcept {
  return static_cast<std::uint16_t>(reinterpret_cast<std::uintptr_t>(context));
}

std::uint16_t tx(void* context, std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
  return rte_eth_tx_burst(port_of(context), queue, frames, count);
}

std::uint16_t rx(void* context, std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
  return rte_eth_rx_burst(port_of(context), queue, frames, count);
}

std::uint64_t dropped(void* context) noexcept {
  rte_eth_stats stats{};
  (void)rte_eth_stats_get(port_of(context), &stats);
  return stats.imissed + stats.rx_nombuf;
}

}  // namespace

Endpoint endpoint_of_port(std::uint16_t port) noexcept {
  return {
      .context = reinterpret_cast<void*>(static_cast<std::uintptr_t>(port)), .tx = tx, .rx = rx, .dropped = dropped};
}

}  // namespace vmbperf
