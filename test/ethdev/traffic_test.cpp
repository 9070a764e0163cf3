// SPDX-License-Identifier: BSD-3-Clause
// Frames of every size and shape come out as they went in: whole, in order, none missing, whatever the receiver does.
#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/nic.hpp"
#include "ethdev/scripted.hpp"

namespace vmbpmd::test {
namespace {

enum Direction : bool { to_guest, to_host };

struct Case {
  const char* name;
  Direction direction;
  const char* guest_args;
};

void PrintTo(const Case& traffic, std::ostream* out) { *out << traffic.name; }

class Traffic : public PortsTest, public testing::WithParamInterface<Case> {
 protected:
  static const Nic& from(const Pair& pair) { return GetParam().direction == to_guest ? pair.host : pair.guest; }
  static const Nic& to(const Pair& pair) { return GetParam().direction == to_guest ? pair.guest : pair.host; }

  static void expect_clean(const Pair& pair, const Stream& stream) {
    EXPECT_EQ(to(pair).stats().ipackets, stream.received());
    EXPECT_EQ(from(pair).stats().opackets, stream.received());
    EXPECT_EQ(to(pair).stats().ibytes, stream.bytes());
    EXPECT_EQ(from(pair).stats().obytes, stream.bytes());
    expect_no_errors(pair.host);
    expect_no_errors(pair.guest);
  }
};

TEST_P(Traffic, OfAnySizeAndShapeIsWholeAndInOrder) {
  Pool pool{8192};
  Pair pair{Nic::Options{}, GetParam().guest_args};
  pair.start();
  Stream stream{from(pair), to(pair), pool, {.frames = 6000, .shapes = Shaper::kAll}};
  stream.run();
  EXPECT_EQ(stream.received(), 6000u);
  expect_clean(pair, stream);
}

TEST_P(Traffic, OfJumbosIsWholeAndInOrder) {
  Pool pool{8192};
  Pair pair{Nic::Options{.mtu = 9000, .rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mbufs = 8192}, GetParam().guest_args};
  pair.start();
  Stream stream{from(pair), to(pair), pool, {.frames = 2500, .most = 9018, .shapes = Shaper::kAll, .max_tx_burst = 32}};
  stream.run();
  EXPECT_EQ(stream.received(), 2500u);
  expect_clean(pair, stream);
}

TEST_P(Traffic, InBurstsOfAnySizeIsWholeAndInOrder) {
  Pool pool{4096};
  Pair pair{Nic::Options{}, GetParam().guest_args};
  pair.start();
  Stream stream{from(pair), to(pair), pool, {.frames = 20000, .most = 100, .max_tx_burst = 512, .max_rx_burst = 512}};
  stream.run();
  EXPECT_EQ(stream.received(), 20000u);
  expect_clean(pair, stream);
}

TEST_P(Traffic, OneByOneIsWholeAndInOrder) {
  Pool pool;
  Pair pair{Nic::Options{}, GetParam().guest_args};
  pair.start();
  Stream stream{from(pair), to(pair), pool, {.frames = 5000, .max_tx_burst = 1, .max_rx_burst = 1}};
  stream.run();
  EXPECT_EQ(stream.received(), 5000u);
  expect_clean(pair, stream);
}

TEST_P(Traffic, WithASlowReceiverWaitsAndLosesNothing) {
  Pool pool{16384};
  Pair pair{Nic::Options{}, GetParam().guest_args};
  pair.start();
  Stream stream{from(pair),
                to(pair),
                pool,
                {.frames = 12000,
                 .shapes = Shaper::whole | Shaper::clone,
                 .max_tx_burst = 512,
                 .max_rx_burst = 32,
                 .receive_one_in = 40}};
  stream.run();
  EXPECT_EQ(stream.received(), 12000u);
  EXPECT_GT(stream.partial_bursts(), 0u) << "the receiver was not slow enough for this test";
  EXPECT_GT(from(pair).xstat("tx_no_room_events"), 0u);
  expect_clean(pair, stream);
}

TEST_P(Traffic, WithoutMbufsAtTheReceiverWaitsAndLosesNothing) {
  Pool pool{8192};
  Pair pair{Nic::Options{.mbufs = 64}, GetParam().guest_args};
  pair.start();
  Pool& receiver_pool = GetParam().direction == to_guest ? pair.guest.pool() : pair.host.pool();
  std::vector<rte_mbuf*> hoard;
  const auto take_all = [&] {
    while (rte_mbuf* const mbuf = rte_pktmbuf_alloc(receiver_pool.get())) hoard.push_back(mbuf);
  };
  const auto give_all = [&] {
    rte_pktmbuf_free_bulk(hoard.data(), static_cast<unsigned>(hoard.size()));
    hoard.clear();
  };
  Stream stream{from(pair), to(pair), pool, {.frames = 4000, .max_rx_burst = 32}};
  for (int round = 0; stream.turn(); ++round) {
    if (round % 7 == 3) take_all();
    if (round % 7 == 6) give_all();
    ASSERT_LT(round, 100000);
  }
  give_all();
  EXPECT_EQ(stream.received(), 4000u);
  EXPECT_GT(to(pair).stats().rx_nombuf, 0u);
  EXPECT_EQ(to(pair).stats().imissed, 0u);
}

TEST_P(Traffic, InChainsWithoutMbufsAtTheReceiverWaitsAndLosesNothing) {
  Pool pool{8192};
  Pair pair{
      Nic::Options{.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mbufs = 40, .data_room = RTE_PKTMBUF_HEADROOM + 128},
      GetParam().guest_args};
  pair.start();
  Pool& receiver_pool = GetParam().direction == to_guest ? pair.guest.pool() : pair.host.pool();
  std::vector<rte_mbuf*> hoard;
  Stream stream{from(pair), to(pair), pool, {.frames = 1500, .max_rx_burst = 3}};
  for (int round = 0; stream.turn(); ++round) {
    if (round % 2 == 0) {  // between one and all of what a frame needs
      while (hoard.size() < 25u + static_cast<unsigned>(round) % 16) {
        rte_mbuf* const mbuf = rte_pktmbuf_alloc(receiver_pool.get());
        if (mbuf == nullptr) break;
        hoard.push_back(mbuf);
      }
    } else {
      rte_pktmbuf_free_bulk(hoard.data(), static_cast<unsigned>(hoard.size()));
      hoard.clear();
    }
    ASSERT_LT(round, 200000);
  }
  rte_pktmbuf_free_bulk(hoard.data(), static_cast<unsigned>(hoard.size()));
  EXPECT_EQ(stream.received(), 1500u);
  EXPECT_GT(to(pair).stats().rx_nombuf, 0u);
  EXPECT_EQ(to(pair).stats().imissed, 0u);
}

TEST_P(Traffic, SharedMbufsAreReadAndNotKept) {
  Pool pool;
  Pair pair{Nic::Options{}, GetParam().guest_args};
  pair.start();
  Random random;
  Shaper shaper{pool, random, Shaper::whole};
  const Bytes frame = random_frame(random, 1400);
  rte_mbuf* const mbuf = shaper.make(frame);
  constexpr int kTimes = 200;
  rte_pktmbuf_refcnt_update(mbuf, kTimes);  // the same mbuf again and again, as a flooding bridge does
  int sent = 0, got = 0;
  EXPECT_TRUE(eventually([&] {
    rte_mbuf* frames[1] = {mbuf};
    if (sent < kTimes) sent += from(pair).tx(frames);
    rte_mbuf* received[4];
    const std::uint16_t n = to(pair).rx(received);
    for (int i = 0; i < n; ++i, ++got) {
      EXPECT_EQ(bytes_of(received[i]), frame);
      rte_pktmbuf_free(received[i]);
    }
    return got == kTimes;
  }));
  const auto drained = [&] {
    (void)from(pair).drop_received();  // completions free what was sent from where it lies
    return rte_mbuf_refcnt_read(mbuf) == 1;
  };
  EXPECT_TRUE(eventually(drained));
  rte_pktmbuf_free(mbuf);
}

TEST_P(Traffic, FramesThatAreNoneAreFreedAndCounted) {
  Pool pool;
  for (const bool promiscuous : {true, false}) {
    Pair pair{Nic::Options{.promiscuous = promiscuous}, GetParam().guest_args};
    pair.start();
    const rte_ether_addr mac = to(pair).mac();
    Random random;
    Shaper shaper{pool, random, Shaper::whole};
    const auto make = [&](std::uint32_t size) { return shaper.make(random_frame(random, size, mac)); };
    rte_mbuf* frames[] = {make(60), rte_pktmbuf_alloc(pool.get()), make(60), shaper.make(Bytes(13)),
                          make(60), shaper.make(Bytes(1)),         make(14)};
    EXPECT_EQ(from(pair).tx(frames), 7);
    std::uint32_t got = 0;
    EXPECT_TRUE(eventually([&] { return (got += to(pair).drop_received()) == 4; }));
    EXPECT_EQ(from(pair).xstat("tx_malformed_dropped_packets"), 3u);
    EXPECT_EQ(from(pair).stats().oerrors, 3u);
    EXPECT_EQ(to(pair).stats().ierrors, 0u);
    pair.guest.stop();  // direct frames come back
    pair.host.stop();
    (void)eventually([&] { return pool.missing() == 0; });
  }
}

INSTANTIATE_TEST_SUITE_P(Both, Traffic,
                         testing::Values(Case{"ToGuest", to_guest, ""}, Case{"ToHost", to_host, ""},
                                         Case{"ToHostDirect", to_host, ",tx_copybreak=0"},
                                         Case{"ToHostCopied", to_host, ",tx_copybreak=65535"}),
                         [](const auto& of) { return std::string{of.param.name}; });

class TrafficBothWays : public PortsTest {};

TEST_F(TrafficBothWays, AtOnceIsWholeAndInOrder) {
  Pool pool{8192};
  Pair pair;
  pair.start();
  Stream there{pair.host, pair.guest, pool, {.frames = 5000, .shapes = Shaper::kAll}, 1};
  Stream back{pair.guest, pair.host, pool, {.frames = 5000, .shapes = Shaper::kAll}, 2};
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while ((!there.done() || !back.done()) && std::chrono::steady_clock::now() < deadline) {
    (void)there.turn();
    (void)back.turn();
  }
  EXPECT_EQ(there.received(), 5000u);
  EXPECT_EQ(back.received(), 5000u);
  expect_no_errors(pair.host);
  expect_no_errors(pair.guest);
}

TEST_F(TrafficBothWays, OfThreePairsAtOnceStaysApart) {
  Pool pool{8192};
  Pair a, b, c;
  std::vector<std::unique_ptr<Stream>> streams;
  for (Pair* const pair : {&a, &b, &c}) {
    pair->start();
    streams.push_back(
        std::make_unique<Stream>(pair->host, pair->guest, pool, Stream::Settings{.frames = 1000}, streams.size()));
    streams.push_back(
        std::make_unique<Stream>(pair->guest, pair->host, pool, Stream::Settings{.frames = 1000}, streams.size()));
  }
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  for (bool more = true; more && std::chrono::steady_clock::now() < deadline;) {
    more = false;
    for (const auto& stream : streams) more |= stream->turn();
  }
  for (const auto& stream : streams) EXPECT_EQ(stream->received(), 1000u);
}

// What both ends of ours agree on saves ring packets, and nothing of it shows towards anybody else.

class Savings : public PortsTest {
 protected:
  std::array<rte_mbuf*, 32> burst(std::uint32_t size) {
    std::array<rte_mbuf*, 32> frames;
    for (rte_mbuf*& frame : frames) frame = shaper_.make(random_frame(random_, size));
    return frames;
  }

