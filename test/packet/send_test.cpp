// SPDX-License-Identifier: BSD-3-Clause
// Sending: what is refused, what is queued, in which order it goes, and what completion routines see and may do.
// Q numbers are those of kmcl.md, section 5.2.
#include "packet/ends.hpp"

namespace vmb::test {
namespace {

// ---- refusals ----

TEST(PacketSend, Q11_RefusalsNameTheArgumentAndLeaveThePacketIdle) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 2};
  vmb_packet* const packet = packets[0];
  const char text[80]{};
  auto* const some_mdl = reinterpret_cast<vmb_mdl*>(packets[1]);
  EXPECT_EQ(vmb_packet_send(packet, nullptr, 1, nullptr, 0), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_packet_send(packet, text, 65, nullptr, 0), VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_packet_send(packet, text, 8, some_mdl, kWait), VMB_STATUS_INVALID_PARAMETER_4);
  EXPECT_EQ(vmb_packet_send(packet, text, 8, nullptr, 0x18), VMB_STATUS_INVALID_PARAMETER_5);
  for (const std::uint32_t unknown : {0x20u, 0x0080'0000u, 0x0100'0000u, 0x8000'0000u}) {
    EXPECT_EQ(vmb_packet_send(packet, text, 8, nullptr, unknown), VMB_STATUS_INVALID_PARAMETER_5);
  }
  EXPECT_TRUE(drain(pair.server).empty());
  EXPECT_TRUE(packets.ended.empty());
  EXPECT_EQ(vmb_packet_send(packet, text, 8, nullptr, kWait), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_packet_send(packet, text, 8, nullptr, 0), VMB_STATUS_INVALID_PARAMETER_1) << "in flight";
  EXPECT_EQ(stats(pair.client).outstanding, 1u);
}

TEST(PacketSend, Q11_DisabledIsTheWrongState) {
  Pair pair;
  Packets packets{pair.client, 1};
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_INVALID_DEVICE_STATE);
  pair.open();
  vmb_channel_disable(pair.client);
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_INVALID_DEVICE_STATE);
  EXPECT_TRUE(packets.ended.empty());
}

TEST(PacketSend, FlagsAboutExternalOrPagedMemoryChangeNothing) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 4};
  std::uint32_t i = 0;
  for (const std::uint32_t flag : {0x2u, 0x4u, 0x8u, 0x10u})
    EXPECT_EQ(send(packets[i++], "x", flag), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server).size(), 4u);
}

TEST(PacketSend, Q12_AnEmptyPayloadNeedsNoBuffer) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  EXPECT_EQ(vmb_packet_send(packets[0], nullptr, 0, nullptr, kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].payload, "");
  vmb_channel_packet_complete(got[0].packet, nullptr, 0);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_SUCCESS, ""}}));
}

TEST(PacketSend, Q27_TheReceiverSeesWholeUnitsOfEightZeroPadded) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  for (std::uint32_t length = 0; length <= 64; ++length) {
    const std::string payload(length, 'a');
    ASSERT_EQ(send(packets[0], payload), VMB_STATUS_SUCCESS);
    std::string padded = payload;
    padded.resize((length + 7) / 8 * 8);
    EXPECT_EQ(drain(pair.server), std::vector{padded});
  }
}

