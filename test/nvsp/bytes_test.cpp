// SPDX-License-Identifier: BSD-3-Clause
// NVSP layouts against bytes written by hand from netvsc.md 1.3 to 1.5.
#include <span>

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "wire/nvsp.hpp"

namespace vmbpmd::wire {
namespace {

using vmb::test::to_hex;

template <class T> std::string wire_form(const T& message) { return to_hex(std::as_bytes(std::span{&message, 1})); }

TEST(NvspBytes, Init) {  // 1.5.1
  EXPECT_EQ(wire_form(NvspInit{NvspType::init, NvspVersion::v6_1, NvspVersion::v6_1}), "01000000 01000600 01000600");
}

TEST(NvspBytes, VersionNumbers) {  // 1.2
  const std::array all{NvspVersion::v1, NvspVersion::v2, NvspVersion::v4,
                       NvspVersion::v5, NvspVersion::v6, NvspVersion::v6_1};
  EXPECT_EQ(wire_form(all), "02000000 02000300 00000400 00000500 00000600 01000600");
}

TEST(NvspBytes, InitComplete) {  // 1.5.2
  NvspInitComplete message;
  message.status = NvspStatus::success;
  EXPECT_EQ(wire_form(message), "02000000 ffffffff 22000000 01000000");
}

TEST(NvspBytes, NdisVersion) {  // 1.5.3
  EXPECT_EQ(wire_form(NvspNdisVersion{NvspType::send_ndis_version, 6, 30}), "64000000 06000000 1e000000");
}

TEST(NvspBytes, SendReceiveBuffer) {  // 1.5.4
  EXPECT_EQ(wire_form(NvspSendBuffer{NvspType::send_receive_buffer, 0x000e1e10, kReceiveBufferId, 0}),
            "65000000 101e0e00 feca0000");
}

TEST(NvspBytes, SendReceiveBufferComplete) {  // 1.5.5
  NvspReceiveBufferComplete message;
  message.status = NvspStatus::success;
  message.section_count = 1;
  message.suballoc_bytes = 1728;
  message.suballoc_count = 18811;
  message.end_offset = 1728 * 18811;
  EXPECT_EQ(wire_form(message), "66000000 01000000 01000000 00000000 c0060000 7b490000 40feef01");
}

TEST(NvspBytes, RevokeReceiveBuffer) {  // 1.5.6
  EXPECT_EQ(wire_form(NvspRevokeBuffer{NvspType::revoke_receive_buffer, kReceiveBufferId, 0}), "67000000 feca0000");
}

TEST(NvspBytes, SendSendBuffer) {  // 1.5.7
  EXPECT_EQ(wire_form(NvspSendBuffer{NvspType::send_send_buffer, 0x000e1e11, kSendBufferId, 0}),
            "68000000 111e0e00 cefa0000");
}

TEST(NvspBytes, SendSendBufferComplete) {  // 1.5.8
  EXPECT_EQ(wire_form(NvspSendBufferComplete{NvspType::send_send_buffer_complete, NvspStatus::success, 6144}),
            "69000000 01000000 00180000");
}

TEST(NvspBytes, RevokeSendBuffer) {  // 1.5.9
  EXPECT_EQ(wire_form(NvspRevokeBuffer{NvspType::revoke_send_buffer, kSendBufferId, 0}), "6a000000 cefa0000");
}

TEST(NvspBytes, SendRndisPacket) {  // 1.5.10
  EXPECT_EQ(wire_form(NvspRndisPacket{NvspType::send_rndis_packet, 1, kNoSection, 0}),
            "6b000000 01000000 ffffffff 00000000");
  EXPECT_EQ(wire_form(NvspRndisPacket{NvspType::send_rndis_packet, 0, 7, 380}), "6b000000 00000000 07000000 7c010000");
}

TEST(NvspBytes, SendRndisPacketComplete) {  // 1.5.11
  EXPECT_EQ(wire_form(NvspRndisPacketComplete{NvspType::send_rndis_packet_complete, NvspStatus::failure}),
            "6c000000 02000000");
}

TEST(NvspBytes, NdisConfig) {  // 1.5.12: the 64-bit capabilities stand unaligned at 12
  NvspNdisConfig message;
  message.mtu = 1514;
  message.capabilities = nvsp_capability::kSriov | nvsp_capability::kVlan;
  EXPECT_EQ(wire_form(message), "7d000000 ea050000 00000000 0c000000 00000000");
}

TEST(NvspBytes, Subchannel) {  // 1.5.13
  EXPECT_EQ(wire_form(NvspSubchannel{NvspType::subchannel, kSubchannelAllocate, 3}), "85000000 01000000 03000000");
  EXPECT_EQ(wire_form(NvspSubchannelComplete{NvspType::subchannel, NvspStatus::success, 3}),
            "85000000 01000000 03000000");
}

TEST(NvspBytes, SendIndirectionTable) {  // 1.5.14
  EXPECT_EQ(wire_form(NvspSendTable{NvspType::send_indirection_table, kSendTableEntries, 12}),
            "86000000 10000000 0c000000");
}

TEST(NvspBytes, VfAssociation) {  // 1.5.15
  EXPECT_EQ(wire_form(NvspVfAssociation{NvspType::send_vf_association, 1, 5}), "80000000 01000000 05000000");
}

TEST(NvspBytes, SwitchDataPath) {  // 1.5.16
  EXPECT_EQ(wire_form(NvspSwitchDataPath{NvspType::switch_data_path, 1}), "81000000 01000000");
}

TEST(NvspBytes, OidQueryEx) {  // 1.5.17
  EXPECT_EQ(wire_form(NvspOidQueryEx{NvspType::oid_query_ex, 0x000c0196, 0x00010202}), "83000000 96010c00 02020100");
  EXPECT_EQ(wire_form(NvspOidQueryExComplete{NvspType::oid_query_ex_complete, 0xC00000BB, 0}),
            "84000000 bb0000c0 00000000");
}

}  // namespace
}  // namespace vmbpmd::wire
