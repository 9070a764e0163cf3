// SPDX-License-Identifier: BSD-3-Clause
// Packets written and read where they lie, and room that is given back late.
#include <algorithm>

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

constexpr std::uint32_t kDescriptor = sizeof(wire::PacketDescriptor);

std::size_t room_in_place(Producer& producer) {
  (void)producer.refreshed_room();
  return producer.reserve(kDescriptor).size();
}

void write_in_place(Producer& producer, std::uint64_t id, const Bytes& payload) {
  const std::span<std::byte> room = producer.reserve(kDescriptor);
  ASSERT_GE(room.size(), payload.size());
  std::ranges::copy(payload, room.begin());
  const wire::PacketDescriptor desc = test::in_band(id, payload.size());
  producer.commit(std::span<const std::byte, kDescriptor>{bytes_of(desc)}, static_cast<std::uint32_t>(payload.size()));
}

TEST(ProducerInPlace, WritesThePacketThatAppendWrites) {
  for (std::uint32_t start = 0; start <= kPageSize - 96; start += 8) {
    Ring appended, written;
    appended.go_to(start);
    written.go_to(start);
    (void)written.producer.refreshed_room();
    (void)appended.producer.refreshed_room();
    ASSERT_EQ(append(appended.producer, 9, counting(72)), Status::ok);
    write_in_place(written.producer, 9, counting(72));
    (void)appended.producer.publish();
    (void)written.producer.publish();
    ASSERT_EQ(written.block.write_index(), appended.block.write_index());
    ASSERT_EQ(to_hex(written.block.slice(start, 96)), to_hex(appended.block.slice(start, 96))) << start;
    ASSERT_EQ(written.producer.room(), appended.producer.room());
  }
}

TEST(ProducerInPlace, HasTheRoomThatIsFreeBeforeTheEnd) {
  Ring ring;
  EXPECT_EQ(room_in_place(ring.producer), kPageSize - 8 - 24);  // one word stays free
  ring.go_to(1024);
  EXPECT_EQ(room_in_place(ring.producer), kPageSize - 1024 - 24);
  ring.go_to(kPageSize - 32);
  EXPECT_EQ(room_in_place(ring.producer), 8u);
  ring.go_to(kPageSize - 24);
  EXPECT_EQ(room_in_place(ring.producer), 0u);
}

TEST(ProducerInPlace, HasNoRoomThatIsNotRead) {
  Ring ring;
  ring.go_to(2048);
  ASSERT_EQ(append_total(ring.producer, 3072), Status::ok);  // [2048, 1024): 1024 bytes are left
  EXPECT_EQ(room_in_place(ring.producer), 1024u - 8 - 24);
}

TEST(ConsumerInPlace, ReadsWhereItLiesButNotAcrossTheEnd) {
  Ring ring;
  ring.go_to(kPageSize - 64);
  ASSERT_EQ(append(ring.producer, 1, counting(80)), Status::ok);
  (void)ring.producer.publish();
  PeekedPacket packet;
  ASSERT_EQ(ring.consumer.peek(packet), Status::ok);
  EXPECT_EQ(ring.consumer.in_place(packet, 16, 48), ring.block.data().data() + kPageSize - 48);
  EXPECT_EQ(ring.consumer.in_place(packet, 16, 49), nullptr);
  EXPECT_EQ(ring.consumer.in_place(packet, 64, 32), ring.block.data().data());
}

TEST(ConsumerInPlace, GivesBackNothingBehindItsLimit) {
  Ring ring;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  const PeekedPacket second = ring.take();
  (void)ring.take();
  ring.consumer.give_back_only_to(second.at);
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.block.read_index(), 64u);
  ring.consumer.give_back_only_to(ring.consumer.end_of(second));
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.block.read_index(), 128u);
  ring.consumer.give_back_all();
  (void)ring.consumer.advance();
  EXPECT_EQ(ring.block.read_index(), 192u);
}

TEST(ConsumerInPlace, KicksForTheRoomThatItGivesBackNotForWhatItHasTaken) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 2000), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 2000), Status::ok);
  (void)ring.producer.publish();
  ring.block.set_pending(1000);
  const PeekedPacket first = ring.take();
  (void)ring.take();
  ring.consumer.give_back_only_to(first.at);
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
  ring.consumer.give_back_only_to(ring.consumer.end_of(first));
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(ConsumerLate, PutsOffWhatIsNotWorthItButNotForEver) {
  Ring ring;
  ring.pass(64);
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  ASSERT_EQ(append_total(ring.producer, 448), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  ring.consumer.advance_for_poller(512);
  EXPECT_EQ(ring.block.read_index(), 64u);
  (void)ring.take();
  ring.consumer.advance_for_poller(512);
  EXPECT_EQ(ring.block.read_index(), 576u) << "512 bytes are";

  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  (void)ring.take();
  int calls = 0;
  for (; ring.block.read_index() == 576 && calls < 1000; ++calls) ring.consumer.advance_for_poller(512);
  EXPECT_GT(calls, 8);
  EXPECT_EQ(ring.block.read_index(), 640u);
}

}  // namespace
}  // namespace vmb
