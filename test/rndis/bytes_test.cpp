// SPDX-License-Identifier: BSD-3-Clause
// RNDIS and NDIS layouts against bytes written by hand from netvsc.md 2 and 3.
#include <span>

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "wire/message.hpp"
#include "wire/rndis.hpp"

namespace vmbpmd::wire {
namespace {

using vmb::test::cut;
using vmb::test::hex;
using vmb::test::to_hex;

template <class T> std::string wire_form(const T& message) { return to_hex(std::as_bytes(std::span{&message, 1})); }

TEST(RndisBytes, Initialize) {  // 2.2
  RndisInitialize message;
  message.request_id = 1;
  message.max_transfer_bytes = 0x4000;
  EXPECT_EQ(wire_form(message), "02000000 18000000 01000000 01000000 00000000 00400000");
}

TEST(RndisBytes, InitializeComplete) {  // 2.2, with a real host's values
  RndisInitializeComplete message;
  message.request_id = 1;
  message.max_packets = 8;
  message.max_transfer_bytes = 0xEFFFFFFF;
  message.alignment_factor = 3;
  EXPECT_EQ(wire_form(message),
            "02000080 34000000 01000000 00000000 01000000 00000000 01000000 00000000 08000000 ffffffef 03000000 "
            "00000000 00000000");
}

TEST(RndisBytes, Halt) { EXPECT_EQ(wire_form(RndisHalt{RndisType::halt, 12, 9}), "03000000 0c000000 09000000"); }

TEST(RndisBytes, QueryAndSet) {  // 2.2: the offset counts from byte 8, so input right behind the header is at 20
  EXPECT_EQ(wire_form(RndisQuery{RndisType::query, 28, 3, Oid::permanent_address, 0, 20, 0}),
            "04000000 1c000000 03000000 01010101 00000000 14000000 00000000");
  EXPECT_EQ(wire_form(RndisQuery{RndisType::set, 32, 2, Oid::packet_filter, 4, 20, 0}),
            "05000000 20000000 02000000 0e010100 04000000 14000000 00000000");
}

TEST(RndisBytes, QueryComplete) {
  EXPECT_EQ(wire_form(RndisQueryComplete{RndisType::query_complete, 30, 3, RndisStatus::success, 6, 16}),
            "04000080 1e000000 03000000 00000000 06000000 10000000");
}

TEST(RndisBytes, SetComplete) {
  EXPECT_EQ(wire_form(RndisSetComplete{RndisType::set_complete, 16, 2, RndisStatus::not_supported}),
            "05000080 10000000 02000000 bb0000c0");
}

TEST(RndisBytes, ResetAndItsAnswer) {
  EXPECT_EQ(wire_form(RndisReset{}), "06000000 0c000000 00000000");
  EXPECT_EQ(wire_form(RndisResetComplete{RndisType::reset_complete, 16, RndisStatus::success, 1}),
            "06000080 10000000 00000000 01000000");
}

TEST(RndisBytes, IndicateStatus) {
  EXPECT_EQ(wire_form(RndisIndicateStatus{RndisType::indicate_status, 20, RndisStatus::media_connect, 0, 0}),
            "07000000 14000000 0b000140 00000000 00000000");
}

TEST(RndisBytes, Keepalive) {
  EXPECT_EQ(wire_form(RndisKeepalive{RndisType::keepalive, 12, 5}), "08000000 0c000000 05000000");
  EXPECT_EQ(wire_form(RndisSetComplete{RndisType::keepalive_complete, 16, 5, RndisStatus::success}),
            "08000080 10000000 05000000 00000000");
}

TEST(RndisBytes, PacketHeader) {  // 2.4: a 64-byte frame behind one info, as net_netvsc writes it
  RndisPacket message;
  message.length = 128;
  message.data_offset = 52;
  message.data_bytes = 64;
  message.info_offset = 36;
  message.info_bytes = 16;
  EXPECT_EQ(wire_form(message),
            "01000000 80000000 34000000 40000000 00000000 00000000 00000000 24000000 10000000 00000000 00000000");
}

TEST(RndisBytes, PacketInfo) {  // 2.6
  EXPECT_EQ(wire_form(PacketInfo32{16, PacketInfoType::hash_value, 12, 2}), "10000000 08000000 0c000000 02000000");
  EXPECT_EQ(wire_form(PacketInfo{16, PacketInfoType::packet_id, 12}), "10000000 01000080 0c000000");
}

TEST(NdisBytes, Header) {  // 3.4
  EXPECT_EQ(wire_form(NdisHeader{NdisObject::offload, 3, 156}), "a7039c00");
}

TEST(NdisBytes, RssCapabilitiesAreEighteenBytesOnTheWire) {  // 3.5
  RssCapabilities capabilities;
  capabilities.capabilities = 0x301;
  capabilities.receive_queues = 64;
  capabilities.table_entries = 128;
  EXPECT_EQ(to_hex(std::as_bytes(std::span{&capabilities, 1}).first(kRssCapabilitiesBytes)),
            "88021200 01030000 01000000 40000000 8000");
}

TEST(NdisBytes, RssParameters) {  // 3.6, net_netvsc's placement
  RssParameters parameters;
  parameters.flags = kRssDisable;
  parameters.hash_info = 0xd01;
  parameters.table_bytes = 512;
  parameters.table_offset = 40;
  parameters.key_bytes = 40;
  parameters.key_offset = 552;
  EXPECT_EQ(wire_form(parameters),
            "89022800 10000000 010d0000 00020000 28000000 28000000 28020000 00000000 00000000 00000000");
}

TEST(NdisBytes, OffloadParameters) {  // 3.8
  NdisOffloadParameters parameters;
  parameters.ipv4_checksum = 1;
  parameters.udp6_checksum = 4;
  parameters.lso_v2_ipv6 = 2;
  parameters.rsc_ipv4 = 1;
  EXPECT_EQ(wire_form(parameters), "80031c00 01000000 04000000 02000000 00000000 00000100 00000000");
}

TEST(NdisBytes, OffloadCapabilities) {  // 3.7
  NdisOffload offload;
  offload.tx_ipv4 = {2, 0x155};
  offload.rx_ipv6 = {2, 0x55};
  offload.lso_v2_ipv4_max_bytes = 0xF53C;
  offload.lso_v2_ipv6_options = 5;
  offload.rsc_ipv6 = 1;
  std::vector<std::byte> want = hex("a7039c00 02000000 55010000");
  want.resize(156);
  want[28] = std::byte{2};
  want[32] = std::byte{0x55};
  want[84] = std::byte{0x3c};
  want[85] = std::byte{0xf5};
  want[104] = std::byte{5};
  want[145] = std::byte{1};
  EXPECT_EQ(wire_form(offload), to_hex(want));
}

TEST(NdisBytes, OffloadEncapsulation) {  // 3.1
  EXPECT_EQ(wire_form(NdisOffloadEncapsulation{}), "a8011c00 01000000 02000000 0e000000 01000000 02000000 0e000000");
}

TEST(NdisBytes, LinkState) {  // 3.1
  NdisLinkState link;
  link.state = 1;
  link.duplex = 2;
  link.tx_bit_per_s = 10'000'000'000;
  EXPECT_EQ(wire_form(link),
            "80012800 01000000 02000000 00000000 00e40b54 02000000 00000000 00000000 00000000 00000000");
}

TEST(NdisBytes, Statistics) {  // 3.1, OID 0x00020106: header, supported mask, eighteen counters of 64 bits
  NdisStatistics statistics;
  statistics.supported = 0x03;
  statistics.counters[0] = 0x0102030405060708;
  statistics.counters[17] = 1;
  std::string want = "80019800 03000000 08070605 04030201";
  for (int i = 0; i < 16; ++i) want += " 00000000 00000000";
  EXPECT_EQ(wire_form(statistics), want + " 01000000 00000000");
  EXPECT_EQ(static_cast<std::uint32_t>(Oid::statistics), 0x00020106u);
}

TEST(NdisBytes, PeerCapabilities) {  // ours
  EXPECT_EQ(peer_capability::kDenseReceive, 0x01u);
  EXPECT_EQ(peer_capability::kDirectBatches, 0x04u);
  EXPECT_EQ(peer_capability::kFramesInRing, 0x08u);
}

TEST(NdisBytes, PeerQuery) {  // ours
  PeerQuery query;
  query.capabilities = peer_capability::kDenseReceive;
  EXPECT_EQ(wire_form(query), "564d4250 01000000 01000000 00000000");
  EXPECT_EQ(static_cast<std::uint32_t>(Oid::vmbpmd_peer), 0xFF564D42u);
}

TEST(NdisBytes, LinkSpeedIsInHundredsOfBitsPerSecondAndCut) {  // 3.1
  EXPECT_EQ(link_speed_from(10'000'000'000), 100'000'000u);
  EXPECT_EQ(link_speed_from(100'000'000'000), 1'000'000'000u);
  EXPECT_EQ(link_speed_from(429'496'729'400), 0xfffffffeu);
  EXPECT_EQ(link_speed_from(800'000'000'000), 0xffffffffu);
}

TEST(WireMessage, LoadsAndStoresOnlyInside) {
  const auto bytes = cut(hex("01000000 02000000"), 8);
  EXPECT_EQ(load<std::uint32_t>(bytes, 4), 2u);
  EXPECT_FALSE(load<std::uint32_t>(bytes, 5));
  EXPECT_FALSE(load<std::uint32_t>(bytes, 9));
  EXPECT_FALSE(load<std::uint32_t>(bytes, static_cast<std::size_t>(-1)));
  EXPECT_FALSE(load<std::uint32_t>({}));
  EXPECT_EQ(load_prefix<std::uint64_t>(std::span{bytes}.first(5)), 0x0000000200000001u);
  EXPECT_EQ(load_prefix<std::uint64_t>({}), 0u);
  auto out = cut(bytes, 8);
  EXPECT_TRUE(store(std::span{out}, std::uint32_t{7}, 4));
  EXPECT_FALSE(store(std::span{out}, std::uint32_t{9}, 5));
  EXPECT_FALSE(store(std::span{out}, std::uint32_t{9}, static_cast<std::size_t>(-1)));
  EXPECT_EQ(to_hex(out), "01000000 07000000");
}

TEST(WireMessage, SlicesWithoutWrapping) {
  const auto bytes = hex("00010203 04050607");
  EXPECT_EQ(to_hex(slice(bytes, 2, 3).value()), "020304");
  EXPECT_EQ(slice(bytes, 8, 0).value().size(), 0u);
  EXPECT_FALSE(slice(bytes, 6, 3));
  EXPECT_FALSE(slice(bytes, 9, 0));
  EXPECT_FALSE(slice(bytes, 4, 0xffffffffffffffff));
  EXPECT_FALSE(slice(bytes, 0xfffffffffffffffe, 4));
}

}  // namespace
}  // namespace vmbpmd::wire
