// SPDX-License-Identifier: BSD-3-Clause
// vmb_packet_allocate and vmb_packet_free: the statements F1 to F7 of kmcl.md, section 4, one test each; then the bulk
// forms and what allocated packets start with.
#include <set>
#include <thread>
#include <type_traits>

#include "packet/ends.hpp"

namespace vmb::test {
namespace {

TEST(PacketFree, F1_OneParameterAndNoStatus) {
  static_assert(std::is_same_v<decltype(&vmb_packet_free), void (*)(vmb_packet*)>);
}

TEST(PacketFree, F2_ReleasesAnAllocatedPacket) {
  Pair pair{{.packet_count = 1}};
  for (int i = 0; i < 100; ++i) {
    vmb_packet* const packet = vmb_packet_allocate(pair.client);
    ASSERT_NE(packet, nullptr);
    vmb_packet_free(packet);
  }
}

TEST(PacketFree, F3_TheHandleIsDead) {
  Pair pair;
  pair.open();
  vmb_packet* const packet = vmb_packet_allocate(pair.client);
  vmb_packet_set_pointer(packet, &pair);
  vmb_packet_free(packet);
  EXPECT_EQ(send(packet, "x"), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_packet_get_pointer(packet), nullptr);
  EXPECT_EQ(vmb_packet_get_channel(packet), nullptr);
  EXPECT_EQ(vmb_packet_get_inline_packet_context_pointer(packet), nullptr);
  const vmb_send_desc desc{packet, "x", 1, 0, nullptr};
  vmb_status status{};
  EXPECT_EQ(vmb_packet_send_burst(pair.client, &desc, 1, &status), 0u);
  EXPECT_EQ(status, VMB_STATUS_INVALID_PARAMETER_1);
}

TEST(PacketFree, F4_APoolOfNGivesNAndAfterOneFreeOneMore) {
  for (const std::uint32_t count : {1u, 2u, 3u, 7u, 64u, 1000u, 1024u}) {
    Pair pair{{.packet_count = count}};
    std::vector<vmb_packet*> packets;
    for (std::uint32_t i = 0; i < count; ++i) packets.push_back(vmb_packet_allocate(pair.client));
    EXPECT_EQ(std::set<vmb_packet*>(packets.begin(), packets.end()).size(), count);
    EXPECT_EQ(std::count(packets.begin(), packets.end(), nullptr), 0);
    EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr) << count;
    vmb_packet_free(packets.back());
    packets.back() = vmb_packet_allocate(pair.client);
    EXPECT_NE(packets.back(), nullptr) << count;
    EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr) << count;
    vmb_packet_free_bulk(packets.data(), count);
  }
}

TEST(PacketFree, F5_AnInitializedPacketIsMisuse) {
  Pair pair{{.packet_count = 1}};
  Packets packets{pair.client, 1};
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packets[0]));  // without a pool
  vmb_packet* const allocated = vmb_packet_allocate(pair.client);
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packets[0]));  // with one
  EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr);                        // which it did not enter
  EXPECT_EQ(vmb_packet_get_channel(packets[0]), pair.client);                  // nothing changed
  vmb_packet_free(allocated);
}

TEST(PacketFree, F6_NullIsANoOp) {
  vmb_packet_free(nullptr);
  vmb_packet_free_bulk(nullptr, 0);
  Pair pair;
  vmb_packet* packets[3]{nullptr, vmb_packet_allocate(pair.client), nullptr};
  vmb_packet_free_bulk(packets, 3);
  EXPECT_EQ(vmb_channel_misuse_count(pair.client), 0u);
}

TEST(PacketFree, F7_AfterASendWithTheDefaultRoutineItIsADoubleFree) {
  Pair pair;
  pair.open();
  vmb_packet* packet = vmb_packet_allocate(pair.client);
  ASSERT_EQ(send(packet, "x"), VMB_STATUS_SUCCESS);  // in the ring, ended, freed
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
  packet = vmb_packet_allocate(pair.client);
  ASSERT_EQ(send(packet, "x", kWait), VMB_STATUS_SUCCESS);  // in flight
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
  EXPECT_EQ(drain(pair.server).size(), 2u);
  vmb_channel_poll(pair.client, 0);  // ended, freed
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
}

