// SPDX-License-Identifier: BSD-3-Clause
// Both ends of RNDIS control against each other, message by message.
#include <gtest/gtest.h>

#include "rndis/guest.hpp"
#include "rndis/host.hpp"

namespace vmbpmd::rndis {
namespace {

using wire::MacAddress;
namespace peer = wire::peer_capability;

HostConfig host_config() {
  return {.mac = {2, 0, 0, 0, 0, 7}, .connected = true, .peer_capabilities = peer::kDenseReceive};
}

class RndisPair : public testing::Test {
 protected:
  /// Carries messages both ways until neither end has more.
  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      while (const auto out = guest.next()) {
        moved = true;
        const Answer answer = host.on_message(*out);
        ASSERT_NE(answer.event.kind, HostEventKind::ignored);
        if (!answer.response.empty()) last = guest.on_message(answer.response);
      }
      while (const auto indication = host.next()) {
        moved = true;
        last = guest.on_message(*indication);
      }
    }
  }

  void attach(std::uint32_t capabilities = peer::kDenseReceive) {
    guest.start({.peer_capabilities = capabilities});
    run();
    ASSERT_EQ(guest.state(), GuestState::operational) << name(guest.failure());
    ASSERT_EQ(host.state(), HostState::operational);
  }

  Host host{host_config()};
  Guest guest;
  GuestEvent last;
};

TEST_F(RndisPair, Attaches) {
  attach();
  const GuestResult& result = guest.result();
  EXPECT_EQ(result.max_packets, 32u);
  EXPECT_EQ(result.max_transfer_bytes, 0xEFFFFFFFu);
  EXPECT_EQ(result.alignment_factor, 3u);
  EXPECT_EQ(result.mac, (MacAddress{2, 0, 0, 0, 0, 7}));
  EXPECT_EQ(result.max_frame_size, 1500u);
  EXPECT_EQ(result.link_speed, 1'000'000'000u);
  EXPECT_TRUE(result.connected);
  EXPECT_EQ(host.packet_filter(), 0u);
}

TEST_F(RndisPair, AgreesOnWhatBothCan) {
  attach(peer::kDenseReceive | peer::kUnfinishedChecksums);
  EXPECT_EQ(guest.peer_capabilities(), peer::kDenseReceive);
  EXPECT_EQ(host.peer_capabilities(), peer::kDenseReceive);
  host.reset(1514);
  attach(0);
  EXPECT_EQ(guest.peer_capabilities(), 0u);
  EXPECT_EQ(host.peer_capabilities(), 0u);
}

TEST_F(RndisPair, AHostThatOffersNothingMakesNoDifference) {
  HostConfig plain = host_config();
  plain.peer_capabilities = 0;
  host = Host{plain};
  attach();
  EXPECT_EQ(guest.peer_capabilities(), 0u);
}

TEST_F(RndisPair, FilterAndMulticastReachTheHost) {
  attach();
  guest.set_packet_filter(0x0d);
  const MacAddress group{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};
  guest.set_multicast(std::span{&group, 1});
  run();
  EXPECT_EQ(host.packet_filter(), 0x0du);
  ASSERT_EQ(host.multicast().size(), 1u);
  EXPECT_EQ(host.multicast()[0], group);
}

TEST_F(RndisPair, LinkChangesReachTheGuest) {
  attach();
  host.indicate_media(false);
  run();
  EXPECT_FALSE(guest.result().connected);
  host.indicate_media(true);
  host.indicate_link_speed(25'000'000'000);
  run();
  EXPECT_TRUE(guest.result().connected);
  EXPECT_EQ(guest.result().link_speed, 250'000'000u);
  EXPECT_EQ(last.kind, GuestEventKind::link_changed);
}

TEST_F(RndisPair, HaltEndsBoth) {
  attach();
  guest.set_packet_filter(0x0d);
  run();
  guest.halt();
  run();
  EXPECT_EQ(guest.state(), GuestState::halted);
  EXPECT_EQ(host.state(), HostState::idle);
  EXPECT_EQ(host.packet_filter(), 0u);
}

TEST_F(RndisPair, AttachesAgainAfterAHaltOrAClosedChannel) {
  for (std::uint32_t i = 0; i < 100; ++i) {
    attach();
    if (i % 2 == 0) {
      guest.halt();
      run();
    } else {
      host.reset(1514 + i);
    }
  }
  EXPECT_EQ(host.counters().malformed + host.counters().out_of_order + host.counters().not_supported, 0u);
  EXPECT_EQ(guest.counters().malformed + guest.counters().unmatched + guest.counters().refused, 0u);
}

}  // namespace
}  // namespace vmbpmd::rndis