TEST(PacketSend, TheMostPacketsOnTheirWayAreAsManyAsWereSet) {
  Pair pair{{.packet_count = 5}};
  pair.open();
  Packets packets{pair.client, 6};
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(send(packets[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
  EXPECT_EQ(send(packets[5], numbered(5), kWait), VMB_STATUS_INSUFFICIENT_RESOURCES);
  EXPECT_EQ(send(packets[5], numbered(5)), VMB_STATUS_INSUFFICIENT_RESOURCES);
  EXPECT_EQ(drain(pair.server).size(), 5u);
  EXPECT_EQ(send(packets[5], numbered(5), kWait), VMB_STATUS_INSUFFICIENT_RESOURCES) << "completions not polled yet";
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(send(packets[5], numbered(5), kWait), VMB_STATUS_SUCCESS);
}

// ---- queueing ----

TEST(PacketSend, Q10_AFullRingQueuesAndAnswersSuccess) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 100};
  const std::uint32_t in_ring = fill_ring(pair.client, packets, 0);
  EXPECT_EQ(in_ring, 46u);  // 4096 - 8 bytes, 16 + 64 + 8 each
  EXPECT_EQ(packets.ended.size(), in_ring) << "the queued one has not ended";
  EXPECT_EQ(stats(pair.client).outstanding, 1u);
}

TEST(PacketSend, Q13_TheBufferIsTheCallersAgainAlsoWhenQueued) {
  Pair pair;
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  Packets packets{pair.client, 2};
  char buffer[9] = "original";
  EXPECT_EQ(vmb_packet_send(packets[0], buffer, 8, nullptr, 0), VMB_STATUS_SUCCESS);
  std::memset(buffer, '!', 8);
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(drain(pair.server), std::vector<std::string>{"original"});
}

TEST(PacketSend, Q14_NothingOvertakesAQueuedPacket) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 300};
  const std::uint32_t in_ring = fill_ring(pair.client, packets, 0);  // of 64 bytes; the next waits
  std::uint32_t sent = in_ring + 1;
  for (; sent < 200; ++sent) ASSERT_EQ(send(packets[sent], numbered(sent)), VMB_STATUS_SUCCESS);  // small ones
  for (const Got& got : receive(pair.server, 8)) complete(got.packet);                            // room for small ones
  for (; sent < 250; ++sent) ASSERT_EQ(send(packets[sent], numbered(sent)), VMB_STATUS_SUCCESS);
  std::uint32_t expected = 8;
  while (expected < sent) {
    vmb_channel_poll(pair.client, 0);
    const auto got = drain(pair.server);
    ASSERT_FALSE(got.empty());
    for (const std::string& payload : got) ASSERT_EQ(payload.substr(0, 8), numbered(expected++));
  }
  ASSERT_EQ(packets.ended.size(), sent);
  for (std::uint32_t i = 0; i < sent; ++i) EXPECT_EQ(packets.ended[i].packet, packets[i]);
}

TEST(PacketSend, Q19_WhatIsSentBeforeThePeerComesGoesWhenItDoes) {
  Pair pair;
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  Packets packets{pair.server, 3};
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.server, 0);
  EXPECT_TRUE(packets.ended.empty());
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.server, 0);
  EXPECT_EQ(packets.ended.size(), 3u);
  EXPECT_EQ(drain(pair.client), (std::vector{numbered(0), numbered(1), numbered(2)}));
}

TEST(PacketSend, ASendAlsoSendsWhatARoutineQueuedBefore) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 2};
  static vmb_packet* second;
  second = packets[1];
  vmb_packet_set_completion_routine(packets[0], [](vmb_packet*, vmb_status, const void*, std::uint32_t) {
    EXPECT_EQ(send(second, numbered(1)), VMB_STATUS_SUCCESS);
  });
  EXPECT_EQ(send(packets[0], numbered(0)), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server), (std::vector{numbered(0), numbered(1)}));
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(PacketSend, AQueuedPacketTooBigForTheRingThatComesIsEnded) {
  Pair pair{{.packet_size = 64}};
  const End server{true};  // its own maximum is 4096, the client's ring holds less
  const std::string link = fresh_link_name();
  ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(server, 8192), VMB_STATUS_SUCCESS);
  for (vmb_channel* const channel : {server.operator vmb_channel*(), pair.client.operator vmb_channel*()}) {
    ASSERT_EQ(vmb_channel_init_set_link(channel, link.c_str()), VMB_STATUS_SUCCESS);
  }
  ASSERT_EQ(vmb_channel_init_set_pull_mode(server), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(server), VMB_STATUS_SUCCESS);
  Packets packets{server, 3};
  EXPECT_EQ(send(packets[0], std::string(8000, 'x')), VMB_STATUS_SUCCESS);
  EXPECT_EQ(send(packets[1], "fits"), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  vmb_channel_poll(server, 0);
  EXPECT_EQ(packets.ended,
            (Record{{packets[0], VMB_STATUS_BUFFER_OVERFLOW, ""}, {packets[1], VMB_STATUS_SUCCESS, ""}}));
  EXPECT_EQ(send(packets[2], std::string(8000, 'x')), VMB_STATUS_INVALID_PARAMETER_3) << "the ring is known now";
  EXPECT_EQ(drain(pair.client).size(), 1u);
}

// ---- completion routines ----

TEST(PacketRoutine, Q7_PointerAndRoutineSurviveSends) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  vmb_packet_set_pointer(packets[0], &pair);
  for (std::uint32_t i = 0; i < 10; ++i) {
    ASSERT_EQ(send(packets[0], numbered(i), i % 2 == 0 ? kWait : 0), VMB_STATUS_SUCCESS);
    EXPECT_EQ(vmb_packet_get_pointer(packets[0]), &pair);
    drain(pair.server);
    vmb_channel_poll(pair.client, 0);
    EXPECT_EQ(vmb_packet_get_pointer(packets[0]), &pair);
    EXPECT_EQ(packets.ended.size(), i + 1);
  }
}

