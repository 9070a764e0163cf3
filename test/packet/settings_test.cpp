// SPDX-License-Identifier: BSD-3-Clause
// Sizes and settings of a channel: defaults, limits, when they may change, and the size rule.
#include "packet/ends.hpp"
#include "packet/layout.hpp"

namespace vmb::test {
namespace {

constexpr std::uint32_t round_up(std::uint64_t value, std::uint64_t unit) {
  return static_cast<std::uint32_t>((value + unit - 1) / unit * unit);
}

TEST(ChannelSettings, DefaultsAreThePublishedConstants) {
  const End channel{true};
  EXPECT_EQ(vmb_channel_sizeof_packet(channel), round_up(64 + 32 + VMB_DEFAULT_MAXIMUM_PACKET_SIZE, 64));
  EXPECT_EQ(vmb_channel_get_pointer(channel), nullptr);
  EXPECT_EQ(vmb_channel_get_parent(channel), nullptr);
  EXPECT_EQ(vmb_channel_misuse_count(channel), 0u);
  EXPECT_FALSE(vmb_channel_is_open(channel));
}

TEST(ChannelSettings, SizeofPacketIsHeaderContextDescriptorsAndPayload) {
  for (const std::uint32_t context : {0u, 1u, 8u, 100u, 65536u}) {
    for (const std::uint32_t mps : {1u, 7u, 8u, 9u, 4095u, 4096u, 65537u, VMB_LARGEST_PACKET_SIZE}) {
      for (const auto& [bytes, pieces] : {std::pair{0u, 0u}, {1u, 1u}, {4096u, 1u}, {4097u, 2u}, {1u << 20, 32u}}) {
        const End channel{true};
        ASSERT_EQ(vmb_channel_init_set_inline_packet_context_size(channel, context), VMB_STATUS_SUCCESS);
        ASSERT_EQ(vmb_channel_init_set_maximum_packet_size(channel, mps), VMB_STATUS_SUCCESS);
        if (bytes > 0) {
          ASSERT_EQ(vmb_channel_init_set_maximum_external_data(channel, bytes, pieces), VMB_STATUS_SUCCESS);
        }
        const std::uint64_t external = 8ull * pieces + 8ull * ((bytes + 4095) / 4096 + 2 * pieces);
        EXPECT_EQ(vmb_channel_sizeof_packet(channel), round_up(64ull + context + 32 + round_up(mps, 8) + external, 64));
      }
    }
  }
}

TEST(ChannelSettings, ThePayloadStoreLiesWithinThePacket) {
  for (std::uint32_t context = 0; context < 200; ++context) {
    const PacketLimits limits{
        .packet_size = 13, .packet_count = 1, .context_size = context, .external_bytes = 0, .external_pieces = 0};
    EXPECT_GE(store_offset(limits), 64 + context);
    EXPECT_LE(store_offset(limits) + 16, sizeof_packet(limits));
  }
}

TEST(ChannelSettings, OutOfRangeNamesTheArgument) {
  const End channel{false};
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_size(channel, 0), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_size(channel, VMB_LARGEST_PACKET_SIZE + 1),
            VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(channel, 0, 1), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(channel, UINT32_MAX, 1), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(channel, 1, 0), VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(channel, 1, UINT32_MAX), VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_count(channel, 0), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_count(channel, UINT32_MAX), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_inline_packet_context_size(channel, UINT32_MAX), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(channel, 1, 2), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(channel, 2, 0), VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_channel_init_set_socket(channel, -2), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_link(channel, nullptr), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_link(channel, ""), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_link(channel, std::string(64, 'x').c_str()), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_link(channel, std::string(63, 'x').c_str()), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_init_set_process_packet_callbacks(channel, nullptr, nullptr), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_init_set_process_packet_callbacks_ex(channel, nullptr, nullptr, nullptr),
            VMB_STATUS_INVALID_PARAMETER_3);
  EXPECT_EQ(vmb_channel_allocate(nullptr, true, nullptr), VMB_STATUS_INVALID_PARAMETER_3);
}

TEST(ChannelSettings, RingSizesAreTheClients) {
  const End server{true};
  EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(server, 64, 64), VMB_STATUS_NOT_SUPPORTED);
}

TEST(ChannelSettings, NoHandleIsAParameterError) {
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_size(nullptr, 1), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(nullptr, 1, 1), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_count(nullptr, 1), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_inline_packet_context_size(nullptr, 1), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(nullptr, 2, 2), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_socket(nullptr, 0), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_link(nullptr, "x"), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_pull_mode(nullptr), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_deferred_completion(nullptr, true), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_enable(nullptr), VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_sizeof_packet(nullptr), 0u);
  EXPECT_EQ(vmb_channel_poll(nullptr, 1), 0u);
  EXPECT_EQ(vmb_packet_allocate(nullptr), nullptr);
  EXPECT_EQ(vmb_packet_send(nullptr, "x", 1, nullptr, 0), VMB_STATUS_INVALID_PARAMETER_1);
  vmb_channel_disable(nullptr);
  vmb_channel_cleanup(nullptr);
}

