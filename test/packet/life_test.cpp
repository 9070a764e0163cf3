// SPDX-License-Identifier: BSD-3-Clause
// Enable, disable, and what becomes of packets when an end goes. Q numbers are those of kmcl.md, section 5.2.
#include <memory>

#include "packet/ends.hpp"

namespace vmb::test {
namespace {

TEST(ChannelLife, EitherEndMayComeFirst) {
  for (const bool server_first : {true, false}) {
    Pair pair;
    vmb_channel* const first = server_first ? pair.server : pair.client;
    vmb_channel* const second = server_first ? pair.client : pair.server;
    EXPECT_EQ(vmb_channel_enable(first), VMB_STATUS_SUCCESS);
    EXPECT_FALSE(vmb_channel_is_open(first));
    EXPECT_EQ(vmb_channel_enable(second), VMB_STATUS_SUCCESS);
    EXPECT_TRUE(vmb_channel_is_open(first));
    EXPECT_TRUE(vmb_channel_is_open(second));
  }
}

TEST(ChannelLife, EnableRefusesWhatItMust) {
  const End channel{true};
  EXPECT_EQ(vmb_channel_enable(channel), VMB_STATUS_INVALID_PARAMETER_1) << "Q2: nobody takes packets";
  EXPECT_EQ(vmb_channel_init_set_pull_mode(channel), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_enable(channel), VMB_STATUS_INVALID_PARAMETER_1) << "no link";
  EXPECT_EQ(vmb_channel_init_set_link(channel, fresh_link_name().c_str()), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_enable(channel), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_enable(channel), VMB_STATUS_INVALID_DEVICE_STATE);
}

TEST(ChannelLife, ALinkHasOneEndOfEachKind) {
  Pair pair;
  pair.open();
  for (const bool is_server : {true, false}) {
    const End second{is_server};
    const std::string taken = "test-taken";
    Pair other;
    for (vmb_channel* const channel :
         {second.operator vmb_channel*(), other.server.operator vmb_channel*(), other.client.operator vmb_channel*()}) {
      ASSERT_EQ(vmb_channel_init_set_link(channel, taken.c_str()), VMB_STATUS_SUCCESS);
    }
    ASSERT_EQ(vmb_channel_init_set_pull_mode(second), VMB_STATUS_SUCCESS);
    other.open();
    EXPECT_EQ(vmb_channel_enable(second), VMB_STATUS_UNSUCCESSFUL);
    vmb_channel_disable(is_server ? other.server : other.client);
    EXPECT_EQ(vmb_channel_enable(second), VMB_STATUS_SUCCESS);
  }
}

TEST(ChannelLife, Q18_DisableEndsEverythingOnceOldestFirst) {
  for (const bool server : {true, false}) {
    Pair pair;
    pair.open();
    vmb_channel* const channel = server ? pair.server : pair.client;
    vmb_channel* const peer = server ? pair.client : pair.server;
    Packets packets{channel, 100};
    std::vector<vmb_packet*> expected;
    for (std::uint32_t i = 0; i < 40; ++i) ASSERT_EQ(send(packets[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
    const auto got = receive(peer, 40);
    for (std::uint32_t i = 0; i < 40; i += 3) complete(got[i].packet);  // so that slots are used out of order
    vmb_channel_poll(channel, 0);
    for (std::uint32_t i = 0; i < 40; ++i) {
      if (i % 3 != 0) expected.push_back(packets[i]);
    }
    for (std::uint32_t i = 40; i < 100; ++i) {
      const std::string payload(64, 'x');
      ASSERT_EQ(send(packets[i], payload, i % 2 == 0 || i < 90 ? kWait : 0), VMB_STATUS_SUCCESS);
    }
    ASSERT_GT(stats(channel).queued, 0u);
    packets.ended.clear();
    const std::uint32_t left = stats(channel).outstanding;
    for (std::uint32_t i = 100 - (left - static_cast<std::uint32_t>(expected.size())); i < 100; ++i) {
      expected.push_back(packets[i]);
    }
    vmb_channel_disable(channel);
    ASSERT_EQ(packets.ended.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(packets.ended[i], (Ended{expected[i], VMB_STATUS_DEVICE_REMOVED, ""})) << i;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (i % 3 != 0) complete(got[i].packet, "too late");
    }
    vmb_channel_poll(channel, 0);
    vmb_channel_disable(channel);
    EXPECT_EQ(packets.ended.size(), expected.size()) << "once";
    EXPECT_EQ(stats(channel).outstanding, 0u);
  }
}

TEST(ChannelLife, Q18_AllocatedPacketsReturnToThePool) {
  Pair pair{{.packet_count = 100}};
  pair.open();
  std::vector<vmb_packet*> packets(100);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 100), VMB_STATUS_SUCCESS);
  for (vmb_packet* const packet : packets) ASSERT_EQ(send(packet, std::string(64, 'x'), kWait), VMB_STATUS_SUCCESS);
  vmb_channel_disable(pair.client);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 100), VMB_STATUS_SUCCESS);
  vmb_packet_free_bulk(packets.data(), 100);
}

TEST(ChannelLife, Q18_ALateReplyIsDroppedById) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  vmb_channel_disable(pair.client);
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  ASSERT_EQ(send(packets[0], "y", kWait), VMB_STATUS_SUCCESS);  // the same slot
  complete(got.at(0).packet, "too late");
  vmb_channel_poll(pair.server, 0);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(ChannelLife, AResendFromTheLastRoutineIsRefused) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  static vmb_status status;
  vmb_packet_set_completion_routine(packets[0], [](vmb_packet* packet, vmb_status, const void*, std::uint32_t) {
    status = send(packet, "again", kWait);
  });
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  vmb_channel_disable(pair.client);
  EXPECT_EQ(status, VMB_STATUS_INVALID_DEVICE_STATE);
}

