// SPDX-License-Identifier: BSD-3-Clause
// A pair's life: made, started, stopped, started again, closed, in every order; what the link says meanwhile.
#include <rte_ether.h>

#include <atomic>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

/// Frames that are ours again when the test ends.
class Batch {
 public:
  explicit Batch(Pool& pool, std::uint32_t count = 8) {
    Random random;
    Shaper shaper{pool, random, Shaper::whole};
    for (std::uint32_t i = 0; i < count; ++i) frames_.push_back(shaper.make(random_frame(random, 60)));
  }
  ~Batch() { rte_pktmbuf_free_bulk(frames_.data(), static_cast<unsigned>(frames_.size())); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  std::uint16_t send(const Nic& nic) {
    const std::uint16_t sent = nic.tx(frames_);
    frames_.erase(frames_.begin(), frames_.begin() + sent);
    return sent;
  }

 private:
  std::vector<rte_mbuf*> frames_;
};

class Life : public PortsTest {};

enum End : int { host, guest };

/// In the order given: made, started.
class Orders : public PortsTest, public testing::WithParamInterface<std::tuple<End, End>> {};

TEST_P(Orders, OfMakingAndStartingDoNotMatter) {
  const auto [made_first, started_first] = GetParam();
  Pool pool;
  const std::string link = fresh_link();
  std::unique_ptr<Nic> ends[2];
  const auto make = [&](int end) {
    ends[end] = std::make_unique<Nic>((end == host ? "role=host,link=" : "role=guest,link=") + link);
  };
  make(made_first);
  make(1 - made_first);
  ends[started_first]->start();
  EXPECT_FALSE(ends[0]->link_up());
  EXPECT_FALSE(ends[1]->link_up());
  ends[1 - started_first]->start();
  ASSERT_TRUE(eventually([&] { return ends[0]->link_up() && ends[1]->link_up(); }));
  expect_traffic(*ends[0], *ends[1], pool);
  expect_traffic(*ends[1], *ends[0], pool);
  for (const auto& end : ends) expect_no_errors(*end);
}

TEST_P(Orders, OfStartingFirstAndMakingTheOtherLaterDoNotMatter) {
  const auto [first, closed_first] = GetParam();
  Pool pool;
  const std::string link = fresh_link();
  std::unique_ptr<Nic> ends[2];
  const auto make = [&](int end) {
    ends[end] = std::make_unique<Nic>((end == host ? "role=host,link=" : "role=guest,link=") + link);
  };
  make(first);
  ends[first]->start();
  EXPECT_FALSE(ends[first]->link_up());
  EXPECT_EQ(Batch{pool}.send(*ends[first]), 0);
  make(1 - first);
  ends[1 - first]->start();
  ASSERT_TRUE(eventually([&] { return ends[0]->link_up() && ends[1]->link_up(); }));
  expect_traffic(*ends[0], *ends[1], pool);
  expect_traffic(*ends[1], *ends[0], pool);
  // One goes, the other stays and sees it; another one comes.
  ends[closed_first].reset();
  EXPECT_TRUE(eventually([&] { return !ends[1 - closed_first]->link_up(); }));
  EXPECT_EQ(Batch{pool}.send(*ends[1 - closed_first]), 0);
  make(closed_first);
  ends[closed_first]->start();
  ASSERT_TRUE(eventually([&] { return ends[0]->link_up() && ends[1]->link_up(); }));
  expect_traffic(*ends[0], *ends[1], pool);
  expect_traffic(*ends[1], *ends[0], pool);
}

TEST_P(Orders, OfStoppingAndStartingAgainDoNotMatter) {
  const auto [stopped_first, started_first] = GetParam();
  Pool pool;
  Pair pair;
  pair.start();
  expect_traffic(pair, pool);
  Nic* const ends[2] = {&pair.host, &pair.guest};
  for (int round = 0; round < 3; ++round) {
    // Only one of them, and it comes back.
    ends[stopped_first]->stop();
    EXPECT_FALSE(ends[stopped_first]->link_up());
    EXPECT_TRUE(eventually([&] { return !ends[1 - stopped_first]->link_up(); }));
    EXPECT_EQ(Batch{pool}.send(*ends[1 - stopped_first]), 0);
    ends[stopped_first]->start();
    ASSERT_TRUE(eventually([&] { return pair.both_up(); }));
    expect_traffic(pair, pool);
    // Both.
    ends[stopped_first]->stop();
    ends[1 - stopped_first]->stop();
    ends[started_first]->start();
    EXPECT_FALSE(pair.both_up());
    ends[1 - started_first]->start();
    ASSERT_TRUE(eventually([&] { return pair.both_up(); }));
    expect_traffic(pair, pool);
  }
  EXPECT_EQ(pair.guest.xstat("link_attaches"), 1u) << "stopping an application does not detach";
  expect_no_errors(pair.host);
  expect_no_errors(pair.guest);
}

INSTANTIATE_TEST_SUITE_P(Life, Orders, testing::Combine(testing::Values(host, guest), testing::Values(host, guest)));

TEST_F(Life, HostNeverStartedMeansLinkDownAndNothingTaken) {
  Pool pool;
  Pair pair;
  pair.guest.start();
  EXPECT_TRUE(eventually([&] { return pair.guest.xstat("link_attaches") == 1; })) << "it answers from probe on";
  EXPECT_FALSE(pair.guest.link_up());
  Batch batch{pool};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(batch.send(pair.guest), 0);
  EXPECT_EQ(pair.guest.drop_received(), 0u);
  EXPECT_EQ(pair.guest.stats().opackets, 0u);
  expect_no_errors(pair.guest);
}

TEST_F(Life, GuestThatClosesIsDetachedOnce) {
  Pair pair;
  pair.start();
  { Nic gone{"role=guest,link=" + fresh_link()}; }
  const std::uint64_t before = pair.host.xstat("link_attaches");
  EXPECT_EQ(before, 1u);
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  {
    Nic guest{"role=guest,link=" + link};
    EXPECT_TRUE(eventually([&] { return host.xstat("link_attaches") == 1; }));
  }
  EXPECT_EQ(host.xstat("link_attaches"), 1u) << "a guest on its way out attached again";
  EXPECT_EQ(host.xstat("link_detaches"), 1u);
}

TEST_F(Life, StartedPortIsNotRemoved) {
  Nic nic{""};
  nic.start();
  EXPECT_NE(rte_eth_dev_close(nic.id()), 0);
  EXPECT_TRUE(eventually([&] { return nic.link_up(); }));
}

TEST_F(Life, ApplicationMayCloseBeforeTheBusRemoves) {
  Nic nic{""};
  EXPECT_EQ(rte_eth_dev_close(nic.id()), 0);
  EXPECT_EQ(ports(), 0u);
}

TEST_F(Life, FramesOnTheirWayWhenAnEndClosesAreFreed) {  // the pools notice
  Pool pool;
  for (const End first : {host, guest}) {
    const std::string link = fresh_link();
    auto a = std::make_unique<Nic>("role=host,link=" + link);
    auto b = std::make_unique<Nic>("role=guest,tx_copybreak=0,link=" + link);
    a->start();
    b->start();
    ASSERT_TRUE(eventually([&] { return a->link_up() && b->link_up(); }));
    EXPECT_EQ(Batch{pool}.send(*a), 8);
    EXPECT_EQ(Batch{pool}.send(*b), 8);
    (first == host ? a : b).reset();
  }
}

// ---- link and its events

struct Events {
  std::atomic<unsigned> count{0};
  std::atomic<bool> up{false};
  std::function<void(std::uint16_t)> also;

