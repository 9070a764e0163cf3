// SPDX-License-Identifier: BSD-3-Clause
// Bursts on threads of their own: rx and tx of a queue apart, an application that only sends or only receives, calls of
// the control plane meanwhile.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

/// Sends as fast as the port takes, from a pool of its own.
class Sender {
 public:
  explicit Sender(const Nic& nic, std::uint32_t size = 200) : nic_(nic), size_(size), thread_([this] { run(); }) {}
  ~Sender() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t sent() const { return sent_; }

 private:
  void run() {
    Random random{size_};
    Shaper shaper{pool_, random, Shaper::whole | Shaper::split};
    std::vector<rte_mbuf*> frames;
    while (!stop_) {
      while (frames.size() < 16) {
        rte_mbuf* const frame = shaper.make(random_frame(random, size_));
        if (frame == nullptr) break;
        frames.push_back(frame);
      }
      const std::uint16_t sent = nic_.tx(frames);
      frames.erase(frames.begin(), frames.begin() + sent);
      sent_ += sent;
      if (sent == 0) std::this_thread::yield();
    }
    rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(frames.size()));
  }

  const Nic& nic_;
  const std::uint32_t size_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> sent_{0};
  Pool pool_{4096};
  std::thread thread_;
};

class Receiver {
 public:
  explicit Receiver(const Nic& nic) : nic_(nic), thread_([this] { run(); }) {}
  ~Receiver() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t received() const { return received_; }

 private:
  void run() {
    while (!stop_) {
      const std::uint32_t n = nic_.drop_received();
      received_ += n;
      if (n == 0) std::this_thread::yield();
    }
  }

  const Nic& nic_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> received_{0};
  std::thread thread_;
};

class Threads : public PortsTest, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Copybreak, Threads, testing::Values("", ",tx_copybreak=0"));

TEST_P(Threads, OneForEachSideOfAQueueLosesNothing) {
  Pair pair{Nic::Options{}, GetParam()};
  pair.start();
  std::uint64_t to_host = 0, to_guest = 0;
  {
    Receiver at_host{pair.host}, at_guest{pair.guest};
    Sender from_host{pair.host}, from_guest{pair.guest};
    EXPECT_TRUE(eventually([&] { return at_host.received() > 5000 && at_guest.received() > 5000; }, 20s));
    from_host.stop();
    from_guest.stop();
    EXPECT_TRUE(eventually([&] {
      return at_host.received() == from_guest.sent() && at_guest.received() == from_host.sent();
    })) << at_host.received()
        << " of " << from_guest.sent() << ", " << at_guest.received() << " of " << from_host.sent();
    at_host.stop();
    at_guest.stop();
    to_host = at_host.received();
    to_guest = at_guest.received();
    pair.guest.stop();  // direct frames come back to the senders' pools
    pair.host.stop();
    (void)eventually([&] { return false; }, 5ms);
  }
  EXPECT_EQ(pair.host.stats().ipackets, to_host);
  EXPECT_EQ(pair.guest.stats().ipackets, to_guest);
}

TEST_P(Threads, ThatOnlySendAgainstAPeerThatSendsTooGoOnForEver) {
  for (const bool guest_is_it : {true, false}) {
    SCOPED_TRACE(guest_is_it);
    Pair pair{Nic::Options{}, GetParam()};
    pair.start();
    Nic& only_sends = guest_is_it ? pair.guest : pair.host;
    Nic& peer = guest_is_it ? pair.host : pair.guest;
    {
      Sender it{only_sends}, peers{peer};
      Receiver at_peer{peer};
      const auto end = std::chrono::steady_clock::now() + 500ms;
      for (std::uint64_t before = 0; std::chrono::steady_clock::now() < end; before = it.sent()) {
        EXPECT_TRUE(eventually([&] { return it.sent() > before; })) << "it stands still";
      }
      // The control plane works meanwhile.
      EXPECT_EQ(rte_eth_promiscuous_disable(only_sends.id()), 0);
      const bool peer_waits = !guest_is_it;  // the host holds all that the guest can lend
      EXPECT_TRUE(peer_waits || eventually([&] {
                    return peer.xstat("tx_filtered_packets") + only_sends.xstat("rx_filtered_packets") > 0;
                  }))
          << "the filter did not get through";
      EXPECT_EQ(rte_eth_promiscuous_enable(only_sends.id()), 0);
      it.stop();
      peers.stop();
      EXPECT_TRUE(eventually([&] { return at_peer.received() == it.sent(); }));
      at_peer.stop();
      pair.guest.stop();
      pair.host.stop();
    }
    EXPECT_GT(only_sends.stats().imissed, 0u) << "nobody took them, and that is told";
    EXPECT_EQ(peer.stats().imissed, 0u);
  }
}

