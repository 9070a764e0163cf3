// SPDX-License-Identifier: BSD-3-Clause
// Who kicks whom when: vmbus.md 2.1 to 2.3.
#include <gtest/gtest.h>

#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::append_total;
using test::Ring;

TEST(RingMemory, FormatClearsAndAnnouncesPendingSendSize) {
  test::RingBlock block;
  EXPECT_EQ(block.write_index(), 0u);
  EXPECT_EQ(block.read_index(), 0u);
  EXPECT_EQ(block.mask(), 0u);
  EXPECT_EQ(block.pending(), 0u);
  EXPECT_EQ(block.memory().feature_bits().load(), wire::kFeaturePendingSendSize);
}

TEST(RingMemory, LegalSizesAreWholePages) {
  EXPECT_FALSE(RingMemory::valid_size(0));
  EXPECT_FALSE(RingMemory::valid_size(4088));
  EXPECT_TRUE(RingMemory::valid_size(4096));
  EXPECT_FALSE(RingMemory::valid_size(4104));
  EXPECT_TRUE(RingMemory::valid_size(0x1ff000));
  EXPECT_FALSE(RingMemory::valid_size(0x1'0000'1000));
}

// ---- new data

Kick send(Ring& ring, int packets = 1) {
  for (int i = 0; i < packets; ++i) EXPECT_EQ(append_total(ring.producer, 64), Status::ok);
  return ring.producer.publish();
}

TEST(Publish, KicksWhenTheRingWasEmptyAndUnmasked) {
  Ring ring;
  EXPECT_EQ(send(ring), Kick::yes);
  EXPECT_EQ(send(ring), Kick::no) << "not empty before";
  (void)ring.take();
  EXPECT_EQ(send(ring), Kick::no) << "taken, but not given back";
  (void)ring.take();
  (void)ring.take();
  (void)ring.consumer.advance();
  EXPECT_EQ(send(ring), Kick::yes);
}

TEST(Publish, KicksOnceForABatch) {
  Ring ring;
  EXPECT_EQ(send(ring, 5), Kick::yes);
  EXPECT_EQ(ring.producer.publish(), Kick::no) << "nothing new";
}

TEST(Publish, DoesNotKickWhenMasked) {
  Ring ring;
  for (const std::uint32_t mask : {1u, 2u, 0x80000000u, 0xffffffffu}) {
    ring.block.set_mask(mask);
    EXPECT_EQ(send(ring), Kick::no) << mask;
    (void)ring.take();
    (void)ring.consumer.advance();
  }
}

TEST(Publish, EmptyIsByTheIndexPublishedBefore) {
  Ring ring;
  ring.go_to(kPageSize - 32);
  EXPECT_EQ(send(ring), Kick::yes) << "also across the end";
}

TEST(Publish, DoesNotKickForAReadIndexThatIsWrong) {
  Ring ring;
  ASSERT_EQ(append_total(ring.producer, 64), Status::ok);
  ring.block.set_read_index(0xfffffff8);
  EXPECT_EQ(ring.producer.publish(), Kick::no);
}

TEST(Arm, TrueOnAnEmptyRingLeavesItUnmasked) {
  Ring ring;
  ring.consumer.disarm();
  EXPECT_EQ(ring.block.mask(), 1u);
  EXPECT_TRUE(ring.consumer.arm());
  EXPECT_EQ(ring.block.mask(), 0u);
  EXPECT_EQ(send(ring), Kick::yes);
}

TEST(Arm, FalseWhenSomethingCameMasksAgain) {
  Ring ring;
  ring.consumer.disarm();
  EXPECT_EQ(send(ring), Kick::no);
  EXPECT_FALSE(ring.consumer.arm());
  EXPECT_EQ(ring.block.mask(), 1u);
  (void)ring.take();
  (void)ring.consumer.advance();
  EXPECT_TRUE(ring.consumer.arm());
}

TEST(Arm, FalseWhenTheWriteIndexIsWrong) {
  Ring ring;
  ring.block.set_write_index(4099);
  EXPECT_FALSE(ring.consumer.arm());
  PeekedPacket packet;
  EXPECT_EQ(ring.consumer.peek(packet), Status::corrupt);
}

// ---- room

TEST(Advance, CheckVectorOfTheSpecification) {  // vmbus.md 2.3
  Ring ring(16384);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(append_total(ring.producer, 4024), Status::ok);
  (void)ring.producer.publish();
  EXPECT_FALSE(ring.producer.wait_for(8048));
  EXPECT_EQ(ring.block.pending(), 8048u);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
}

/// A ring of 4096 with `packets` of 64 bytes published.
Ring& filled(Ring& ring, int packets) {
  for (int i = 0; i < packets; ++i) EXPECT_EQ(append_total(ring.producer, 64), Status::ok);
  (void)ring.producer.publish();
  return ring;
}

TEST(Advance, KicksWhenItMakesTheRoomThatWasAskedFor) {
  Ring ring;
  filled(ring, 63);                // 64 bytes free
  ring.block.set_pending(64 + 8);  // fits at more than 72
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(Advance, RoomMustExceedWhatIsWanted) {
  Ring ring;
  filled(ring, 63);
  ring.block.set_pending(128);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::no) << "128 free, and a packet of 128 needs more";
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::no) << "the crossing is past";
}