TEST(PacketFree, F7_IsDueWhereThePacketWasNotSentOrItsRoutineReplaced) {
  Pair pair{{.packet_count = 1}};
  pair.open();
  vmb_packet* packet = vmb_packet_allocate(pair.client);
  EXPECT_EQ(send(packet, "x", 0x20), VMB_STATUS_INVALID_PARAMETER_5);  // refused: still the caller's
  vmb_packet_free(packet);
  packet = vmb_packet_allocate(pair.client);
  Record ended;
  vmb_packet_set_completion_routine_ex(packet, &ended, record);
  ASSERT_EQ(send(packet, "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(ended.size(), 1u);
  EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr);  // not freed by anybody
  vmb_packet_free(packet);
  EXPECT_EQ(vmb_channel_misuse_count(pair.client), 0u);
}

// ---- allocated packets ----

TEST(PacketAllocate, AFreshPacketHasNeitherPointerNorTheLastOnesRoutine) {
  Pair pair{{.packet_count = 1}};
  pair.open();
  Record ended;
  vmb_packet* packet = vmb_packet_allocate(pair.client);
  vmb_packet_set_pointer(packet, &pair);
  vmb_packet_set_completion_routine_ex(packet, &ended, record);
  vmb_packet_free(packet);
  packet = vmb_packet_allocate(pair.client);
  EXPECT_EQ(vmb_packet_get_pointer(packet), nullptr);
  ASSERT_EQ(send(packet, "x"), VMB_STATUS_SUCCESS);
  EXPECT_TRUE(ended.empty());
  EXPECT_NE(packet = vmb_packet_allocate(pair.client), nullptr);  // the default routine freed it
  vmb_packet_free(packet);
}

TEST(PacketAllocate, TheDefaultRoutineFreesOnlyWhenThePeerCompletes) {
  Pair pair{{.packet_count = 1}};
  pair.open();
  ASSERT_EQ(send(vmb_packet_allocate(pair.client), "x", kWait), VMB_STATUS_SUCCESS);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr);
  EXPECT_EQ(drain(pair.server).size(), 1u);
  vmb_channel_poll(pair.client, 0);
  vmb_packet* const packet = vmb_packet_allocate(pair.client);
  ASSERT_NE(packet, nullptr);
  vmb_packet_free(packet);
}

TEST(PacketAllocate, BulkIsAllOrNone) {
  Pair pair{{.packet_count = 10}};
  std::vector<vmb_packet*> packets(11, nullptr);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 11), VMB_STATUS_INSUFFICIENT_RESOURCES);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 10), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data() + 10, 1), VMB_STATUS_INSUFFICIENT_RESOURCES);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 0), VMB_STATUS_SUCCESS);
  vmb_packet_free_bulk(packets.data(), 10);
  EXPECT_EQ(vmb_packet_allocate_bulk(nullptr, packets.data(), 1), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, nullptr, 1), VMB_STATUS_INVALID_PARAMETER_2);
}

TEST(PacketAllocate, BulkAndSinglesOfAllSizesNeverLoseOrDoubleAPacket) {
  constexpr std::uint32_t kCount = 700;  // more than a cache holds: both ways through the pool
  Pair pair{{.packet_count = kCount}};
  std::vector<vmb_packet*> out;
  for (std::uint32_t step = 0; step < 5000; ++step) {
    const std::uint32_t n = (step * 7919) % 331;
    if (step % 3 != 0 && out.size() + n <= kCount) {
      std::vector<vmb_packet*> more(n);
      ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, more.data(), n), VMB_STATUS_SUCCESS);
      out.insert(out.end(), more.begin(), more.end());
    } else {
      const auto gone = std::min<std::size_t>(n, out.size());
      vmb_packet_free_bulk(out.data() + out.size() - gone, static_cast<std::uint32_t>(gone));
      out.resize(out.size() - gone);
    }
    if (step % 500 == 0) { ASSERT_EQ(std::set<vmb_packet*>(out.begin(), out.end()).size(), out.size()); }
  }
  vmb_packet_free_bulk(out.data(), static_cast<std::uint32_t>(out.size()));
  out.resize(kCount);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, out.data(), kCount), VMB_STATUS_SUCCESS);
  EXPECT_EQ(std::set<vmb_packet*>(out.begin(), out.end()).size(), kCount);
  vmb_packet_free_bulk(out.data(), kCount);
  EXPECT_EQ(vmb_channel_misuse_count(pair.client), 0u);
}