TEST(ChannelLife, Q41_WhenTheServerGoesTheClientIsDisabledAndItsPacketsEndInItsOwnPoll) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 2};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  vmb_channel_disable(pair.server);
  EXPECT_FALSE(vmb_channel_is_open(pair.client));
  EXPECT_EQ(send(packets[1], "x"), VMB_STATUS_INVALID_DEVICE_STATE);
  EXPECT_TRUE(packets.ended.empty());
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_DEVICE_REMOVED, ""}}));
  vmb_channel_disable(pair.client);
  EXPECT_EQ(packets.ended.size(), 1u);
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  EXPECT_EQ(send(packets[0], "back"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server).size(), 1u);
}

TEST(ChannelLife, WhenTheClientGoesTheServerStaysAndOpensForTheNext) {
  Pair pair;
  pair.open();
  Packets packets{pair.server, 4};
  ASSERT_EQ(send(packets[0], numbered(0), kWait), VMB_STATUS_SUCCESS);
  vmb_channel_disable(pair.client);
  EXPECT_FALSE(vmb_channel_is_open(pair.server));
  EXPECT_EQ(send(packets[1], numbered(1)), VMB_STATUS_SUCCESS) << "Q19: kept for the next client";
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);  // before the server has looked
  EXPECT_TRUE(packets.ended.empty());
  vmb_channel_poll(pair.server, 0);
  EXPECT_TRUE(vmb_channel_is_open(pair.server));
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_DEVICE_REMOVED, ""}, {packets[1], VMB_STATUS_SUCCESS, ""}}));
  EXPECT_EQ(drain(pair.client), std::vector{numbered(1)});
}

TEST(ChannelLife, AClientThatComesAndGoesUnseenLeavesNoTrace) {
  Pair pair;
  pair.open();
  Packets packets{pair.server, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  for (int i = 0; i < 5; ++i) {
    vmb_channel_disable(pair.client);
    ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  }
  vmb_channel_disable(pair.client);
  vmb_channel_poll(pair.server, 0);
  EXPECT_FALSE(vmb_channel_is_open(pair.server));
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(ChannelLife, ReceivedButUntakenPacketsGoWithTheChannel) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 20};
  for (std::uint32_t i = 0; i < 20; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.server, 0);  // parks them
  vmb_channel_disable(pair.client);
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  EXPECT_TRUE(drain(pair.server).empty());
}

TEST(ChannelLife, AThousandTimesLeavesNothingBehind) {
  Pair pair;
  Packets client_packets{pair.client, 64};
  Packets server_packets{pair.server, 64};
  for (std::uint32_t round = 0; round < 1000; ++round) {
    vmb_channel* const first = round % 2 == 0 ? pair.server : pair.client;
    vmb_channel* const second = round % 2 == 0 ? pair.client : pair.server;
    ASSERT_EQ(vmb_channel_enable(first), VMB_STATUS_SUCCESS);
    ASSERT_EQ(vmb_channel_enable(second), VMB_STATUS_SUCCESS);
    for (std::uint32_t i = 0; i < round % 64; ++i) {
      ASSERT_EQ(send(client_packets[i], std::string(64, 'c'), kWait), VMB_STATUS_SUCCESS);
      ASSERT_EQ(send(server_packets[i], std::string(64, 's'), kWait), VMB_STATUS_SUCCESS);
    }
    vmb_channel_disable(round % 3 == 0 ? first : second);
    vmb_channel_disable(round % 3 == 0 ? second : first);
    ASSERT_EQ(client_packets.ended.size(), round % 64);
    ASSERT_EQ(server_packets.ended.size(), round % 64);
    client_packets.ended.clear();
    server_packets.ended.clear();
  }
}

TEST(ChannelLife, DestructionInEitherOrderEndsPackets) {
  for (const bool server_first : {true, false}) {
    auto pair = std::make_unique<Pair>();
    pair->open();
    const PacketMemory memory{pair->client};
    Record ended;
    ASSERT_EQ(vmb_packet_initialize(pair->client, memory.at(0), memory.bytes()), VMB_STATUS_SUCCESS);
    vmb_packet_set_completion_routine_ex(memory.at(0), &ended, record);
    ASSERT_EQ(send(memory.at(0), "x", kWait), VMB_STATUS_SUCCESS);
    vmb_channel* const first = server_first ? pair->server.release() : pair->client.release();
    vmb_channel_disable(first);
    vmb_channel_cleanup(first);
    pair.reset();
    EXPECT_EQ(ended.size(), 1u);
  }
}

}  // namespace
}  // namespace vmb::test
