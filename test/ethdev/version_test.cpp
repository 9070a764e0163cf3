// SPDX-License-Identifier: BSD-3-Clause
// Both ends as objects on a bus of their own, stepped by hand: version negotiation, and what needs configurations that
// no argument gives.
#include <array>
#include <optional>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "port/eal_memory.hpp"
#include "port/guest.hpp"
#include "port/host.hpp"

namespace vmbpmd::test {
namespace {

using wire::NvspVersion;

constexpr wire::MacAddress kMac{0x02, 0, 0, 0, 0, 1};

class Ends : public PortsTest {
 protected:
  Ends() : started_(EalMemory::instance().start()), bus_(EalMemory::instance().address_space()) {}
  ~Ends() override {
    guest_.reset();
    host_.reset();
    EXPECT_TRUE(bus_.empty());
    EalMemory::instance().stop();
  }

  void make(const Guest::Config& guest, const Host::Config& host) {
    ASSERT_TRUE(started_);
    guest_.emplace(guest);
    host_.emplace(host);
    ASSERT_EQ(guest_->init(bus_, "version"), nullptr);
    ASSERT_EQ(host_->init(bus_, "version"), nullptr);
    guest_->start_rx(MbufFiller{guest_pool_.get(), 0});
    host_->start_rx(MbufFiller{host_pool_.get(), 1});
    for (End* const end : {static_cast<End*>(&*guest_), static_cast<End*>(&*host_)}) {
      end->wanted().started = end->wanted().promiscuous = true;
      end->apply();
    }
  }

  bool step_until(const std::function<bool()>& holds) {
    for (int i = 0; i < 200; ++i) {
      if (holds()) return true;
      (void)host_->step(Clock::now());
      (void)guest_->step(Clock::now());
    }
    return holds();
  }

  bool up() const { return guest_->link().up && host_->link().up; }

  void expect_frame(End& from, End& to, std::uint32_t size = 1000) {
    Random random{++number_};
    Shaper shaper{pool_, random, Shaper::whole};
    const Bytes sent = random_frame(random, size);
    rte_mbuf* frame = shaper.make(sent);
    ASSERT_EQ(from.tx_burst(&frame, 1), 1);
    rte_mbuf* got = nullptr;
    EXPECT_TRUE(step_until([&] { return to.rx_burst(&got, 1) == 1; }));
    if (got == nullptr) return;
    EXPECT_EQ(bytes_of(got), sent);
    rte_pktmbuf_free(got);
  }

  Pool pool_, guest_pool_, host_pool_;
  bool started_;
  vmb::InprocBus bus_;
  std::optional<Guest> guest_;
  std::optional<Host> host_;
  std::uint64_t number_{};
};

using Versions = std::tuple<NvspVersion, NvspVersion>;

class Version : public Ends, public testing::WithParamInterface<Versions> {};

TEST_P(Version, HighestOfBothIsAgreedAndFramesFlow) {
  const auto [of_guest, of_host] = GetParam();
  make({.highest_version = of_guest}, {.highest_version = of_host, .guest_mac = kMac});
  ASSERT_TRUE(step_until([&] { return up(); }));
  EXPECT_EQ(guest_->nvsp().result().version, std::min(of_guest, of_host));
  EXPECT_EQ(host_->nvsp().version(), std::min(of_guest, of_host));
  EXPECT_EQ(guest_->mtu(), 1500);
  EXPECT_EQ(guest_->mac(), kMac);
  for (int i = 0; i < 50; ++i) {
    expect_frame(*guest_, *host_);
    expect_frame(*host_, *guest_);
  }
  guest_->detach();
  EXPECT_TRUE(step_until([&] { return guest_->link_counters().attaches.value() == 2 && up(); }));
  expect_frame(*guest_, *host_);
  expect_frame(*host_, *guest_);
}

constexpr NvspVersion kAll[] = {NvspVersion::v6_1, NvspVersion::v6, NvspVersion::v5,
                                NvspVersion::v4,   NvspVersion::v2, NvspVersion::v1};

INSTANTIATE_TEST_SUITE_P(Nvsp, Version, testing::Combine(testing::ValuesIn(kAll), testing::ValuesIn(kAll)));

TEST_F(Ends, OfVersionOneKnowNoMtuButTheDefault) {
  make({.highest_version = NvspVersion::v1}, {.guest_mac = kMac});
  guest_->wanted().mtu = host_->wanted().mtu = 9000;
  ASSERT_TRUE(step_until([&] { return up() && guest_->mtu() == 1500; }));
  expect_frame(*guest_, *host_, 1518);
}

TEST_F(Ends, WithTheSmallestRingsCarryControlThroughAFullRing) {
  make({.ring_bytes = 4096, .tx_copybreak = 0}, {.guest_mac = kMac});
  ASSERT_TRUE(step_until([&] { return up(); }));
  Random random;
  Shaper shaper{pool_, random, Shaper::whole};
  std::uint32_t sent = 0;
  for (;;) {  // until the ring is full
    rte_mbuf* frame = shaper.make(random_frame(random, 60));
    if (guest_->tx_burst(&frame, 1) == 0) {
      rte_pktmbuf_free(frame);
      break;
    }
    ++sent;
  }
  EXPECT_GT(sent, 20u);
  guest_->wanted().promiscuous = false;
  guest_->apply();
  (void)guest_->step(Clock::now());  // no room for it now
  std::uint32_t got = 0;
  EXPECT_TRUE(step_until([&] {
    std::array<rte_mbuf*, 32> frames;
    const std::uint16_t n = host_->rx_burst(frames.data(), frames.size());
    rte_pktmbuf_free_bulk(frames.data(), n);
    got += n;
    return got == sent && host_->rndis().packet_filter() == 0x0b;
  })) << got
      << " of " << sent << ", filter " << host_->rndis().packet_filter();
  expect_frame(*guest_, *host_);
}

TEST(BackOffTimes, BeginAtAHundredMillisecondsAndDoubleToTenSeconds) {
  const Clock::time_point boot{};
  for (const auto begin : {boot + 1s, boot + 1000h}) {  // also on a machine that has just started
    BackOff back_off;
    Clock::time_point now = begin;
    for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10000ms, 10000ms}) {
      EXPECT_EQ(back_off.next(now), expected);
      now += expected + 1ms;
    }
    now += 60s;
    EXPECT_EQ(back_off.next(now), 100ms) << "after a quiet time from the start";
  }
}

}  // namespace
}  // namespace vmbpmd::test