TEST(PacketRoutine, Q8_NullTakesTheRoutineAwayAlsoFromAnAllocatedPacket) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  vmb_packet* const allocated = vmb_packet_allocate(pair.client);
  for (vmb_packet* const packet : {packets[0], allocated}) {
    vmb_packet_set_completion_routine(packet, nullptr);
    EXPECT_EQ(send(packet, "x"), VMB_STATUS_INVALID_PARAMETER_1);
    vmb_packet_set_completion_routine_ex(packet, nullptr, nullptr);
    EXPECT_EQ(send(packet, "x"), VMB_STATUS_INVALID_PARAMETER_1);
  }
  vmb_packet_free(allocated);
}

TEST(PacketRoutine, Q9_TheLastOfPlainAndExWins) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  static int plain_calls;
  plain_calls = 0;
  const auto plain = [](vmb_packet*, vmb_status, const void*, std::uint32_t) { ++plain_calls; };
  vmb_packet_set_completion_routine(packets[0], plain);
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(plain_calls, 1);
  EXPECT_TRUE(packets.ended.empty());
  vmb_packet_set_completion_routine_ex(packets[0], &packets.ended, record);
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(plain_calls, 1);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(PacketRoutine, Q15_WithoutWaitItRunsInsideASendIntoTheRing) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(PacketRoutine, Q15_OfAQueuedPacketItRunsInAPoll) {
  Pair pair;
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);
  Packets packets{pair.client, 1};
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_channel_enable(pair.server), VMB_STATUS_SUCCESS);
  EXPECT_TRUE(packets.ended.empty());
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(PacketRoutine, Q15_DeferredItAlwaysRunsInAPoll) {
  Pair pair{{.deferred = true}};
  pair.open();
  Packets packets{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(send(packets[i], numbered(i)), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server).size(), 3u) << "sent at once";
  EXPECT_TRUE(packets.ended.empty());
  EXPECT_EQ(stats(pair.client).outstanding, 3u);
  EXPECT_EQ(send(packets[0], "again"), VMB_STATUS_INVALID_PARAMETER_1);
  vmb_channel_poll(pair.client, 0);
  ASSERT_EQ(packets.ended.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(packets.ended[i].packet, packets[i]);
}

TEST(PacketRoutine, Q15_WithWaitItRunsWithTheReplyAndNotBefore) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(send(packets[i], numbered(i), kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  ASSERT_EQ(got.size(), 3u);
  vmb_channel_poll(pair.client, 0);
  EXPECT_TRUE(packets.ended.empty());
  for (const std::uint32_t i : {2u, 0u, 1u}) complete(got[i].packet, numbered(100 + i));  // any order
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended, (Record{{packets[2], VMB_STATUS_SUCCESS, numbered(102)},
                                   {packets[0], VMB_STATUS_SUCCESS, numbered(100)},
                                   {packets[1], VMB_STATUS_SUCCESS, numbered(101)}}));
}

TEST(PacketRoutine, Q16_MayFreeThePacket) {
  Pair pair{{.packet_count = 1}};
  pair.open();
  for (std::uint32_t i = 0; i < 10; ++i) {
    vmb_packet* const packet = vmb_packet_allocate(pair.client);
    ASSERT_NE(packet, nullptr);
    vmb_packet_set_completion_routine(
        packet, [](vmb_packet* ended, vmb_status, const void*, std::uint32_t) { vmb_packet_free(ended); });
    ASSERT_EQ(send(packet, numbered(i), i % 2 == 0 ? kWait : 0), VMB_STATUS_SUCCESS);
    drain(pair.server);
    vmb_channel_poll(pair.client, 0);
  }
}

struct Resender {
  std::uint32_t left;
  std::uint32_t flags;
  std::uint32_t depth;
  std::uint32_t deepest;
};

void send_again(vmb_packet* packet, void* context, vmb_status, const void*, std::uint32_t) {
  auto& self = *static_cast<Resender*>(context);
  self.deepest = std::max(self.deepest, ++self.depth);
  if (self.left > 0) {
    --self.left;
    EXPECT_EQ(send(packet, numbered(self.left), self.flags), VMB_STATUS_SUCCESS);
  }
  --self.depth;
}

TEST(PacketRoutine, Q16_MaySendThePacketAgainAndNeverRunsInsideItself) {
  for (const std::uint32_t flags : {0u, kWait}) {
    Pair pair;
    pair.open();
    Packets packets{pair.client, 1};
    Resender again{500, flags, 0, 0};
    vmb_packet_set_completion_routine_ex(packets[0], &again, send_again);
    ASSERT_EQ(send(packets[0], numbered(500), flags), VMB_STATUS_SUCCESS);
    std::uint32_t expected = 500;
    for (int turns = 0; turns < 2000 && expected != UINT32_MAX; ++turns) {
      for (const std::string& payload : drain(pair.server)) ASSERT_EQ(payload, numbered(expected--));
      vmb_channel_poll(pair.client, 0);
    }
    EXPECT_EQ(expected, UINT32_MAX) << "all 501 arrived, in order";
    EXPECT_EQ(again.deepest, 1u);
  }
}

TEST(PacketRoutine, Q16_APollFromARoutineIsMisuse) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  vmb_packet_set_completion_routine(packets[0], [](vmb_packet* packet, vmb_status, const void*, std::uint32_t) {
    EXPECT_EQ(vmb_channel_poll(vmb_packet_get_channel(packet), 1), 0u);
  });
  EXPECT_MISUSE(pair.client, "vmb_channel_poll", (void)send(packets[0], "x"));
}

