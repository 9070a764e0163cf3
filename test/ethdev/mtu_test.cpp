// SPDX-License-Identifier: BSD-3-Clause
// MTU: what is allowed, what is agreed, what becomes of larger frames, and changes while traffic could run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/log_capture.hpp"
#include "ethdev/nic.hpp"
#include "port/end.hpp"

namespace vmbpmd::test {
namespace {

constexpr std::uint64_t kScatter = RTE_ETH_RX_OFFLOAD_SCATTER;

class Mtu : public PortsTest {
 protected:
  static rte_mbuf* frame_of(Pool& pool, std::uint32_t size) {
    static std::uint64_t salt = 100;
    Random random{++salt};
    Shaper shaper{pool, random, Shaper::whole};  // chains when one mbuf is too small
    return shaper.make(random_frame(random, size));
  }

  /// Exactly frames of up to `mtu` + 18 bytes get through; larger ones are freed and counted.
  static void expect_limit(const Nic& from, const Nic& to, Pool& pool, std::uint32_t mtu) {
    const std::uint64_t too_big = from.xstat("tx_too_big_dropped_packets");
    rte_mbuf* frames[4] = {frame_of(pool, 60), frame_of(pool, mtu + 18), frame_of(pool, mtu + 19), frame_of(pool, 61)};
    EXPECT_EQ(from.tx(frames), 4) << "the large one must not block the head";
    std::vector<std::uint32_t> sizes;
    EXPECT_TRUE(eventually([&] {
      rte_mbuf* got[8];
      const std::uint16_t n = to.rx(got);
      for (std::uint16_t i = 0; i < n; ++i) {
        sizes.push_back(got[i]->pkt_len);
        rte_pktmbuf_free(got[i]);
      }
      return sizes.size() >= 3;
    }));
    EXPECT_THAT(sizes, testing::ElementsAre(60u, mtu + 18, 61u));
    EXPECT_EQ(from.xstat("tx_too_big_dropped_packets"), too_big + 1);
  }
};

TEST_F(Mtu, LimitIsExactAtBothEnds) {
  Pool pool;
  for (const std::uint16_t mtu :
       {std::uint16_t{68}, std::uint16_t{1500}, std::uint16_t{9000}, std::uint16_t{End::kMaxMtu}}) {
    SCOPED_TRACE(mtu);
    Pair pair{Nic::Options{.mtu = mtu, .rx_offloads = kScatter}};
    pair.start();
    expect_limit(pair.host, pair.guest, pool, mtu);
    expect_limit(pair.guest, pair.host, pool, mtu);
  }
}

TEST_F(Mtu, SmallerWishOfTheTwoIsAgreed) {
  Pool pool;
  {
    Pair pair{Nic::Options{.mtu = 1500}, Nic::Options{.mtu = 9000, .rx_offloads = kScatter}};
    pair.start();
    expect_limit(pair.guest, pair.host, pool, 1500);
    expect_limit(pair.host, pair.guest, pool, 1500);
  }
  Pair pair{Nic::Options{.mtu = 9000, .rx_offloads = kScatter}, Nic::Options{.mtu = 1500}};
  pair.start();
  expect_limit(pair.guest, pair.host, pool, 1500);
  expect_limit(pair.host, pair.guest, pool, 1500);
}

TEST_F(Mtu, OrderOfWishesDoesNotMatter) {  // the guest attached at probe, before either was configured
  Pool pool;
  const std::string link = fresh_link();
  const Nic::Options jumbo{.mtu = 9000, .rx_offloads = kScatter};
  Nic host{"role=host,link=" + link, jumbo};
  Nic guest{"role=guest,link=" + link, jumbo};
  host.start();
  guest.start();
  ASSERT_TRUE(eventually([&] { return host.link_up() && guest.link_up(); }));
  expect_limit(guest, host, pool, 9000);
  const std::string other = fresh_link();
  Nic guest_first{"role=guest,link=" + other, jumbo};
  Nic host_second{"role=host,link=" + other, jumbo};
  host_second.start();
  guest_first.start();
  ASSERT_TRUE(eventually([&] { return host_second.link_up() && guest_first.link_up(); }));
  expect_limit(guest_first, host_second, pool, 9000);
}

TEST_F(Mtu, ChangeWhileRunningAttachesAgain) {
  Pool pool;
  const Nic::Options options{.mtu = 1500, .rx_offloads = kScatter};
  for (const bool guest_first : {false, true}) {
    SCOPED_TRACE(guest_first);
    Pair pair{options};
    pair.start();
    expect_traffic(pair, pool);
    Nic& first = guest_first ? pair.guest : pair.host;
    Nic& second = guest_first ? pair.host : pair.guest;
    ASSERT_EQ(rte_eth_dev_set_mtu(first.id(), 4000), 0);
    ASSERT_TRUE(eventually([&] { return pair.both_up(); }));
    expect_limit(pair.guest, pair.host, pool, 1500);
    ASSERT_EQ(rte_eth_dev_set_mtu(second.id(), 4000), 0);
    ASSERT_TRUE(eventually([&] { return pair.both_up(); }));
    expect_limit(pair.guest, pair.host, pool, 4000);
    expect_limit(pair.host, pair.guest, pool, 4000);
    ASSERT_EQ(rte_eth_dev_set_mtu(first.id(), 1000), 0);
    ASSERT_TRUE(eventually([&] { return pair.both_up(); }));
    expect_limit(pair.guest, pair.host, pool, 1000);
    expect_limit(pair.host, pair.guest, pool, 1000);
    EXPECT_GE(pair.guest.xstat("link_attaches"), 4u);
  }
}

TEST_F(Mtu, SameAgainDisturbsNothing) {
  Pair pair;
  pair.start();
  for (const Nic* nic : {&pair.host, &pair.guest}) EXPECT_EQ(rte_eth_dev_set_mtu(nic->id(), 1500), 0);
  EXPECT_EQ(pair.guest.xstat("link_attaches"), 1u);
}

TEST_F(Mtu, OutOfRangeIsRefusedWithALine) {
  Nic nic{""};
  rte_eth_dev_info info{};
  ASSERT_EQ(rte_eth_dev_info_get(nic.id(), &info), 0);
  EXPECT_EQ(info.min_mtu, 68);
  EXPECT_EQ(info.max_mtu, 9202);
  for (const std::uint16_t wrong : {std::uint16_t{0}, std::uint16_t{67}, std::uint16_t{9203}, std::uint16_t{65535}}) {
    LogCapture log;
    EXPECT_EQ(rte_eth_dev_set_mtu(nic.id(), wrong), -EINVAL) << wrong;
    EXPECT_THAT(log.all(), testing::HasSubstr(std::to_string(wrong)));
  }
  std::uint16_t mtu = 0;
  EXPECT_EQ(rte_eth_dev_get_mtu(nic.id(), &mtu), 0);
  EXPECT_EQ(mtu, 1500);
}

TEST_F(Mtu, PoolTooSmallIsRefusedWithALineAndScatterWorks) {
  Pool sender_pool;
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  Nic guest{"role=guest,link=" + link};
  Pool small{512, RTE_PKTMBUF_HEADROOM + 256};
  for (Nic* const nic : {&host, &guest}) {
    LogCapture log;
    EXPECT_EQ(rte_eth_rx_queue_setup(nic->id(), 0, 512, SOCKET_ID_ANY, nullptr, small.get()), -EINVAL);
    ASSERT_EQ(log.lines().size(), 1u);
    EXPECT_THAT(log.lines()[0],
                testing::AllOf(testing::HasSubstr("384"), testing::HasSubstr("1500"), testing::HasSubstr("scatter")));
  }
  // A pool that would do today, but not for the new MTU.
  ASSERT_EQ(rte_eth_rx_queue_setup(guest.id(), 0, 512, SOCKET_ID_ANY, nullptr, guest.pool().get()), 0);
  {
    LogCapture log;
    EXPECT_EQ(rte_eth_dev_set_mtu(guest.id(), 9000), -EINVAL);
    EXPECT_EQ(log.lines().size(), 1u);
    std::uint16_t mtu = 0;
    EXPECT_EQ(rte_eth_dev_get_mtu(guest.id(), &mtu), 0);
    EXPECT_EQ(mtu, 1500);
  }
  // Chains of many small mbufs at both ends.
  Pair pair{Nic::Options{.rx_offloads = kScatter, .mbufs = 8192, .data_room = RTE_PKTMBUF_HEADROOM + 128}};
  pair.start();
  expect_traffic(pair, sender_pool);
  expect_no_errors(pair.host);
  expect_no_errors(pair.guest);
}

TEST_F(Mtu, DescriptorsOutOfRangeAreRefusedWithALine) {
  Nic nic{""};
  rte_eth_dev_info info{};
  ASSERT_EQ(rte_eth_dev_info_get(nic.id(), &info), 0);
  for (const std::uint16_t wrong : {static_cast<std::uint16_t>(info.rx_desc_lim.nb_min - 1),
                                    static_cast<std::uint16_t>(info.rx_desc_lim.nb_max + 1)}) {
    LogCapture log;
    EXPECT_EQ(rte_eth_rx_queue_setup(nic.id(), 0, wrong, SOCKET_ID_ANY, nullptr, nic.pool().get()), -EINVAL);
    EXPECT_EQ(rte_eth_tx_queue_setup(nic.id(), 0, wrong, SOCKET_ID_ANY, nullptr), -EINVAL);
    EXPECT_THAT(log.all(), testing::HasSubstr(std::to_string(wrong)));
  }
  for (const std::uint16_t right : {info.rx_desc_lim.nb_min, info.rx_desc_lim.nb_max}) {
    EXPECT_EQ(rte_eth_rx_queue_setup(nic.id(), 0, right, SOCKET_ID_ANY, nullptr, nic.pool().get()), 0);
    EXPECT_EQ(rte_eth_tx_queue_setup(nic.id(), 0, right, SOCKET_ID_ANY, nullptr), 0);
  }
}

TEST_F(Mtu, MoreQueuesThanThereAreAreRefused) {
  Nic nic{""};
  rte_eth_conf conf{};
  EXPECT_EQ(rte_eth_dev_configure(nic.id(), 2, 1, &conf), -EINVAL);
  EXPECT_EQ(rte_eth_dev_configure(nic.id(), 1, 2, &conf), -EINVAL);
}

}  // namespace
}  // namespace vmbpmd::test
