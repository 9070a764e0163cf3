// SPDX-License-Identifier: BSD-3-Clause
// What a Receiver says of a peer's transfer ranges and GPA lists: each way to be wrong, each fault by its name.
#include <array>
#include <string_view>

#include <gtest/gtest.h>

#include "channel/channel.hpp"
#include "channel/gpa_list.hpp"
#include "support/channel_pair.hpp"
#include "support/hex.hpp"
#include "support/random.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::Bytes;
using test::ChannelPair;
using test::hex;
using test::Random;
using test::to_hex;

using View = std::span<const std::byte>;

/// A host end that writes `packet` (without its trailer), and the guest's view of it.
class Peer {
 public:
  explicit Peer(const Bytes& packet) {
    pair_.to_guest.overwrite(0, packet);
    pair_.to_guest.set_write_index(static_cast<std::uint32_t>(packet.size() + 8));
  }
  explicit Peer(std::string_view digits) : Peer(hex(digits)) {}

  /// How many ranges a guest takes whose receive buffer has 0x10000 bytes and whose packets have 4 ranges at most.
  std::uint32_t transfer_ranges() {
    Channel::Receiver receiver(pair_.guest);
    PeekedPacket packet;
    if (receiver.peek(packet) != Status::ok) return 0;
    const std::uint32_t count = receiver.transfer_ranges(packet, 0xcafe, 0x10000, ranges);
    fault = receiver.fault();
    EXPECT_EQ(receiver.peek(packet) == Status::corrupt, fault != Fault::none) << "a fault kills the channel";
    return count;
  }

  std::uint32_t gpa_extension() {
    Channel::Receiver receiver(pair_.guest);
    PeekedPacket packet;
    if (receiver.peek(packet) != Status::ok) return 0;
    const std::uint32_t bytes = receiver.gpa_extension(packet, extension, range_count);
    fault = receiver.fault();
    EXPECT_EQ(receiver.peek(packet) == Status::corrupt, fault != Fault::none);
    return bytes;
  }

  std::array<wire::TransferRange, 4> ranges{};
  std::array<std::byte, 64> extension{};
  std::uint32_t range_count{};
  Fault fault{};

 private:
  ChannelPair pair_;
};

Fault transfer_fault(std::string_view digits) {
  Peer peer(digits);
  EXPECT_EQ(peer.transfer_ranges(), 0u);
  return peer.fault;
}

TEST(TransferRanges, AreCopiedOut) {
  Peer peer(
      "0700 0500 0500 0100 0100000000000000 feca 5a5a 02000000"  // the reserved bytes may be anything
      "ea050000 00000000 00000100 00000000");                    // the second is the whole buffer
  ASSERT_EQ(peer.transfer_ranges(), 2u);
  EXPECT_EQ(peer.fault, Fault::none);
  EXPECT_EQ(peer.ranges[0].byte_count, 0x5eau);
  EXPECT_EQ(peer.ranges[1].byte_count, 0x10000u);
}

TEST(TransferRanges, FewerThanTheHeaderHoldsIsFine) {
  Peer peer("0700 0500 0500 0100 0100000000000000 feca 0000 01000000 01000000 02000000 ffffffff ffffffff");
  EXPECT_EQ(peer.transfer_ranges(), 1u);
}

TEST(TransferRanges, OtherSetIsAFault) {
  EXPECT_EQ(transfer_fault("0700 0400 0400 0100 0100000000000000 fdca 0000 01000000 01000000 02000000"),
            Fault::transfer_set);
}

TEST(TransferRanges, NoneIsAFault) {
  EXPECT_EQ(transfer_fault("0700 0400 0400 0100 0100000000000000 feca 0000 00000000 01000000 02000000"),
            Fault::range_count);
}

TEST(TransferRanges, MoreThanTheHeaderHoldsIsAFault) {
  EXPECT_EQ(transfer_fault("0700 0300 0400 0100 0100000000000000 feca 0000 01000000 01000000 02000000"),
            Fault::range_count)
      << "it stands in the payload";
  EXPECT_EQ(transfer_fault("0700 0400 0400 0100 0100000000000000 feca 0000 02000000 01000000 02000000"),
            Fault::range_count);
  EXPECT_EQ(transfer_fault("0700 0400 0400 0100 0100000000000000 feca 0000 01000020 01000000 02000000"),
            Fault::range_count)
      << "0x20000001 * 8 has its low 32 bits right";
}

TEST(TransferRanges, MoreThanThisEndTakesIsAFault) {
  EXPECT_EQ(transfer_fault("0700 0800 0800 0100 0100000000000000 feca 0000 05000000"
                           "01000000 02000000 01000000 02000000 01000000 02000000 01000000 02000000 01000000 02000000"),
            Fault::range_count);
}

