// SPDX-License-Identifier: BSD-3-Clause
#include "ring/consumer.hpp"

#include <gtest/gtest.h>

#include "support/rings.hpp"

namespace vmb {
namespace {

using test::append;
using test::append_total;
using test::Bytes;
using test::counting;
using test::Ring;

TEST(Consumer, EmptyRingIsEmpty) {
  Ring ring;
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::empty);
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
}

TEST(Consumer, PeekTwiceSeesTheSamePacket) {
  Ring ring;
  ASSERT_EQ(append(ring.producer, 9, counting(11), 1), Status::ok);
  (void)ring.producer.publish();
  for (int i = 0; i < 2; ++i) {
    PeekedPacket packet;
    ASSERT_EQ(ring.consumer.peek(packet), Status::ok);
    EXPECT_EQ(packet.descriptor.transaction_id, 9u);
    EXPECT_EQ(packet.header_bytes(), 16u);
    EXPECT_EQ(packet.payload_bytes(), 16u);
    EXPECT_TRUE(packet.wants_completion());
  }
}

TEST(Consumer, CopiesOutAcrossTheEndFromEveryOffset) {
  for (std::uint32_t start = kPageSize - 80; start < kPageSize; start += 8) {
    Ring ring;
    ring.go_to(start);
    const Bytes payload = counting(48);
    ASSERT_EQ(append(ring.producer, start, payload), Status::ok);
    (void)ring.producer.publish();
    PeekedPacket packet;
    ASSERT_EQ(ring.consumer.peek(packet), Status::ok);
    ASSERT_EQ(packet.descriptor.transaction_id, start) << "a descriptor can straddle the end";
    for (std::uint32_t from = 0; from < payload.size(); ++from) {
      Bytes got(payload.size() - from);
      ring.consumer.copy(packet, packet.header_bytes() + from, got.data(), static_cast<std::uint32_t>(got.size()));
      ASSERT_EQ(got, Bytes(payload.begin() + from, payload.end())) << start << " " << from;
    }
    ring.consumer.take(packet);
    (void)ring.consumer.advance();
    ASSERT_EQ(ring.block.read_index(), ring.block.write_index());
  }
}

TEST(Consumer, GivesRoomBackAtAdvanceOnly) {
  Ring ring;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  (void)ring.take();
  EXPECT_EQ(ring.block.read_index(), 0u);
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.block.read_index(), 128u);
}

TEST(Consumer, LooksAtTheWriteIndexOnlyWhenItsCopySaysEmpty) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  ring.block.set_write_index(4097);  // would be a fault, if it looked
  (void)ring.take();
  EXPECT_EQ(ring.consumer.fault(), Fault::none);
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::corrupt);
  EXPECT_EQ(ring.consumer.fault(), Fault::write_index);
}

// ---- a peer that writes what it must not: vmbus.md 5.2

/// A peer that wrote `descriptor` at 512 and `bytes` in all.
struct Written {
  Written(wire::PacketDescriptor descriptor, std::uint32_t bytes, std::uint32_t max_packet_bytes = 1024)
      : ring(kPageSize, max_packet_bytes) {
    ring.go_to(512);
    ring.block.overwrite(512, bytes_of(descriptor));
    ring.block.set_write_index((512 + bytes) % kPageSize);
  }

  /// Peeks until the fault shows, then shows that it stays whatever the peer does.
  Fault fault() {
    PeekedPacket packet;
    if (ring.consumer.peek(packet) != Status::corrupt) return Fault::none;
    const Fault found = ring.consumer.fault();
    ring.block.overwrite(512, bytes_of(test::in_band(1, 8)));
    ring.block.set_write_index(512 + 32);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ring.consumer.peek(packet), Status::corrupt);
    EXPECT_EQ(ring.consumer.advance(), Kick::no);
    EXPECT_EQ(ring.block.read_index(), 512u);
    EXPECT_FALSE(ring.consumer.arm()) << "a dead ring must not be slept on";
    EXPECT_EQ(ring.consumer.fail(Fault::range_count), Status::corrupt);
    EXPECT_EQ(ring.consumer.fault(), found) << "the first fault stays";
    return found;
  }

  Ring ring;
};

using wire::PacketDescriptor;
using wire::PacketType;

TEST(ConsumerFault, GoodPacketIsNone) {
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 3, 1, 1}, 32).fault(), Fault::none);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::completion, 2, 2, 0, 1}, 24).fault(), Fault::none);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::transfer_pages, 3, 3, 1, 1}, 32).fault(), Fault::none);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::gpa_direct, 3, 3, 1, 1}, 32).fault(), Fault::none);
}

