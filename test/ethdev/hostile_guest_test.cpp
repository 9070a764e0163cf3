// SPDX-License-Identifier: BSD-3-Clause
// Guests that misbehave, against a real host port: netvsc.md 6.1 and 6.3. A fault of the ring closes that channel, with
// a counted reason, and it comes back; everything else is refused and counted, and traffic goes on. Ports beside it
// notice nothing.
#include "ethdev/hostile_guest.hpp"

#include <cstring>

namespace vmbpmd::test {
namespace {

using wire::NvspStatus;

// ---- sections and RNDIS PACKET

struct BadData {
  const char* name;
  const char* counter;
  std::uint64_t (*send)(ScriptedGuest&, const Bytes& frame);
  unsigned good_before = 0;  // frames in front of the bad one: they are delivered
};

void PrintTo(const BadData& data, std::ostream* out) { *out << data.name; }

template <auto Change> std::uint64_t changed(ScriptedGuest& guest, const Bytes& frame) {
  return guest.send_section(1, rndis_packet(frame, Change));
}

using Header = wire::RndisPacket;
constexpr const char* kBadRndis = "rx_bad_rndis_errors";
constexpr const char* kBadSection = "rx_bad_section_errors";

const BadData kBadData[] = {
    {"SectionBehindTheLast", kBadSection,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(g.section_count(), rndis_packet(f)); }},
    {"SectionHuge", kBadSection,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0xfffffffe, rndis_packet(f)); }},
    {"SectionBytesBeyond", kBadSection,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0, rndis_packet(f), g.section_bytes() + 1); }},
    {"SectionBytesHuge", kBadSection,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0, rndis_packet(f), 0xffffffff); }},
    {"SectionBytesNone", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0, rndis_packet(f), 0); }},
    {"SectionOfSeven", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0, rndis_packet(f), 7); }},
    {"HeaderCut", kBadRndis, [](ScriptedGuest& g, const Bytes& f) { return g.send_section(0, rndis_packet(f), 43); }},
    {"NoSectionAndNoRange", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) { return g.send_section(wire::kNoSection, rndis_packet(f)); }},
    {"LengthZero", kBadRndis, changed<[](Header& h) { h.length = 0; }>},
    {"LengthBelowHeader", kBadRndis, changed<[](Header& h) { h.length = 43; }>},
    {"LengthBehindTheSection", kBadRndis, changed<[](Header& h) { h.length += 1; }>},
    {"LengthHuge", kBadRndis, changed<[](Header& h) { h.length = 0xffffffff; }>},
    {"DataOffsetInHeader", kBadRndis, changed<[](Header& h) { h.data_offset = 35; }>},
    {"DataOffsetZero", kBadRndis, changed<[](Header& h) { h.data_offset = 0; }>},
    {"DataBehindTheMessage", kBadRndis, changed<[](Header& h) { h.data_offset += 1; }>},
    {"DataOffsetWraps", kBadRndis, changed<[](Header& h) { h.data_offset = 0xfffffff8; }>},
    {"DataEndWraps", kBadRndis, changed<[](Header& h) { h.data_offset = 0xffffffc0, h.data_bytes = 100; }>},
    {"DataNone", kBadRndis, changed<[](Header& h) { h.data_bytes = 0; }>},
    {"DataBelowEthernet", kBadRndis, changed<[](Header& h) { h.data_bytes = 13; }>},
    {"DataBytesBeyond", kBadRndis, changed<[](Header& h) { h.data_bytes += 1; }>},
    {"DataBytesHuge", kBadRndis, changed<[](Header& h) { h.data_bytes = 0xffffffff; }>},
    {"OutOfBandOffset", kBadRndis, changed<[](Header& h) { h.oob_offset = 36; }>},
    {"OutOfBandBytes", kBadRndis, changed<[](Header& h) { h.oob_bytes = 4; }>},
    {"OutOfBandCount", kBadRndis, changed<[](Header& h) { h.oob_count = 1; }>},
    {"VirtualCircuit", kBadRndis, changed<[](Header& h) { h.vc_handle = 1; }>},
    {"InfoInHeader", kBadRndis, changed<[](Header& h) { h.info_offset = 32, h.info_bytes = 16; }>},
    {"InfoMisaligned", kBadRndis, changed<[](Header& h) { h.info_offset = 37, h.info_bytes = 16; }>},
    {"InfoOverData", kBadRndis, changed<[](Header& h) { h.info_offset = 36, h.info_bytes = 16; }>},
    {"InfoBehindTheMessage", kBadRndis, changed<[](Header& h) { h.info_offset = 4096, h.info_bytes = 16; }>},
    {"InfoWraps", kBadRndis, changed<[](Header& h) { h.info_offset = 0xfffffffc, h.info_bytes = 16; }>},
    {"InfoBytesHuge", kBadRndis, changed<[](Header& h) { h.info_offset = 36, h.info_bytes = 0xfffffff0; }>},
    {"SecondMessageOfAnotherType", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) {
       Bytes two = rndis_packet(f);
       const Bytes second = rndis_packet(f, [](Header& h) { h.type = wire::RndisType::query; });
       append(two, second);
       return g.send_section(1, two);
     },
     1},
    {"SecondMessageBad", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) {
       Bytes two = rndis_packet(f);
       const Bytes second = rndis_packet(f, [](Header& h) { h.data_bytes += 100; });
       append(two, second);
       return g.send_section(1, two);
     },
     1},
    {"ScrapBehindTheLast", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) {
       Bytes bytes = rndis_packet(f);
       bytes.resize(bytes.size() + 8);
       return g.send_section(1, bytes);
     },
     1},
    {"TooManyPackets", kBadRndis,
     [](ScriptedGuest& g, const Bytes&) {
       Bytes all;
       for (int i = 0; i < 33; ++i) {
         const Bytes one = rndis_packet(Bytes(60));
         append(all, one);
       }
       return g.send_section(1, all);
     },
     32},
    {"FrameLargerThanTheMtu", kBadRndis,
     [](ScriptedGuest& g, const Bytes&) { return g.send_section(1, rndis_packet(Bytes(1519))); }},
};

