// SPDX-License-Identifier: BSD-3-Clause
// NVSP, the control protocol between a synthetic NIC's two ends: layouts and numbers, no behaviour. A
// message is the payload of a VMBus packet; requests with an answer get it as the payload of that packet's
// VMBus completion.
//
// Every message starts with its type. A payload's length is known to 8 bytes only (the ring pads), so a
// reader checks "at least", never "exactly". Reserved fields and tails are written as zero and never looked
// at: DPDK's net_netvsc leaves garbage in them. Enumerations are not closed: an unknown value is carried
// unchanged and judged by the state machines.
//
// Source: netvsc.md sections 1.2 to 1.6 (read from DPDK 22.11, Linux, FreeBSD and OpenVMM; guest messages
// checked against what the packaged net_netvsc writes, test/golden).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmbpmd::wire {

/// Payload sizes. A guest always sends 40. A host answers with 28 before version 6.1 is agreed (so also in
/// InitComplete) and below it, and with 40 from then on.
inline constexpr std::size_t kNvspBytes = 40;
inline constexpr std::size_t kNvspLegacyBytes = 28;

enum class NvspType : std::uint32_t {
  none = 0,
  init = 1,  // guest to host, answered by init_complete
  init_complete = 2,
  send_ndis_version = 100,    // guest to host, no answer
  send_receive_buffer = 101,  // guest to host, answered by ..._complete
  send_receive_buffer_complete = 102,
  revoke_receive_buffer = 103,  // guest to host, no answer
  send_send_buffer = 104,       // guest to host, answered by ..._complete
  send_send_buffer_complete = 105,
  revoke_send_buffer = 106,  // guest to host, no answer
  send_rndis_packet = 107,   // both directions, answered by ..._complete
  send_rndis_packet_complete = 108,
  send_ndis_config = 125,     // guest to host, from version 2, no answer
  send_vf_association = 128,  // host to guest, from version 4
  switch_data_path = 129,     // both directions, from version 4, answered by an empty completion
  oid_query_ex = 131,         // guest to host, from version 5
  oid_query_ex_complete = 132,
  subchannel = 133,              // guest to host, from version 5; the answer has the same type
  send_indirection_table = 134,  // host to guest, from version 5; longer than 40 bytes
};

/// Ordered by value, oldest first. There is no version 3.
enum class NvspVersion : std::uint32_t {
  v1 = 0x00000002,  // the historic value
  v2 = 0x00030002,
  v4 = 0x00040000,
  v5 = 0x00050000,
  v6 = 0x00060000,
  v6_1 = 0x00060001,
};

/// Every version there is, in the order a guest tries them.
inline constexpr std::array kNvspVersions{NvspVersion::v6_1, NvspVersion::v6, NvspVersion::v5,
                                          NvspVersion::v4,   NvspVersion::v2, NvspVersion::v1};

enum class NvspStatus : std::uint32_t {
  none = 0,  // seen in InitComplete for a refused version
  success = 1,
  failure = 2,
  protocol_too_new = 3,
  protocol_too_old = 4,
  invalid_rndis_packet = 5,
  busy = 6,
  protocol_unsupported = 7,
};

/// Bits of NvspNdisConfig::capabilities; all 64 bits exist, those above 7 are zero everywhere.
namespace nvsp_capability {
inline constexpr std::uint32_t kVmq = 1u << 0;
inline constexpr std::uint32_t kChimney = 1u << 1;
inline constexpr std::uint32_t kSriov = 1u << 2;
inline constexpr std::uint32_t kVlan = 1u << 3;  // 802.1Q tags travel as per-packet information
inline constexpr std::uint32_t kCorrelationId = 1u << 4;
inline constexpr std::uint32_t kTeaming = 1u << 5;
inline constexpr std::uint32_t kVirtualSubnetId = 1u << 6;
inline constexpr std::uint32_t kRsc = 1u << 7;  // the host may send coalesced packets, from version 6.1
}  // namespace nvsp_capability

inline constexpr std::uint16_t kReceiveBufferId = 0xcafe;  // what every known guest uses
inline constexpr std::uint16_t kSendBufferId = 0xface;     // DPDK, FreeBSD; Linux says 0, a host never checks it
inline constexpr std::uint32_t kNoSection = 0xffffffff;    // NvspRndisPacket::section_index
inline constexpr std::uint32_t kNvspDeprecatedVersion = 0xffffffff;
inline constexpr std::uint32_t kMaxMdlChain = 34;         // page ranges in one GPA-direct message
inline constexpr std::uint32_t kDefaultConfigMtu = 1514;  // version 1, and whenever the guest's wish is out of range
inline constexpr std::uint32_t kSubchannelAllocate = 1;   // the only operation of NvspSubchannel
inline constexpr std::size_t kSendTableEntries = 16;

struct NvspHeader {  // starts every message
  NvspType type{};
};
static_assert(sizeof(NvspHeader) == 4);

struct NvspInit {  // a guest offers one version at a time: min == max; a host reads the first only
  NvspType type = NvspType::init;
  NvspVersion min_version{};
  NvspVersion max_version{};
};
static_assert(sizeof(NvspInit) == 12 && offsetof(NvspInit, max_version) == 8);

