// SPDX-License-Identifier: BSD-3-Clause
// What ring tests do again and again: packets of a given size, and rings whose indices stand at a given offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "base/bits.hpp"
#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/ring_block.hpp"
#include "wire/packet.hpp"

namespace vmb {
inline void PrintTo(Fault fault, std::ostream* out) { *out << to_string(fault); }  // for GoogleTest
}  // namespace vmb

namespace vmb::test {

using Bytes = std::vector<std::byte>;

/// 1, 2, 3, ...: no byte is 0 in the first 255.
inline Bytes counting(std::size_t bytes) {
  Bytes out(bytes);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i % 255 + 1);
  return out;
}

inline wire::PacketDescriptor in_band(std::uint64_t id, std::size_t payload_bytes, std::uint16_t flags = 0) {
  return {wire::PacketType::in_band, 2, static_cast<std::uint16_t>(2 + (payload_bytes + 7) / 8), flags, id};
}

/// One in-band packet; not published.
inline Status append(Producer& producer, std::uint64_t id, std::span<const std::byte> payload,
                     std::uint16_t flags = 0) {
  const wire::PacketDescriptor desc = in_band(id, payload.size(), flags);
  return producer.append(bytes_of(desc), payload);
}

/// The payload that makes an in-band packet take `total` bytes of the ring.
constexpr std::size_t payload_for(std::uint32_t total) { return total - 24; }

/// One in-band packet of `total` ring bytes, `total` a multiple of 8 and >= 24.
inline Status append_total(Producer& producer, std::uint32_t total, std::uint64_t id = 1) {
  return append(producer, id, counting(payload_for(total)));
}

/// A ring with both its ends.
struct Ring {
  explicit Ring(std::uint32_t data_bytes = kPageSize, std::uint32_t max_packet_bytes = wire::kMaxPacketBytes)
      : block(data_bytes), producer(block.memory()), consumer(block.memory(), max_packet_bytes) {}

  /// Send and take packets until the ring is empty with both indices at `offset`.
  void go_to(std::uint32_t offset) {
    const std::uint32_t size = block.memory().size();
    if (offset == block.write_index()) return;
    std::uint32_t way = (offset + size - block.write_index()) % size;
    if (way < 24) {  // less than a packet: go round
      pass(size / 2);
      way += size - size / 2;
    }
    if (way > size - 8) {
      pass(24);
      way -= 24;
    }
    pass(way);
    ASSERT_EQ(block.write_index(), offset);
    ASSERT_EQ(block.read_index(), offset);
  }

  /// One packet of `total` ring bytes through the ring.
  void pass(std::uint32_t total) {
    ASSERT_EQ(append_total(producer, total), Status::ok);
    (void)producer.publish();
    PeekedPacket packet{};
    ASSERT_EQ(consumer.peek(packet), Status::ok);
    consumer.take(packet);
    (void)consumer.advance();
  }

  /// Take one packet, without giving its room back.
  PeekedPacket take() {
    PeekedPacket packet{};
    EXPECT_EQ(consumer.peek(packet), Status::ok);
    consumer.take(packet);
    return packet;
  }

  RingBlock block;
  Producer producer;
  Consumer consumer;
};

}  // namespace vmb::test
