// SPDX-License-Identifier: BSD-3-Clause
// vmb_packet_initialize: the statements I1 to I16 of kmcl.md, section 4, one test each.
#include <type_traits>

#include "packet/ends.hpp"

namespace vmb::test {
namespace {

constexpr std::uint32_t kPointer = sizeof(void*);

TEST(PacketInitialize, I1_ThreeParametersInThisOrderAndAStatus) {
  using Expected = vmb_status (*)(vmb_channel * channel, vmb_packet * memory, std::uint32_t byte_count);
  static_assert(std::is_same_v<decltype(&vmb_packet_initialize), Expected>);
  static_assert(std::is_same_v<vmb_status, std::uint32_t>);
}

TEST(PacketInitialize, I2_SizeofPacketAndMoreSucceed) {
  const End channel{true};
  const std::uint32_t size = vmb_channel_sizeof_packet(channel);
  std::vector<std::max_align_t> memory(size + 4096);
  auto* const packet = reinterpret_cast<vmb_packet*>(memory.data());
  for (const std::uint32_t more : {0u, 1u, 8u, 4096u}) {
    EXPECT_EQ(vmb_packet_initialize(channel, packet, size + more), VMB_STATUS_SUCCESS) << more;
  }
}

TEST(PacketInitialize, I3_MaximumPacketSizePlusPointerIsTooSmall) {
  for (const std::uint32_t mps : {1u, 8u, 64u, 4096u, 100'000u}) {
    const End channel{true};
    ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(channel, mps), VMB_STATUS_SUCCESS);
    const PacketMemory memory{channel};
    EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), mps + kPointer), VMB_STATUS_INVALID_PARAMETER_3) << mps;
  }
  EXPECT_EQ(VMB_STATUS_INVALID_PARAMETER_3, 0xC00000F1u);
}

TEST(PacketInitialize, I4_SmallerIsTooSmall) {
  const End channel{true};
  const PacketMemory memory{channel};
  constexpr std::uint32_t kMps = VMB_DEFAULT_MAXIMUM_PACKET_SIZE;
  for (const std::uint32_t bytes : {0u, 1u, kPointer, kMps, kMps + kPointer - 1}) {
    EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), bytes), VMB_STATUS_INVALID_PARAMETER_3) << bytes;
  }
}

TEST(PacketInitialize, I5_SizeofPacketExceedsMaximumPacketSizePlusPointer) {
  const End channel{true};
  for (std::uint32_t mps = 1; mps <= VMB_LARGEST_PACKET_SIZE; mps += mps < 10'000 ? 1 : 997) {
    ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(channel, mps), VMB_STATUS_SUCCESS);
    ASSERT_GT(vmb_channel_sizeof_packet(channel), mps + kPointer) << mps;
  }
  ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(channel, VMB_LARGEST_PACKET_SIZE), VMB_STATUS_SUCCESS);
  EXPECT_GT(vmb_channel_sizeof_packet(channel), VMB_LARGEST_PACKET_SIZE + kPointer);
}

TEST(PacketInitialize, I6_SizeofPacketNeverShrinksWhenMaximumPacketSizeGrows) {
  const End channel{true};
  std::uint32_t before = 0;
  for (std::uint32_t mps = 1; mps <= VMB_LARGEST_PACKET_SIZE; mps += mps < 10'000 ? 1 : 997) {
    ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(channel, mps), VMB_STATUS_SUCCESS);
    ASSERT_GE(vmb_channel_sizeof_packet(channel), before) << mps;
    before = vmb_channel_sizeof_packet(channel);
  }
}

TEST(PacketInitialize, I7_BetweenTheBoundAndSizeofPacketIsTooSmallToo) {
  const End channel{true};
  const PacketMemory memory{channel};
  const std::uint32_t size = vmb_channel_sizeof_packet(channel);
  for (std::uint32_t bytes = VMB_DEFAULT_MAXIMUM_PACKET_SIZE + kPointer + 1; bytes < size; ++bytes) {
    EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), bytes), VMB_STATUS_INVALID_PARAMETER_3) << bytes;
  }
}

TEST(PacketInitialize, I8_NoByteOutsideTheMemoryIsWritten) {
  Pair pair{{.packet_size = 64, .packet_count = 256}};
  ASSERT_EQ(vmb_channel_init_set_inline_packet_context_size(pair.client, 24), VMB_STATUS_SUCCESS);
  pair.open();
  Packets packets{pair.client, 128};  // between canaries
  for (int round = 0; round < 3; ++round) {
    const std::uint32_t in_ring = fill_ring(pair.client, packets);  // the last one waits in its own memory
    std::memset(vmb_packet_get_inline_packet_context_pointer(packets[0]), round, 24);
    EXPECT_EQ(drain(pair.server).size(), in_ring);
    EXPECT_EQ(vmb_channel_poll(pair.client, 0), 0u);
    EXPECT_EQ(drain(pair.server).size(), 1u);
    EXPECT_EQ(vmb_channel_poll(pair.client, 0), 0u);
    EXPECT_EQ(packets.ended.size(), in_ring + 1);
    packets.ended.clear();
  }
}  // ~PacketMemory looks at the canaries

