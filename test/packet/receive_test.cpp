// SPDX-License-Identifier: BSD-3-Clause
// Receiving and completing: pulled, pushed, held, answered; and what a peer that breaks the rules gets.
// Q numbers are those of kmcl.md, section 5.2.
#include "packet/ends.hpp"

namespace vmb::test {
namespace {

TEST(ChannelReceive, PullGivesAtMostAsManyAsAskedForInOrder) {
  Pair pair{{.ring_pages = 16}};
  pair.open();
  Packets packets{pair.client, 100};
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  std::uint32_t expected = 0;
  for (const std::uint32_t max : {0u, 1u, 2u, 32u, 64u, 64u}) {
    const auto got = receive(pair.server, max);
    EXPECT_EQ(got.size(), std::min(max, 100 - expected));
    for (const Got& packet : got) {
      EXPECT_EQ(packet.payload, numbered(expected++));
      complete(packet.packet);
    }
  }
  EXPECT_EQ(expected, 100u);
  EXPECT_EQ(stats(pair.server).received, 100u);
}

TEST(ChannelReceive, TheBufferIsAlignedAndPrivate) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 4};
  for (std::uint32_t i = 0; i < 4; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  vmb_recv_desc descs[4];
  ASSERT_EQ(vmb_channel_receive_burst(pair.server, descs, 4), 4u);
  Packets more{pair.client, 40};
  for (std::uint32_t round = 0; round < 5; ++round) {  // the ring goes round beneath them
    for (std::uint32_t i = 0; i < 40; ++i) ASSERT_EQ(send(more[i], std::string(64, '#')), VMB_STATUS_SUCCESS);
    drain(pair.server);
  }
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(descs[i].buffer) % 16, 0u);
    EXPECT_EQ(std::string(static_cast<const char*>(descs[i].buffer), descs[i].buffer_length), numbered(i));
    complete(descs[i].packet);
  }
}

TEST(ChannelReceive, TheReplyMayBeMadeInThePacketsOwnBuffer) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "12345678abcdefgh", kWait), VMB_STATUS_SUCCESS);
  vmb_recv_desc desc;
  ASSERT_EQ(vmb_channel_receive_burst(pair.server, &desc, 1), 1u);
  vmb_channel_packet_complete(desc.packet, static_cast<const char*>(desc.buffer) + 8, 8);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.at(0).reply, "abcdefgh");
}

TEST(ChannelQuota, NoMoreThanTheQuotaIsOutAndACompletionMakesRoom) {
  Pair pair;
  pair.open();
  vmb_channel_set_transaction_quota(pair.server, 2);
  Packets packets{pair.client, 5};
  for (std::uint32_t i = 0; i < 5; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server, 5);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(receive(pair.server, 5).size(), 0u);
  complete(got[1].packet);
  const auto next = receive(pair.server, 5);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].payload, numbered(2));
  complete(got[0].packet);
  complete(next[0].packet);
  for (const Got& packet : receive(pair.server, 5)) complete(packet.packet);
  EXPECT_EQ(stats(pair.server).held, 0u);
  EXPECT_EQ(stats(pair.server).received, 5u);
}

TEST(ChannelQuota, RaisingItRestartsNothing) {
  Pair pair;
  pair.open();
  vmb_channel_set_transaction_quota(pair.server, 1);
  Packets packets{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server, 3);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(receive(pair.server, 3).size(), 0u);
  vmb_channel_set_transaction_quota(pair.server, 10);
  EXPECT_EQ(receive(pair.server, 3).size(), 0u);
  complete(got[0].packet);
  const auto rest = receive(pair.server, 3);
  EXPECT_EQ(rest.size(), 2u);
  for (const Got& packet : rest) complete(packet.packet);
}

TEST(ChannelQuota, BelowWhatIsOutNothingComesUntilEnoughAreCompleted) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 4};
  for (std::uint32_t i = 0; i < 4; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server, 3);
  ASSERT_EQ(got.size(), 3u);
  vmb_channel_set_transaction_quota(pair.server, 1);
  for (const Got& packet : got) {
    EXPECT_EQ(receive(pair.server, 4).size(), 0u);
    complete(packet.packet);
  }
  const auto last = receive(pair.server, 4);
  ASSERT_EQ(last.size(), 1u);
  complete(last[0].packet);
}

TEST(ChannelQuota, ZeroIsMisuseAndChangesNothing) {
  Pair pair;
  pair.open();
  EXPECT_MISUSE(pair.server, "vmb_channel_set_transaction_quota", vmb_channel_set_transaction_quota(pair.server, 0));
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  ASSERT_EQ(got.size(), 1u);
  complete(got[0].packet);
}

