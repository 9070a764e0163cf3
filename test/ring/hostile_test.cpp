// SPDX-License-Identifier: BSD-3-Clause
// Peers that write anything anywhere they can. What must hold: no access outside the ring (AddressSanitizer sees it:
// support/ring_block.hpp), and no packet accepted that is not within what was written.
#include <array>

#include <gtest/gtest.h>

#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/random.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::Bytes;
using test::Random;

constexpr int kRounds = 100'000;
constexpr std::uint32_t kMaxPacket = 1024;

/// Mostly what could be right; else a near miss, or anything.
std::uint32_t hostile_index(Random& random) {
  switch (random.below(8)) {
    case 0: return static_cast<std::uint32_t>(random.next());
    case 1: return random.below(2 * kPageSize);
    case 2: return kPageSize - 8 + random.below(16);
    default: return random.below(kPageSize / 8) * 8;
  }
}

wire::PacketDescriptor hostile_descriptor(Random& random) {
  static constexpr std::array<std::uint16_t, 4> kTypes{6, 7, 9, 11};
  const auto any16 = [&random] { return static_cast<std::uint16_t>(random.next()); };
  const auto small = [&random](std::uint32_t bound) { return static_cast<std::uint16_t>(random.below(bound)); };
  return {static_cast<wire::PacketType>(random.one_in(16) ? any16() : kTypes[random.below(4)]),
          random.one_in(16) ? any16() : small(12), random.one_in(16) ? any16() : small(160),
          random.one_in(16) ? any16() : small(2), random.next()};
}

void scribble(const test::RingBlock& block, Random& random) {
  Bytes noise(random.below(256));
  random.fill(noise);
  block.overwrite(random.below(kPageSize), noise);
}

TEST(HostileProducer, NeverLeadsTheConsumerOutside) {
  Random random(1);
  test::RingBlock block;
  Consumer consumer{block.memory(), kMaxPacket};
  std::uint32_t at = 0;  // where the consumer stands
  std::uint64_t accepted = 0;
  std::array<std::uint64_t, 16> faults{};
  for (int round = 0; round < kRounds; ++round) {
    if (random.one_in(2)) scribble(block, random);
    block.overwrite(at, bytes_of(hostile_descriptor(random)));
    block.set_write_index(hostile_index(random));
    block.set_pending(static_cast<std::uint32_t>(random.next()));
    if (random.one_in(16)) block.set_read_index(static_cast<std::uint32_t>(random.next()));  // ours: must not matter

    PeekedPacket packet;
    const Status status = consumer.peek(packet);
    if (status == Status::ok) {
      ++accepted;
      const std::uint32_t bytes = packet.header_bytes() + packet.payload_bytes();
      ASSERT_TRUE(packet.header_bytes() >= 16 && bytes >= packet.header_bytes() && bytes <= kMaxPacket);
      Bytes copy(bytes);  // exactly as large: AddressSanitizer sees a byte too many
      consumer.copy(packet, 0, copy.data(), bytes);
      consumer.take(packet);
      at = (at + bytes + 8) % kPageSize;
      if (random.one_in(3)) (void)consumer.advance();
      if (random.one_in(3)) (void)consumer.arm();
    } else if (status == Status::corrupt) {
      ++faults[static_cast<std::size_t>(consumer.fault())];
      ASSERT_EQ(consumer.peek(packet), Status::corrupt);
      (void)consumer.advance();
      block.format();
      consumer = Consumer{block.memory(), kMaxPacket};
      at = 0;
    }
  }
  EXPECT_GT(accepted, 1'000u);
  for (const Fault fault : {Fault::write_index, Fault::truncated_packet, Fault::header_length, Fault::packet_length,
                            Fault::flags, Fault::packet_type}) {
    EXPECT_GT(faults[static_cast<std::size_t>(fault)], 0u) << to_string(fault) << " was never reached";
  }
}

TEST(HostileConsumer, NeverLeadsTheProducerOutside) {
  Random random(2);
  test::RingBlock block;
  Producer producer{block.memory()};
  std::uint32_t start = 0, end = 0;  // published and unread, as the producer may believe at most
  std::uint64_t sent = 0, faults = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (random.one_in(4)) {
      block.set_read_index(hostile_index(random));
    } else if (random.one_in(2)) {
      block.set_read_index(end);  // a good consumer's, so that the test goes on
    }
    block.set_mask(random.below(2));
    if (random.one_in(8)) scribble(block, random);
    if (random.one_in(16)) block.set_write_index(static_cast<std::uint32_t>(random.next()));  // ours: must not matter

    const Bytes payload(random.below(random.one_in(8) ? 5000 : 200));
    const Status status = test::append(producer, random.next(), payload);
    ASSERT_NE(status, Status::empty);
    if (status == Status::ok) ++sent;
    if (random.one_in(8)) producer.revert();
    if (random.one_in(2)) (void)producer.publish(), end = block.write_index();
    if (random.one_in(8)) (void)producer.wait_for(random.below(5000));
    ASSERT_LE(producer.room(), kPageSize - 8);
    if (status == Status::corrupt) {
      ++faults;
      ASSERT_EQ(producer.fault(), Fault::read_index);
      ASSERT_EQ(test::append(producer, 1, {}), Status::corrupt);
      block.format();
      producer = Producer{block.memory()};
      end = 0;
    }
  }
  EXPECT_GT(sent, 1'000u);
  EXPECT_GT(faults, 100u);
  (void)start;
}

}  // namespace
}  // namespace vmb
