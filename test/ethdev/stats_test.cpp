// SPDX-License-Identifier: BSD-3-Clause
// Basic and extended statistics, and what else a port says about itself.
#include <cctype>
#include <vector>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"
#include "ethdev/scripted.hpp"

namespace vmbpmd::test {
namespace {

class Statistics : public PortsTest {};

TEST_F(Statistics, OfOrderlyTrafficHaveNoDrops) {
  Pool pool;
  Pair pair;
  pair.start();
  Stream stream{pair.guest, pair.host, pool, {.frames = 3000}};
  stream.run();
  EXPECT_EQ(pair.guest.stats().opackets, 3000u);
  EXPECT_EQ(pair.guest.stats().obytes, stream.bytes());
  EXPECT_EQ(pair.host.stats().ipackets, 3000u);
  EXPECT_EQ(pair.host.stats().ibytes, stream.bytes());
  EXPECT_EQ(pair.host.stats().q_ipackets[0], 3000u);
  expect_no_errors(pair.host);
  expect_no_errors(pair.guest);
}

TEST_F(Statistics, HaveNamesThatAreUniqueAndWellFormed) {
  Pair pair;
  for (const Nic* const nic : {&pair.host, &pair.guest}) {
    const auto all = nic->xstats();  // which checks that they are unique
    EXPECT_GT(all.size(), 20u);
    for (const auto& [name, value] : all) {
      EXPECT_LT(name.size(), std::size_t{RTE_ETH_XSTATS_NAME_SIZE});
      EXPECT_FALSE(name.empty());
      for (const char c : name) EXPECT_TRUE(std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_') << name;
    }
    EXPECT_EQ(all.count("ring_fault_write_index_errors"), 1u);
    EXPECT_EQ(all.count("ring_fault_none_errors"), 0u);
  }
}

TEST_F(Statistics, GiveTheCountWhenTheArrayIsTooSmall) {
  Nic nic{""};
  const int count = rte_eth_xstats_get_names(nic.id(), nullptr, 0);
  ASSERT_GT(count, 1);
  std::vector<rte_eth_xstat> values(static_cast<std::size_t>(count));
  EXPECT_EQ(rte_eth_xstats_get(nic.id(), nullptr, 0), count);
  EXPECT_EQ(rte_eth_xstats_get(nic.id(), values.data(), static_cast<unsigned>(count) - 1), count);
  EXPECT_EQ(rte_eth_xstats_get(nic.id(), values.data(), static_cast<unsigned>(count)), count);
  std::uint64_t id = 0;
  EXPECT_EQ(rte_eth_xstats_get_id_by_name(nic.id(), "link_attaches", &id), 0);
  std::uint64_t value = 0;
  EXPECT_EQ(rte_eth_xstats_get_by_id(nic.id(), &id, &value, 1), 1);
}

TEST_F(Statistics, AreResetToZeroAndGoOn) {
  Pool pool;
  Pair pair;
  pair.start();
  expect_traffic(pair, pool);
  for (const Nic* const nic : {&pair.host, &pair.guest}) {
    EXPECT_GT(nic->xstat("tx_vmbus_packets"), 0u);
    EXPECT_EQ(rte_eth_xstats_reset(nic->id()), 0);
    for (const auto& [name, value] : nic->xstats()) EXPECT_EQ(value, 0u) << name;
    EXPECT_EQ(nic->stats().ipackets, 0u);
  }
  expect_traffic(pair, pool);
  EXPECT_EQ(pair.guest.stats().ipackets, 100u);
  EXPECT_EQ(rte_eth_stats_reset(pair.guest.id()), 0);
  EXPECT_EQ(pair.guest.stats().ipackets, 0u);
  EXPECT_EQ(pair.guest.stats().obytes, 0u);
}

TEST_F(Statistics, SayWhatAStoppedPortDidNotTake) {
  Pool pool;
  Pair pair;
  pair.start();
  Random random;
  Shaper shaper{pool, random, Shaper::whole};
  rte_mbuf* frames[5];
  for (rte_mbuf*& frame : frames) frame = shaper.make(random_frame(random, 100));
  ASSERT_EQ(pair.guest.tx(frames), 5);
  pair.host.stop();
  EXPECT_TRUE(eventually([&] { return pair.host.stats().imissed == 5; }));
  EXPECT_EQ(pair.host.stats().ipackets, 0u);
}

TEST_F(Statistics, CountNothingOfWhatTheRingDidNotTake) {
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  host.start();
  ScriptedGuest guest{link, {.ring_bytes = 4096}};
  ASSERT_TRUE(guest.attach());
  ASSERT_TRUE(eventually([&] { return host.link_up(); }));
  Pool pool;
  Random random;
  Shaper shaper{pool, random, Shaper::whole};
  std::uint64_t sent = 0;
  for (int tries = 0; tries < 200; ++tries) {  // the guest reads nothing
    rte_mbuf* frames[2] = {shaper.make(random_frame(random, 60)),
                           shaper.make(Bytes(13))};  // the second ends the packet
    const std::uint16_t taken = host.tx(frames);
    sent += taken > 0 ? 1 : 0;
    rte_pktmbuf_free_bulk(frames + taken, 2u - taken);
  }
  EXPECT_GT(sent, 0u);
  EXPECT_GT(host.xstat("tx_no_room_events"), 0u);
  EXPECT_EQ(host.stats().opackets, sent);
  EXPECT_EQ(host.stats().obytes, sent * 60);
  guest.close();
}

TEST_F(Statistics, BurstModeAndPacketTypesAreTold) {
  Pair pair;
  for (const Nic* const nic : {&pair.host, &pair.guest}) {
    rte_eth_burst_mode mode{};
    EXPECT_EQ(rte_eth_rx_burst_mode_get(nic->id(), 0, &mode), 0);
    EXPECT_NE(mode.info[0], '\0');
    EXPECT_EQ(rte_eth_tx_burst_mode_get(nic->id(), 0, &mode), 0);
    EXPECT_NE(mode.info[0], '\0');
    EXPECT_GE(rte_eth_dev_get_supported_ptypes(nic->id(), RTE_PTYPE_ALL_MASK, nullptr, 0), 0);
  }
}

}  // namespace
}  // namespace vmbpmd::test
