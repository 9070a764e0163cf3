// SPDX-License-Identifier: BSD-3-Clause
// Both ends of NVSP against each other, message by message.
#include <gtest/gtest.h>

#include "nvsp/guest.hpp"
#include "nvsp/host.hpp"

namespace vmbpmd::nvsp {
namespace {

using wire::NvspVersion;

constexpr std::uint32_t kReceiveGpadl = 7;
constexpr std::uint32_t kSendGpadl = 8;
constexpr std::uint64_t kReceiveBytes = 4u << 20;
constexpr std::uint64_t kSendBytes = 1u << 20;

class Gpadls final : public BufferTable {
 public:
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override {
    if (handle == kReceiveGpadl) return kReceiveBytes;
    if (handle == kSendGpadl) return kSendBytes;
    return std::nullopt;
  }
};

GuestConfig guest_config(NvspVersion highest, std::uint32_t config_mtu = 1514) {
  return {.highest_version = highest,
          .config_mtu = config_mtu,
          .receive_gpadl = kReceiveGpadl,
          .receive_bytes = kReceiveBytes,
          .send_gpadl = kSendGpadl,
          .send_bytes = kSendBytes};
}

/// Carries messages until the guest has no more.
void run(Guest& guest, Host& host) {
  while (const auto out = guest.next()) {
    const Answer answer = host.on_message(out->payload, out->completion_requested);
    ASSERT_EQ(answer.completion.has_value(), out->completion_requested);
    if (answer.completion) guest.on_completion(*answer.completion);
  }
}

class NvspPair : public testing::TestWithParam<std::tuple<NvspVersion, NvspVersion>> {};

TEST_P(NvspPair, AgreesOnTheHighestCommonVersionAndAttaches) {
  const auto [guest_version, host_version] = GetParam();
  Gpadls gpadls;
  Host host{HostConfig{.highest_version = host_version}, gpadls};
  Guest guest;
  guest.start(guest_config(guest_version));
  run(guest, host);

  ASSERT_EQ(guest.state(), GuestState::ready) << name(guest.failure());
  EXPECT_EQ(host.state(), HostState::ready);
  EXPECT_EQ(guest.result().version, std::min(guest_version, host_version));
  EXPECT_EQ(host.version(), guest.result().version);
  EXPECT_EQ(guest.result().suballoc_bytes, 1728u);
  EXPECT_EQ(guest.result().suballoc_count, kReceiveBytes / 1728);
  EXPECT_EQ(guest.result().section_count, kSendBytes / 6144);

  guest.detach();
  run(guest, host);
  EXPECT_EQ(guest.state(), GuestState::detached);
  EXPECT_EQ(host.state(), HostState::revoked);
  EXPECT_EQ(host.counters().malformed + host.counters().out_of_order + host.counters().unknown, 0u);
}

INSTANTIATE_TEST_SUITE_P(AllVersions, NvspPair,
                         testing::Combine(testing::ValuesIn(wire::kNvspVersions),
                                          testing::ValuesIn(wire::kNvspVersions)));

TEST(NvspPairs, GiveJumboGuestsSuballocsForTheirFrames) {
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  Guest guest;
  guest.start(guest_config(NvspVersion::v6_1, 9014));
  run(guest, host);
  ASSERT_EQ(guest.state(), GuestState::ready);
  EXPECT_EQ(guest.result().suballoc_bytes, 9152u);
  EXPECT_EQ(host.config_mtu(), 9014u);
}

TEST(NvspPairs, AttachAgainAndAgainOnReopenedChannels) {
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  Guest guest;
  for (int i = 0; i < 100; ++i) {
    host.reset();
    guest.start(guest_config(wire::kNvspVersions[static_cast<std::size_t>(i) % wire::kNvspVersions.size()]));
    run(guest, host);
    ASSERT_EQ(guest.state(), GuestState::ready);
  }
}

TEST(NvspPairs, AGuestWhoseBufferIsUnknownToTheHostFails) {
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  Guest guest;
  GuestConfig config = guest_config(NvspVersion::v6_1);
  config.send_gpadl = 99;
  guest.start(config);
  run(guest, host);
  EXPECT_EQ(guest.state(), GuestState::failed);
  EXPECT_EQ(guest.failure(), Failure::send_buffer_refused);
  guest.detach();
  run(guest, host);
  EXPECT_EQ(host.state(), HostState::revoked);
}

}  // namespace
}  // namespace vmbpmd::nvsp
