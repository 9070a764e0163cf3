// SPDX-License-Identifier: BSD-3-Clause
// Frames in the ring itself, which both ends of ours agree on: when they are, what they look like, what a peer that
// agreed and then misbehaves gets.
#include <chrono>

#include "ethdev/hostile_guest.hpp"
#include "support/hex.hpp"

namespace vmbpmd::test {
namespace {

using namespace std::chrono_literals;
namespace peer = wire::peer_capability;

constexpr std::uint32_t kAgreed = peer::kDenseReceive | peer::kFramesInRing;

class InRing : public PortsTest {
 protected:
  rte_mbuf* frame(std::uint32_t size) { return shaper_.make(random_frame(random_, size)); }

  Pool pool_{4096};
  Random random_{7};
  Shaper shaper_{pool_, random_, Shaper::whole};
};

TEST_F(InRing, AFewSmallFramesAreAndManyOrLargeOnesAreNot) {
  Pair pair;
  pair.start();
  for (const bool from_host : {true, false}) {
    const Nic& from = from_host ? pair.host : pair.guest;
    const Nic& to = from_host ? pair.guest : pair.host;
    const struct {
      std::uint32_t size, count, in_ring;
    } cases[] = {{60, 1, 1}, {60, 8, 8}, {60, 32, 0}, {400, 2, 2}, {1400, 1, 0}};
    for (const auto& [size, count, in_ring] : cases) {
      const std::uint64_t before = from.xstat("tx_in_ring_packets");
      std::vector<rte_mbuf*> burst(count);
      for (rte_mbuf*& one : burst) one = frame(size);
      ASSERT_EQ(from.tx(burst), count);
      EXPECT_EQ(from.xstat("tx_in_ring_packets") - before, in_ring) << count << " of " << size;
      std::uint32_t got = 0;
      EXPECT_TRUE(eventually([&] { return (got += to.drop_received()) == count; }));
    }
  }
  pair.guest.stop();
}

TEST_F(InRing, NothingGoesWhereTheApplicationWantsNoCopy) {
  Pair pair{Nic::Options{}, ",tx_copybreak=0"};
  pair.start();
  expect_traffic(pair, pool_);
  EXPECT_EQ(pair.guest.xstat("tx_in_ring_packets"), 0u);
  pair.guest.stop();
}

TEST_F(InRing, SingleFramesOfAllShapesArriveInOrderFromRingAndSections) {
  for (const bool from_host : {true, false}) {
    Pair pair;
    pair.start();
    const Nic& from = from_host ? pair.host : pair.guest;
    const Nic& to = from_host ? pair.guest : pair.host;
    Stream stream{from,
                  to,
                  pool_,
                  {.frames = 20000, .shapes = Shaper::kAll, .max_tx_burst = 3, .max_rx_burst = 5, .receive_one_in = 3}};
    stream.run();
    EXPECT_EQ(stream.received(), 20000u);
    EXPECT_GT(from.xstat("tx_in_ring_packets"), 1000u);
    EXPECT_LT(from.xstat("tx_in_ring_packets"), 19000u);
    pair.guest.stop();
    expect_no_errors(pair.host);
    expect_no_errors(pair.guest);
  }
}

TEST_F(InRing, LeavesHalfTheRingForControl) {
  for (const bool from_host : {true, false}) {
    Pair pair;
    pair.start();
    const Nic& from = from_host ? pair.host : pair.guest;
    const Nic& to = from_host ? pair.guest : pair.host;
    (void)to.drop_received();  // somebody will come
    std::uint32_t sent = 0;
    for (rte_mbuf* one = frame(60);; one = frame(60), ++sent) {
      if (!eventually([&] { return from.tx({&one, 1}) == 1; }, 20ms)) {  // once may be the control thread's turn
        rte_pktmbuf_free(one);
        break;
      }
    }
    EXPECT_GT(sent, 500u);
    EXPECT_EQ(from.xstat("tx_in_ring_packets"), sent);
    // Both directions of the control plane go past them.
    EXPECT_EQ(rte_eth_dev_set_mtu(pair.host.id(), 1400), 0);
    EXPECT_TRUE(eventually([&] { return pair.guest.xstat("link_attaches") == 2 && pair.both_up(); }));
    EXPECT_EQ(from.xstat("link_lost_packets") + to.xstat("link_lost_packets"), sent) << "told, for they are gone";
    pair.guest.stop();
    pair.host.stop();
  }
}

TEST_F(InRing, TwoThatOnlySendGoOnForEver) {
  Pair pair;
  pair.start();
  std::uint64_t sent[2] = {};
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (std::min(sent[0], sent[1]) < 20'000 && std::chrono::steady_clock::now() < end) {
    for (const Nic* const from : {&pair.host, &pair.guest}) {
      rte_mbuf* one = frame(60);
      if (from->tx({&one, 1}) == 0) {
        rte_pktmbuf_free(one);
      } else {
        ++sent[from == &pair.guest];
      }
    }
  }
  EXPECT_GE(std::min(sent[0], sent[1]), 20'000u) << "one stands still";
  EXPECT_GT(pair.host.xstat("rx_unpolled_dropped_packets"), 0u);
  EXPECT_GT(pair.guest.xstat("rx_unpolled_dropped_packets"), 0u);
  pair.guest.stop();
}

// ---- what it looks like: wire/ndis.hpp, kFramesInRing; RNDIS_PACKET: netvsc.md 2.4

TEST_F(HostileGuest, FramesInRingAreAMessageWithoutASectionAndTheRndisPacketsBehindIt) {
  ScriptedGuest guest{link_, {.capabilities = kAgreed}};
  attach(guest);
  Bytes bytes(60);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  Shaper shaper{pool_, random_, Shaper::whole};
  rte_mbuf* frames[1] = {shaper.make(bytes)};
  ASSERT_EQ(host_.tx(frames), 1);
  ASSERT_TRUE(eventually([&] {
    guest.poll();
    return !guest.in_band_received.empty();
  }));
  const Received& got = guest.in_band_received[0];
  EXPECT_FALSE(got.wants_completion);
  const Bytes want = vmb::test::hex(
      "6b000000 00000000 ffffffff 68000000"                    // 107, data, no section, 104 bytes behind this
      "01000000 68000000 24000000 3c000000"                    // PACKET of 104 bytes, data at 8 + 36, 60 bytes
      "00000000 00000000 00000000 00000000 00000000 00000000"  // no out-of-band data, no per-packet info
      "00000000"                                               // reserved
      "00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f"
      "20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637 38393a3b");
  EXPECT_EQ(vmb::test::to_hex(got.payload), vmb::test::to_hex(want));
}

// ---- towards anybody else

TEST_F(HostileGuest, WhoDidNotAgreeGetsNoFramesInRingAndMaySendNone) {
  for (const std::uint32_t capabilities : {0u, peer::kDenseReceive, peer::kFramesInRing}) {
    ScriptedGuest guest{link_, {.capabilities = capabilities}};
    ASSERT_TRUE(guest.attach());
    ASSERT_TRUE(eventually([&] { return host_.link_up(); }));
    Shaper shaper{pool_, random_, Shaper::whole};
    rte_mbuf* frames[1] = {shaper.make(frame())};
    ASSERT_EQ(host_.tx(frames), 1);
    EXPECT_EQ(host_.xstat("tx_in_ring_packets"), 0u);
    const std::uint64_t bad = host_.xstat("rx_bad_message_errors");
    const Bytes message = rndis_packet(frame());
    Bytes payload = message_of(wire::NvspRndisPacket{.section_bytes = static_cast<std::uint32_t>(message.size())});
    append(payload, message);
    ASSERT_TRUE(guest.in_band(0, false, payload));
    EXPECT_TRUE(eventually([&] {
      EXPECT_EQ(host_.drop_received(), 0u);
      return host_.xstat("rx_bad_message_errors") == bad + 1;
    }));
    guest.close();
  }
}

// ---- who agreed, and misbehaves: refused, counted, and traffic goes on

struct BadPacket {
  const char* name;
  const char* counter;
  Bytes (*payload)(const Bytes& frame);
  unsigned good = 0;  // frames before it in the packet: delivered
};
void PrintTo(const BadPacket& bad, std::ostream* out) { *out << bad.name; }

Bytes in_ring(const Bytes& messages, std::uint32_t claimed) {
  Bytes payload = message_of(wire::NvspRndisPacket{.section_bytes = claimed});
  append(payload, messages);
  return payload;
}
Bytes in_ring(const Bytes& messages) { return in_ring(messages, static_cast<std::uint32_t>(messages.size())); }

template <auto Change> Bytes changed_in_ring(const Bytes& frame) { return in_ring(rndis_packet(frame, Change)); }

using Header = wire::RndisPacket;
constexpr const char* kMessage = "rx_bad_message_errors";
constexpr const char* kRndis = "rx_bad_rndis_errors";

const BadPacket kBadPackets[] = {
    {"NoBytes", kMessage, [](const Bytes& f) { return in_ring(rndis_packet(f), 0); }},
    {"SevenBytes", kMessage, [](const Bytes& f) { return in_ring(rndis_packet(f), 7); }},
    {"BytesBeyondThePacket", kMessage, [](const Bytes& f) { return in_ring(rndis_packet(f), 153); }},
    {"BytesHuge", kMessage, [](const Bytes& f) { return in_ring(rndis_packet(f), 0xffffffff); }},
    {"HeaderCut", kRndis, [](const Bytes& f) { return in_ring(rndis_packet(f), 40); }},
    {"LengthZero", kRndis, changed_in_ring<[](Header& h) { h.length = 0; }>},
    {"LengthBeyond", kRndis, changed_in_ring<[](Header& h) { h.length += 16; }>},
    {"LengthHuge", kRndis, changed_in_ring<[](Header& h) { h.length = 0xffffffff; }>},
    {"DataBehindTheMessage", kRndis, changed_in_ring<[](Header& h) { h.data_offset += 16; }>},
    {"DataBytesHuge", kRndis, changed_in_ring<[](Header& h) { h.data_bytes = 0xfffffff0; }>},
    {"DataBelowEthernet", kRndis, changed_in_ring<[](Header& h) { h.data_bytes = 13; }>},
    {"ControlMessage", kRndis,
     [](const Bytes&) {
       return in_ring(message_of(wire::RndisHeader{wire::RndisType::halt, 152}));
     }},
    {"SecondOfTwo", kRndis,
     [](const Bytes& f) {
       Bytes two = rndis_packet(f);
       const Bytes bad = rndis_packet(f, [](Header& h) { h.length = 43; });
       append(two, bad);
       return in_ring(two);
     },
     1},
};

class BadFramesInRing : public HostileGuest, public testing::WithParamInterface<BadPacket> {};

TEST_P(BadFramesInRing, AreCountedAndTrafficGoesOn) {
  ScriptedGuest guest{link_, {.capabilities = kAgreed}};
  attach(guest);
  const Bytes bytes = frame(104);
  for (unsigned times = 1; times <= 3; ++times) {  // again and again: the ring's room comes back
    ASSERT_TRUE(guest.in_band(0, false, GetParam().payload(bytes)));
    std::uint32_t got = 0;
    EXPECT_TRUE(eventually([&] {
      got += host_.drop_received();
      return host_.xstat(GetParam().counter) == times;
    }));
    EXPECT_EQ(got, GetParam().good);
  }
  const Bytes good = in_ring(rndis_packet(bytes));
  for (int i = 0; i < 200; ++i) {  // not round the ring: one that wraps is refused, below
    ASSERT_TRUE(guest.in_band(0, false, good));
    ASSERT_TRUE(eventually([&] { return host_.drop_received() == 1; })) << i;
  }
  EXPECT_EQ(guest.closed(), 0u);
}

INSTANTIATE_TEST_SUITE_P(, BadFramesInRing, testing::ValuesIn(kBadPackets),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST_F(HostileGuest, FramesInRingThatWrapAreRefusedForOursNeverDo) {
  ScriptedGuest guest{link_, {.ring_bytes = 4096, .capabilities = kAgreed}};
  attach(guest);
  const Bytes good = in_ring(rndis_packet(frame(104)));
  std::uint32_t sent = 0, got = 0;
  for (; host_.xstat(kMessage) == 0 && sent < 1000; ++sent) {
    ASSERT_TRUE(eventually([&] { return guest.in_band(0, false, good); }));
    ASSERT_TRUE(eventually([&] {
      got += host_.drop_received();
      return got + host_.xstat(kMessage) > sent;
    }));
  }
  EXPECT_EQ(host_.xstat(kMessage), 1u);
  EXPECT_LT(sent, 100u);
  EXPECT_EQ(got, sent - 1);
  EXPECT_EQ(guest.closed(), 0u);
}

}  // namespace
}  // namespace vmbpmd::test
