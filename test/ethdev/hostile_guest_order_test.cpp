// SPDX-License-Identifier: BSD-3-Clause
// Guests that do things in the wrong order, too early, too late, or for ever (netvsc.md 6.3).
#include "ethdev/hostile_guest.hpp"

#include <atomic>
#include <thread>

namespace vmbpmd::test {
namespace {

using wire::NvspStatus;

TEST_F(HostileGuest, BuffersThatCannotBeAreRefused) {
  ScriptedGuest guest{link_};
  ASSERT_TRUE(eventually([&] { return guest.open(); }));
  ASSERT_TRUE(guest.nvsp_init());
  (void)guest.in_band(0, false, message_of(wire::NvspNdisConfig{.mtu = 1514}, 40));
  for (const wire::NvspType type : {wire::NvspType::send_receive_buffer, wire::NvspType::send_send_buffer}) {
    for (const std::uint32_t handle : {0u, 12345u, 0xffffffffu}) {
      const auto answer = guest.request(message_of(wire::NvspSendBuffer{type, handle, 0xcafe, 0}, 40));
      ASSERT_TRUE(answer);
      EXPECT_EQ(std::to_integer<int>((*answer)[4]), 2);
    }
  }
  EXPECT_GE(host_.xstat("link_refused_message_errors"), 6u);
  EXPECT_FALSE(host_.link_up());
  guest.close();
  attach(guest);  // nothing of it stays
  expect_alive(guest);
}

TEST_F(HostileGuest, RndisBeforeItsTimeIsRefused) {
  ScriptedGuest guest{link_};
  ASSERT_TRUE(eventually([&] { return guest.open(); }));
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(wire::RndisInitialize{.request_id = 1}))),
            NvspStatus::failure);
  EXPECT_EQ(guest.status_of(guest.send_section(0, rndis_packet(frame()))), NvspStatus::failure);
  ASSERT_TRUE(guest.nvsp_init());
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(wire::RndisInitialize{.request_id = 1}))),
            NvspStatus::failure);
  EXPECT_EQ(host_.drop_received(), 0u);
  ASSERT_TRUE(guest.connect_buffers());
  ASSERT_TRUE(guest.rndis_init());
  ASSERT_TRUE(guest.set_filter(wire::packet_filter::kPromiscuous));
  expect_alive(guest);
}

TEST_F(HostileGuest, RevokedBuffersAreNotTouchedAgain) {
  ScriptedGuest guest{link_};
  attach(guest);
  expect_alive(guest);
  guest.completes_transfers = false;
  Shaper shaper{pool_, random_, Shaper::whole};
  rte_mbuf* frames[2] = {shaper.make(frame()), shaper.make(frame())};
  ASSERT_EQ(host_.tx(frames), 2);
  ASSERT_TRUE(eventually([&] {
    guest.poll();
    return !guest.transfers.empty();
  }));
  for (const Received& packet : guest.transfers)
    EXPECT_TRUE(guest.complete(packet.id));  // not yet taken back by a tx burst
  EXPECT_EQ(host_.drop_received(), 0u);
  EXPECT_TRUE(guest.in_band(0, false,
                            message_of(wire::NvspRevokeBuffer{wire::NvspType::revoke_receive_buffer, 0xcafe, 0}, 40)));
  EXPECT_TRUE(eventually([&] { return !host_.link_up(); }));
  std::ranges::fill(guest.receive_buffer(), std::byte{0x5a});
  // Everything that could make the host write there.
  (void)guest.send_control(message_of(
      wire::RndisQuery{.type = wire::RndisType::query, .length = 28, .request_id = 9, .oid = wire::Oid::link_speed}));
  (void)guest.send_control(message_of(wire::RndisHalt{.request_id = 10}));
  (void)eventually([] { return false; }, 20ms);
  (void)guest.send_control(message_of(wire::RndisInitialize{.request_id = 11, .max_transfer_bytes = 0x4000}));
  (void)eventually([] { return false; }, 20ms);
  (void)guest.send_section(0, rndis_packet(frame()));
  Bytes filter = message_of(wire::RndisQuery{.type = wire::RndisType::set,
                                             .length = 32,
                                             .request_id = 12,
                                             .oid = wire::Oid::packet_filter,
                                             .input_bytes = 4},
                            32);
  filter[28] = std::byte{0x20};
  (void)guest.send_control(filter);
  (void)eventually([] { return false; }, 20ms);
  EXPECT_FALSE(host_.link_up());
  rte_mbuf* late[1] = {shaper.make(frame())};
  if (host_.tx(late) == 0) rte_pktmbuf_free(late[0]);
  host_.stop();
  host_.start();
  (void)eventually([] { return false; }, 20ms);
  EXPECT_TRUE(std::ranges::all_of(guest.receive_buffer(), [](std::byte b) { return b == std::byte{0x5a}; }));
  EXPECT_EQ(guest.closed(), 0u);
  guest.completes_transfers = true;
  guest.close();
  ASSERT_TRUE(guest.attach());
  EXPECT_TRUE(eventually([&] { return host_.link_up(); }));
}

TEST_F(HostileGuest, OneThatNeverReadsHoldsUpNobodyElse) {
  ScriptedGuest guest{link_, {.ring_bytes = 4096}};
  attach(guest);
  Shaper shaper{pool_, random_, Shaper::whole};
  std::uint32_t sent = 0;
  EXPECT_TRUE(eventually([&] {  // a burst may also be refused because the control thread is inside
    rte_mbuf* frames[1] = {shaper.make(frame())};
    if (host_.tx(frames) == 1) {
      ++sent;
    } else {
      rte_pktmbuf_free(frames[0]);
    }
    return host_.xstat("tx_no_room_events") >= 100;
  }));
  EXPECT_GT(sent, 10u);
  EXPECT_EQ(rte_eth_promiscuous_disable(host_.id()), 0);
  expect_traffic(beside_, pool_);
  for (int i = 0; i < 1000; ++i) {  // reads on, and all comes
    guest.poll();
    (void)host_.drop_received();
  }
  const auto is_frame = [](const Bytes& range) { return vmb::load<std::uint32_t>(range) == 1; };  // RNDIS PACKET
  std::uint32_t arrived = 0;
  for (const Received& packet : guest.transfers) {
    arrived += static_cast<std::uint32_t>(std::ranges::count_if(packet.ranges, is_frame));
  }
  EXPECT_EQ(arrived, sent);
  EXPECT_EQ(rte_eth_promiscuous_enable(host_.id()), 0);
  expect_alive(guest);
}

TEST_F(HostileGuest, OneThatFloodsFasterThanAnyoneReadsHoldsUpNoControl) {
  ScriptedGuest guest{link_, {.ring_bytes = 512 * 1024}};
  attach(guest);
  std::atomic<bool> stop{false};
  const Bytes nonsense = message_of(std::uint32_t{99}, wire::kNvspBytes);
  std::thread flood{[&] {
    while (!stop) (void)guest.in_band(1, false, nonsense);
  }};
  std::thread reader{[&] {
    while (!stop) (void)host_.drop_received();
  }};
  // The control plane is one for all ports: these go through it.
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(rte_eth_promiscuous_disable(beside_.guest.id()), 0);
    EXPECT_EQ(rte_eth_promiscuous_enable(beside_.guest.id()), 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  stop = true;
  flood.join();
  reader.join();
}

}  // namespace
}  // namespace vmbpmd::test