TEST(ChannelReceive, NobodyWhoDidNotAskIsAnswered) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  complete(receive(pair.server).at(0).packet, "ignored!");
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
  EXPECT_EQ(stats(pair.client).unknown_completions, 0u);
}

TEST(ChannelReceive, Q21_CompletionsBehindUnreadPacketsAreReached) {
  Pair pair;
  pair.open();
  Packets requests{pair.client, 1};
  Packets news{pair.server, 10};
  ASSERT_EQ(send(requests[0], "question", kWait), VMB_STATUS_SUCCESS);
  for (std::uint32_t i = 0; i < 10; ++i) ASSERT_EQ(send(news[i], numbered(i)), VMB_STATUS_SUCCESS);
  complete(receive(pair.server).at(0).packet, "answered");
  vmb_channel_poll(pair.client, 0);  // reads none of the news, and the answer behind them
  EXPECT_EQ(requests.ended.size(), 1u);
  const auto got = drain(pair.client);
  ASSERT_EQ(got.size(), 10u);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(got[i], numbered(i));
}

TEST(ChannelReceive, TheQuotaStopsDeliveryUntilOneIsCompleted) {
  Pair pair{{.packet_count = 4096, .ring_pages = 64}};
  pair.open();
  Packets packets{pair.client, 1};
  for (std::uint32_t i = 0; i < VMB_DEFAULT_TRANSACTION_QUOTA + 200; ++i) {
    ASSERT_EQ(send(packets[0], numbered(i)), VMB_STATUS_SUCCESS);
  }
  std::vector<Got> held;
  for (auto got = receive(pair.server); !got.empty(); got = receive(pair.server)) {
    held.insert(held.end(), got.begin(), got.end());
  }
  EXPECT_EQ(held.size(), VMB_DEFAULT_TRANSACTION_QUOTA);
  EXPECT_EQ(stats(pair.server).held, VMB_DEFAULT_TRANSACTION_QUOTA);
  complete(held.back().packet);
  held.pop_back();
  auto got = receive(pair.server);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].payload, numbered(VMB_DEFAULT_TRANSACTION_QUOTA));
  complete(got[0].packet);
  for (const Got& packet : held) complete(packet.packet);
  EXPECT_EQ(drain(pair.server).size(), 199u);
}

TEST(ChannelReceive, Q25_AReplyThatFindsNoRoomWaitsInOrderWithWhatIsSent) {
  Pair pair;
  pair.open();
  Packets requests{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_EQ(send(requests[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  Packets news{pair.server, 100};
  const std::uint32_t in_ring = fill_ring(pair.server, news, 0);
  for (std::uint32_t i = 0; i < 3; ++i) complete(got[i].packet, numbered(10 + i));
  ASSERT_EQ(send(news[in_ring + 1], "last one"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(stats(pair.server).queued, 5u);
  EXPECT_EQ(drain(pair.client).size(), in_ring);
  EXPECT_TRUE(requests.ended.empty());
  vmb_channel_poll(pair.server, 0);
  const auto rest = drain(pair.client);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[1], "last one");
  ASSERT_EQ(requests.ended.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(requests.ended[i], (Ended{requests[i], VMB_STATUS_SUCCESS, numbered(10 + i)}));
}

TEST(ChannelReceive, Q23_CompletingTwiceIsMisuseAlsoWhenTheSlotIsInUseAgain) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 2};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  vmb_packet_completion* const first = receive(pair.server).at(0).packet;
  complete(first);
  EXPECT_MISUSE(pair.server, "vmb_channel_packet_complete", complete(first));
  ASSERT_EQ(send(packets[1], "y", kWait), VMB_STATUS_SUCCESS);
  vmb_packet_completion* const second = receive(pair.server).at(0).packet;
  EXPECT_NE(first, second);
  EXPECT_MISUSE(pair.server, "vmb_channel_packet_complete", complete(first));
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
  complete(second);
}

TEST(ChannelReceive, Q23_WhatIsNoTokenIsMisuse) {
  EXPECT_MISUSE(nullptr, "vmb_channel_packet_complete", complete(nullptr));
  auto* const wild = reinterpret_cast<vmb_packet_completion*>(std::uintptr_t{0x1234'5678'FFFF});
  EXPECT_MISUSE(nullptr, "vmb_channel_packet_complete", complete(wild));
  const vmb_complete_desc desc{wild, nullptr, 0};
  EXPECT_MISUSE(nullptr, "vmb_channel_packet_complete_bulk", vmb_channel_packet_complete_bulk(&desc, 1));
}

TEST(ChannelReceive, Q26_AReplyTooLongIsMisuseAndAnEmptyOneGoesOut) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  vmb_packet_completion* const packet = receive(pair.server).at(0).packet;
  EXPECT_MISUSE(pair.server, "vmb_channel_packet_complete", complete(packet, std::string(65, 'x')));
#ifndef NDEBUG
  complete(packet);
#endif
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_SUCCESS, ""}}));
}