void expect_sizes(vmb_channel* channel, vmb_status status) {
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_size(channel, 64), status);
  EXPECT_EQ(vmb_channel_init_set_maximum_external_data(channel, 1, 1), status);
  EXPECT_EQ(vmb_channel_init_set_maximum_packet_count(channel, 8), status);
  EXPECT_EQ(vmb_channel_init_set_inline_packet_context_size(channel, 8), status);
  EXPECT_EQ(vmb_channel_init_set_socket(channel, VMB_ANY_NODE), status);
}

TEST(ChannelSettings, TheFirstInitializeFreezesSizes) {
  const End channel{true};
  expect_sizes(channel, VMB_STATUS_SUCCESS);
  const PacketMemory memory{channel};
  EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), memory.bytes() - 1), VMB_STATUS_INVALID_PARAMETER_3);
  expect_sizes(channel, VMB_STATUS_SUCCESS);  // a refused one does not
  EXPECT_EQ(vmb_packet_initialize(channel, memory.at(0), memory.bytes()), VMB_STATUS_SUCCESS);
  expect_sizes(channel, VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_link(channel, "other"), VMB_STATUS_SUCCESS);  // says nothing about sizes
}

TEST(ChannelSettings, TheFirstAllocateFreezesSizes) {
  const End channel{true};
  vmb_packet_free(vmb_packet_allocate(channel));
  expect_sizes(channel, VMB_STATUS_INVALID_PARAMETER_1);
}

TEST(ChannelSettings, EnableFreezesSizesAndDisableThawsTheRestOnly) {
  Pair pair;
  pair.open();
  for (vmb_channel* const channel : {pair.server.operator vmb_channel*(), pair.client.operator vmb_channel*()}) {
    expect_sizes(channel, VMB_STATUS_INVALID_PARAMETER_1);
    EXPECT_EQ(vmb_channel_init_set_link(channel, "other"), VMB_STATUS_INVALID_PARAMETER_1);
    EXPECT_EQ(vmb_channel_init_set_pull_mode(channel), VMB_STATUS_INVALID_PARAMETER_1);
    EXPECT_EQ(vmb_channel_init_set_deferred_completion(channel, true), VMB_STATUS_INVALID_PARAMETER_1);
  }
  EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(pair.client, 2, 2), VMB_STATUS_INVALID_PARAMETER_1);
  vmb_channel_disable(pair.client);
  expect_sizes(pair.client, VMB_STATUS_INVALID_PARAMETER_1);
  EXPECT_EQ(vmb_channel_init_set_link(pair.client, "other"), VMB_STATUS_SUCCESS);
}

TEST(ChannelSettings, ARingTooSmallForTheLargestPacketIsMadeBigger) {
  for (const std::uint32_t mps : {4096u, 100'000u, VMB_LARGEST_PACKET_SIZE}) {
    Pair pair{{.packet_size = mps, .packet_count = 8}};
    pair.open();
    Packets packets{pair.client, 1};
    std::string payload(mps, 'a');
    payload.back() = 'z';
    EXPECT_EQ(send(packets[0], payload), VMB_STATUS_SUCCESS);
    EXPECT_EQ(packets.ended.size(), 1u) << "not queued";
    const auto got = drain(pair.server);
    ASSERT_EQ(got.size(), 1u);
    payload.resize(round_up(mps, 8));
    EXPECT_EQ(got[0], payload);
  }
}

TEST(ChannelSettings, PointersAreStoredAndNeverFollowed) {
  auto* const wild = reinterpret_cast<void*>(std::uintptr_t{0xDEAD'BEEF});
  vmb_channel* channel = nullptr;
  ASSERT_EQ(vmb_channel_allocate(wild, true, &channel), VMB_STATUS_SUCCESS);
  EXPECT_EQ(vmb_channel_get_parent(channel), wild);
  vmb_channel_set_pointer(channel, wild);
  EXPECT_EQ(vmb_channel_get_pointer(channel), wild);
  vmb_channel_set_pointer(channel, nullptr);
  EXPECT_EQ(vmb_channel_get_pointer(channel), nullptr);
  vmb_channel_cleanup(channel);
}

TEST(ChannelSettings, StatsOfAnOlderCallerAreCutToItsSize) {
  const End channel{true};
  vmb_channel_stats old{};
  std::memset(&old, 0x5A, sizeof old);
  old.size = offsetof(vmb_channel_stats, held);
  EXPECT_EQ(vmb_channel_get_stats(channel, &old), VMB_STATUS_SUCCESS);
  EXPECT_EQ(old.outstanding, 0u);
  EXPECT_EQ(old.held, 0x5A5A5A5Au);
  old.size = 4;
  EXPECT_EQ(vmb_channel_get_stats(channel, &old), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_get_stats(channel, nullptr), VMB_STATUS_INVALID_PARAMETER_2);
  EXPECT_EQ(vmb_channel_get_stats(nullptr, &old), VMB_STATUS_INVALID_PARAMETER_1);
}

TEST(ChannelSettings, FourThousandAndNinetySixChannelsAndNoMore) {
  std::vector<vmb_channel*> channels;
  vmb_channel* channel = nullptr;
  while (vmb_channel_allocate(nullptr, true, &channel) == VMB_STATUS_SUCCESS) channels.push_back(channel);
  EXPECT_EQ(channel, nullptr);
  EXPECT_GE(channels.size(), 4090u);
  EXPECT_LE(channels.size(), 4096u);
  for (vmb_channel* const made : channels) vmb_channel_cleanup(made);
}

}  // namespace
}  // namespace vmb::test
