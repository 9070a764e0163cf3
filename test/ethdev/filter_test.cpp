// SPDX-License-Identifier: BSD-3-Clause
// Which frames an end is given: by address, and by its promiscuous and all-multicast state.
#include <rte_ether.h>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

constexpr rte_ether_addr kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr rte_ether_addr kGroup{{0x01, 0x00, 0x5e, 1, 2, 3}};
constexpr rte_ether_addr kStranger{{0x02, 0xee, 0, 0, 0, 1}};

class Filter : public PortsTest, public testing::WithParamInterface<bool> {
 protected:
  Filter() : pair_(Nic::Options{.promiscuous = false}) {}

  void SetUp() override { pair_.start(); }

  Nic& from() { return GetParam() ? pair_.guest : pair_.host; }
  Nic& to() { return GetParam() ? pair_.host : pair_.guest; }

  /// Whether a frame to that address comes out at the other end.
  bool arrives(const rte_ether_addr& destination, std::uint32_t size = 60) {
    Random random{++number_};
    Shaper shaper{pool_, random, Shaper::whole};
    rte_mbuf* const frame = shaper.make(random_frame(random, size, destination));
    rte_mbuf* frames[1] = {frame};
    EXPECT_EQ(from().tx(frames), 1);
    std::uint32_t got = 0;
    const auto processed = [&] {
      got += to().drop_received();
      return got > 0 || to().xstat("rx_filtered_packets") + from().xstat("tx_filtered_packets") > filtered_;
    };
    EXPECT_TRUE(eventually(processed));
    filtered_ = to().xstat("rx_filtered_packets") + from().xstat("tx_filtered_packets");
    return got > 0;
  }

  /// A change at the guest takes a message to the host and back.
  void settle() {
    (void)eventually([] { return false; }, 10ms);
  }

  Pool pool_;
  Pair pair_;
  std::uint64_t number_{}, filtered_{};
};

TEST_P(Filter, OwnAddressAndBroadcastOnly) {
  settle();
  EXPECT_TRUE(arrives(to().mac()));
  EXPECT_TRUE(arrives(kBroadcast));
  EXPECT_FALSE(arrives(kStranger));
  EXPECT_FALSE(arrives(kGroup));
}

TEST_P(Filter, PromiscuousMeansAll) {
  ASSERT_EQ(rte_eth_promiscuous_enable(to().id()), 0);
  settle();
  EXPECT_TRUE(arrives(to().mac()));
  EXPECT_TRUE(arrives(kStranger));
  EXPECT_TRUE(arrives(kGroup));
  EXPECT_TRUE(arrives(kBroadcast));
  ASSERT_EQ(rte_eth_promiscuous_disable(to().id()), 0);
  settle();
  EXPECT_FALSE(arrives(kStranger));
  EXPECT_TRUE(arrives(to().mac()));
}

TEST_P(Filter, AllMulticastMeansEveryGroup) {
  ASSERT_EQ(rte_eth_allmulticast_enable(to().id()), 0);
  settle();
  EXPECT_TRUE(arrives(kGroup));
  EXPECT_TRUE(arrives(kBroadcast));
  EXPECT_FALSE(arrives(kStranger));
  ASSERT_EQ(rte_eth_allmulticast_disable(to().id()), 0);
  settle();
  EXPECT_FALSE(arrives(kGroup));
}

TEST_P(Filter, SurvivesStopAndStart) {
  ASSERT_EQ(rte_eth_promiscuous_enable(to().id()), 0);
  to().stop();
  pair_.start();
  settle();
  EXPECT_TRUE(arrives(kStranger));
}

TEST_P(Filter, OtherDirectionIsNotConcerned) {  // the guest's filter does not gate what the guest sends
  settle();
  EXPECT_TRUE(arrives(to().mac()));
  ASSERT_EQ(rte_eth_promiscuous_enable(from().id()), 0);
  settle();
  EXPECT_FALSE(arrives(kStranger));
}

INSTANTIATE_TEST_SUITE_P(Ends, Filter, testing::Bool(), [](const auto& of) {
  return of.param ? std::string{"AtTheHost"} : std::string{"AtTheGuest"};
});

class HostAddress : public PortsTest {};

TEST_F(HostAddress, ThatWasSetIsFilteredBy) {
  Pool pool;
  Pair pair{Nic::Options{.promiscuous = false}};
  pair.start();
  rte_ether_addr wanted{{0x02, 9, 9, 9, 9, 9}};
  ASSERT_EQ(rte_eth_dev_default_mac_addr_set(pair.host.id(), &wanted), 0);
  Random random;
  Shaper shaper{pool, random, Shaper::whole};
  rte_mbuf* frames[2] = {shaper.make(random_frame(random, 60, kStranger)),
                         shaper.make(random_frame(random, 60, wanted))};
  ASSERT_EQ(pair.guest.tx(frames), 2);
  EXPECT_TRUE(eventually([&] { return pair.host.drop_received() == 1; }));
  EXPECT_EQ(pair.host.xstat("rx_filtered_packets"), 1u);
}

}  // namespace
}  // namespace vmbpmd::test