TEST_P(Threads, ThatOnlyReceiveAgainstAPeerThatSendsGoOnForEver) {
  for (const bool guest_is_it : {true, false}) {
    SCOPED_TRACE(guest_is_it);
    Pair pair{Nic::Options{}, GetParam()};
    pair.start();
    Nic& only_receives = guest_is_it ? pair.guest : pair.host;
    Nic& peer = guest_is_it ? pair.host : pair.guest;
    {
      Sender peers{peer};
      Receiver it{only_receives}, at_peer{peer};
      const auto end = std::chrono::steady_clock::now() + 300ms;
      for (std::uint64_t before = 0; std::chrono::steady_clock::now() < end; before = it.received()) {
        EXPECT_TRUE(eventually([&] { return it.received() > before; })) << "it stands still";
      }
      EXPECT_EQ(rte_eth_promiscuous_disable(only_receives.id()), 0);
      EXPECT_TRUE(eventually(
          [&] { return peer.xstat("tx_filtered_packets") + only_receives.xstat("rx_filtered_packets") > 0; }));
      peers.stop();
      EXPECT_TRUE(eventually([&] {
        const std::uint64_t filtered = peer.xstat("tx_filtered_packets") + only_receives.xstat("rx_filtered_packets");
        return it.received() + filtered == peers.sent();
      }));
      it.stop();
      at_peer.stop();
      pair.guest.stop();
      pair.host.stop();
    }
    EXPECT_EQ(only_receives.stats().imissed, 0u);
  }
}

TEST_P(Threads, SurviveChangesOfTheControlPlane) {
  Pair pair{Nic::Options{.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER}, GetParam()};
  pair.start();
  {
    Receiver at_host{pair.host}, at_guest{pair.guest};
    Sender from_host{pair.host}, from_guest{pair.guest};
    for (int round = 0; round < 20; ++round) {
      for (const Nic* const nic : {&pair.host, &pair.guest}) {
        EXPECT_EQ(rte_eth_dev_set_mtu(nic->id(), round % 2 == 0 ? 3000 : 1500), 0);
        EXPECT_EQ(rte_eth_promiscuous_disable(nic->id()), 0);
        EXPECT_EQ(rte_eth_promiscuous_enable(nic->id()), 0);
        EXPECT_EQ(rte_eth_stats_reset(nic->id()), 0);
        (void)nic->xstats();
        (void)nic->link_up();
      }
    }
    EXPECT_TRUE(eventually([&] { return pair.both_up(); }));
    const std::uint64_t before = at_host.received();
    EXPECT_TRUE(eventually([&] { return at_host.received() > before + 1000; }));
    from_host.stop();
    from_guest.stop();
    at_host.stop();
    at_guest.stop();
    pair.guest.stop();
    pair.host.stop();
    EXPECT_EQ(rte_eth_dev_set_mtu(pair.guest.id(), 1600), 0);  // attaches again: direct frames come back
    (void)eventually([&] { return false; }, 5ms);
  }
}

TEST_P(Threads, LoopOnTwoThreadsLosesNothing) {
  Nic nic{std::string{GetParam()}.substr(*GetParam() == ',' ? 1 : 0)};
  nic.start();
  ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
  Receiver receiver{nic};
  Sender sender{nic};
  EXPECT_TRUE(eventually([&] { return receiver.received() > 5000; }, 20s));
  sender.stop();
  EXPECT_TRUE(eventually([&] { return receiver.received() == sender.sent(); }));
  receiver.stop();
  nic.stop();
  EXPECT_EQ(nic.stats().imissed, 0u);
}

}  // namespace
}  // namespace vmbpmd::test