TEST(PacketInitialize, I9_WorksWhenThePoolIsExhaustedAndTakesNothingFromIt) {
  Pair pair{{.packet_count = 8}};
  std::vector<vmb_packet*> all(8);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), 8), VMB_STATUS_SUCCESS);
  ASSERT_EQ(vmb_packet_allocate(pair.client), nullptr);
  const PacketMemory memory{pair.client};
  EXPECT_EQ(vmb_packet_initialize(pair.client, memory.at(0), memory.bytes()), VMB_STATUS_SUCCESS);
  vmb_packet_free_bulk(all.data(), 8);
  EXPECT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), 8), VMB_STATUS_SUCCESS);  // still eight
  vmb_packet_free_bulk(all.data(), 8);
}

TEST(PacketInitialize, I10_TheHandleIsTheAddressAndEveryFunctionTakesIt) {
  Pair pair;
  ASSERT_EQ(vmb_channel_init_set_inline_packet_context_size(pair.client, 16), VMB_STATUS_SUCCESS);
  pair.open();
  const PacketMemory memory{pair.client, 2};
  vmb_packet* handles[2];
  ASSERT_EQ(vmb_packet_initialize_bulk(pair.client, memory.at(0), memory.bytes() + 64, 2, handles), VMB_STATUS_SUCCESS);
  EXPECT_EQ(handles[0], memory.at(0));
  EXPECT_EQ(handles[1], memory.at(1));
  Record ended;
  for (vmb_packet* const packet : handles) {
    vmb_packet_set_pointer(packet, &pair);
    EXPECT_EQ(vmb_packet_get_pointer(packet), &pair);
    EXPECT_EQ(vmb_packet_get_channel(packet), pair.client);
    EXPECT_NE(vmb_packet_get_inline_packet_context_pointer(packet), nullptr);
    vmb_packet_set_completion_routine(packet, [](vmb_packet*, vmb_status, const void*, std::uint32_t) {});
    EXPECT_EQ(send(packet, "one"), VMB_STATUS_SUCCESS);
    vmb_packet_set_completion_routine_ex(packet, &ended, record);
    const vmb_send_desc desc{packet, "two", 3, kWait, nullptr};
    EXPECT_EQ(vmb_packet_send_burst(pair.client, &desc, 1, nullptr), 1u);
  }
  EXPECT_EQ(drain(pair.server).size(), 4u);
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(ended.size(), 2u);
}

TEST(PacketInitialize, I11_SendingWithoutARoutineIsRefusedAndThePacketStaysTheCallers) {
  Pair pair;
  pair.open();
  const PacketMemory memory{pair.client};
  vmb_packet* const packet = memory.at(0);
  ASSERT_EQ(vmb_packet_initialize(pair.client, packet, memory.bytes()), VMB_STATUS_SUCCESS);
  EXPECT_EQ(send(packet, "x"), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(send(packet, "x", kWait), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_TRUE(drain(pair.server).empty());
  Record ended;
  vmb_packet_set_completion_routine_ex(packet, &ended, record);  // idle: this is allowed, and now it goes
  EXPECT_EQ(send(packet, "x"), VMB_STATUS_SUCCESS);
}

TEST(PacketInitialize, I12_WithARoutineTheSendWorksAndTheRoutineGetsThisHandle) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 3};
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(send(packets[i], numbered(i), i == 1 ? kWait : 0), VMB_STATUS_SUCCESS);
  EXPECT_EQ(drain(pair.server), (std::vector{numbered(0), numbered(1), numbered(2)}));
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended, (Record{{packets[0], VMB_STATUS_SUCCESS, ""},
                                   {packets[2], VMB_STATUS_SUCCESS, ""},
                                   {packets[1], VMB_STATUS_SUCCESS, ""}}));
}

