// SPDX-License-Identifier: BSD-3-Clause
// The port without arguments: what it sends comes back, through both rings.
#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

class LoopPort : public PortsTest, public testing::WithParamInterface<const char*> {};

TEST_P(LoopPort, ReturnsEachFrame) {
  Pool pool{8192};
  Nic nic{GetParam()};
  nic.start();
  ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
  Stream stream{nic, nic, pool, {.frames = 5000, .shapes = Shaper::kAll}};
  stream.run();
  EXPECT_EQ(stream.received(), 5000u);
  expect_no_errors(nic);
  EXPECT_GT(nic.xstat("tx_vmbus_packets"), 0u) << "the protocol is really run";
}

TEST_P(LoopPort, ReturnsFramesForAnybodyUnfiltered) {
  Pool pool;
  Nic nic{GetParam(), Nic::Options{.promiscuous = false}};
  nic.start();
  ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
  expect_traffic(nic, nic, pool);
}

TEST_P(LoopPort, WithASlowReceiverLosesNothing) {
  Pool pool{16384};
  Nic nic{GetParam(), Nic::Options{.mbufs = 8192}};
  nic.start();
  ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
  Stream stream{nic, nic, pool, {.frames = 20000, .max_tx_burst = 256, .max_rx_burst = 32, .receive_one_in = 60}};
  stream.run();
  EXPECT_EQ(stream.received(), 20000u);
  EXPECT_GT(stream.partial_bursts(), 0u);
  expect_no_errors(nic);
}

TEST_P(LoopPort, StopsAndStartsAndChangesItsMtu) {
  Pool pool;
  Nic nic{GetParam(), Nic::Options{.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER}};
  for (int round = 0; round < 3; ++round) {
    nic.start();
    ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
    expect_traffic(nic, nic, pool);
    EXPECT_EQ(rte_eth_dev_set_mtu(nic.id(), round % 2 == 0 ? 4000 : 1500), 0);
    ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
    const std::uint32_t most = round % 2 == 0 ? 4018 : 1518;
    Stream stream{nic, nic, pool, {.frames = 200, .least = most, .most = most}};
    stream.run();
    EXPECT_EQ(stream.received(), 200u);
    nic.stop();
    EXPECT_FALSE(nic.link_up());
  }
}

TEST_P(LoopPort, WithFramesInsideIsClosedWithoutALeak) {
  Pool pool;
  Nic nic{GetParam()};
  nic.start();
  ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
  Random random;
  Shaper shaper{pool, random, Shaper::whole};
  for (int i = 0; i < 20; ++i) {
    rte_mbuf* frames[1] = {shaper.make(random_frame(random, 1400))};
    EXPECT_EQ(nic.tx(frames), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Copybreak, LoopPort, testing::Values("", "tx_copybreak=0", "tx_copybreak=65535"));

class Loops : public PortsTest {};

TEST_F(Loops, OfTwoPortsAreApart) {
  Pool pool;
  Nic a{""}, b{""};
  for (Nic* const nic : {&a, &b}) {
    nic->start();
    ASSERT_TRUE(eventually([&] { return nic->link_up(); }));
  }
  expect_traffic(a, a, pool);
  EXPECT_EQ(b.drop_received(), 0u);
  expect_traffic(b, b, pool);
}

}  // namespace
}  // namespace vmbpmd::test
