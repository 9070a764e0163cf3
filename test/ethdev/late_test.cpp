// SPDX-License-Identifier: BSD-3-Clause
// An application that receives late, rarely, or never. The ends are stepped by a clock of the test's own, so that seconds
// pass as they are told to and a busy machine changes nothing.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "port/eal_memory.hpp"
#include "port/guest.hpp"
#include "port/loop.hpp"

namespace vmbpmd::test {
namespace {

class Late : public PortsTest {
 protected:
  Late() {
    EXPECT_TRUE(EalMemory::instance().start());
    guest_.wanted().mac = {0x02, 0, 0, 0, 0, 1};
  }
  ~Late() override {
    guest_.close();
    EalMemory::instance().stop();
  }

  /// Join both ends, start them, let them attach.
  void attach(Host& host) {
    ASSERT_EQ(host.init(bus_, "late"), nullptr);
    ASSERT_EQ(guest_.init(bus_, "late"), nullptr);
    host_ = &host;
    for (End* const end : {static_cast<End*>(&guest_), static_cast<End*>(&host)}) {
      end->wanted().started = end->wanted().promiscuous = true;
      end->start_rx(MbufFiller{pool_.get(), 0});
      end->apply();
    }
    pass(20ms);
    ASSERT_TRUE(guest_.link().up && host.link().up);
  }

  /// What the control thread does in that time.
  void pass(std::chrono::milliseconds time) {
    for (const auto end = now_ + time; now_ < end; now_ += 1ms) step();
  }
  void step() {
    for (int round = 0; round < 64 && (static_cast<int>(guest_.step(now_)) | static_cast<int>(host_->step(now_))) != 0;)
      ++round;
  }

  /// @return how many of `count` frames the end took.
  std::uint32_t send(End& from, std::uint32_t count, std::uint32_t bytes = 60) {
    std::vector<rte_mbuf*> frames;
    while (frames.size() < count) frames.push_back(shaper_.make(random_frame(random_, bytes)));
    const std::uint16_t sent = from.tx_burst(frames.data(), static_cast<std::uint16_t>(count));
    rte_pktmbuf_free_bulk(frames.data() + sent, count - sent);
    return sent;
  }
  static std::uint32_t receive(End& to, std::uint16_t most = 64) {
    std::array<rte_mbuf*, 64> frames;
    const std::uint16_t got = to.rx_burst(frames.data(), most);
    rte_pktmbuf_free_bulk(frames.data(), got);
    return got;
  }

  Pool pool_{16384};
  Random random_{5};
  Shaper shaper_{pool_, random_, Shaper::whole};
  Clock::time_point now_ = Clock::now();
  vmb::InprocBus bus_{EalMemory::instance().address_space()};
  Guest guest_{Guest::Config{}};
  Host* host_{};
};

Host::Config host_config(bool unfiltered) {
  Host::Config config;
  config.guest_mac = {0x02, 0, 0, 0, 0, 1};
  config.unfiltered = unfiltered;
  return config;
}

class LatePair : public Late {
 protected:
  LatePair() { attach(host); }
  ~LatePair() override { host.close(); }

  std::uint32_t receive_all(End& to) {
    std::uint32_t all = 0;
    for (int idle = 0; idle < 3; ++idle) {
      while (const std::uint32_t got = receive(to)) all += got;
      pass(1ms);
    }
    return all;
  }

  Host host{host_config(false)};
};

class EitherEnd : public LatePair, public testing::WithParamInterface<const char*> {
 protected:
  bool is_host = GetParam()[0] == 'h';
  End& end = is_host ? static_cast<End&>(host) : guest_;
  End& peer = is_host ? static_cast<End&>(guest_) : host;
};

INSTANTIATE_TEST_SUITE_P(Late, EitherEnd, testing::Values("host", "guest"));

TEST_P(EitherEnd, ThatSendsALittleBeforeItFirstReceivesLosesNothing) {
  pass(300ms);
  ASSERT_EQ(send(peer, 100), 100u);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(send(end, 2), 2u);
    pass(2ms);
  }
  EXPECT_EQ(receive_all(end), 100u);
  EXPECT_EQ(end.rx_counters().missed.value(), 0u);
  (void)receive_all(peer);
}

TEST_P(EitherEnd, ThatSendsALotAndNeverReceivesLosesWhatItsPeerSent) {
  ASSERT_EQ(send(peer, 100), 100u);
  const auto go_on = [this](std::chrono::milliseconds time) {
    for (const auto until = now_ + time; now_ < until; pass(1ms)) {
      for (int burst = 0; burst < 50; ++burst) (void)send(end, 1);
      (void)receive(peer);
    }
  };
  go_on(60ms);
  EXPECT_EQ(end.rx_counters().missed.value(), 0u);
  go_on(60ms);
  EXPECT_EQ(end.rx_counters().missed.value(), 100u);
  (void)receive_all(peer);
}

TEST_F(LatePair, ThatStopsReceivingLosesNothingForFiveSecondsOfSending) {
  ASSERT_EQ(send(host, 100), 100u);
  (void)receive(guest_, 1);
  const auto go_on = [this](std::chrono::milliseconds time) {
    for (const auto end = now_ + time; now_ < end; pass(1ms)) {
      for (int burst = 0; burst < 30; ++burst) (void)send(guest_, 1);
      (void)receive(host);
    }
  };
  go_on(4900ms);
  EXPECT_EQ(guest_.rx_counters().missed.value(), 0u);
  go_on(200ms);
  EXPECT_EQ(guest_.rx_counters().missed.value(), 99u);
  (void)receive_all(host);
}

TEST_F(LatePair, ThatWasStoppedWithItsWholeProcessLosesNothing) {
  ASSERT_EQ(send(host, 100), 100u);
  (void)receive(guest_, 1);
  pass(10ms);
  now_ += 60s;
  pass(10ms);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(send(guest_, 1), 1u);
    pass(1ms);
  }
  EXPECT_EQ(receive_all(guest_), 99u);
  EXPECT_EQ(guest_.rx_counters().missed.value(), 0u);
  (void)receive_all(host);
}

class LateLoop : public Late {
 protected:
  LateLoop() { attach(loop_.host()); }
  ~LateLoop() override {
    loop_.host().close();
    loop_.drop();
  }

  Loop loop_{host_config(true)};
};

TEST_F(LateLoop, ThatReceivesAFrameASecondLosesNothing) {
  std::uint32_t sent = 0, received = 0;
  const auto turn = [&](std::uint32_t frames, std::uint16_t most) {
    sent += frames > 0 ? send(guest_, frames, 1400) : 0;
    loop_.turn();
    received += most > 0 ? receive(guest_, most) : 0;
  };
  for (int second = 0; second < 12; ++second) {
    turn(32, 1);
    for (int i = 0; i < 1000; ++i) {
      turn(32, 0);
      pass(1ms);
    }
  }
  ASSERT_GT(guest_.tx_counters().no_room.value(), 1000u) << "no back-pressure";
  for (int i = 0; i < 20000 && received < sent; ++i) turn(0, 64);
  EXPECT_EQ(received, sent);
  EXPECT_EQ(loop_.host().rx_counters().missed.value(), 0u);
  EXPECT_EQ(guest_.rx_counters().missed.value(), 0u);
}

}  // namespace
}  // namespace vmbpmd::test