class HostileGuestData : public HostileGuest, public testing::WithParamInterface<BadData> {};

TEST_P(HostileGuestData, IsRefusedAndCountedAndTrafficGoesOn) {
  ScriptedGuest guest{link_};
  attach(guest);
  expect_alive(guest);
  const std::uint64_t id = GetParam().send(guest, frame());
  unsigned delivered = 0;
  EXPECT_TRUE(eventually([&] {  // frames are judged when they are read
    delivered += host_.drop_received();
    return host_.xstat(GetParam().counter) == 1;
  }));
  EXPECT_EQ(guest.status_of(id), NvspStatus::failure);
  EXPECT_EQ(host_.stats().ierrors, 1u);
  EXPECT_EQ(delivered + host_.drop_received(), GetParam().good_before) << "nothing of it reaches the application";
  expect_alive(guest);
}

INSTANTIATE_TEST_SUITE_P(Data, HostileGuestData, testing::ValuesIn(kBadData),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST_F(HostileGuest, LargestAndMostAreTaken) {  // the limits above are not too tight
  ScriptedGuest guest{link_};
  attach(guest);
  const std::uint64_t large = guest.send_section(1, rndis_packet(Bytes(1518)));
  Bytes all;
  for (int i = 0; i < 32; ++i) {
    const Bytes one = rndis_packet(Bytes(60));
    append(all, one);
  }
  EXPECT_TRUE(eventually([&] { return host_.drop_received() == 1; }));
  EXPECT_EQ(guest.status_of(large), NvspStatus::success);
  const std::uint64_t id = guest.send_section(2, all);
  std::uint32_t got = 0;
  EXPECT_TRUE(eventually([&] { return (got += host_.drop_received()) == 32; }));
  EXPECT_EQ(guest.status_of(id), NvspStatus::success);
  expect_no_errors(host_);
}

TEST_F(HostileGuest, MessagesInManyPiecesAreTakenOrRefusedButNeverMisread) {
  ScriptedGuest guest{link_};
  attach(guest);
  const Bytes sent = frame(200);
  const Bytes message = rndis_packet(sent);
  std::ranges::copy(message, guest.page().begin());
  for (const std::uint32_t piece : {4u, 7u, 8u, 43u, 44u, 100u}) {
    Bytes extension = message_of(vmb::wire::GpaHeader{});
    std::uint32_t count = 0;
    for (std::uint32_t at = 0; at < message.size(); at += piece, ++count) {
      const auto bytes = std::min<std::uint32_t>(piece, static_cast<std::uint32_t>(message.size()) - at);
      for (const std::uint64_t word : {range_word(bytes, at), page_number(guest)}) {
        const Bytes more = message_of(word);
        append(extension, more);
      }
    }
    std::memcpy(extension.data() + 4, &count, sizeof count);
    const std::uint64_t id = guest.send_gpa(extension);
    rte_mbuf* got[1]{};
    EXPECT_TRUE(eventually([&] { return host_.rx(got) == 1; }, 1000ms)) << piece;
    if (got[0] == nullptr) continue;
    EXPECT_EQ(bytes_of(got[0]), sent);
    rte_pktmbuf_free(got[0]);
    EXPECT_EQ(guest.status_of(id), NvspStatus::success);
  }
  // More pieces than any frame has.
  Bytes extension = message_of(vmb::wire::GpaHeader{0, 100});
  for (int i = 0; i < 100; ++i) {
    for (const std::uint64_t word : {range_word(2, static_cast<std::uint32_t>(2 * i)), page_number(guest)}) {
      const Bytes more = message_of(word);
      append(extension, more);
    }
  }
  EXPECT_EQ(guest.status_of(guest.send_gpa(extension)), NvspStatus::failure);
  expect_alive(guest);
}

// ---- NVSP, RNDIS control

struct BadMessage {
  const char* name;
  Bytes payload;
  bool wants_completion = true;
};

TEST_F(HostileGuest, UnknownAndCutMessagesAreCompletedWithFailureAndCounted) {
  ScriptedGuest guest{link_};
  attach(guest);
  std::vector<BadMessage> bad;
  for (const std::uint32_t type : {0u, 3u, 99u, 102u, 105u, 108u, 109u, 127u, 130u, 135u, 200u, 0xffffffffu}) {
    bad.push_back({"unknown", message_of(type, wire::kNvspBytes)});
  }
  bad.push_back({"empty", {}});
  bad.push_back({"rndis, cut", message_of(wire::NvspType::send_rndis_packet, 8)});
  bad.push_back(
      {"init again",
       message_of(wire::NvspInit{.min_version = wire::NvspVersion::v6_1, .max_version = wire::NvspVersion::v6_1}, 40)});
  bad.push_back({"receive buffer again",
                 message_of(wire::NvspSendBuffer{wire::NvspType::send_receive_buffer, 1, 0xcafe, 0}, 40)});
  bad.push_back(
      {"send buffer again", message_of(wire::NvspSendBuffer{wire::NvspType::send_send_buffer, 1, 0xface, 0}, 40)});
  bad.push_back({"config again", message_of(wire::NvspNdisConfig{.mtu = 9000}, 40)});
  for (const BadMessage& message : bad) {
    const std::uint64_t before = host_.xstat("rx_bad_message_errors") + host_.xstat("link_refused_message_errors");
    const auto answer = guest.request(message.payload);
    ASSERT_TRUE(answer) << message.name;
    if (answer->size() >= 16 && message.payload.size() >= 4 && std::to_integer<int>(message.payload[0]) == 1) {
      EXPECT_EQ(std::to_integer<int>((*answer)[12]), 2) << message.name;  // INIT's status stands elsewhere
    } else if (answer->size() >= 8) {
      EXPECT_EQ(std::to_integer<int>((*answer)[4]), 2) << message.name;
    }
    EXPECT_EQ(host_.xstat("rx_bad_message_errors") + host_.xstat("link_refused_message_errors"), before + 1)
        << message.name;
  }
  // Without a request for completion there is none, but the count.
  const std::uint64_t before = host_.xstat("rx_bad_message_errors") + host_.xstat("link_refused_message_errors");
  EXPECT_TRUE(guest.in_band(0x777, false, message_of(std::uint32_t{99}, 40)));
  EXPECT_TRUE(
      guest.in_band(0x778, false, message_of(wire::NvspRndisPacket{.section_index = 0, .section_bytes = 100}, 40)));
  EXPECT_TRUE(eventually(
      [&] { return host_.xstat("rx_bad_message_errors") + host_.xstat("link_refused_message_errors") == before + 2; }));
  expect_alive(guest);
}

TEST_F(HostileGuest, ControlMessagesThatDoNotHoldAreRefusedAndCounted) {
  ScriptedGuest guest{link_};
  attach(guest);
  const auto refused = [&] {
    return host_.xstat("link_refused_message_errors") + host_.xstat("rx_bad_rndis_errors") +
           host_.xstat("rx_control_overflow_errors");
  };
  std::uint64_t before = refused();
  // No answer is possible: the packet is completed with a failure.
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(std::array<std::uint32_t, 3>{0x99, 12, 1}))),
            NvspStatus::failure);
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(std::array<std::uint32_t, 2>{4, 8}))), NvspStatus::failure);
  EXPECT_EQ(guest.status_of(guest.send_control(Bytes(5000, std::byte{4}))), NvspStatus::failure);
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(std::uint32_t{4}))), NvspStatus::failure);  // four bytes
  EXPECT_EQ(refused(), before + 4);
  before = refused();
  // An answer with a failure.
  for (const wire::RndisQuery& bad : {wire::RndisQuery{.type = wire::RndisType::query,
                                     .length = 28,
                                     .request_id = 1,
                                     .oid = wire::Oid::packet_filter,
                                     .input_bytes = 100},
                                      wire::RndisQuery{.type = wire::RndisType::set,
                                      .length = 28,
                                      .request_id = 2,
                                      .oid = wire::Oid::packet_filter,
                                      .input_bytes = 4,
                                      .input_offset = 0xfffffff8},
                                      wire::RndisQuery{.type = wire::RndisType::set,
                                      .length = 0xffffffff,
                                      .request_id = 3,
                                      .oid = wire::Oid::packet_filter,
                                      .input_bytes = 4}}) {
    const auto answer = guest.rndis(message_of(bad, 32));
    ASSERT_TRUE(answer);
    EXPECT_EQ(std::to_integer<unsigned>((*answer)[15]), 0xc0u) << "an error status";
  }
  EXPECT_EQ(refused(), before + 3);
  expect_alive(guest);
}

