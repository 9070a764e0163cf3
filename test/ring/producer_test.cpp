// SPDX-License-Identifier: BSD-3-Clause
#include "ring/producer.hpp"

#include <span>

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::append;
using test::append_total;
using test::Bytes;
using test::counting;
using test::Ring;
using test::to_hex;

/// What one in-band packet that starts at `start` must look like, put together byte by byte.
Bytes packet_bytes(std::uint64_t id, std::span<const std::byte> payload, std::uint32_t start) {
  Bytes out;
  const auto put = [&out](std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  put(6, 2);
  put(2, 2);
  put(2 + (payload.size() + 7) / 8, 2);
  put(0, 2);
  put(id, 8);
  out.insert(out.end(), payload.begin(), payload.end());
  while (out.size() % 8 != 0) put(0, 1);
  put(0, 4);
  put(start, 4);
  return out;
}

TEST(Producer, FirstPacketStandsAtTheStart) {
  Ring ring;
  ASSERT_EQ(append(ring.producer, 7, counting(20)), Status::ok);
  EXPECT_EQ(ring.producer.publish(), Kick::yes);
  const Bytes want = packet_bytes(7, counting(20), 0);
  EXPECT_EQ(to_hex(ring.block.slice(0, want.size())), to_hex(want));
  EXPECT_EQ(ring.block.write_index(), want.size());
}

TEST(Producer, WrapsAtEveryOffsetWithEveryPadding) {
  constexpr std::uint32_t kSize = kPageSize;
  for (std::uint32_t start = kSize - 80; start < kSize; start += 8) {
    for (std::size_t payload_bytes = 0; payload_bytes <= 80; ++payload_bytes) {
      SCOPED_TRACE(testing::Message() << "start " << start << ", payload " << payload_bytes);
      Ring ring;
      ring.go_to(start);
      std::memset(ring.block.data().data(), 0xee, kSize);
      ASSERT_EQ(append(ring.producer, start, counting(payload_bytes)), Status::ok);
      (void)ring.producer.publish();
      const Bytes want = packet_bytes(start, counting(payload_bytes), start);
      ASSERT_EQ(to_hex(ring.block.slice(start, want.size())), to_hex(want));
      const auto end = (start + want.size()) % kSize;
      ASSERT_EQ(ring.block.write_index(), end);
      ASSERT_EQ(ring.block.slice(static_cast<std::uint32_t>(end), kSize - want.size()),
                Bytes(kSize - want.size(), std::byte{0xee}))
          << "nothing else was written";
    }
  }
}

TEST(Producer, PacketOfAlmostTheWholeRingWrapsAnywhere) {
  constexpr std::uint32_t kSize = kPageSize;
  for (std::uint32_t start = 0; start < kSize; start += 8) {
    Ring ring;
    ring.go_to(start);
    const Bytes payload = counting(kSize - 8 - 24 - 5);  // 5 bytes of padding
    ASSERT_EQ(append(ring.producer, 3, payload), Status::ok);
    (void)ring.producer.publish();
    const Bytes want = packet_bytes(3, payload, start);
    ASSERT_EQ(ring.block.slice(start, want.size()), want) << start;
  }
}

TEST(Producer, FillsAllButEightBytes) {
  Ring ring;
  EXPECT_EQ(ring.producer.room(), kPageSize - 8);
  EXPECT_EQ(append_total(ring.producer, kPageSize - 8), Status::ok);
  EXPECT_EQ(ring.producer.room(), 0u);
  EXPECT_EQ(append_total(ring.producer, 24), Status::full);
}

TEST(Producer, FullUntilThePeerReads) {
  Ring ring;
  for (std::uint32_t used = 0; used + 64 <= kPageSize - 8; used += 64) {
    ASSERT_EQ(append_total(ring.producer, 64), Status::ok) << used;
  }
  ASSERT_EQ(append_total(ring.producer, 64), Status::full);
  (void)ring.producer.publish();
  ASSERT_EQ(append_total(ring.producer, 64), Status::full);
  (void)ring.take();
  ASSERT_EQ(append_total(ring.producer, 64), Status::full) << "taken, but not yet given back";
  (void)ring.consumer.advance();
  EXPECT_EQ(append_total(ring.producer, 64), Status::ok);
  EXPECT_EQ(append_total(ring.producer, 64), Status::full);
}

TEST(Producer, FullChangesNothing) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, kPageSize - 64), Status::ok);
  (void)ring.producer.publish();
  const Bytes before = ring.block.slice(0, kPageSize);
  ASSERT_EQ(append_total(ring.producer, 64), Status::full);
  EXPECT_EQ(ring.producer.publish(), Kick::no);
  EXPECT_EQ(ring.block.slice(0, kPageSize), before);
  EXPECT_EQ(append_total(ring.producer, 56), Status::ok) << "a smaller one still fits";
}

TEST(Producer, SaysTooBigAtAnyFill) {
  Ring ring;
  EXPECT_EQ(append_total(ring.producer, kPageSize), Status::too_big);
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  EXPECT_EQ(append_total(ring.producer, kPageSize), Status::too_big);
  EXPECT_EQ(append_total(ring.producer, kPageSize - 8), Status::full);
}

