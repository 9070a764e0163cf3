// SPDX-License-Identifier: BSD-3-Clause
// Guests that misbehave, against a real host port: netvsc.md 6.1 and 6.3. A fault of the ring closes that channel, with
// a counted reason, and it comes back; everything else is refused and counted, and traffic goes on. Ports beside it
// notice nothing.
#include <algorithm>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "channel/gpa_list.hpp"
#include "ethdev/scripted.hpp"

namespace vmbpmd::test {
namespace {

using wire::NvspStatus;

class HostileGuest : public PortsTest {
 protected:
  HostileGuest() : link_(fresh_link()), host_("role=host,link=" + link_) {}

  void SetUp() override {
    beside_.start();
    host_.start();
  }

  void TearDown() override {
    EXPECT_TRUE(beside_.both_up());
    expect_traffic(beside_, pool_);
    EXPECT_EQ(beside_.guest.xstat("link_attaches"), 1u);
    expect_no_errors(beside_.host);
    expect_no_errors(beside_.guest);
  }

  void attach(ScriptedGuest& guest) {
    ASSERT_TRUE(guest.attach());
    ASSERT_TRUE(eventually([&] { return host_.link_up(); }));
  }

  Bytes frame(std::uint32_t size = 100) { return random_frame(random_, size); }

  /// A good frame gets through, both ways, on the attach that there was.
  void expect_alive(ScriptedGuest& guest) {
    const Bytes sent = frame();
    (void)host_.drop_received();
    const std::uint64_t id = guest.send_section(0, rndis_packet(sent));
    EXPECT_TRUE(eventually([&] {
      rte_mbuf* got[1];
      if (host_.rx(got) == 0) return false;
      EXPECT_EQ(bytes_of(got[0]), sent);
      rte_pktmbuf_free(got[0]);
      return true;
    }));
    EXPECT_EQ(guest.status_of(id), NvspStatus::success);
    guest.transfers.clear();
    Shaper shaper{pool_, random_, Shaper::whole};
    rte_mbuf* frames[1] = {shaper.make(sent)};
    EXPECT_TRUE(eventually([&] { return host_.tx(frames) == 1; }));
    EXPECT_TRUE(eventually([&] {
      guest.poll();
      return std::ranges::any_of(guest.transfers, [&](const Received& packet) {
        return std::ranges::any_of(packet.ranges, [&](const Bytes& range) {
          return range.size() >= 44 + sent.size() && std::equal(sent.begin(), sent.end(), range.begin() + 44);
        });
      });
    }));
    EXPECT_TRUE(host_.link_up());
    EXPECT_EQ(host_.xstat("link_attaches"), 1u);
    EXPECT_EQ(guest.closed(), 0u);
  }

