// SPDX-License-Identifier: BSD-3-Clause
// Two ends of one channel over two rings from malloc, with doorbells that count.
#pragma once

#include <cstdint>

#include "channel/channel.hpp"
#include "support/ring_block.hpp"

namespace vmb::test {

struct CountingBell {
  std::uint32_t rung{};

  Doorbell bell() {
    return {[](void* self) noexcept { ++static_cast<CountingBell*>(self)->rung; }, this};
  }
};

struct ChannelPair {
  explicit ChannelPair(std::uint32_t data_bytes = kPageSize, std::uint32_t max_packet_bytes = wire::kMaxPacketBytes)
      : to_host(data_bytes), to_guest(data_bytes) {
    guest.open({to_host.memory(), to_guest.memory(), at_host.bell(), max_packet_bytes});
    host.open({to_guest.memory(), to_host.memory(), at_guest.bell(), max_packet_bytes});
  }

  RingBlock to_host, to_guest;
  CountingBell at_host, at_guest;  // rung by the guest, by the host
  Channel guest, host;
};

}  // namespace vmb::test