TEST(Advance, OneKickForABatchThatCrosses) {
  Ring ring;
  filled(ring, 63);
  ring.block.set_pending(256);
  for (int i = 0; i < 10; ++i) (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
  EXPECT_EQ(ring.consumer.advance(), Kick::no) << "nothing new was given back";
}

TEST(Advance, KicksWhenARingIsDrainedCompletely) {  // pitfall 15
  Ring ring;
  filled(ring, 63);
  ring.block.set_pending(4088);
  for (int i = 0; i < 63; ++i) (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(Advance, SizeLessOneMeansTellMeWhenEmpty) {  // pitfall 9
  Ring ring;
  filled(ring, 2);
  ring.block.set_pending(4095);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(Advance, WhatCanNeverFitNeverKicks) {
  for (const std::uint32_t pending : {4096u, 5000u, 0x80000000u, 0xffffffffu, 1u, 7u}) {
    Ring ring;
    filled(ring, 2);
    ring.block.set_pending(pending);
    (void)ring.take();
    EXPECT_EQ(ring.consumer.advance(), Kick::no) << pending;
    (void)ring.take();
    EXPECT_EQ(ring.consumer.advance(), Kick::no) << pending;
  }
}

TEST(Advance, DoesNotAskTheInterruptMask) {  // vmbus.md 2.3: the mask is about data
  Ring ring;
  ring.consumer.disarm();
  filled(ring, 63);
  ring.block.set_pending(72);
  (void)ring.take();
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(Advance, WrongWriteIndexDoesNotKick) {
  Ring ring;
  filled(ring, 63);
  ring.block.set_pending(72);
  (void)ring.take();
  ring.block.set_write_index(0xfffffff1);
  EXPECT_EQ(ring.consumer.advance(), Kick::no);
}

TEST(Advance, ErrsTowardsKickingWhenTheProducerRanAhead) {  // vmbus.md 2.3, batch note
  Ring ring;
  filled(ring, 63);
  for (int i = 0; i < 63; ++i) (void)ring.take();
  // Between our store of read_index and our look at the rest, the producer used the new room and asks for more.
  ring.block.set_write_index((63 * 64 + 3000) % kPageSize);
  ring.block.set_pending(1000);
  EXPECT_EQ(ring.consumer.advance(), Kick::yes);
}

TEST(Advance, EveryFillAndWishAgreesWithTheRule) {
  constexpr std::uint32_t kPackets = 63;
  for (std::uint32_t wanted = 0; wanted <= 4096; wanted += 24) {
    for (std::uint32_t batch = 1; batch <= kPackets; batch += 7) {
      Ring ring;
      filled(ring, kPackets);
      ring.block.set_pending(wanted);
      std::uint32_t free = kPageSize - kPackets * 64;
      for (std::uint32_t left = kPackets; left >= batch; left -= batch) {
        for (std::uint32_t i = 0; i < batch; ++i) (void)ring.take();
        const std::uint32_t before = std::exchange(free, free + batch * 64);
        const bool crossed = wanted != 0 && before <= wanted && free > wanted;
        ASSERT_EQ(ring.consumer.advance() == Kick::yes, crossed) << wanted << " " << batch << " " << free;
      }
    }
  }
}

// ---- a producer that waits

TEST(WaitFor, RoomThatIsThereAlreadyNeedsNoWaiting) {
  Ring ring;
  filled(ring, 63);
  (void)ring.take();
  (void)ring.consumer.advance();
  EXPECT_TRUE(ring.producer.wait_for(64));
  EXPECT_EQ(ring.block.pending(), 0u);
  EXPECT_EQ(append_total(ring.producer, 64), Status::ok);
}

TEST(WaitFor, AsksAndIsKickedExactlyWhenThePacketFits) {
  for (std::uint32_t total = 24; total <= 4088; total += 8) {
    Ring ring;
    filled(ring, 63);
    if (append_total(ring.producer, total) == Status::ok) continue;
    ASSERT_FALSE(ring.producer.wait_for(total));
    Kick kick = Kick::no;
    while (kick == Kick::no && ring.block.read_index() != ring.block.write_index()) {
      ASSERT_EQ(append_total(ring.producer, total), Status::full) << "no kick, no room";
      (void)ring.take();
      kick = ring.consumer.advance();
    }
    ASSERT_EQ(kick, Kick::yes) << total;
    ASSERT_EQ(append_total(ring.producer, total), Status::ok) << total;
  }
}

TEST(WaitFor, DoesNotSendToSleepOnADeadRing) {
  Ring ring;
  filled(ring, 63);
  ring.block.set_read_index(3);
  EXPECT_TRUE(ring.producer.wait_for(64)) << "append() will tell why";
  EXPECT_EQ(append_total(ring.producer, 64), Status::corrupt);
  EXPECT_TRUE(ring.producer.wait_for(64));
  EXPECT_EQ(ring.block.pending(), 0u);
}

}  // namespace
}  // namespace vmb