TEST_F(HostileGuest, UnknownAndDoubleCompletionsAreCounted) {
  ScriptedGuest guest{link_};
  attach(guest);
  guest.completes_transfers = false;
  Shaper shaper{pool_, random_, Shaper::whole};
  rte_mbuf* frames[1] = {shaper.make(frame())};
  ASSERT_EQ(host_.tx(frames), 1);
  ASSERT_TRUE(eventually([&] {
    guest.poll();
    return !guest.transfers.empty();
  }));
  const std::uint64_t id = guest.transfers.back().id;
  EXPECT_TRUE(guest.complete(id));
  EXPECT_TRUE(guest.complete(id));
  for (const std::uint64_t wrong :
       {id + 1, std::uint64_t{guest.suballoc_count()}, ~std::uint64_t{0}, std::uint64_t{1} << 32}) {
    EXPECT_TRUE(guest.complete(wrong));
  }
  EXPECT_TRUE(eventually([&] {
    (void)host_.drop_received();
    return host_.xstat("rx_unknown_completion_errors") == 5;
  }));
  guest.completes_transfers = true;
  expect_alive(guest);
}

TEST_F(HostileGuest, EverySuballocComesBackAfterADoubleCompletion) {
  ScriptedGuest guest{link_, {.receive_bytes = 64 * 4096}};
  attach(guest);
  guest.completes_transfers = false;
  std::vector<std::uint64_t> outstanding;
  const auto fill = [&] {
    std::uint32_t sent = 0;
    for (;;) {
      Shaper shaper{pool_, random_, Shaper::whole};
      rte_mbuf* frames[1] = {shaper.make(frame())};
      if (!eventually([&] { return host_.tx(frames) == 1; }, 20ms)) {  // once may be the control thread's turn
        rte_pktmbuf_free(frames[0]);
        break;
      }
      ++sent;
    }
    EXPECT_TRUE(eventually([&] {
      guest.poll();
      return guest.transfers.size() == sent;
    }));
    return sent;
  };
  const std::uint32_t all = fill();
  EXPECT_GT(all, 50u);
  for (int round = 0; round < 3; ++round) {
    for (const Received& packet : guest.transfers) {
      EXPECT_TRUE(guest.complete(packet.id));
      EXPECT_TRUE(guest.complete(packet.id));
    }
    guest.transfers.clear();
    EXPECT_EQ(host_.drop_received(), 0u);  // reads the completions
    EXPECT_EQ(fill(), all) << "one returned twice is used twice";
  }
}