TEST(TransferRanges, OutsideTheBufferIsAFault) {
  for (const std::string_view range : {
           "01000000 00000100",  // starts at its end
           "01000100 00000000",  // one byte too many
           "00800000 01800000",  // ends one byte behind
           "ffffffff 01000000",  // the sum is 0 in 32 bits
           "01000000 ffffffff",
           "00000000 01000100",  // empty, and outside still
       }) {
    Bytes packet = hex("0700 0500 0500 0100 0100000000000000 feca 0000 02000000 01000000 02000000");
    const Bytes bad = hex(range);
    packet.insert(packet.end(), bad.begin(), bad.end());
    Peer peer(packet);
    EXPECT_EQ(peer.transfer_ranges(), 0u) << range;
    EXPECT_EQ(peer.fault, Fault::range_outside) << range;
  }
}

// ---- GPA direct

Fault gpa_fault(std::string_view digits) {
  Peer peer(digits);
  EXPECT_EQ(peer.gpa_extension(), 0u);
  return peer.fault;
}

TEST(GpaExtension, IsCopiedOut) {
  Peer peer(
      "0900 0500 0600 0100 0100000000000000 5a5a5a5a 01000000 80000000 80070000 5634120000000000 0102030405060708");
  ASSERT_EQ(peer.gpa_extension(), 16u);
  EXPECT_EQ(peer.fault, Fault::none);
  EXPECT_EQ(peer.range_count, 1u);
  EXPECT_EQ(to_hex(View{peer.extension}.first(16)), to_hex(hex("80000000 80070000 5634120000000000")));
}

TEST(GpaExtension, OfNoRangesIsAFault) {
  EXPECT_EQ(gpa_fault("0900 0500 0500 0100 0100000000000000 00000000 00000000 80000000 80070000 5634120000000000"),
            Fault::range_count);
}

TEST(GpaExtension, TooShortForOneRangeIsAFault) {
  EXPECT_EQ(gpa_fault("0900 0300 0500 0100 0100000000000000 00000000 01000000 80000000 80070000 5634120000000000"),
            Fault::range_count);
  EXPECT_EQ(gpa_fault("0900 0400 0500 0100 0100000000000000 00000000 01000000 80000000 80070000 5634120000000000"),
            Fault::range_count);
}

TEST(GpaExtension, MoreRangesThanTheHeaderHoldsIsAFault) {
  EXPECT_EQ(gpa_fault("0900 0500 0500 0100 0100000000000000 00000000 02000000 80000000 80070000 5634120000000000"),
            Fault::range_count);
  EXPECT_EQ(gpa_fault("0900 0500 0500 0100 0100000000000000 00000000 ffffffff 80000000 80070000 5634120000000000"),
            Fault::range_count);
}

TEST(GpaExtension, LargerThanTheRoomIsAFault) {
  Bytes packet = hex("0900 0c00 0c00 0100 0100000000000000 00000000 01000000");
  packet.resize(24 + 72);
  Peer peer(packet);
  EXPECT_EQ(peer.gpa_extension(), 0u);
  EXPECT_EQ(peer.fault, Fault::range_count);
}

// ---- anything at all

TEST(HostilePackets, AreJudgedOrTakenNeverBelieved) {
  Random random(4);
  std::uint64_t taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto words = 3 + random.below(12);
    Bytes packet(words * 8);
    random.fill(packet);
    const auto type = random.one_in(2) ? wire::PacketType::transfer_pages : wire::PacketType::gpa_direct;
    const auto offset8 = static_cast<std::uint16_t>(3 + random.below(words - 2));
    const wire::PacketDescriptor desc{type, offset8, static_cast<std::uint16_t>(words), 1, random.next()};
    std::memcpy(packet.data(), &desc, sizeof desc);
    const wire::TransferHeader head{0xcafe, 0, random.below(6)};
    if (!random.one_in(8)) std::memcpy(packet.data() + 16, &head, sizeof head);
    for (std::uint32_t at = 24; at < packet.size(); at += 8) {
      const wire::TransferRange range{random.below(0x4000), random.below(0x12000)};
      if (random.one_in(2)) std::memcpy(packet.data() + at, &range, sizeof range);
    }
    Peer peer(packet);
    if (type == wire::PacketType::transfer_pages) {
      const std::uint32_t count = peer.transfer_ranges();
      ASSERT_EQ(count == 0, peer.fault != Fault::none);
      for (std::uint32_t i = 0; i < count; ++i) {
        ASSERT_LE(std::uint64_t{peer.ranges[i].byte_offset} + peer.ranges[i].byte_count, 0x10000u);
      }
      taken += count;
    } else if (const std::uint32_t bytes = peer.gpa_extension(); bytes != 0) {
      std::uint64_t most = 0;
      GpaWalk walk(View{peer.extension}.first(bytes), peer.range_count);
      while (walk.next()) ASSERT_LE(++most, bytes / 8);
      taken += most;
    }
  }
  EXPECT_GT(taken, 100u);
}

}  // namespace
}  // namespace vmb
