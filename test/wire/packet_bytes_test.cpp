// SPDX-License-Identifier: BSD-3-Clause
// Whole packets as a Sender leaves them in a ring, against bytes written by hand from vmbus.md 1.5 and 3.
#include <array>
#include <string_view>

#include <gtest/gtest.h>

#include "channel/channel.hpp"
#include "channel/gpa_list.hpp"
#include "support/channel_pair.hpp"
#include "support/hex.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::ChannelPair;
using test::counting;
using test::hex;
using test::to_hex;

using View = std::span<const std::byte>;

/// The ring's bytes from 0 on are exactly these, and nothing behind them was published.
testing::AssertionResult holds(const test::RingBlock& ring, std::string_view digits) {
  const auto want = hex(digits);
  if (ring.write_index() != want.size()) {
    return testing::AssertionFailure() << "write_index " << ring.write_index() << ", not " << want.size();
  }
  const auto got = ring.slice(0, want.size());
  if (got == want) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\n  got  " << to_hex(got) << "\n  want " << to_hex(want);
}

TEST(PacketBytes, ExampleOfTheSpecificationThatWraps) {  // vmbus.md 1.5
  test::Ring ring;
  ring.go_to(0xff0);
  ASSERT_EQ(test::append(ring.producer, 0x1122334455667788, counting(12), 1), Status::ok);
  EXPECT_EQ(ring.producer.publish(), Kick::yes);
  EXPECT_EQ(to_hex(ring.block.slice(0xff0, 16)), to_hex(hex("06 00 02 00 04 00 01 00 88 77 66 55 44 33 22 11")));
  EXPECT_EQ(to_hex(ring.block.slice(0, 24)),
            to_hex(hex("01 02 03 04 05 06 07 08 | 09 0a 0b 0c 00 00 00 00 | 00 00 00 00 f0 0f 00 00")));
  EXPECT_EQ(ring.block.write_index(), 0x018u);
}

TEST(PacketBytes, InBand) {
  ChannelPair pair;
  ASSERT_EQ(Channel::Sender(pair.guest).in_band(TransactionId{0x0102}, true, View{counting(3)}), Status::ok);
  EXPECT_TRUE(holds(pair.to_host,
                    "0600 0200 0300 0100 0201000000000000"
                    "010203 0000000000"
                    "00000000 00000000"));
}

TEST(PacketBytes, TrailerIsThePacketsOwnStart) {
  ChannelPair pair;
  {
    Channel::Sender sender(pair.guest);
    ASSERT_EQ(sender.in_band(TransactionId::none, false, View{counting(8)}), Status::ok);
    ASSERT_EQ(sender.in_band(TransactionId::none, false, View{}), Status::ok);
  }
  EXPECT_TRUE(holds(pair.to_host,
                    "0600 0200 0300 0000 0000000000000000 0102030405060708 00000000 00000000"
                    "0600 0200 0200 0000 0000000000000000 00000000 20000000"));
}

TEST(PacketBytes, EmptyCompletion) {
  ChannelPair pair;
  ASSERT_EQ(Channel::Sender(pair.host).completion(TransactionId{0xfedcba9876543210}, View{}), Status::ok);
  EXPECT_TRUE(holds(pair.to_guest, "0b00 0200 0200 0000 1032547698badcfe 00000000 00000000"));
}

TEST(PacketBytes, CompletionWithStatus) {
  ChannelPair pair;
  ASSERT_EQ(Channel::Sender(pair.guest).completion(TransactionId{1}, View{hex("6c000000 01000000")}), Status::ok);
  EXPECT_TRUE(holds(pair.to_host, "0b00 0200 0300 0000 0100000000000000 6c000000 01000000 00000000 00000000"));
}

TEST(PacketBytes, TransferPagesOfTwoRanges) {
  ChannelPair pair;
  const std::array<wire::TransferRange, 2> ranges{{{0x68, 0}, {0x616, 0x6a8}}};
  ASSERT_EQ(Channel::Sender(pair.host).transfer_pages(TransactionId{9}, 0xcafe, ranges, View{hex("6b000000 00000000")}),
            Status::ok);
  EXPECT_TRUE(holds(pair.to_guest,
                    "0700 0500 0600 0100 0900000000000000"
                    "feca 0000 02000000"
                    "68000000 00000000"
                    "16060000 a8060000"
                    "6b000000 00000000"
                    "00000000 00000000"));
}

TEST(PacketBytes, GpaDirectOfOnePage) {
  ChannelPair pair;
  GpaList list;
  ASSERT_TRUE(list.add(Gpa{0x123456780}, 0x80));
  ASSERT_EQ(Channel::Sender(pair.guest).gpa_direct(TransactionId{5}, list.count(), list.bytes(), View{counting(40)}),
            Status::ok);
  EXPECT_TRUE(holds(pair.to_host,
                    "0900 0500 0a00 0100 0500000000000000"
                    "00000000 01000000"
                    "80000000 80070000 5634120000000000"
                    "0102030405060708 090a0b0c0d0e0f10 1112131415161718 191a1b1c1d1e1f20 2122232425262728"
                    "00000000 00000000"));
}

TEST(PacketBytes, GpaRangeThatCrossesAPageStaysOneRange) {
  ChannelPair pair;
  GpaList list;
  ASSERT_TRUE(list.add(Gpa{0x7ffffff8}, 0x10));    // 8 bytes in one page, 8 in the next
  ASSERT_TRUE(list.add(Gpa{0x80001000}, 0x2001));  // 2 pages and a byte
  ASSERT_EQ(Channel::Sender(pair.guest).gpa_direct(TransactionId{6}, list.count(), list.bytes(), View{}), Status::ok);
  EXPECT_TRUE(holds(pair.to_host,
                    "0900 0a00 0a00 0100 0600000000000000"
                    "00000000 02000000"
                    "10000000 f80f0000 ffff070000000000 0000080000000000"
                    "01200000 00000000 0100080000000000 0200080000000000 0300080000000000"
                    "00000000 00000000"));
}

TEST(PacketBytes, ExactlyOnePageIsOnePageNumber) {
  GpaList list;
  ASSERT_TRUE(list.add(Gpa{0x5000}, 0x1000));
  EXPECT_EQ(to_hex(list.bytes()), to_hex(hex("00100000 00000000 0500000000000000")));
}

}  // namespace
}  // namespace vmb