TEST_F(HostileGuest, CompletionsWithAFailureAreCounted) {
  ScriptedGuest guest{link_};
  attach(guest);
  guest.completes_transfers = false;
  Shaper shaper{pool_, random_, Shaper::whole};
  rte_mbuf* frames[1] = {shaper.make(frame())};
  ASSERT_EQ(host_.tx(frames), 1);
  ASSERT_TRUE(eventually([&] {
    guest.poll();
    return !guest.transfers.empty();
  }));
  EXPECT_TRUE(guest.complete(guest.transfers.back().id, NvspStatus::failure));
  EXPECT_TRUE(eventually([&] {
    (void)host_.drop_received();
    return host_.xstat("tx_peer_failure_errors") == 1;
  }));
  guest.completes_transfers = true;
  expect_alive(guest);
}

TEST_F(HostileGuest, ControlFloodIsRefusedAndCountedAndTheRestGoesOn) {
  ScriptedGuest guest{link_, {.ring_bytes = 512 * 1024}};
  attach(guest);
  guest.completes_transfers = false;  // and the answers' room is never given back
  const Bytes query = message_of(
      wire::RndisQuery{.type = wire::RndisType::query, .length = 28, .request_id = 9, .oid = wire::Oid::link_speed});
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 500; ++i) ids.push_back(guest.send_control(query));
  std::size_t refused = 0;
  EXPECT_TRUE(eventually([&] {
    (void)host_.drop_received();
    guest.poll();
    refused = host_.xstat("rx_control_overflow_errors");
    return refused > 0;
  }));
  // Data passes meanwhile.
  const std::uint64_t id = guest.send_section(3, rndis_packet(frame()));
  EXPECT_TRUE(eventually([&] { return host_.drop_received() == 1; }));
  EXPECT_EQ(guest.status_of(id), NvspStatus::success);
  // Once it behaves, control is answered again.
  guest.completes_transfers = true;
  for (const Received& packet : guest.transfers) (void)guest.complete(packet.id);
  guest.transfers.clear();
  EXPECT_TRUE(eventually([&] {
    guest.poll();
    return guest.set_filter(wire::packet_filter::kPromiscuous);
  }));
  EXPECT_TRUE(host_.link_up());
  EXPECT_EQ(guest.closed(), 0u);
}

}  // namespace
}  // namespace vmbpmd::test
