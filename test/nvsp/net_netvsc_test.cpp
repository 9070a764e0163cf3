// SPDX-License-Identifier: BSD-3-Clause
// nvsp::Host against what the packaged net_netvsc writes, and what that driver demands of its host.
#include <gtest/gtest.h>

#include "golden/recorded.hpp"
#include "nvsp/host.hpp"
#include "support/hex.hpp"

namespace vmbpmd::nvsp {
namespace {

using vmb::test::at_position;
using vmb::test::read_recording;
using vmb::test::RecordedPacket;
using vmb::test::to_hex;

class Gpadls final : public BufferTable {  // what uio_hv_generic allocates; the handles of the recording
 public:
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override {
    if (handle == 0xe1e10) return 31u << 20;
    if (handle == 0xe1e11) return 16u << 20;
    return std::nullopt;
  }
};

class NvspNetNetvsc : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(packets.size(), 18u) << "the recording is missing or damaged"; }

  Answer feed(unsigned position, std::string_view name) {
    const RecordedPacket& packet = at_position(packets, position);
    EXPECT_EQ(packet.name, name);
    const Answer answer = host.on_message(packet.payload(), packet.completion_requested());
    EXPECT_EQ(answer.completion.has_value(), packet.completion_requested());  // demand 1
    EXPECT_NE(answer.event.kind, HostEventKind::ignored) << name;
    return answer;
  }
  std::string text(const Answer& answer) { return answer.completion ? to_hex(*answer.completion) : "nothing"; }

  const std::vector<RecordedPacket> packets = read_recording("net_netvsc_guest.txt");
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
};

TEST_F(NvspNetNetvsc, IsAttachedAsItsRecordingWants) {
  EXPECT_TRUE(text(feed(1, "NVSP.Init")).starts_with("02000000 ffffffff 22000000 01000000"));
  EXPECT_EQ(host.version(), wire::NvspVersion::v6_1);
  feed(3, "NVSP.NdisConfig");
  EXPECT_EQ(host.config_mtu(), 1514u);
  EXPECT_EQ(host.capabilities(), 0x0cu);
  feed(4, "NVSP.NdisInit");

  const Answer receive = feed(5, "NVSP.RecvBufConnect");
  ASSERT_TRUE(receive.completion);
  EXPECT_GE(receive.completion->size(), 28u);  // demand 2
  EXPECT_LE(receive.completion->size(), 256u);
  EXPECT_TRUE(text(receive).starts_with("66000000 01000000 01000000 00000000 c0060000 7b490000")) << text(receive);
  EXPECT_TRUE(receive.event.ready);
  EXPECT_EQ(receive.event.id, 0xcafe);

  const Answer send = feed(7, "NVSP.SendBufConnect");
  EXPECT_TRUE(text(send).starts_with("69000000 01000000 00180000")) << text(send);
  EXPECT_EQ(send.event.unit_count, 2730u);

  const Answer subchannel = feed(65, "NVSP.Subchannel");
  ASSERT_TRUE(subchannel.completion);
  EXPECT_GE(subchannel.completion->size(), 40u);  // demand 2
  EXPECT_TRUE(text(subchannel).starts_with("85000000 02000000 00000000"));
  EXPECT_EQ(host.counters().malformed + host.counters().out_of_order + host.counters().unknown, 0u);
}

TEST_F(NvspNetNetvsc, WritesFortyBytesAlways) {  // the premise of the length checks
  for (const RecordedPacket& packet : packets) {
    if (packet.kind == "in-band" || packet.kind == "completion") {
      EXPECT_EQ(packet.payload().size(), 40u) << packet.position;
    }
  }
}

}  // namespace
}  // namespace vmbpmd::nvsp
