// SPDX-License-Identifier: BSD-3-Clause
// Guests that break the ring: the fault closes that channel, with a counted reason, and it comes back (netvsc.md 6.1).
#include "ethdev/hostile_guest.hpp"

#include <cstring>

namespace vmbpmd::test {
namespace {

using wire::NvspStatus;

struct RingFault {
  const char* name;
  const char* fault;
  void (*misbehave)(ScriptedGuest&);
};

void PrintTo(const RingFault& fault, std::ostream* out) { *out << fault.name; }

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
  }
}

}  // namespace
}  // namespace vmbpmd::test
