// SPDX-License-Identifier: BSD-3-Clause
#include "channel/channel.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <span>
#include <thread>

#include <gtest/gtest.h>

#include "channel/gpa_list.hpp"
#include "support/channel_pair.hpp"
#include "support/random.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::Bytes;
using test::ChannelPair;
using test::counting;
using test::Random;

using View = std::span<const std::byte>;

Status send(Channel& channel, std::uint64_t id, const Bytes& payload = counting(40)) {
  Channel::Sender sender(channel);
  if (!sender) return Status::closed;
  return sender.in_band(TransactionId{id}, false, View{payload});
}

/// Takes one packet; its id, or nothing.
std::optional<std::uint64_t> receive(Channel& channel) {
  Channel::Receiver receiver(channel);
  PeekedPacket packet;
  if (!receiver || receiver.peek(packet) != Status::ok) return std::nullopt;
  receiver.take(packet);
  return packet.descriptor.transaction_id;
}

// ---- open and close

TEST(Channel, ClosedOneGivesNothing) {
  Channel channel;
  EXPECT_FALSE(Channel::Sender(channel));
  EXPECT_FALSE(Channel::Receiver(channel));
  EXPECT_FALSE(Channel::Sender(channel, Channel::Sender::Wait::yes));
  EXPECT_FALSE(Channel::Receiver(channel, Channel::Sender::Wait::yes));
  channel.close();
  EXPECT_FALSE(Channel::Sender(channel)) << "and nothing was left locked";
}

TEST(Channel, CarriesBothWays) {
  ChannelPair pair;
  EXPECT_EQ(send(pair.guest, 1), Status::ok);
  EXPECT_EQ(send(pair.host, 2), Status::ok);
  EXPECT_EQ(receive(pair.host), 1u);
  EXPECT_EQ(receive(pair.guest), 2u);
  EXPECT_EQ(receive(pair.guest), std::nullopt);
}

TEST(Channel, OpenMasksTheInboundRing) {  // it polls
  ChannelPair pair;
  EXPECT_EQ(pair.to_guest.mask(), 1u);
  EXPECT_EQ(pair.to_host.mask(), 1u);
}

TEST(Channel, CloseIsIdempotentAndLeavesTheRingsAlone) {
  ChannelPair pair;
  ASSERT_EQ(send(pair.guest, 1), Status::ok);
  const auto before = pair.to_host.slice(0, kPageSize);
  pair.guest.close();
  pair.guest.close();
  EXPECT_EQ(send(pair.guest, 2), Status::closed);
  EXPECT_EQ(pair.to_host.slice(0, kPageSize), before);
  EXPECT_EQ(receive(pair.host), 1u) << "the peer's end is open still";
}

TEST(Channel, ReopensOnFormattedRingsFromZero) {
  ChannelPair pair;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(send(pair.guest, 1), Status::ok);
  ASSERT_TRUE(receive(pair.host));
  pair.guest.close();
  pair.host.close();
  pair.to_host.format();
  pair.to_guest.format();
  pair.guest.open({pair.to_host.memory(), pair.to_guest.memory(), {}});
  pair.host.open({pair.to_guest.memory(), pair.to_host.memory(), {}});
  EXPECT_EQ(receive(pair.host), std::nullopt) << "what was in flight died";
  EXPECT_EQ(send(pair.guest, 7), Status::ok);
  EXPECT_EQ(receive(pair.host), 7u);
}

TEST(Channel, AFaultIsForgottenByReopening) {
  ChannelPair pair;
  pair.to_host.set_write_index(3);
  EXPECT_EQ(receive(pair.host), std::nullopt);
  EXPECT_EQ(Channel::Receiver(pair.host).fault(), Fault::write_index);
  pair.to_host.format();
  pair.host.open({pair.to_guest.memory(), pair.to_host.memory(), {}});
  EXPECT_EQ(Channel::Receiver(pair.host).fault(), Fault::none);
}

TEST(Channel, AFaultInOneDirectionLeavesTheOther) {
  ChannelPair pair;
  pair.to_host.set_write_index(3);
  EXPECT_EQ(receive(pair.host), std::nullopt);
  EXPECT_EQ(send(pair.host, 1), Status::ok);
  EXPECT_EQ(receive(pair.guest), 1u);
}

TEST(Channel, MaxPacketBytesIsEachEndsOwn) {
  ChannelPair pair(kPageSize, 64);
  ASSERT_EQ(send(pair.guest, 1, Bytes(48)), Status::ok);
  ASSERT_EQ(send(pair.guest, 2, Bytes(49)), Status::ok);
  EXPECT_EQ(receive(pair.host), 1u);
  EXPECT_EQ(receive(pair.host), std::nullopt);
  EXPECT_EQ(Channel::Receiver(pair.host).fault(), Fault::packet_length);
}

// ---- one at a time

TEST(Sender, ASecondOneGetsNothing) {
  ChannelPair pair;
  {
    Channel::Sender first(pair.guest);
    EXPECT_TRUE(first);
    EXPECT_FALSE(Channel::Sender(pair.guest));
    EXPECT_TRUE(Channel::Receiver(pair.guest)) << "the other direction is free";
    EXPECT_TRUE(Channel::Sender(pair.host)) << "and so is the other end";
  }
  EXPECT_TRUE(Channel::Sender(pair.guest));
}

