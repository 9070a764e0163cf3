// SPDX-License-Identifier: BSD-3-Clause
// rndis::Host against every control message that the packaged net_netvsc writes in an attach, and what that driver
// demands of the answers.
#include <gtest/gtest.h>

#include "golden/recorded.hpp"
#include "rndis/host.hpp"
#include "support/hex.hpp"
#include "wire/message.hpp"

namespace vmbpmd::rndis {
namespace {

using vmb::test::at_position;
using vmb::test::read_recording;
using vmb::test::RecordedPacket;
using vmb::test::to_hex;

constexpr std::size_t kWholeAnswer = 256;  // net_netvsc keeps no more

class RndisNetNetvsc : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(packets.size(), 18u) << "the recording is missing or damaged"; }

  /// Feeds a recorded request and checks what holds for all answers.
  std::string feed(unsigned position, std::string_view name, HostEventKind event = HostEventKind::none) {
    const RecordedPacket& packet = at_position(packets, position);
    EXPECT_EQ(packet.referred_name, name);
    EXPECT_TRUE(packet.completion_requested());
    const Answer answer = host.on_message(packet.referred);
    EXPECT_EQ(answer.event.kind, event) << name;

    const auto request = wire::load<wire::RndisRequestHeader>(packet.referred).value();
    const auto header = wire::load<wire::RndisRequestHeader>(answer.response);
    if (!header) return "no answer";
    EXPECT_EQ(static_cast<std::uint32_t>(header->type), static_cast<std::uint32_t>(request.type) | wire::kRndisAnswer);
    EXPECT_EQ(header->request_id, request.request_id);
    EXPECT_EQ(header->length, answer.response.size());
    EXPECT_LE(answer.response.size(), kWholeAnswer);
    return to_hex(answer.response);
  }

  void attach() {
    feed(9, "RNDIS.Initialize", HostEventKind::initialized);
    feed(13, "RNDIS.Set CURRENT_PACKET_FILTER", HostEventKind::filter_changed);
  }

  static HostConfig config() {
    return {.mac = {0x00, 0x15, 0x5d, 0x00, 0x00, 0x01}, .connected = true, .rss_capabilities = 0x301, .rss_queues = 2};
  }

  const std::vector<RecordedPacket> packets = read_recording("net_netvsc_guest.txt");
  Host host{config()};
};

TEST_F(RndisNetNetvsc, IsAttachedAsItsRecordingWants) {
  EXPECT_EQ(feed(9, "RNDIS.Initialize", HostEventKind::initialized),
            "02000080 34000000 01000000 00000000 01000000 00000000 01000000 00000000 20000000 ffffffef 03000000 "
            "00000000 00000000");
  EXPECT_EQ(feed(13, "RNDIS.Set CURRENT_PACKET_FILTER", HostEventKind::filter_changed),
            "05000080 10000000 02000000 00000000");
  EXPECT_EQ(host.packet_filter(), 0u);
  EXPECT_EQ(feed(17, "RNDIS.Query PERMANENT_ADDRESS"),
            "04000080 1e000000 03000000 00000000 06000000 10000000 00155d00 0001");
  EXPECT_EQ(feed(21, "RNDIS.Query RECEIVE_SCALE_CAPABILITIES"),
            "04000080 2a000000 04000000 00000000 12000000 10000000 88021200 01030000 01000000 02000000 8000");
  EXPECT_TRUE(feed(25, "RNDIS.Query TCP_OFFLOAD_HARDWARE_CAPABILITIES")
                  .starts_with("04000080 b4000000 05000000 00000000 9c000000 10000000 a7039c00 00000000"));
  EXPECT_EQ(feed(61, "RNDIS.Set TCP_OFFLOAD_PARAMETERS", HostEventKind::offload_changed),
            "05000080 10000000 0e000000 00000000");
  EXPECT_EQ(feed(68, "RNDIS.Set RECEIVE_SCALE_PARAMETERS", HostEventKind::rss_changed),
            "05000080 10000000 0f000000 00000000");
  EXPECT_FALSE(host.rss().enabled) << "the recorded one is the disable that comes first";
  EXPECT_EQ(feed(108, "RNDIS.Query MEDIA_CONNECT_STATUS"),
            "04000080 1c000000 19000000 00000000 04000000 10000000 00000000");
  EXPECT_EQ(feed(112, "RNDIS.Query LINK_SPEED"), "04000080 1c000000 1a000000 00000000 04000000 10000000 00ca9a3b");
}

TEST_F(RndisNetNetvsc, EnablesRssWithTheObjectItDisabledWith) {  // its next message: the same, without the flag
  attach();
  const RecordedPacket& disable = at_position(packets, 68);
  std::vector<std::byte> enable = disable.referred;
  ASSERT_EQ(enable[32], std::byte{0x10});
  enable[32] = std::byte{0};
  EXPECT_EQ(host.on_message(enable).event.kind, HostEventKind::rss_changed);
  EXPECT_TRUE(host.rss().enabled);
  EXPECT_EQ(host.rss().hash_info, 0xd01u);
  for (std::size_t i = 0; i < host.rss().table.size(); ++i) ASSERT_EQ(host.rss().table[i], i % 2) << i;
  EXPECT_EQ(to_hex(host.rss().key),
            "2cc681d1 5bdbf4f7 fca28319 db1a3e94 6b9e38d9 2c9c03d1 ad9944a7 d9563d59 063c25f3 fc1fdc2a");
}

TEST_F(RndisNetNetvsc, IsNotLeftWithoutAnAnswerByAHostOfOneQueue) {
  HostConfig one = config();
  one.rss_queues = 1;
  host = Host{one};
  attach();
  std::vector<std::byte> enable = at_position(packets, 68).referred;
  enable[32] = std::byte{0};
  const Answer answer = host.on_message(enable);
  EXPECT_EQ(answer.event.kind, HostEventKind::rejected);
  EXPECT_EQ(to_hex(answer.response), "05000080 10000000 0f000000 150001c0");
}

TEST_F(RndisNetNetvsc, ItsDataMessagesAreNotControl) {
  attach();
  for (const unsigned position : {128u, 136u}) {
    EXPECT_EQ(feed(position, "RNDIS.Packet", HostEventKind::ignored), "no answer");
  }
}

}  // namespace
}  // namespace vmbpmd::rndis