class BadWriteIndex : public testing::TestWithParam<std::uint32_t> {};

TEST_P(BadWriteIndex, IsAFault) {
  Written peer(test::in_band(1, 8), 32);
  peer.ring.block.set_write_index(GetParam());
  EXPECT_EQ(peer.fault(), Fault::write_index);
}

INSTANTIATE_TEST_SUITE_P(, BadWriteIndex,
                         testing::Values(1u, 516u, 545u, 4095u, 4096u, 4104u, 0x80000000u, 0xfffffff8u, 0xffffffffu));

TEST(ConsumerFault, WriteIndexInsideWhatWasTakenButNotGivenBack) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 1024), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  ring.block.set_write_index(512);  // the producer cannot have gone past read_index
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::corrupt);
  EXPECT_EQ(ring.consumer.fault(), Fault::write_index);
}

TEST(ConsumerFault, LessThanADescriptorAndATrailer) {
  for (const std::uint32_t bytes : {8u, 16u}) {
    EXPECT_EQ(Written(PacketDescriptor{PacketType::completion, 2, 2, 0, 1}, bytes).fault(), Fault::truncated_packet);
  }
}

TEST(ConsumerFault, LengthBeyondWhatWasWritten) {
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 4, 0, 1}, 32).fault(), Fault::truncated_packet)
      << "the trailer counts";
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 4, 0, 1}, 40).fault(), Fault::none);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 0xffff, 0, 1}, 4088, wire::kMaxPacketBytes).fault(),
            Fault::truncated_packet);
}

TEST(ConsumerFault, HeaderShorterThanItsType) {
  for (const std::uint16_t offset8 : {std::uint16_t{0}, std::uint16_t{1}}) {
    EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, offset8, 4, 0, 1}, 64).fault(), Fault::header_length);
    EXPECT_EQ(Written(PacketDescriptor{PacketType::completion, offset8, 4, 0, 1}, 64).fault(), Fault::header_length);
  }
  for (const std::uint16_t offset8 : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}}) {
    EXPECT_EQ(Written(PacketDescriptor{PacketType::transfer_pages, offset8, 4, 1, 1}, 64).fault(),
              Fault::header_length);
    EXPECT_EQ(Written(PacketDescriptor{PacketType::gpa_direct, offset8, 4, 1, 1}, 64).fault(), Fault::header_length);
  }
}

TEST(ConsumerFault, HeaderLongerThanItsPacket) {
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 4, 3, 0, 1}, 64).fault(), Fault::header_length);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 0xffff, 3, 0, 1}, 64).fault(), Fault::header_length);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 0, 0, 1}, 64).fault(), Fault::header_length);
}

TEST(ConsumerFault, PacketLongerThanThisEndTakes) {
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 128, 0, 1}, 2048, 1024).fault(), Fault::none);
  EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 129, 0, 1}, 2048, 1024).fault(), Fault::packet_length);
}

TEST(ConsumerFault, AnyFlagButCompletionRequested) {
  for (unsigned bit = 1; bit < 16; ++bit) {
    const auto flags = static_cast<std::uint16_t>(1u << bit | 1u);
    EXPECT_EQ(Written(PacketDescriptor{PacketType::in_band, 2, 3, flags, 1}, 32).fault(), Fault::flags) << bit;
  }
}

TEST(ConsumerFault, AnyTypeButTheFour) {
  for (const unsigned type : {0u, 1u, 2u, 3u, 4u, 5u, 8u, 0xau, 0xcu, 0xdu, 0x106u, 0x8006u, 0xffffu}) {
    EXPECT_EQ(Written(PacketDescriptor{static_cast<PacketType>(type), 2, 3, 0, 1}, 32).fault(), Fault::packet_type)
        << type;
  }
}

TEST(ConsumerFault, FoundByTheOwnerStopsTheRing) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  EXPECT_EQ(ring.consumer.fail(Fault::range_outside), Status::corrupt);
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::corrupt) << "though there is one, well formed";
  EXPECT_EQ(ring.consumer.fault(), Fault::range_outside);
}

TEST(Fault, EachHasAName) {
  for (int fault = 0; fault <= static_cast<int>(Fault::unknown_completion); ++fault) {
    EXPECT_NE(to_string(static_cast<Fault>(fault)), "unknown") << fault;
  }
}

}  // namespace
}  // namespace vmb