  Pool pool_;
  Random random_{42};
  Pair beside_;
  std::string link_;
  Nic host_;
};

// ---- ring

struct RingFault {
  const char* name;
  const char* fault;
  void (*misbehave)(ScriptedGuest&);
};

void PrintTo(const RingFault& fault, std::ostream* out) { *out << fault.name; }

/// Ranges, each {bytes, offset, pages...}.
Bytes extension_of(std::uint32_t count, std::initializer_list<std::uint64_t> words) {
  Bytes bytes = message_of(vmb::wire::GpaHeader{0xdead, count});
  for (const std::uint64_t word : words) {
    const Bytes more = message_of(word);
    append(bytes, more);
  }
  return bytes;
}

constexpr std::uint64_t range_word(std::uint32_t bytes, std::uint32_t offset) {
  return bytes | std::uint64_t{offset} << 32;
}

std::uint64_t page_number(const ScriptedGuest& guest) {
  return reinterpret_cast<std::uint64_t>(guest.page().data()) / 4096;
}

void set_write_index(ScriptedGuest& guest, std::uint32_t index) { guest.outbound().write_index().store(index); }

constexpr RingFault kRingFaults[] = {
    {"WriteIndexMisaligned", "write_index",
     [](ScriptedGuest& g) { set_write_index(g, g.outbound().write_index().load() + 4); }},
    {"WriteIndexAtSize", "write_index", [](ScriptedGuest& g) { set_write_index(g, g.outbound().size()); }},
    {"WriteIndexBehindTheEnd", "write_index", [](ScriptedGuest& g) { set_write_index(g, g.outbound().size() + 8); }},
    {"WriteIndexHuge", "write_index", [](ScriptedGuest& g) { set_write_index(g, 0xfffffff8); }},
    {"LessThanADescriptor", "truncated_packet",
     [](ScriptedGuest& g) { set_write_index(g, g.outbound().write_index().load() + 8); }},
    {"LengthBehindTheWriteIndex", "truncated_packet", [](ScriptedGuest& g) { g.raw(6, 2, 1000, 1, 1, Bytes(40)); }},
    {"LengthOfSixteenBits", "truncated_packet", [](ScriptedGuest& g) { g.raw(6, 2, 0xffff, 1, 1, Bytes(40)); }},
    {"TypeZero", "packet_type", [](ScriptedGuest& g) { g.raw(0, 2, 7, 1, 1, Bytes(40)); }},
    {"TypeUnknown", "packet_type", [](ScriptedGuest& g) { g.raw(8, 2, 7, 1, 1, Bytes(40)); }},
    {"TypeOfTheOtherDirection", "packet_type", [](ScriptedGuest& g) { g.raw(7, 3, 8, 1, 1, Bytes(48)); }},
    {"FlagUnknown", "flags", [](ScriptedGuest& g) { g.raw(6, 2, 7, 3, 1, Bytes(40)); }},
    {"HeaderTooShort", "header_length", [](ScriptedGuest& g) { g.raw(6, 1, 7, 1, 1, Bytes(40)); }},
    {"HeaderBehindThePacket", "header_length", [](ScriptedGuest& g) { g.raw(6, 9, 7, 1, 1, Bytes(40)); }},
    {"HeaderWithoutExtension", "header_length", [](ScriptedGuest& g) { g.raw(9, 2, 7, 1, 1, Bytes(40)); }},
    {"NoRange", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(0, {range_word(8, 0), page_number(g)}));
     }},
    {"MoreRangesThanHeader", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(2, {range_word(8, 0), page_number(g)}));
     }},
    {"RangeCountHuge", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(0xffffffff, {range_word(8, 0), page_number(g)}));
     }},
    {"RangeCountWraps", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(0x10000001, {range_word(8, 0), page_number(g)}));
     }},
    {"RangeOfNoBytes", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(0, 0), page_number(g)}));
     }},
    {"RangeOffsetBehindThePage", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(64, 4096), page_number(g)}));
     }},
    {"RangeWithoutItsPages", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(8192, 0), page_number(g)}));
     }},
    {"RangeBytesHuge", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(0xffffffff, 4095), page_number(g)}));
     }},
    {"PageNumberTooLarge", "range_count",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(64, 0), std::uint64_t{1} << 52}));
     }},
    {"ExtensionLargerThanAnyReal", "range_count",
     [](ScriptedGuest& g) {
       Bytes extension = extension_of(1, {range_word(64, 0), page_number(g)});
       extension.resize(8192);
       g.send_gpa(extension);
     }},
    {"PageZero", "range_outside",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(64, 0), 0}));
     }},
    {"PageOfNobody", "range_outside",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(64, 0), 0x7fff'ffff'f}));
     }},
    {"PageBehindTheMemory", "range_outside",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(1, {range_word(64, 0), page_number(g) + 4}));
     }},
    {"RangeRunsOutOfTheMemory", "range_outside",
     [](ScriptedGuest& g) {
       const std::uint64_t page = page_number(g) + 3;
       g.send_gpa(extension_of(1, {range_word(8192, 0), page, page + 1}));
     }},
    {"SecondRangeOutside", "range_outside",
     [](ScriptedGuest& g) {
       g.send_gpa(extension_of(2, {range_word(64, 0), page_number(g), range_word(64, 0), 1}));
     }},
};