TEST(Producer, RefusesALengthThatTheDescriptorCannotSay) {  // vmbus.md 5.1, pitfall 51
  Ring ring(1 << 20);
  EXPECT_EQ(append(ring.producer, 1, Bytes(wire::kMaxPacketBytes - 16 + 1)), Status::too_big);
  EXPECT_EQ(append(ring.producer, 1, Bytes(600'000)), Status::too_big);
  EXPECT_EQ(append(ring.producer, 1, Bytes(wire::kMaxPacketBytes - 16)), Status::ok);
}

TEST(Producer, RefusesALengthBeyond32Bits) {
  Ring ring;
  const wire::PacketDescriptor desc = test::in_band(1, 0);
  static const std::byte one{};
  for (const std::size_t bytes : {std::size_t{0xffff'fff9}, std::size_t{1} << 32, (std::size_t{1} << 32) + 8}) {
    // The span is a lie that must not be read.
    EXPECT_EQ(ring.producer.append(bytes_of(desc), std::span<const std::byte>{&one, bytes}), Status::too_big);
  }
}

TEST(Producer, ShowsNothingBeforePublish) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  EXPECT_EQ(ring.block.write_index(), 0u);
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::empty);
  (void)ring.producer.publish();
  EXPECT_EQ(ring.block.write_index(), 128u);
  EXPECT_EQ(ring.consumer.peek(packet), Status::ok);
}

TEST(Producer, RevertForgetsWhatWasNotPublished) {
  Ring ring;
  ring.go_to(kPageSize - 40);
  ASSERT_EQ(append(ring.producer, 1, counting(8)), Status::ok);
  (void)ring.producer.publish();
  ASSERT_EQ(append(ring.producer, 2, counting(100)), Status::ok);
  ASSERT_EQ(append(ring.producer, 3, counting(200)), Status::ok);
  ring.producer.revert();
  EXPECT_EQ(ring.producer.room(), kPageSize - 8 - 32);
  EXPECT_EQ(ring.producer.publish(), Kick::no);
  ASSERT_EQ(append(ring.producer, 4, counting(16)), Status::ok);
  (void)ring.producer.publish();
  EXPECT_EQ(ring.take().descriptor.transaction_id, 1u);
  EXPECT_EQ(ring.take().descriptor.transaction_id, 4u);
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::empty);
}

TEST(Producer, RevertAfterAReloadOfTheIndexKeepsTheRoomRight) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 1024), Status::ok);
  (void)ring.producer.publish();
  ASSERT_EQ(append_total(ring.producer, 2048), Status::ok);
  (void)ring.take();
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.producer.refreshed_room(), kPageSize - 8 - 2048);
  ring.producer.revert();
  EXPECT_EQ(ring.producer.room(), kPageSize - 8);
}

TEST(Producer, LooksAtTheReadIndexOnlyWhenItsCopySaysFull) {
  Ring ring;
  ring.block.set_read_index(12345);  // would be a fault, if it looked
  ASSERT_EQ(append_total(ring.producer, 2048), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 2040), Status::ok);
  EXPECT_EQ(ring.producer.fault(), Fault::none);
  EXPECT_EQ(append_total(ring.producer, 24), Status::corrupt);
}

TEST(Producer, RoomIsByTheLastIndexSeen) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 1000), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.producer.room(), kPageSize - 8 - 1000);
  EXPECT_EQ(ring.producer.refreshed_room(), kPageSize - 8);
}

// ---- a peer that writes what it must not

class BadReadIndex : public testing::TestWithParam<std::uint32_t> {};

TEST_P(BadReadIndex, KillsTheRingForGood) {
  Ring ring;
  ring.go_to(512);
  ASSERT_EQ(append_total(ring.producer, 1024), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 1024), Status::ok);
  (void)ring.producer.publish();  // [512, 2560) is there to be read
  ASSERT_EQ(ring.producer.refreshed_room(), kPageSize - 8 - 2048);
  ring.block.set_read_index(GetParam());
  EXPECT_EQ(append_total(ring.producer, 3000), Status::corrupt);
  EXPECT_EQ(ring.producer.fault(), Fault::read_index);

  ring.block.set_read_index(512);  // repentance is too late
  EXPECT_EQ(append_total(ring.producer, 24), Status::corrupt);
  EXPECT_EQ(ring.producer.refreshed_room(), 0u);
  ring.producer.revert();
  EXPECT_EQ(append_total(ring.producer, 24), Status::corrupt);
  EXPECT_EQ(ring.producer.fault(), Fault::read_index);
}

INSTANTIATE_TEST_SUITE_P(, BadReadIndex,
                         testing::Values(0u, 504u, 513u, 516u, 2568u, 4088u, 4096u, 4104u, 0x7ffffff8u, 0x80000000u,
                                         0xfffffff8u, 0xffffffffu));

TEST(Producer, TakesAnyReadIndexBetweenTheLastAndThePublished) {
  for (std::uint32_t index = 512; index <= 2560; index += 8) {
    Ring ring;
    ring.go_to(512);
    ASSERT_EQ(append_total(ring.producer, 2048), Status::ok);
    (void)ring.producer.publish();
    ring.block.set_read_index(index);
    EXPECT_EQ(ring.producer.refreshed_room(), kPageSize - 8 - 2048 + index - 512);
    EXPECT_EQ(ring.producer.fault(), Fault::none);
  }
}

TEST(Producer, ReadIndexInsideWhatWasNotPublishedIsAFault) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 1024), Status::ok);
  ring.block.set_read_index(512);
  EXPECT_EQ(append_total(ring.producer, 3072), Status::corrupt);
  EXPECT_EQ(ring.producer.fault(), Fault::read_index);
}

}  // namespace
}  // namespace vmb
