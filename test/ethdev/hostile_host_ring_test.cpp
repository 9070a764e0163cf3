// SPDX-License-Identifier: BSD-3-Clause
// Hosts that break the ring: the fault closes that channel, with a counted reason, and it comes back (netvsc.md 6.1).
#include "ethdev/hostile_host.hpp"

#include <cstring>

namespace vmbpmd::test {
namespace {

using vmb::wire::TransferRange;
using wire::NvspStatus;

struct RingFault {
  const char* name;
  const char* fault;
  void (*misbehave)(ScriptedHost&);
};

void PrintTo(const RingFault& fault, std::ostream* out) { *out << fault.name; }

/// A transfer-pages packet whose header says what the caller wants.
void transfer(ScriptedHost& host, std::uint16_t set_id, std::uint32_t count,
              std::initializer_list<TransferRange> ranges) {
  Bytes rest = message_of(vmb::wire::TransferHeader{set_id, 0xbeef, count});
  for (const TransferRange& range : ranges) {
    const Bytes more = message_of(range);
    append(rest, more);
  }
  const auto header8 = static_cast<std::uint16_t>(2 + rest.size() / 8);
  const Bytes payload = message_of(wire::NvspRndisPacket{}, wire::kNvspBytes);
  append(rest, payload);
  EXPECT_TRUE(host.raw(7, header8, static_cast<std::uint16_t>(header8 + 5), 1, 77, rest));
}

std::uint32_t buffer_bytes(const ScriptedHost& host) {
  return static_cast<std::uint32_t>(host.receive_buffer().size());
}

constexpr RingFault kRingFaults[] = {
    {"WriteIndexMisaligned", "write_index",
     [](ScriptedHost& h) { h.outbound().write_index().store(h.outbound().write_index().load() + 4); }},
    {"WriteIndexBehindTheEnd", "write_index",
     [](ScriptedHost& h) { h.outbound().write_index().store(h.outbound().size()); }},
    {"LessThanADescriptor", "truncated_packet",
     [](ScriptedHost& h) { h.outbound().write_index().store(h.outbound().write_index().load() + 8); }},
    {"LengthBehindTheWriteIndex", "truncated_packet", [](ScriptedHost& h) { h.raw(11, 2, 1000, 0, 1, Bytes(40)); }},
    {"TypeUnknown", "packet_type", [](ScriptedHost& h) { h.raw(5, 2, 7, 1, 1, Bytes(40)); }},
    {"TypeOfTheOtherDirection", "packet_type", [](ScriptedHost& h) { h.raw(9, 5, 10, 1, 1, Bytes(64)); }},
    {"FlagUnknown", "flags", [](ScriptedHost& h) { h.raw(6, 2, 7, 0x8000, 1, Bytes(40)); }},
    {"HeaderWithoutExtension", "header_length", [](ScriptedHost& h) { h.raw(7, 2, 7, 1, 1, Bytes(40)); }},
    {"HeaderBehindThePacket", "header_length", [](ScriptedHost& h) { h.raw(11, 8, 7, 0, 1, Bytes(40)); }},
    {"SetUnknown", "transfer_set",
     [](ScriptedHost& h) {
       transfer(h, 0xcaff, 1, {{100, 0}});
     }},
    {"NoRange", "range_count", [](ScriptedHost& h) { transfer(h, 0xcafe, 0, {}); }},
    {"MoreRangesThanHeader", "range_count",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 2, {{100, 0}});
     }},
    {"RangeCountHuge", "range_count",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 0xffffffff, {{100, 0}});
     }},
    {"RangeCountWraps", "range_count",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 0x20000001, {{100, 0}});
     }},
    {"RangeBehindTheBuffer", "range_outside",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 1, {{1, buffer_bytes(h)}});
     }},
    {"RangeRunsOutOfTheBuffer", "range_outside",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 1, {{101, buffer_bytes(h) - 100}});
     }},
    {"RangeWraps", "range_outside",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 1, {{0xffffff00, 0x200}});
     }},
    {"RangeOffsetHuge", "range_outside",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 1, {{16, 0xfffffff8}});
     }},
    {"SecondRangeOutside", "range_outside",
     [](ScriptedHost& h) {
       transfer(h, 0xcafe, 2, {{100, 0}, {buffer_bytes(h), 8}});
     }},
};

class HostileHostRing : public HostileHost, public testing::WithParamInterface<RingFault> {};

TEST_P(HostileHostRing, FaultClosesTheChannelWhichComesBack) {
  ScriptedHost host{link_};
  attach(host);
  expect_alive(host);
  const auto before = std::chrono::steady_clock::now();
  GetParam().misbehave(host);
  EXPECT_TRUE(eventually([&] {
    (void)guest_.drop_received();
    return host.closed() == 1;
  }));
  EXPECT_FALSE(guest_.link_up());
  EXPECT_EQ(guest_.xstat(std::string{"ring_fault_"} + GetParam().fault + "_errors"), 1u);
  ASSERT_TRUE(host.attach());
  EXPECT_GE(std::chrono::steady_clock::now() - before, 100ms) << "no back-off";
  EXPECT_TRUE(eventually([&] { return guest_.link_up(); }));
  ASSERT_TRUE(host.transfer_message(5, rndis_packet(frame())));
  EXPECT_EQ(receive().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Ring, HostileHostRing, testing::ValuesIn(kRingFaults),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST_F(HostileHost, BadReadIndexClosesTheChannel) {
  ScriptedHost host{link_};
  attach(host);
  // The guest looks at it when its ring is full: of acknowledgements, which we do not read.
  const vmb::RingMemory ring = host.inbound();
  EXPECT_TRUE(eventually([&] {
    for (int i = 0; i < 64; ++i) (void)host.transfer_message(static_cast<std::uint64_t>(i), rndis_packet(frame(60)));
    (void)guest_.drop_received();
    ring.read_index().store(ring.size() + 8);
    return host.closed() == 1;
  }));
  EXPECT_EQ(guest_.xstat("ring_fault_read_index_errors"), 1u);
}

}  // namespace
}  // namespace vmbpmd::test