TEST(Receiver, ASecondOneGetsNothing) {
  ChannelPair pair;
  {
    Channel::Receiver first(pair.guest);
    EXPECT_TRUE(first);
    EXPECT_FALSE(Channel::Receiver(pair.guest));
    EXPECT_TRUE(Channel::Sender(pair.guest));
  }
  EXPECT_TRUE(Channel::Receiver(pair.guest));
}

/// `wait` must not return before the burst of this thread has ended.
template <class Burst, class Wait> void expect_waits(ChannelPair& pair, Wait wait) {
  std::atomic<bool> left{false}, begun{false}, waited{false};
  std::optional<Burst> burst(std::in_place, pair.guest);
  std::thread control([&] {
    begun = true;
    wait();
    waited = left.load();
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // gives a wrong one the time to come through
  left = true;
  burst.reset();
  control.join();
  EXPECT_TRUE(waited);
}

TEST(Sender, AControlOneWaits) {
  ChannelPair pair;
  expect_waits<Channel::Sender>(pair, [&] { EXPECT_TRUE(Channel::Sender(pair.guest, Channel::Sender::Wait::yes)); });
}

TEST(Receiver, AControlOneWaits) {
  ChannelPair pair;
  expect_waits<Channel::Receiver>(pair,
                                  [&] { EXPECT_TRUE(Channel::Receiver(pair.guest, Channel::Sender::Wait::yes)); });
}

TEST(Channel, CloseWaitsForTheBurstInside) {
  ChannelPair sending, receiving;
  expect_waits<Channel::Sender>(sending, [&] { sending.guest.close(); });
  expect_waits<Channel::Receiver>(receiving, [&] { receiving.guest.close(); });
  EXPECT_FALSE(Channel::Sender(sending.guest));
  EXPECT_FALSE(Channel::Receiver(receiving.guest));
}

// ---- bursts

TEST(Sender, PublishesOnceAndKicksOnce) {
  ChannelPair pair;
  pair.to_host.set_mask(0);
  {
    Channel::Sender sender(pair.guest);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(sender.in_band(TransactionId{1}, false, View{}), Status::ok);
    EXPECT_EQ(pair.to_host.write_index(), 0u);
    EXPECT_EQ(pair.at_host.rung, 0u);
  }
  EXPECT_EQ(pair.to_host.write_index(), 5 * 24u);
  EXPECT_EQ(pair.at_host.rung, 1u);
}

TEST(Sender, FlushPublishesBeforeTheEnd) {
  ChannelPair pair;
  Channel::Sender sender(pair.guest);
  ASSERT_EQ(sender.in_band(TransactionId{1}, false, View{}), Status::ok);
  sender.flush();
  EXPECT_EQ(pair.to_host.write_index(), 24u);
  ASSERT_EQ(sender.in_band(TransactionId{2}, false, View{}), Status::ok);
  sender.revert();
  sender.flush();
  EXPECT_EQ(pair.to_host.write_index(), 24u);
}

TEST(Sender, SaysWhatIsWrong) {
  ChannelPair pair;
  Channel::Sender sender(pair.guest);
  const TransactionId id{1};
  EXPECT_EQ(sender.in_band(id, false, View{Bytes(kPageSize)}), Status::too_big);
  EXPECT_EQ(sender.transfer_pages(id, 1, {}, View{}), Status::invalid);
  EXPECT_EQ(sender.transfer_pages(id, 1, std::vector<wire::TransferRange>(1025), View{}), Status::too_big);
  EXPECT_EQ(sender.gpa_direct(id, 0, Bytes(16), View{}), Status::invalid);
  EXPECT_EQ(sender.gpa_direct(id, 1, {}, View{}), Status::invalid);
  EXPECT_EQ(sender.gpa_direct(id, 1, Bytes(20), View{}), Status::invalid);
  EXPECT_EQ(sender.gpa_direct(id, 2, Bytes(24), View{}), Status::invalid) << "a range takes 16 bytes at least";
  EXPECT_EQ(sender.gpa_direct(id, 1, Bytes(16 * 1024), View{}), Status::too_big);
  ASSERT_EQ(sender.in_band(id, false, View{Bytes(kPageSize - 8 - 24)}), Status::ok);
  EXPECT_EQ(sender.in_band(id, false, View{}), Status::full);
  EXPECT_EQ(sender.transfer_pages(id, 1, std::vector<wire::TransferRange>(1), View{}), Status::full);
}

TEST(Sender, RefusesWhatTheDescriptorCannotSay) {
  ChannelPair pair(1 << 20);
  const Bytes large(wire::kMaxPacketBytes);
  Channel::Sender sender(pair.guest);
  const std::array<wire::TransferRange, 1> range{};
  EXPECT_EQ(sender.in_band(TransactionId{1}, false, View{large}.first(large.size() - 15)), Status::too_big);
  EXPECT_EQ(sender.transfer_pages(TransactionId{1}, 1, range, View{large}.first(large.size() - 31)), Status::too_big);
  EXPECT_EQ(sender.in_band(TransactionId{1}, false, View{large}.first(large.size() - 16)), Status::ok);
}

TEST(Receiver, GivesRoomBackOnceAndKicksOnce) {
  ChannelPair pair;
  ASSERT_EQ(send(pair.guest, 1, Bytes(2000)), Status::ok);
  ASSERT_EQ(send(pair.guest, 2, Bytes(2000)), Status::ok);
  pair.to_host.set_pending(3000);
  {
    Channel::Receiver receiver(pair.host);
    PeekedPacket packet;
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(receiver.peek(packet), Status::ok);
      receiver.take(packet);
    }
    EXPECT_EQ(pair.to_host.read_index(), 0u);
    EXPECT_EQ(pair.at_guest.rung, 0u);
  }
  EXPECT_EQ(pair.to_host.read_index(), pair.to_host.write_index());
  EXPECT_EQ(pair.at_guest.rung, 1u);
}

TEST(Receiver, NeedsNoDoorbell) {
  test::RingBlock out, in;
  Channel a, b;
  a.open({out.memory(), in.memory(), {}});
  b.open({in.memory(), out.memory(), {}});
  out.set_mask(0);
  out.set_pending(4088);
  EXPECT_EQ(send(a, 1), Status::ok);
  EXPECT_EQ(receive(b), 1u);
}

TEST(Receiver, CopiesThePayloadsFirstBytes) {
  ChannelPair pair;
  ASSERT_EQ(send(pair.guest, 1, counting(20)), Status::ok);
  Channel::Receiver receiver(pair.host);
  PeekedPacket packet;
  ASSERT_EQ(receiver.peek(packet), Status::ok);
  Bytes small(7), large(100);
  EXPECT_EQ(receiver.copy_payload(packet, small), 7u);
  EXPECT_EQ(small, counting(7));
  EXPECT_EQ(receiver.copy_payload(packet, large), 24u) << "padding included: the true length is not on the wire";
  EXPECT_EQ(receiver.copy_payload(packet, {}), 0u);
}

// ---- a batch is the same as its singles

/// One random packet, the same again for the same `random`.
Status send_random(Channel::Sender& sender, Random& random) {
  const TransactionId id{random.next()};
  Bytes payload(random.below(100));
  random.fill(payload);
  switch (random.below(4)) {
    case 0: return sender.in_band(id, random.one_in(2), View{payload});
    case 1: return sender.completion(id, View{payload});
    case 2: {
      std::vector<wire::TransferRange> ranges(1 + random.below(8));
      for (auto& range : ranges) range = {random.below(2000), random.below(1 << 20)};
      return sender.transfer_pages(id, 0xcafe, ranges, View{payload});
    }
    default: {
      GpaList list;
      for (std::uint32_t n = 1 + random.below(4); n > 0; --n) {
        EXPECT_TRUE(list.add(Gpa{random.next() >> 16}, 1 + random.below(9000)));
      }
      return sender.gpa_direct(id, list.count(), list.bytes(), View{payload});
    }
  }
}

TEST(Batch, IsItsSinglesOneAfterAnother) {
  Random random(3);
  ChannelPair batch, singles;
  for (ChannelPair* pair : {&batch, &singles}) {
    std::memset(pair->to_host.data().data(), 0, kPageSize);
    pair->to_host.set_mask(0);
  }
  for (int round = 0; round < 5'000; ++round) {
    const std::uint32_t packets = 1 + random.below(20);
    Random for_batch(random.next()), for_singles = for_batch;
    const std::uint32_t rung = batch.at_host.rung;
    std::vector<Status> got, want;
    {
      Channel::Sender sender(batch.guest);
      for (std::uint32_t i = 0; i < packets; ++i) got.push_back(send_random(sender, for_batch));
    }
    for (std::uint32_t i = 0; i < packets; ++i) {
      Channel::Sender sender(singles.guest);
      want.push_back(send_random(sender, for_singles));
    }
    ASSERT_EQ(got, want);
    ASSERT_LE(batch.at_host.rung, rung + 1);
    ASSERT_EQ(batch.at_host.rung, singles.at_host.rung) << "nobody read in between: only the first can kick";
    ASSERT_EQ(batch.to_host.write_index(), singles.to_host.write_index());
    ASSERT_EQ(batch.to_host.slice(0, kPageSize), singles.to_host.slice(0, kPageSize));

    // The reading side: as many packets taken in one scope, or in a scope each.
    const std::uint32_t take = random.below(24);
    {
      Channel::Receiver receiver(batch.host);
      PeekedPacket packet;
      for (std::uint32_t i = 0; i < take && receiver.peek(packet) == Status::ok; ++i) receiver.take(packet);
    }
    for (std::uint32_t i = 0; i < take; ++i) (void)receive(singles.host);
    ASSERT_EQ(batch.to_host.read_index(), singles.to_host.read_index());
  }
}

}  // namespace
}  // namespace vmb
