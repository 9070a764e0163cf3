// SPDX-License-Identifier: BSD-3-Clause
// One end is closed and made again, over and over, under the other's traffic from other threads.
// VMB_CHURN says how often; 1000 by default.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

int rounds() {
  const char* const text = std::getenv("VMB_CHURN");
  return text != nullptr ? std::atoi(text) : 1000;
}

/// Bursts on a port that stays, whatever happens at the other end.
class Traffic {
 public:
  explicit Traffic(const Nic& nic) : nic_(nic), sender_([this] { send(); }), receiver_([this] { receive(); }) {}
  ~Traffic() { stop(); }
  void stop() {
    stop_ = true;
    if (sender_.joinable()) sender_.join();
    if (receiver_.joinable()) receiver_.join();
  }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }

 private:
  void send() {
    Random random{5};
    Shaper shaper{pool_, random, Shaper::kAll};
    std::vector<rte_mbuf*> frames;
    while (!stop_) {
      while (frames.size() < 8) {
        rte_mbuf* const frame = shaper.make(random_frame(random, 14 + random.below(1500)));
        if (frame == nullptr) break;
        frames.push_back(frame);
      }
      const std::uint16_t n = nic_.tx(frames);
      frames.erase(frames.begin(), frames.begin() + n);
      sent_ += n;
      if (n == 0) std::this_thread::yield();
    }
    rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned>(frames.size()));
    while (pool_.missing() > 0)
      std::this_thread::yield();  // what went from where it lies comes back from the other thread
  }

  void receive() {
    while (!stop_ || pool_.missing() > 0) {
      const std::uint32_t n = nic_.drop_received();
      received_ += n;
      if (n == 0) std::this_thread::yield();
    }
  }

  const Nic& nic_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> sent_{0}, received_{0};
  Pool pool_{4096};
  std::thread sender_, receiver_;
};

struct Case {
  bool host_churns;
  const char* guest_args;
};

class Churn : public PortsTest, public testing::WithParamInterface<Case> {};

TEST_P(Churn, OfOneEndUnderTheOthersTrafficIsClean) {
  const auto [host_churns, guest_args] = GetParam();
  const std::string link = fresh_link();
  const std::string host_args = "role=host,link=" + link;
  const std::string guest_devargs = "role=guest,link=" + link + guest_args;
  Nic stays{host_churns ? guest_devargs : host_args};
  stays.start();
  Random random{11};
  std::uint64_t exchanged = 0;
  {
    Traffic traffic{stays};
    Pool pool;
    for (int round = 0; round < rounds() && !HasFailure(); ++round) {
      Nic comes{host_churns ? host_args : guest_devargs, Nic::Options{.mbufs = 256}};
      comes.start();
      // Anything from none at all to some traffic.
      const std::uint32_t bursts = random.below(4) == 0 ? 0 : random.below(60);
      const bool sees_it_through = round % 50 == 0;
      if (sees_it_through) {
        EXPECT_TRUE(eventually([&] { return comes.link_up() && stays.link_up(); }));
      }
      Shaper shaper{pool, random, Shaper::kAll};
      for (std::uint32_t i = 0; i < bursts; ++i) {
        exchanged += comes.drop_received();
        rte_mbuf* frame = shaper.make(random_frame(random, 14 + random.below(1500)));
        if (frame != nullptr && comes.tx({&frame, 1}) == 0) rte_pktmbuf_free(frame);
      }
      if (sees_it_through) {
        EXPECT_TRUE(eventually([&] { return (exchanged += comes.drop_received()) > 0; }));
      }
      comes.stop();
    }
    EXPECT_TRUE(eventually([&] { return !stays.link_up(); }));
    traffic.stop();
    EXPECT_GT(traffic.sent(), 0u);
  }
  EXPECT_GT(exchanged, 0u);
  EXPECT_EQ(stays.stats().ierrors, 0u);
  for (const auto& [name, value] : stays.xstats()) {
    if (name.starts_with("ring_fault_")) { EXPECT_EQ(value, 0u) << name; }
  }
}

INSTANTIATE_TEST_SUITE_P(Ends, Churn, testing::Values(Case{true, ""}, Case{false, ""}, Case{true, ",tx_copybreak=0"}),
                         [](const auto& of) {
                           return std::string{of.param.host_churns ? "Host" : "Guest"} +
                                  (*of.param.guest_args != '\0' ? "Direct" : "");
                         });

}  // namespace
}  // namespace vmbpmd::test