class HostileGuestRing : public HostileGuest, public testing::WithParamInterface<RingFault> {};

TEST_P(HostileGuestRing, FaultClosesTheChannelWhichComesBack) {
  ScriptedGuest guest{link_};
  attach(guest);
  expect_alive(guest);
  const auto before = std::chrono::steady_clock::now();
  GetParam().misbehave(guest);
  EXPECT_TRUE(eventually([&] {
    (void)host_.drop_received();
    return guest.closed() == 1;
  }));
  EXPECT_FALSE(host_.link_up());
  EXPECT_EQ(host_.xstat(std::string{"ring_fault_"} + GetParam().fault + "_errors"), 1u);
  EXPECT_EQ(host_.xstat("link_detaches"), 1u);
  ASSERT_TRUE(guest.attach());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 100ms) << "no back-off";
  EXPECT_TRUE(eventually([&] { return host_.link_up(); }));
  const std::uint64_t id = guest.send_section(0, rndis_packet(frame()));
  EXPECT_TRUE(eventually([&] { return host_.drop_received() == 1; }));
  EXPECT_EQ(guest.status_of(id), NvspStatus::success);
}

INSTANTIATE_TEST_SUITE_P(Ring, HostileGuestRing, testing::ValuesIn(kRingFaults),
                         [](const auto& of) { return std::string{of.param.name}; });

class HostileGuestReadIndex : public HostileGuest, public testing::WithParamInterface<std::uint32_t> {};

TEST_P(HostileGuestReadIndex, FaultClosesTheChannel) {
  ScriptedGuest guest{link_, {.ring_bytes = 4096}};
  attach(guest);
  const vmb::RingMemory ring = guest.inbound();
  EXPECT_TRUE(eventually([&] {
    ring.read_index().store(GetParam() < 8 ? ring.read_index().load() + GetParam() : GetParam());
    Shaper shaper{pool_, random_, Shaper::whole};
    rte_mbuf* frames[1] = {shaper.make(frame())};  // one by one, until the ring is full and the host looks
    if (host_.tx(frames) == 0) rte_pktmbuf_free(frames[0]);
    return guest.closed() == 1;
  }));
  EXPECT_EQ(host_.xstat("ring_fault_read_index_errors"), 1u);
  EXPECT_FALSE(host_.link_up());
}

INSTANTIATE_TEST_SUITE_P(Ring, HostileGuestReadIndex, testing::Values(4u, 4096u, 4104u, 0xfffffff8u));

TEST_F(HostileGuest, BackOffGrows) {
  ScriptedGuest guest{link_};
  std::chrono::steady_clock::time_point begin;
  for (const auto least : {100ms, 200ms, 400ms}) {
    attach(guest);
    begin = std::chrono::steady_clock::now();
    guest.raw(0, 2, 2, 0, 0, {});
    ASSERT_TRUE(eventually([&] { return !guest.is_open(); }));
    ASSERT_TRUE(eventually([&] { return guest.offered(); }));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, least);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, least * 3);
  }
}

// ---- sections and RNDIS PACKET

struct BadData {
  const char* name;
  const char* counter;
  std::uint64_t (*send)(ScriptedGuest&, const Bytes& frame);
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
     }},
    {"SecondMessageBad", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) {
       Bytes two = rndis_packet(f);
       const Bytes second = rndis_packet(f, [](Header& h) { h.data_bytes += 100; });
       append(two, second);
       return g.send_section(1, two);
     }},
    {"ScrapBehindTheLast", kBadRndis,
     [](ScriptedGuest& g, const Bytes& f) {
       Bytes bytes = rndis_packet(f);
       bytes.resize(bytes.size() + 8);
       return g.send_section(1, bytes);
     }},
    {"TooManyPackets", kBadRndis,
     [](ScriptedGuest& g, const Bytes&) {
       Bytes all;
       for (int i = 0; i < 33; ++i) {
         const Bytes one = rndis_packet(Bytes(60));
         append(all, one);
       }
       return g.send_section(1, all);
     }},
    {"FrameLargerThanTheMtu", kBadRndis,
     [](ScriptedGuest& g, const Bytes&) { return g.send_section(1, rndis_packet(Bytes(1519))); }},
};