TEST(PacketRoutine, Q34_StateCallsFromARoutineAreRefused) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 2};
  vmb_packet_set_completion_routine(packets[0], [](vmb_packet* packet, vmb_status, const void*, std::uint32_t) {
    EXPECT_EQ(vmb_channel_enable(vmb_packet_get_channel(packet)), VMB_STATUS_INVALID_DEVICE_STATE);
  });
  EXPECT_EQ(send(packets[0], "x"), VMB_STATUS_SUCCESS);
  vmb_packet_set_completion_routine(packets[1], [](vmb_packet* packet, vmb_status, const void*, std::uint32_t) {
    vmb_channel_disable(vmb_packet_get_channel(packet));
  });
  EXPECT_MISUSE(pair.client, "vmb_channel_disable", (void)send(packets[1], "x"));
  EXPECT_TRUE(vmb_channel_is_open(pair.server));
}

// ---- bursts ----

TEST(PacketSendBurst, StopsAtTheFirstRefusalAndLeavesTheRest) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 4};
  const vmb_send_desc descs[]{{packets[0], "0", 1, 0, nullptr},
                              {packets[1], "1", 1, kWait, nullptr},
                              {packets[2], "2", 1, 0x20, nullptr},
                              {packets[3], "3", 1, 0, nullptr}};
  vmb_status status = VMB_STATUS_SUCCESS;
  EXPECT_EQ(vmb_packet_send_burst(pair.client, descs, 4, &status), 2u);
  EXPECT_EQ(status, VMB_STATUS_INVALID_PARAMETER_5);
  EXPECT_EQ(vmb_packet_send_burst(pair.client, descs, 0, &status), 0u);
  EXPECT_EQ(status, VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_packet_send_burst(pair.client, descs + 3, 1, nullptr), 1u);
  EXPECT_EQ(vmb_packet_send_burst(nullptr, descs, 1, &status), 0u);
  EXPECT_EQ(status, VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(drain(pair.server).size(), 3u);
}

TEST(PacketSendBurst, APacketOfAnotherChannelIsRefused) {
  Pair pair;
  pair.open();
  Packets mine{pair.client, 1};
  Packets others{pair.server, 1};
  const vmb_send_desc descs[]{{mine[0], "0", 1, 0, nullptr}, {others[0], "1", 1, 0, nullptr}};
  vmb_status status = VMB_STATUS_SUCCESS;
  EXPECT_EQ(vmb_packet_send_burst(pair.client, descs, 2, &status), 1u);
  EXPECT_EQ(status, VMB_STATUS_INVALID_PARAMETER_1);
}

TEST(PacketSendBurst, AFullRingDoesNotStopItTheInFlightLimitDoes) {
  Pair pair{{.packet_count = 100}};
  pair.open();
  Packets packets{pair.client, 120};
  std::vector<vmb_send_desc> descs;
  const std::string payload(64, 'x');
  for (std::uint32_t i = 0; i < 120; ++i) descs.push_back({packets[i], payload.data(), 64, kWait, nullptr});
  vmb_status status = VMB_STATUS_SUCCESS;
  EXPECT_EQ(vmb_packet_send_burst(pair.client, descs.data(), 120, &status), 100u);
  EXPECT_EQ(status, VMB_STATUS_INSUFFICIENT_RESOURCES);
  EXPECT_EQ(stats(pair.client).queued, 54u);
  EXPECT_EQ(stats(pair.client).outstanding, 100u);
}

}  // namespace
}  // namespace vmb::test