TEST(PacketAllocate, InlineContextIsThePacketsOwn) {
  Pair pair{{.packet_count = 16}};
  EXPECT_EQ(vmb_channel_init_set_inline_packet_context_size(pair.client, 40), VMB_STATUS_SUCCESS);
  pair.open();
  std::vector<vmb_packet*> packets(16);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, packets.data(), 16), VMB_STATUS_SUCCESS);
  for (std::uint32_t i = 0; i < 16; ++i) {
    void* const context = vmb_packet_get_inline_packet_context_pointer(packets[i]);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(context) % 16, 0u);
    std::memset(context, static_cast<int>(i), 40);
  }
  for (std::uint32_t i = 0; i < 16; ++i) {
    const auto* const context =
        static_cast<const std::uint8_t*>(vmb_packet_get_inline_packet_context_pointer(packets[i]));
    EXPECT_TRUE(std::all_of(context, context + 40, [i](std::uint8_t b) { return b == i; }));
  }
  vmb_packet_free_bulk(packets.data(), 16);
}

TEST(PacketAllocate, WithoutContextThereIsNoPointerToIt) {
  Pair pair;
  vmb_packet* const packet = vmb_packet_allocate(pair.client);
  EXPECT_EQ(vmb_packet_get_inline_packet_context_pointer(packet), nullptr);
  vmb_packet_free(packet);
}

// ---- misuse ----

TEST(PacketMisuse, FreeingTwice) {
  Pair pair{{.packet_count = 2}};
  vmb_packet* const packet = vmb_packet_allocate(pair.client);
  vmb_packet_free(packet);
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
  std::vector<vmb_packet*> both(2);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, both.data(), 2), VMB_STATUS_SUCCESS);
  EXPECT_NE(both[0], both[1]);
  vmb_packet_free_bulk(both.data(), 2);
}

TEST(PacketMisuse, FreeingTwiceOnTwoThreads) {
  Pair pair{{.packet_count = 2}};
  const auto free_elsewhere = [](vmb_packet* packet) { std::thread([packet] { vmb_packet_free(packet); }).join(); };
  vmb_packet* packet = vmb_packet_allocate(pair.client);
  vmb_packet_free(packet);  // into this lcore's cache
  EXPECT_MISUSE(pair.client, "vmb_packet_free", free_elsewhere(packet));
  packet = vmb_packet_allocate(pair.client);
  free_elsewhere(packet);  // a thread that is no lcore has no cache
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
  std::vector<vmb_packet*> both(2);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, both.data(), 2), VMB_STATUS_SUCCESS);
  EXPECT_NE(both[0], both[1]);
  vmb_packet_free_bulk(both.data(), 2);
}

TEST(PacketMisuse, FreeingTwiceIsFoundWhereverInThePoolThePacketRests) {
  constexpr std::uint32_t kCount = 700;  // some in the cache, some behind it
  Pair pair{{.packet_count = kCount}};
  std::vector<vmb_packet*> all(kCount);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), kCount), VMB_STATUS_SUCCESS);
  for (vmb_packet* const packet : all) vmb_packet_free(packet);
#ifdef NDEBUG
  for (vmb_packet* const packet : all) vmb_packet_free(packet);
  vmb_packet_free_bulk(all.data(), kCount);
  EXPECT_EQ(vmb_channel_misuse_count(pair.client), 2 * kCount);
#endif
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), kCount), VMB_STATUS_SUCCESS);
  EXPECT_EQ(std::set<vmb_packet*>(all.begin(), all.end()).size(), kCount);
  vmb_packet_free_bulk(all.data(), kCount);
}

TEST(PacketMisuse, FreeingTwiceWithinOneBulkFreesTheOthers) {
  Pair pair{{.packet_count = 3}};
  std::vector<vmb_packet*> all(3);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), 3), VMB_STATUS_SUCCESS);
  vmb_packet* const twice[4]{all[0], all[1], all[0], all[2]};
  EXPECT_MISUSE(pair.client, "vmb_packet_free_bulk", vmb_packet_free_bulk(twice, 4));