  Pool pool_;
  Random random_{11};
  Shaper shaper_{pool_, random_, Shaper::whole};
};

TEST_F(Savings, DirectFramesOfABurstShareAPacketTowardsOurHost) {
  Pair pair;
  pair.start();
  auto frames = burst(1500);
  ASSERT_EQ(pair.guest.tx(frames), 32);
  EXPECT_EQ(pair.guest.xstat("tx_direct_packets"), 32u);
  EXPECT_EQ(pair.guest.xstat("tx_vmbus_packets"), 1u);
  std::uint32_t received = 0;
  EXPECT_TRUE(eventually([&] { return (received += pair.host.drop_received()) == 32; }));
  pair.guest.stop();
}

TEST_F(Savings, TowardsAnotherHostEachDirectFrameHasAPacket) {
  const std::string link = fresh_link();
  Nic guest{"role=guest,link=" + link};
  guest.start();
  ScriptedHost host{link};
  ASSERT_TRUE(host.attach());
  ASSERT_TRUE(eventually([&] { return guest.link_up(); }));
  auto frames = burst(1500);
  ASSERT_EQ(guest.tx(frames), 32);
  EXPECT_EQ(guest.xstat("tx_direct_packets"), 32u);
  EXPECT_EQ(guest.xstat("tx_vmbus_packets"), 32u);
  EXPECT_TRUE(eventually([&] {
    host.poll();
    return host.data.size() == 32;
  }));
  for (const Received& packet : host.data) EXPECT_EQ(packet.ranges.size(), 1u);
  guest.stop();
}

TEST_F(Savings, TowardsAnotherGuestEachFrameHasARangeOfItsOwn) {
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  host.start();
  for (const bool ours : {false, true}) {
    ScriptedGuest guest{link, {.capabilities = ours ? wire::peer_capability::kDenseReceive : 0}};
    ASSERT_TRUE(guest.attach());
    ASSERT_TRUE(eventually([&] { return host.link_up(); }));
    auto frames = burst(60);
    guest.transfers.clear();
    ASSERT_EQ(host.tx(frames), 32);
    ASSERT_TRUE(eventually([&] {
      guest.poll();
      return !guest.transfers.empty();
    }));
    EXPECT_EQ(guest.transfers[0].ranges.size(), ours ? 1u : 32u);
    guest.close();
  }
}

}  // namespace
}  // namespace vmbpmd::test