TEST(ChannelReceive, Q24_CompletingOnAClosedChannelSendsNothingAlsoNotToTheNextPeer) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  vmb_channel_disable(pair.client);
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_DEVICE_REMOVED, ""}}));
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.server, 0);
  ASSERT_EQ(send(packets[0], "y", kWait), VMB_STATUS_SUCCESS);
  complete(got.at(0).packet, "stale..!");
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
  EXPECT_EQ(stats(pair.client).unknown_completions, 0u);
  EXPECT_EQ(stats(pair.server).held, 0u);
  EXPECT_EQ(drain(pair.server).size(), 1u);
}

TEST(ChannelReceive, BulkCompletesPacketsOfSeveralChannels) {
  Pair one;
  Pair two;
  one.open();
  two.open();
  Packets first{one.client, 2};
  Packets second{two.client, 2};
  std::vector<vmb_complete_desc> descs;
  for (std::uint32_t i = 0; i < 2; ++i) {
    ASSERT_EQ(send(first[i], "x", kWait), VMB_STATUS_SUCCESS);
    ASSERT_EQ(send(second[i], "x", kWait), VMB_STATUS_SUCCESS);
    descs.push_back({receive(one.server).at(0).packet, "replied1", 8});
    descs.push_back({receive(two.server).at(0).packet, "replied2", 8});
  }
  vmb_channel_packet_complete_bulk(descs.data(), 4);
  vmb_channel_packet_complete_bulk(nullptr, 0);
  vmb_channel_poll(one.client, 0);
  vmb_channel_poll(two.client, 0);
  EXPECT_EQ(first.ended.size(), 2u);
  EXPECT_EQ(second.ended.size(), 2u);
  EXPECT_EQ(second.ended.at(1).reply, "replied2");
}

// ---- callbacks ----

struct Heard {
  std::vector<std::string> payloads;
  std::vector<std::uint32_t> batches;
  std::vector<vmb_packet_completion*> kept;
  bool keeps{};
};

void hear(vmb_channel*, void* context, vmb_packet_completion* packet, const void* buffer, std::uint32_t length,
          std::uint32_t flags) {
  auto& heard = *static_cast<Heard*>(context);
  EXPECT_EQ(flags, 0u);
  heard.payloads.emplace_back(static_cast<const char*>(buffer), length);
  if (heard.keeps) {
    heard.kept.push_back(packet);
  } else {
    complete(packet, "heard..!");
  }
}

void hear_end(vmb_channel*, void* context, std::uint32_t count) {
  static_cast<Heard*>(context)->batches.push_back(count);
}