#ifndef NDEBUG
  vmb_packet_free_bulk(all.data(), 3);
#endif
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), 3), VMB_STATUS_SUCCESS);
  EXPECT_EQ(std::set<vmb_packet*>(all.begin(), all.end()).size(), 3u);
  vmb_packet_free_bulk(all.data(), 3);
}

TEST(PacketMisuse, FreeingAQueuedPacket) {
  Pair pair;
  ASSERT_EQ(vmb_channel_enable(pair.client), VMB_STATUS_SUCCESS);  // no peer: sends queue
  vmb_packet* const packet = vmb_packet_allocate(pair.client);
  ASSERT_EQ(send(packet, "x"), VMB_STATUS_SUCCESS);
  EXPECT_MISUSE(pair.client, "vmb_packet_free", vmb_packet_free(packet));
  EXPECT_EQ(stats(pair.client).queued, 1u);
}

TEST(PacketMisuse, FreeingWhatIsNoPacket) {
  alignas(64) std::byte memory[64]{};
  EXPECT_MISUSE(nullptr, "vmb_packet_free", vmb_packet_free(reinterpret_cast<vmb_packet*>(memory)));
}

TEST(PacketMisuse, PacketsOfTwoChannelsInOneBulkFindTheirWayHome) {
  Pair pair{{.packet_count = 2}};
  std::vector<vmb_packet*> mixed;
  for (int i = 0; i < 2; ++i) {
    mixed.push_back(vmb_packet_allocate(pair.client));
    mixed.push_back(vmb_packet_allocate(pair.server));
  }
  vmb_packet_free_bulk(mixed.data(), 4);
  for (vmb_channel* const channel : {pair.client.operator vmb_channel*(), pair.server.operator vmb_channel*()}) {
    EXPECT_EQ(vmb_packet_allocate_bulk(channel, mixed.data(), 2), VMB_STATUS_SUCCESS);
    EXPECT_EQ(vmb_packet_get_channel(mixed[0]), channel);
    EXPECT_EQ(vmb_packet_get_channel(mixed[1]), channel);
    vmb_packet_free_bulk(mixed.data(), 2);
    EXPECT_EQ(vmb_channel_misuse_count(channel), 0u);
  }
}

TEST(PacketMisuse, SettingARoutineInFlightIsIgnored) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  EXPECT_MISUSE(pair.client, "vmb_packet_set_completion_routine",
                vmb_packet_set_completion_routine(packets[0], nullptr));
  EXPECT_MISUSE(pair.client, "vmb_packet_set_completion_routine_ex",
                vmb_packet_set_completion_routine_ex(packets[0], nullptr, nullptr));
  drain(pair.server);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(PacketMisuse, CleaningUpAChannelThatIsNotDisabled) {
  Pair pair;
  pair.open();
  EXPECT_MISUSE(pair.client, "vmb_channel_cleanup", vmb_channel_cleanup(pair.client));
}

TEST(PacketMisuse, CleaningUpWithAllocatedPacketsOut) {
#ifdef NDEBUG
  auto* const end = new End{true};  // the channel is not freed, and its packet stays usable
  vmb_packet* const packet = vmb_packet_allocate(*end);
  vmb_channel* const channel = end->release();
  EXPECT_MISUSE(channel, "vmb_channel_cleanup", vmb_channel_cleanup(channel));
  EXPECT_EQ(vmb_packet_get_channel(packet), channel);
  vmb_packet_free(packet);
  vmb_channel_cleanup(channel);  // now it is whole again, and this is the end of it
  delete end;
#else
  End end{true};
  vmb_packet* const packet = vmb_packet_allocate(end);
  EXPECT_DEATH(vmb_channel_cleanup(end), "misuse of vmb_channel_cleanup:");
  vmb_packet_free(packet);
#endif
}

#ifndef NDEBUG
TEST(PacketMisuse, InitializingAPacketInFlight) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  EXPECT_DEATH(vmb_packet_initialize(pair.client, packets[0], vmb_channel_sizeof_packet(pair.client)),
               "misuse of vmb_packet_initialize:");
}
#endif

}  // namespace
}  // namespace vmb::test