struct NvspInitComplete {
  NvspType type = NvspType::init_complete;
  std::uint32_t deprecated_version = kNvspDeprecatedVersion;  // 2 when version 1 was accepted; a guest ignores it
  std::uint32_t max_mdl_chain = kMaxMdlChain;                 // a guest ignores it and stays at 32 or below
  NvspStatus status{};                                        // anything but success: try the next version
};
static_assert(sizeof(NvspInitComplete) == 16 && offsetof(NvspInitComplete, status) == 12);

struct NvspNdisVersion {
  NvspType type = NvspType::send_ndis_version;
  std::uint32_t major{};
  std::uint32_t minor{};
};
static_assert(sizeof(NvspNdisVersion) == 12);

struct NvspNdisConfig {
  NvspType type = NvspType::send_ndis_config;
  std::uint32_t mtu{};  // "config MTU": IP MTU + 14
  std::uint32_t reserved{};
  std::uint32_t capabilities{};       // low half of an unaligned 64-bit field
  std::uint32_t capabilities_high{};  // high half
};
static_assert(sizeof(NvspNdisConfig) == 20 && offsetof(NvspNdisConfig, capabilities) == 12);

struct NvspSendBuffer {  // both 101 and 104
  NvspType type{};
  std::uint32_t gpadl{};  // handle of the memory list
  std::uint16_t id{};     // kReceiveBufferId or any
  std::uint16_t reserved{};
};
static_assert(sizeof(NvspSendBuffer) == 12 && offsetof(NvspSendBuffer, id) == 8);

struct NvspReceiveBufferComplete {
  NvspType type = NvspType::send_receive_buffer_complete;
  NvspStatus status{};
  std::uint32_t section_count{};   // always 1
  std::uint32_t offset{};          // always 0; bytes
  std::uint32_t suballoc_bytes{};  // need not be a multiple of anything
  std::uint32_t suballoc_count{};
  std::uint32_t end_offset{};  // suballoc_bytes * suballoc_count; not checked
};
static_assert(sizeof(NvspReceiveBufferComplete) == 28 && offsetof(NvspReceiveBufferComplete, suballoc_bytes) == 16);

struct NvspSendBufferComplete {
  NvspType type = NvspType::send_send_buffer_complete;
  NvspStatus status{};
  std::uint32_t section_bytes{};  // both ends compute the count: buffer bytes / section_bytes, rounded down
};
static_assert(sizeof(NvspSendBufferComplete) == 12);

struct NvspRevokeBuffer {  // both 103 and 106
  NvspType type{};
  std::uint16_t id{};
  std::uint16_t reserved{};
};
static_assert(sizeof(NvspRevokeBuffer) == 8 && offsetof(NvspRevokeBuffer, id) == 4);

inline constexpr std::uint32_t kDataChannel = 0, kControlChannel = 1;

struct NvspRndisPacket {
  NvspType type = NvspType::send_rndis_packet;
  std::uint32_t channel_type{};  // one of both above: a hint, the RNDIS type decides
  std::uint32_t section_index = kNoSection;
  std::uint32_t section_bytes{};  // used bytes of the section; meaningless without one
};
static_assert(sizeof(NvspRndisPacket) == 16 && offsetof(NvspRndisPacket, section_index) == 8);

struct NvspRndisPacketComplete {  // Linux sends these 8 bytes only, others 32 or 40
  NvspType type = NvspType::send_rndis_packet_complete;
  NvspStatus status{};
};
static_assert(sizeof(NvspRndisPacketComplete) == 8);

struct NvspStatusMessage {  // the common beginning of all answers that start with a status
  NvspType type{};
  NvspStatus status{};
};
static_assert(sizeof(NvspStatusMessage) == 8);

struct NvspVfAssociation {
  NvspType type = NvspType::send_vf_association;
  std::uint32_t allocated{};
  std::uint32_t serial{};
};
static_assert(sizeof(NvspVfAssociation) == 12);

struct NvspSwitchDataPath {
  NvspType type = NvspType::switch_data_path;
  std::uint32_t active{};  // 0 synthetic, 1 virtual function
};
static_assert(sizeof(NvspSwitchDataPath) == 8);

struct NvspOidQueryEx {
  NvspType type = NvspType::oid_query_ex;
  std::uint32_t object_header{};  // an NDIS object header
  std::uint32_t oid{};
};
static_assert(sizeof(NvspOidQueryEx) == 12);

struct NvspOidQueryExComplete {
  NvspType type = NvspType::oid_query_ex_complete;
  std::uint32_t status{};  // an RNDIS status, not an NVSP one
  std::uint32_t bytes{};
};
static_assert(sizeof(NvspOidQueryExComplete) == 12);

struct NvspSubchannel {
  NvspType type = NvspType::subchannel;
  std::uint32_t operation{};  // kSubchannelAllocate
  std::uint32_t wanted{};     // channels beyond the primary
};
static_assert(sizeof(NvspSubchannel) == 12);

struct NvspSubchannelComplete {
  NvspType type = NvspType::subchannel;
  NvspStatus status{};
  std::uint32_t granted{};  // never more than wanted
};
static_assert(sizeof(NvspSubchannelComplete) == 12);

struct NvspSendTable {  // followed, at `offset` from the message's start, by u32 channel[kSendTableEntries]
  NvspType type = NvspType::send_indirection_table;
  std::uint32_t count{};
  std::uint32_t offset{};
};
static_assert(sizeof(NvspSendTable) == 12);

}  // namespace vmbpmd::wire
