// SPDX-License-Identifier: BSD-3-Clause
// Hosts that misbehave, against a real guest port: netvsc.md 6.1 and 6.2.
#include "ethdev/hostile_host.hpp"

#include <cstring>

namespace vmbpmd::test {
namespace {

using vmb::wire::TransferRange;
using wire::NvspStatus;

// ---- frames

struct BadRange {
  const char* name;
  Bytes (*message)(const Bytes& frame);
};

void PrintTo(const BadRange& range, std::ostream* out) { *out << range.name; }

template <auto Change> Bytes changed(const Bytes& frame) { return rndis_packet(frame, Change); }

using Header = wire::RndisPacket;

const BadRange kBadRanges[] = {
    {"OfSevenBytes", [](const Bytes&) { return Bytes(7, std::byte{1}); }},
    {"LengthZero", changed<[](Header& h) { h.length = 0; }>},
    {"LengthBelowHeader", changed<[](Header& h) { h.length = 43; }>},
    {"LengthBehindTheRange", changed<[](Header& h) { h.length += 1; }>},
    {"LengthHuge", changed<[](Header& h) { h.length = 0xffffffff; }>},
    {"DataOffsetInHeader", changed<[](Header& h) { h.data_offset = 35; }>},
    {"DataOffsetWraps", changed<[](Header& h) { h.data_offset = 0xfffffff8; }>},
    {"DataEndWraps", changed<[](Header& h) { h.data_offset = 0xffffffc0, h.data_bytes = 100; }>},
    {"DataNone", changed<[](Header& h) { h.data_bytes = 0; }>},
    {"DataBelowEthernet", changed<[](Header& h) { h.data_bytes = 13; }>},
    {"DataBytesBeyond", changed<[](Header& h) { h.data_bytes += 1; }>},
    {"DataBytesHuge", changed<[](Header& h) { h.data_bytes = 0xffffffff; }>},
    {"OutOfBand", changed<[](Header& h) { h.oob_count = 1; }>},
    {"InfoMisaligned", changed<[](Header& h) { h.info_offset = 37, h.info_bytes = 16; }>},
    {"InfoOverData", changed<[](Header& h) { h.info_offset = 36, h.info_bytes = 16; }>},
    {"InfoWraps", changed<[](Header& h) { h.info_offset = 0xfffffffc, h.info_bytes = 16; }>},
    {"FrameLargerThanTheMtu", [](const Bytes&) { return rndis_packet(Bytes(1519)); }},
    {"FrameOfAJumbo", [](const Bytes&) { return rndis_packet(Bytes(9000)); }},
    {"HeaderCut",
     [](const Bytes& f) {
       Bytes bytes = rndis_packet(f);
       bytes.resize(43);
       return bytes;
     }},
};

class HostileHostData : public HostileHost, public testing::WithParamInterface<BadRange> {};

TEST_P(HostileHostData, IsRefusedAndCountedAndTrafficGoesOn) {
  ScriptedHost host{link_};
  attach(host);
  const Bytes bad = GetParam().message(frame());
  ASSERT_TRUE(host.transfer_message(5, bad));
  unsigned delivered = 0;
  EXPECT_TRUE(eventually([&] {  // frames are judged when they are read
    delivered += guest_.drop_received();
    return guest_.xstat("rx_bad_rndis_errors") == 1;
  }));
  EXPECT_EQ(host.completion_of(5), NvspStatus::failure);
  EXPECT_EQ(guest_.stats().ierrors, 1u);
  EXPECT_EQ(delivered, 0u) << "nothing of it reaches the application";
  // Beside good ones it takes nothing away.
  const Bytes first = frame(), second = frame(200);
  host.put(0x10000, rndis_packet(first));
  host.put(0x20000, bad);
  host.put(0x30000, rndis_packet(second));
  ASSERT_TRUE(host.transfer(6, {{144, 0x10000}, {static_cast<std::uint32_t>(bad.size()), 0x20000}, {244, 0x30000}}));
  EXPECT_EQ(receive(), (std::vector<Bytes>{first, second}));
  EXPECT_EQ(host.completion_of(6), NvspStatus::success);
  EXPECT_EQ(guest_.xstat("rx_bad_rndis_errors"), 2u);
  expect_alive(host);
}

INSTANTIATE_TEST_SUITE_P(Data, HostileHostData, testing::ValuesIn(kBadRanges),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST_F(HostileHost, DataAnywhereInTheRangeIsTaken) {  // as real hosts lay it
  ScriptedHost host{link_};
  attach(host);
  const Bytes sent = frame(1518);
  Bytes message = rndis_packet({}, [&](Header& h) {
    h.data_offset = 248 + 3;
    h.data_bytes = static_cast<std::uint32_t>(sent.size());
    h.length = 1806;
  });
  message.resize(8 + 248 + 3);
  append(message, sent);
  message.resize(1806);
  ASSERT_TRUE(host.transfer_message(5, message, 1806 * 7));
  EXPECT_EQ(receive(), std::vector<Bytes>{sent});
  expect_alive(host);
}

// ---- completions

TEST_F(HostileHost, UnknownAndDoubleCompletionsAreCounted) {
  ScriptedHost host{link_};
  attach(host);
  host.completes_data = false;
  rte_mbuf* frames[1] = {mbuf(frame())};
  ASSERT_EQ(guest_.tx(frames), 1);
  ASSERT_TRUE(eventually([&] {
    host.poll();
    return host.data.size() == 1;
  }));
  const std::uint64_t id = host.data[0].id;
  EXPECT_TRUE(host.complete(id));
  EXPECT_TRUE(host.complete(id));
  for (const std::uint64_t wrong :
       {std::uint64_t{0}, std::uint64_t{1}, id + 1, id + (std::uint64_t{2} << 32), ~std::uint64_t{0}}) {
    EXPECT_TRUE(host.complete(wrong));
  }
  EXPECT_TRUE(eventually([&] {
    (void)guest_.drop_received();
    return guest_.xstat("rx_unknown_completion_errors") == 6;
  }));
  host.completes_data = true;
  expect_alive(host);
}

TEST_F(HostileHost, DirectFrameCompletedTwiceIsFreedOnce) {  // the pool notices a second time
  const std::string link = fresh_link();
  Nic direct{"role=guest,tx_copybreak=0,link=" + link};
  ScriptedHost host{link};
  direct.start();
  ASSERT_TRUE(host.attach());
  ASSERT_TRUE(eventually([&] { return direct.link_up(); }));
  host.completes_data = false;
  for (int round = 0; round < 20; ++round) {
    rte_mbuf* frames[1] = {mbuf(frame())};
    ASSERT_EQ(direct.tx(frames), 1);
    ASSERT_TRUE(eventually([&] {
      host.poll();
      return !host.data.empty();
    }));
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(host.complete(host.data[0].id));
    host.data.clear();
    (void)direct.drop_received();
  }
  EXPECT_EQ(pool_.missing(), 0u);
}

TEST_F(HostileHost, FailureOfASendIsCounted) {
  ScriptedHost host{link_};
  attach(host);
  host.completes_data = false;
  rte_mbuf* frames[1] = {mbuf(frame())};
  ASSERT_EQ(guest_.tx(frames), 1);
  ASSERT_TRUE(eventually([&] {
    host.poll();
    return host.data.size() == 1;
  }));
  EXPECT_TRUE(host.complete(host.data[0].id, NvspStatus::failure));
  EXPECT_TRUE(eventually([&] {
    (void)guest_.drop_received();
    return guest_.stats().oerrors == 1;
  }));
  EXPECT_EQ(guest_.xstat("tx_peer_failure_errors"), 1u);
  host.completes_data = true;
  expect_alive(host);
}

TEST_F(HostileHost, OneThatNeverCompletesStopsTheSenderAndTakesNothing) {
  ScriptedHost host{link_};
  attach(host);
  host.completes_data = false;
  std::uint32_t sent = 0;
  EXPECT_TRUE(eventually([&] {  // a burst may also be refused because the control thread is inside
    rte_mbuf* frames[1] = {mbuf(frame(1500))};
    if (guest_.tx(frames) == 1) {
      ++sent;
    } else {
      rte_pktmbuf_free(frames[0]);
    }
    host.poll();
    return guest_.xstat("tx_no_room_events") >= 20;
  }));
  EXPECT_EQ(host.data.size(), sent);
  for (const Received& packet : host.data) EXPECT_TRUE(host.complete(packet.id));
  host.completes_data = true;
  (void)guest_.drop_received();
  expect_alive(host);
}

// ---- NVSP and RNDIS control

TEST_F(HostileHost, UnknownMessagesAreCountedAndAnswered) {
  ScriptedHost host{link_};
  attach(host);
  std::uint64_t id = 900;
  std::uint64_t expected = 0;
  for (const std::uint32_t type : {0u, 1u, 99u, 101u, 107u, 200u, 0xffffffffu}) {
    ASSERT_TRUE(host.in_band(++id, true, message_of(type, wire::kNvspBytes)));
    ++expected;
    EXPECT_TRUE(eventually([&] {
      (void)guest_.drop_received();
      host.poll();
      return std::ranges::any_of(host.completions, [&](const auto& done) { return done.first == id; });
    })) << type;
  }
  ASSERT_TRUE(host.in_band(++id, false, {}));
  ++expected;
  EXPECT_TRUE(eventually([&] { return guest_.xstat("link_refused_message_errors") == expected; }));
  // What is known and of no use to us is no fault.
  ASSERT_TRUE(
      host.in_band(++id, true, message_of(wire::NvspVfAssociation{.allocated = 1, .serial = 1}, wire::kNvspBytes)));
  ASSERT_TRUE(host.in_band(++id, false, message_of(wire::NvspSendTable{.count = 16, .offset = 12}, 80)));
  expect_alive(host);
  EXPECT_EQ(guest_.xstat("link_refused_message_errors"), expected);
}

TEST_F(HostileHost, LateDoubleAndBrokenAnswersAreCounted) {
  ScriptedHost host{link_};
  attach(host);
  std::uint64_t expected = 0;
  for (const Bytes& bad :
       {message_of(wire::RndisSetComplete{.request_id = 3}),
        message_of(wire::RndisQueryComplete{.request_id = 0xffffffff}),
        message_of(wire::RndisInitializeComplete{.request_id = 1}),
        message_of(wire::RndisHeader{static_cast<wire::RndisType>(0x77), 8}),
        message_of(wire::RndisIndicateStatus{
            .status = wire::RndisStatus::link_speed_change, .buffer_bytes = 100, .buffer_offset = 12}),
        message_of(wire::RndisHeader{wire::RndisType::indicate_status, 0xffffffff})}) {
    ASSERT_TRUE(host.transfer_message(1000 + ++expected, bad));
    EXPECT_TRUE(eventually([&] {
      (void)guest_.drop_received();
      return guest_.xstat("link_refused_message_errors") == expected;
    })) << expected;
  }
  expect_alive(host);
}

TEST_F(HostileHost, ControlFloodIsCountedAndTheRestGoesOn) {
  ScriptedHost host{link_};
  attach(host);
  const Bytes indication = message_of(wire::RndisIndicateStatus{.status = wire::RndisStatus::network_change});
  for (int i = 0; i < 300; ++i) {
    (void)host.transfer_message(static_cast<std::uint64_t>(2000 + i), indication);
    (void)host.in_band(3000, true, message_of(std::uint32_t{99}, wire::kNvspBytes));
  }
  EXPECT_TRUE(eventually([&] {
    (void)guest_.drop_received();
    host.poll();
    return guest_.xstat("rx_control_overflow_errors") > 0;
  }));
  EXPECT_TRUE(eventually([&] {
    (void)guest_.drop_received();
    host.poll();
    return host.completions.size() >= 600;
  })) << "each is answered";
  expect_alive(host);
  EXPECT_EQ(rte_eth_promiscuous_disable(guest_.id()), 0);
  EXPECT_TRUE(eventually([&] {
    host.poll();
    (void)guest_.drop_received();
    return host.rndis().packet_filter() == 0x0b;
  })) << "control still works";
}

TEST_F(HostileHost, MediaIndicationsMoveTheLink) {
  ScriptedHost host{link_};
  attach(host);
  for (int round = 0; round < 3; ++round) {
    host.indicate(false);
    EXPECT_TRUE(eventually([&] { return !guest_.link_up(); }));
    rte_mbuf* frames[1] = {mbuf(frame())};
    EXPECT_EQ(guest_.tx(frames), 0);
    rte_pktmbuf_free(frames[0]);
    host.indicate(true);
    EXPECT_TRUE(eventually([&] { return guest_.link_up(); }));
  }
  expect_alive(host);
}

// ---- attach

TEST_F(HostileHost, ThatAnswersNothingLeavesThePortDownAndClosable) {
  ScriptedHost host{link_};
  EXPECT_TRUE(eventually([&] { return host.is_open(); }));
  EXPECT_FALSE(guest_.link_up());
  EXPECT_EQ(rte_eth_dev_set_mtu(guest_.id(), 1400), 0);
  EXPECT_EQ(rte_eth_promiscuous_disable(guest_.id()), 0);
  const auto begin = std::chrono::steady_clock::now();
  guest_.stop();
  guest_.start();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s) << "it waits for the host, which has 60 s";
}

struct BadAnswer {
  const char* name;
  std::uint32_t request;  // NVSP type
  Bytes answer;
};

TEST_F(HostileHost, AnswersThatDoNotHoldEndTheAttachAndItIsTriedAgain) {
  using wire::NvspReceiveBufferComplete;
  const auto receive = [](std::uint32_t sections, std::uint32_t offset, std::uint32_t bytes, std::uint32_t count) {
    return message_of(NvspReceiveBufferComplete{.status = NvspStatus::success,
                                                .section_count = sections,
                                                .offset = offset,
                                                .suballoc_bytes = bytes,
                                                .suballoc_count = count},
                      40);
  };
  const auto send = [](std::uint32_t bytes) {
    return message_of(wire::NvspSendBufferComplete{.status = NvspStatus::success, .section_bytes = bytes}, 40);
  };
  const BadAnswer kBad[] = {
      {"receive buffer refused", 101, message_of(NvspReceiveBufferComplete{.status = NvspStatus::failure}, 40)},
      {"two sections", 101, receive(2, 0, 1728, 100)},
      {"offset", 101, receive(1, 8, 1728, 100)},
      {"suballoc too small", 101, receive(1, 0, 60, 100)},
      {"no suballoc", 101, receive(1, 0, 1728, 0)},
      {"too many suballocs", 101, receive(1, 0, 1728, 1u << 30)},
      {"product wraps", 101, receive(1, 0, 0x10000, 0x10001)},
      {"cut", 101, Bytes(8)},
      {"another type", 101, send(6144)},
      {"send buffer refused", 104, message_of(wire::NvspSendBufferComplete{.status = NvspStatus::failure}, 40)},
      {"section of nothing", 104, send(0)},
      {"section tiny", 104, send(100)},
      {"section misaligned", 104, send(6147)},
      {"section beyond the buffer", 104, send(0x7ffffff8)},
      {"nothing", 104, {}},
  };
  for (const BadAnswer& bad : kBad) {
    SCOPED_TRACE(bad.name);
    const std::string link = fresh_link();
    Nic guest{"role=guest,link=" + link};
    guest.start();
    bool done = false;
    ScriptedHost host{link};
    host.on_packet = [&](const Received& packet) {
      if (done || packet.payload.size() < 4 || std::memcmp(packet.payload.data(), &bad.request, 4) != 0) return false;
      done = true;
      EXPECT_TRUE(host.completion(packet.id, bad.answer));
      return true;
    };
    EXPECT_TRUE(eventually([&] {
      host.poll();
      return guest.xstat("link_attach_failures") == 1;
    }));
    EXPECT_FALSE(guest.link_up());
    EXPECT_TRUE(host.attach()) << "tried again";
    EXPECT_TRUE(eventually([&] { return guest.link_up(); }));
  }
}

TEST_F(HostileHost, LimitsOfItsInitializeAnswerAreKept) {
  for (const std::uint32_t max_packets : {1u, 8u}) {
    for (const std::uint32_t max_transfer : {2000u, 0xefffffffu}) {
      for (const std::uint32_t factor : {0u, 3u, 7u}) {
        SCOPED_TRACE(testing::Message() << max_packets << " packets, " << max_transfer << " bytes, 2^" << factor);
        const std::string link = fresh_link();
        Nic guest{"role=guest,tx_copybreak=65535,link=" + link};
        guest.start();
        ScriptedHost::Options options = ScriptedHost::sensible();
        options.rndis.max_packets = max_packets;
        options.rndis.max_transfer_bytes = max_transfer;
        options.rndis.alignment_factor = factor;
        ScriptedHost host{link, options};
        ASSERT_TRUE(host.attach());
        ASSERT_TRUE(eventually([&] { return guest.link_up(); }));
        std::vector<Bytes> sent;
        std::vector<rte_mbuf*> frames;
        for (const std::uint32_t size :
             {60u, 61u, 1514u, 64u, 700u, 1500u, 60u, 60u, 60u, 60u, 60u, 60u, 60u, 60u, 60u, 60u}) {
          sent.push_back(frame(size));
          frames.push_back(mbuf(sent.back()));
        }
        ASSERT_EQ(guest.tx(frames), frames.size());
        std::vector<Bytes> got;
        EXPECT_TRUE(eventually([&] {
          host.poll();
          for (const Received& packet : host.data) {
            const Bytes& message = packet.ranges.at(0);
            EXPECT_LE(message.size(), max_transfer);
            std::uint32_t packets = 0;
            for (std::size_t at = 0; at + 44 <= message.size(); ++packets) {
              EXPECT_EQ(at % (std::size_t{1} << factor), 0u);
              wire::RndisPacket header;
              std::memcpy(static_cast<void*>(&header), message.data() + at, sizeof header);
              const auto data = static_cast<std::ptrdiff_t>(at + 8 + header.data_offset);
              got.emplace_back(message.begin() + data, message.begin() + data + header.data_bytes);
              at += header.length;
            }
            EXPECT_LE(packets, max_packets);
          }
          host.data.clear();
          return got.size() >= sent.size();
        }));
        EXPECT_EQ(got, sent);
      }
    }
  }
}

TEST_F(HostileHost, RescindAndOfferAgainIsAReattach) {
  ScriptedHost host{link_};
  attach(host);
  for (unsigned round = 2; round < 5; ++round) {
    host.rescind();
    EXPECT_TRUE(eventually([&] { return !guest_.link_up(); }));
    host.offer();
    ASSERT_TRUE(host.attach());
    EXPECT_TRUE(eventually([&] { return guest_.link_up(); }));
    EXPECT_EQ(guest_.xstat("link_attaches"), round);
  }
}

}  // namespace
}  // namespace vmbpmd::test