TEST(ChannelCallbacks, PollHandsOverWithinItsBudgetAndThenSaysHowMany) {
  Pair pair;
  Heard heard;
  ASSERT_EQ(vmb_channel_init_set_process_packet_callbacks_ex(pair.server, &heard, hear, hear_end), VMB_STATUS_SUCCESS);
  pair.open();
  Packets packets{pair.client, 10};
  for (std::uint32_t i = 0; i < 10; ++i) ASSERT_EQ(send(packets[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_poll(pair.server, 0), 0u);
  EXPECT_EQ(vmb_channel_poll(pair.server, 4), 4u);
  EXPECT_EQ(vmb_channel_poll(pair.server, 100), 6u);
  EXPECT_EQ(vmb_channel_poll(pair.server, 100), 0u);
  EXPECT_EQ(heard.batches, (std::vector<std::uint32_t>{4, 6})) << "once per poll that handed over, never with 0";
  ASSERT_EQ(heard.payloads.size(), 10u);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(heard.payloads[i], numbered(i));
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 10u);
  EXPECT_EQ(packets.ended.at(9).reply, "heard..!");
}

TEST(ChannelCallbacks, PlainOnesGetTheChannelAndTheLastRegistrationCounts) {
  Pair pair;
  Heard heard;
  static std::uint32_t calls;
  static std::uint32_t ends;
  static vmb_channel* seen;
  calls = ends = 0;
  ASSERT_EQ(vmb_channel_init_set_process_packet_callbacks_ex(pair.server, &heard, hear, hear_end), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_init_set_process_packet_callbacks(
                pair.server,
                [](vmb_channel* channel, vmb_packet_completion* packet, const void*, std::uint32_t, std::uint32_t) {
                  seen = channel;
                  ++calls;
                  complete(packet);
                },
                [](vmb_channel*, std::uint32_t count) { ends += count; }),
            VMB_STATUS_SUCCESS);
  pair.open();
  Packets packets{pair.client, 2};
  ASSERT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  ASSERT_EQ(send(packets[1], "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_poll(pair.server, 10), 2u);
  EXPECT_EQ(calls, 2u);
  EXPECT_EQ(ends, 2u);
  EXPECT_EQ(seen, pair.server);
  EXPECT_TRUE(heard.payloads.empty());
}

TEST(ChannelCallbacks, APacketMayBeKeptAndCompletedLaterInAnyOrder) {
  Pair pair;
  Heard heard;
  heard.keeps = true;
  ASSERT_EQ(vmb_channel_init_set_process_packet_callbacks_ex(pair.server, &heard, hear, nullptr), VMB_STATUS_SUCCESS);
  pair.open();
  Packets packets{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_EQ(send(packets[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_poll(pair.server, 10), 3u);
  EXPECT_EQ(stats(pair.server).held, 3u);
  for (const std::uint32_t i : {1u, 2u, 0u}) complete(heard.kept[i]);
  vmb_channel_poll(pair.client, 0);
  ASSERT_EQ(packets.ended.size(), 3u);
  EXPECT_EQ(packets.ended[0].packet, packets[1]);
  EXPECT_EQ(packets.ended[2].packet, packets[0]);
}

TEST(ChannelCallbacks, ACallbackMaySend) {
  Pair pair;
  static vmb_packet* answer;
  ASSERT_EQ(
      vmb_channel_init_set_process_packet_callbacks(
          pair.server,
          [](vmb_channel*, vmb_packet_completion* packet, const void* buffer, std::uint32_t length, std::uint32_t) {
            EXPECT_EQ(vmb_packet_send(answer, buffer, length, nullptr, 0), VMB_STATUS_SUCCESS);
            complete(packet);
          },
          nullptr),
      VMB_STATUS_SUCCESS);
  pair.open();
  Packets answers{pair.server, 1};
  Packets packets{pair.client, 3};
  answer = answers[0];
  for (std::uint32_t i = 0; i < 3; ++i) ASSERT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_poll(pair.server, 10), 3u);
  EXPECT_EQ(answers.ended.size(), 3u) << "each within its send";
  EXPECT_EQ(drain(pair.client), (std::vector{numbered(0), numbered(1), numbered(2)}));
}

TEST(ChannelCallbacks, PullAndPushDoNotMix) {
  Pair pair;
  Heard heard;
  ASSERT_EQ(vmb_channel_init_set_process_packet_callbacks_ex(pair.server, &heard, hear, nullptr), VMB_STATUS_SUCCESS);
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  EXPECT_TRUE(receive(pair.server).empty());
  EXPECT_EQ(vmb_channel_poll(pair.server, 10), 1u);
}

// ---- a peer that breaks the rules ----

TEST(ChannelFault, APacketLargerThanTheMaximumStopsTheChannelUntilItIsOpenedAgain) {
  Pair pair;
  const End big{false};
  const std::string link = fresh_link_name();
  ASSERT_EQ(vmb_channel_init_set_link(pair.server, link.c_str()), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_init_set_link(big, link.c_str()), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_init_set_pull_mode(big), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(big), VMB_STATUS_SUCCESS);
  Packets packets{big, 2};
  Packets own{pair.server, 2};
  ASSERT_EQ(send(own[0], "pending", kWait), VMB_STATUS_SUCCESS);
  ASSERT_EQ(send(packets[0], std::string(64, 'x')), VMB_STATUS_SUCCESS);
  ASSERT_EQ(send(packets[1], std::string(65, 'x')), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server).size(), 1u) << "what came before it is good";
  EXPECT_FALSE(vmb_channel_is_open(pair.server));
  EXPECT_EQ(stats(pair.server).faults, 1u);
  EXPECT_STREQ(stats(pair.server).fault, "packet_length");
  EXPECT_TRUE(drain(pair.server).empty());
  EXPECT_EQ(stats(pair.server).faults, 1u);
  EXPECT_EQ(send(own[1], "queued"), VMB_STATUS_SUCCESS);
  vmb_channel_disable(pair.server);
  EXPECT_EQ(own.ended, (Record{{own[0], VMB_STATUS_DEVICE_REMOVED, ""}, {own[1], VMB_STATUS_DEVICE_REMOVED, ""}}));
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(big), VMB_STATUS_SUCCESS);
  EXPECT_TRUE(vmb_channel_is_open(pair.server));
  ASSERT_EQ(send(packets[0], "well"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server).size(), 1u);
}

}  // namespace
}  // namespace vmb::test