class HostileGuestData : public HostileGuest, public testing::WithParamInterface<BadData> {};

TEST_P(HostileGuestData, IsRefusedAndCountedAndTrafficGoesOn) {
  ScriptedGuest guest{link_};
  attach(guest);
  expect_alive(guest);
  EXPECT_EQ(guest.status_of(GetParam().send(guest, frame())), NvspStatus::failure);
  EXPECT_EQ(host_.xstat(GetParam().counter), 1u);
  EXPECT_EQ(host_.stats().ierrors, 1u);
  EXPECT_EQ(host_.drop_received(), 0u) << "nothing of it reaches the application";
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
      if (host_.tx(frames) == 0) {
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

// ---- order of things

TEST_F(HostileGuest, BuffersThatCannotBeAreRefused) {
  ScriptedGuest guest{link_};
  ASSERT_TRUE(eventually([&] { return guest.open(); }));
  ASSERT_TRUE(guest.nvsp_init());
  (void)guest.in_band(0, false, message_of(wire::NvspNdisConfig{.mtu = 1514}, 40));
  for (const wire::NvspType type : {wire::NvspType::send_receive_buffer, wire::NvspType::send_send_buffer}) {
    for (const std::uint32_t handle : {0u, 12345u, 0xffffffffu}) {
      const auto answer = guest.request(message_of(wire::NvspSendBuffer{type, handle, 0xcafe, 0}, 40));
      ASSERT_TRUE(answer);
      EXPECT_EQ(std::to_integer<int>((*answer)[4]), 2);
    }
  }
  EXPECT_GE(host_.xstat("link_refused_message_errors"), 6u);
  EXPECT_FALSE(host_.link_up());
  guest.close();
  attach(guest);  // nothing of it stays
  expect_alive(guest);
}

TEST_F(HostileGuest, RndisBeforeItsTimeIsRefused) {
  ScriptedGuest guest{link_};
  ASSERT_TRUE(eventually([&] { return guest.open(); }));
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(wire::RndisInitialize{.request_id = 1}))),
            NvspStatus::failure);
  EXPECT_EQ(guest.status_of(guest.send_section(0, rndis_packet(frame()))), NvspStatus::failure);
  ASSERT_TRUE(guest.nvsp_init());
  EXPECT_EQ(guest.status_of(guest.send_control(message_of(wire::RndisInitialize{.request_id = 1}))),
            NvspStatus::failure);
  EXPECT_EQ(host_.drop_received(), 0u);
  ASSERT_TRUE(guest.connect_buffers());
  ASSERT_TRUE(guest.rndis_init());
  ASSERT_TRUE(guest.set_filter(wire::packet_filter::kPromiscuous));
  expect_alive(guest);
}