TEST(PacketInitialize, I13_ACompletedPacketNeverEntersThePool) {
  Pair pair{{.packet_count = 4}};
  pair.open();
  std::vector<vmb_packet*> all(4);
  ASSERT_EQ(vmb_packet_allocate_bulk(pair.client, all.data(), 4), VMB_STATUS_SUCCESS);
  Packets packets{pair.client, 8};
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(send(packets[i], "x"), VMB_STATUS_SUCCESS);
  EXPECT_EQ(packets.ended.size(), 8u);
  EXPECT_EQ(vmb_packet_allocate(pair.client), nullptr);
  vmb_packet_free_bulk(all.data(), 4);
}

TEST(PacketInitialize, I14_TooSmallLeavesTheMemoryUnchanged) {
  const End channel{true};
  const PacketMemory memory{channel};
  EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), memory.bytes() - 1), VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_TRUE(memory.is_untouched(0));
}

TEST(PacketInitialize, I15_ChannelIsSetAndPointerIsNull) {
  const End channel{true};
  const PacketMemory memory{channel};
  ASSERT_EQ(vmb_packet_initialize(channel, memory.at(0), memory.bytes()), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_packet_get_channel(memory.at(0)), channel);
  EXPECT_EQ(vmb_packet_get_pointer(memory.at(0)), nullptr);
}

TEST(PacketInitialize, I16_OurOwnChecksNameTheirArgument) {
  const End channel{true};
  const PacketMemory memory{channel};
  EXPECT_EQ(vmb_packet_initialize(nullptr, memory.at(0), memory.bytes()), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_packet_initialize(channel, nullptr, memory.bytes()), VMB_STATUS_INVALID_PARAMETER_2);
  for (const std::uint32_t off : {1u, 4u, 8u, 15u}) {
    auto* const misaligned = reinterpret_cast<vmb_packet*>(reinterpret_cast<std::byte*>(memory.at(0)) + off);
    EXPECT_EQ(vmb_packet_initialize(channel, misaligned, memory.bytes()), VMB_STATUS_INVALID_PARAMETER_2) << off;
  }
  EXPECT_TRUE(memory.is_untouched(0));
}

// ---- decisions on what the statements leave open ----

TEST(PacketInitialize, SixteenBytesOfAlignmentAreEnough) {
  Pair pair;
  pair.open();
  const std::uint32_t size = vmb_channel_sizeof_packet(pair.client);
  std::vector<std::max_align_t> memory(size / sizeof(std::max_align_t) + 8);
  Record ended;
  for (const std::uint32_t off : {0u, 16u, 32u, 48u}) {
    auto* const packet = reinterpret_cast<vmb_packet*>(reinterpret_cast<std::byte*>(memory.data()) + off);
    ASSERT_EQ(vmb_packet_initialize(pair.client, packet, size), VMB_STATUS_SUCCESS);
    vmb_packet_set_completion_routine_ex(packet, &ended, record);
    EXPECT_EQ(send(packet, numbered(off)), VMB_STATUS_SUCCESS);
  }
  EXPECT_EQ(ended.size(), 4u);
}

TEST(PacketInitialize, AgainMakesANewPacket) {
  const End channel{true};
  const PacketMemory memory{channel};
  vmb_packet* const packet = memory.at(0);
  Record ended;
  ASSERT_EQ(vmb_packet_initialize(channel, packet, memory.bytes()), VMB_STATUS_SUCCESS);
  vmb_packet_set_pointer(packet, &ended);
  vmb_packet_set_completion_routine_ex(packet, &ended, record);
  ASSERT_EQ(vmb_packet_initialize(channel, packet, memory.bytes()), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_packet_get_pointer(packet), nullptr);
  EXPECT_EQ(send(packet, "x"), VMB_STATUS_INVALID_PARAMETER_1);  // no routine again
}

TEST(PacketInitialize, BulkIsAllOrNothingAndItsStrideObeysTheSameBounds) {
  const End channel{true};
  const PacketMemory memory{channel, 3};
  vmb_packet* handles[3]{};
  const std::uint32_t stride = memory.bytes() + 64;
  EXPECT_EQ(vmb_packet_initialize_bulk(channel, memory.at(0), memory.bytes() - 16, 3, handles),
            VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_packet_initialize_bulk(channel, memory.at(0), memory.bytes() + 8, 3, handles),
            VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_packet_initialize_bulk(channel, nullptr, stride, 3, handles), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_packet_initialize_bulk(nullptr, memory.at(0), stride, 3, handles), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_packet_initialize_bulk(channel, memory.at(0), stride, 0, handles), VMB_STATUS_SUCCESS);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(memory.is_untouched(i));
  EXPECT_EQ(vmb_packet_initialize_bulk(channel, memory.at(0), stride, 3, nullptr), VMB_STATUS_SUCCESS);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(vmb_packet_get_channel(memory.at(i)), channel);
}

}  // namespace
}  // namespace vmb::test