  static int on_event(std::uint16_t port, rte_eth_event_type, void* self, void*) {
    auto* const events = static_cast<Events*>(self);
    rte_eth_link link{};
    EXPECT_EQ(rte_eth_link_get_nowait(port, &link), 0);
    events->up = link.link_status == RTE_ETH_LINK_UP;
    if (events->also) events->also(port);
    ++events->count;
    return 0;
  }
  void follow(const Nic& nic) {
    ASSERT_EQ(rte_eth_dev_callback_register(nic.id(), RTE_ETH_EVENT_INTR_LSC, on_event, this), 0);
  }
  void leave(const Nic& nic) {
    EXPECT_TRUE(eventually(
        [&] { return rte_eth_dev_callback_unregister(nic.id(), RTE_ETH_EVENT_INTR_LSC, on_event, this) == 0; }));
  }
};

TEST_F(Life, LinkChangesAreEventsAtBothEnds) {
  Pair pair{Nic::Options{.lsc = true}};
  Events at_host, at_guest;
  at_host.follow(pair.host);
  at_guest.follow(pair.guest);
  pair.start();
  EXPECT_TRUE(eventually([&] { return at_host.up && at_guest.up; }));
  EXPECT_EQ(at_host.count, 1u);
  EXPECT_EQ(at_guest.count, 1u);
  pair.host.stop();
  EXPECT_TRUE(eventually([&] { return !at_guest.up; }));
  pair.host.start();
  EXPECT_TRUE(eventually([&] { return at_guest.up.load(); }));
  EXPECT_TRUE(eventually([&] { return at_guest.count == 3; }));
  at_host.leave(pair.host);
  at_guest.leave(pair.guest);
}

TEST_F(Life, EventsMayCallTheDriver) {
  Pool pool;
  Pair pair{Nic::Options{.lsc = true}};
  Events events;
  events.also = [&](std::uint16_t port) {
    rte_eth_stats stats{};
    EXPECT_EQ(rte_eth_stats_get(port, &stats), 0);
    EXPECT_EQ(rte_eth_promiscuous_disable(port), 0);
    EXPECT_EQ(rte_eth_promiscuous_enable(port), 0);
    EXPECT_EQ(rte_eth_dev_set_mtu(port, 1400), 0);
    EXPECT_EQ(rte_eth_dev_set_mtu(port, 1500), 0);
    EXPECT_EQ(rte_eth_allmulticast_enable(port), 0);
  };
  events.follow(pair.host);
  pair.host.start();
  pair.guest.start();
  EXPECT_TRUE(eventually([&] { return events.count > 0; }));
  EXPECT_TRUE(eventually([&] { return pair.both_up(); }));
  events.leave(pair.host);  // each of its own re-attaches is an event for it
  EXPECT_TRUE(eventually([&] { return pair.both_up(); }));
  expect_traffic(pair, pool);
}

TEST_F(Life, EventsMayStopAndCloseTheOtherEnd) {
  const std::string link = fresh_link();
  Nic guest{"role=guest,link=" + link, Nic::Options{.lsc = true}};
  guest.start();
  auto host = std::make_unique<Nic>("role=host,link=" + link);
  std::atomic<bool> handed_over{false};
  Events events;
  events.also = [&](std::uint16_t) {
    EXPECT_TRUE(eventually([&] { return handed_over.load(); }));  // nobody closes a port that another thread starts
    host.reset();
  };
  events.follow(guest);
  host->start();
  handed_over = true;
  EXPECT_TRUE(eventually([&] { return events.count >= 1; }));
  EXPECT_TRUE(eventually([&] { return !guest.link_up(); }));
  events.leave(guest);
}

TEST_F(Life, RemovedWhileStartedIsStoppedAndClosed) {  // as rte_eal_cleanup() does it
  const unsigned before = ports();
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  host.start();
  ASSERT_EQ(probe("net_vmbpmd_started", "role=guest,link=" + link), 0);
  std::uint16_t id = 0;
  ASSERT_EQ(rte_eth_dev_get_port_by_name("net_vmbpmd_started", &id), 0);
  Pool pool;
  rte_eth_conf conf{};
  ASSERT_EQ(rte_eth_dev_configure(id, 1, 1, &conf), 0);
  ASSERT_EQ(rte_eth_rx_queue_setup(id, 0, 512, SOCKET_ID_ANY, nullptr, pool.get()), 0);
  ASSERT_EQ(rte_eth_tx_queue_setup(id, 0, 512, SOCKET_ID_ANY, nullptr), 0);
  ASSERT_EQ(rte_eth_dev_start(id), 0);
  ASSERT_TRUE(eventually([&] { return host.link_up(); }));
  unplug("net_vmbpmd_started");
  EXPECT_EQ(ports(), before + 1);
  EXPECT_TRUE(eventually([&] { return !host.link_up(); }));
}

TEST_F(Life, LinkIsFullDuplexAtTheHostsSpeed) {
  const std::string link = fresh_link();
  Nic host{"role=host,speed=25000,link=" + link};
  Nic guest{"role=guest,link=" + link};
  EXPECT_EQ(host.link_speed(), std::uint32_t{RTE_ETH_SPEED_NUM_NONE});
  host.start();
  guest.start();
  ASSERT_TRUE(eventually([&] { return host.link_up() && guest.link_up(); }));
  for (const Nic* nic : {&host, &guest}) {
    rte_eth_link state{};
    EXPECT_EQ(rte_eth_link_get(nic->id(), &state), 0);
    EXPECT_EQ(state.link_speed, 25000u);
    EXPECT_EQ(state.link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
  }
  Pair fast;
  fast.start();
  EXPECT_EQ(fast.guest.link_speed(), 100'000u);
}

// ---- addresses

std::string text(const rte_ether_addr& address) {
  char buffer[RTE_ETHER_ADDR_FMT_SIZE];
  rte_ether_format_addr(buffer, sizeof buffer, &address);
  return buffer;
}

TEST_F(Life, DefaultAddressesFollowFromTheLinksNameAndDiffer) {
  const std::string link = fresh_link();
  Nic guest{"role=guest,link=" + link};
  const rte_ether_addr alone = guest.mac();
  EXPECT_NE(rte_is_local_admin_ether_addr(&alone), 0);
  EXPECT_NE(rte_is_valid_assigned_ether_addr(&alone), 0);
  std::string of_host;
  for (int round = 0; round < 2; ++round) {
    Nic host{"role=host,link=" + link};
    EXPECT_NE(text(host.mac()), text(alone));
    EXPECT_TRUE(of_host.empty() || text(host.mac()) == of_host);
    of_host = text(host.mac());
    EXPECT_TRUE(eventually([&] { return host.xstat("link_attaches") == 1; }));
    EXPECT_EQ(text(guest.mac()), text(alone)) << "what it guessed alone is what the host says";
  }
  Pair other;
  EXPECT_NE(text(other.host.mac()), of_host);
}

TEST_F(Life, HostTellsTheGuestItsAddress) {
  const std::string link = fresh_link();
  Nic guest{"role=guest,link=" + link};
  Nic host{"role=host,mac=02:00:00:00:00:aa,guest_mac=02:00:00:00:00:bb,link=" + link};
  EXPECT_EQ(text(host.mac()), "02:00:00:00:00:AA");
  EXPECT_TRUE(eventually([&] { return text(guest.mac()) == "02:00:00:00:00:BB"; }));
}

TEST_F(Life, GuestsOwnAddressStays) {
  const std::string link = fresh_link();
  Nic guest{"role=guest,mac=02:00:00:00:00:cc,link=" + link};
  Nic host{"role=host,guest_mac=02:00:00:00:00:bb,link=" + link};
  guest.start();
  host.start();
  ASSERT_TRUE(eventually([&] { return guest.link_up(); }));
  EXPECT_EQ(text(guest.mac()), "02:00:00:00:00:CC");
}

TEST_F(Life, AddressThatWasSetIsNotTakenBackBehindTheApplicationsBack) {
  Pair pair;
  pair.start();
  for (Nic* const nic : {&pair.host, &pair.guest}) {
    rte_ether_addr wanted{{0x02, 9, 9, 9, 9, 9}};
    const std::string before = text(nic->mac());
    const int answer = rte_eth_dev_default_mac_addr_set(nic->id(), &wanted);
    const std::string expected = answer == 0 ? text(wanted) : before;
    EXPECT_FALSE(eventually([&] { return text(nic->mac()) != expected; }, 20ms)) << "answered " << answer;
  }
}

}  // namespace
}  // namespace vmbpmd::test