TEST_F(HostileGuest, RevokedBuffersAreNotTouchedAgain) {
  ScriptedGuest guest{link_};
  attach(guest);
  expect_alive(guest);
  guest.completes_transfers = false;
  Shaper shaper{pool_, random_, Shaper::whole};
  rte_mbuf* frames[2] = {shaper.make(frame()), shaper.make(frame())};
  ASSERT_EQ(host_.tx(frames), 2);
  ASSERT_TRUE(eventually([&] {
    guest.poll();
    return !guest.transfers.empty();
  }));
  for (const Received& packet : guest.transfers)
    EXPECT_TRUE(guest.complete(packet.id));  // not yet taken back by a tx burst
  EXPECT_EQ(host_.drop_received(), 0u);
  EXPECT_TRUE(guest.in_band(0, false,
                            message_of(wire::NvspRevokeBuffer{wire::NvspType::revoke_receive_buffer, 0xcafe, 0}, 40)));
  EXPECT_TRUE(eventually([&] { return !host_.link_up(); }));
  std::ranges::fill(guest.receive_buffer(), std::byte{0x5a});
  // Everything that could make the host write there.
  (void)guest.send_control(message_of(
      wire::RndisQuery{.type = wire::RndisType::query, .length = 28, .request_id = 9, .oid = wire::Oid::link_speed}));
  (void)guest.send_control(message_of(wire::RndisHalt{.request_id = 10}));
  (void)eventually([] { return false; }, 20ms);
  (void)guest.send_control(message_of(wire::RndisInitialize{.request_id = 11, .max_transfer_bytes = 0x4000}));
  (void)eventually([] { return false; }, 20ms);
  (void)guest.send_section(0, rndis_packet(frame()));
  Bytes filter = message_of(wire::RndisQuery{.type = wire::RndisType::set,
                                             .length = 32,
                                             .request_id = 12,
                                             .oid = wire::Oid::packet_filter,
                                             .input_bytes = 4},
                            32);
  filter[28] = std::byte{0x20};
  (void)guest.send_control(filter);
  (void)eventually([] { return false; }, 20ms);
  EXPECT_FALSE(host_.link_up());
  rte_mbuf* late[1] = {shaper.make(frame())};
  if (host_.tx(late) == 0) rte_pktmbuf_free(late[0]);
  host_.stop();
  host_.start();
  (void)eventually([] { return false; }, 20ms);
  EXPECT_TRUE(std::ranges::all_of(guest.receive_buffer(), [](std::byte b) { return b == std::byte{0x5a}; }));
  EXPECT_EQ(guest.closed(), 0u);
  guest.completes_transfers = true;
  guest.close();
  ASSERT_TRUE(guest.attach());
  EXPECT_TRUE(eventually([&] { return host_.link_up(); }));
}

TEST_F(HostileGuest, OneThatNeverReadsHoldsUpNobodyElse) {
  ScriptedGuest guest{link_, {.ring_bytes = 4096}};
  attach(guest);
  Shaper shaper{pool_, random_, Shaper::whole};
  std::uint32_t sent = 0, refused = 0;
  while (refused < 100) {
    rte_mbuf* frames[1] = {shaper.make(frame())};
    if (host_.tx(frames) == 1) {
      ++sent;
    } else {
      ++refused;
      rte_pktmbuf_free(frames[0]);
    }
  }
  EXPECT_GT(sent, 10u);
  EXPECT_EQ(rte_eth_promiscuous_disable(host_.id()), 0);
  expect_traffic(beside_, pool_);
  for (int i = 0; i < 1000; ++i) {  // reads on, and all comes
    guest.poll();
    (void)host_.drop_received();
  }
  EXPECT_EQ(guest.transfers.size(), sent + guest.transfers.size() - sent);
  EXPECT_EQ(rte_eth_promiscuous_enable(host_.id()), 0);
  expect_alive(guest);
}

TEST_F(HostileGuest, OneThatFloodsFasterThanAnyoneReadsHoldsUpNoControl) {
  ScriptedGuest guest{link_, {.ring_bytes = 512 * 1024}};
  attach(guest);
  std::atomic<bool> stop{false};
  const Bytes nonsense = message_of(std::uint32_t{99}, wire::kNvspBytes);
  std::thread flood{[&] {
    while (!stop) (void)guest.in_band(1, false, nonsense);
  }};
  std::thread reader{[&] {
    while (!stop) (void)host_.drop_received();
  }};
  // The control plane is one for all ports: these go through it.
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(rte_eth_promiscuous_disable(beside_.guest.id()), 0);
    EXPECT_EQ(rte_eth_promiscuous_enable(beside_.guest.id()), 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  stop = true;
  flood.join();
  reader.join();
}

}  // namespace
}  // namespace vmbpmd::test
