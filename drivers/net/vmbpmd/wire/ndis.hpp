// SPDX-License-Identifier: BSD-3-Clause
// What RNDIS queries and sets are about: object identifiers and the objects that they carry. Layouts and
// numbers only.
//
// Objects with a header grow by revision: a reader takes any revision >= 1 with size >= the first
// revision's and <= what it received, and takes missing fields as zero. Link speeds are u32 in units of 100
// bit/s unless a field says otherwise.
//
// Source: netvsc.md section 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmbpmd::wire {

enum class Oid : std::uint32_t {
  supported_list = 0x00010101,
  hardware_status = 0x00010102,
  media_supported = 0x00010103,
  media_in_use = 0x00010104,
  maximum_lookahead = 0x00010105,
  maximum_frame_size = 0x00010106,  // IP MTU
  link_speed = 0x00010107,
  transmit_buffer_space = 0x00010108,
  receive_buffer_space = 0x00010109,
  transmit_block_size = 0x0001010A,
  receive_block_size = 0x0001010B,
  vendor_id = 0x0001010C,
  vendor_description = 0x0001010D,
  packet_filter = 0x0001010E,
  current_lookahead = 0x0001010F,
  driver_version = 0x00010110,
  maximum_total_size = 0x00010111,  // config MTU
  mac_options = 0x00010113,
  media_connect_status = 0x00010114,  // 0 connected, 1 disconnected
  maximum_send_packets = 0x00010115,
  vendor_driver_version = 0x00010116,
  network_layer_addresses = 0x00010118,
  rss_capabilities = 0x00010203,
  rss_parameters = 0x00010204,
  max_link_speed = 0x00010206,  // two u64, bit/s
  link_state = 0x00010207,
  config_parameter = 0x0001021B,
  xmit_ok = 0x00020101,
  receive_ok = 0x00020102,
  xmit_error = 0x00020103,
  receive_error = 0x00020104,
  receive_no_buffer = 0x00020105,
  statistics = 0x00020106,
  first_class_counter = 0x00020201,  // directed, multicast, broadcast bytes and frames, and two more
  last_class_counter = 0x0002020E,
  friendly_name = 0x00020216,  // UTF-16LE, zero terminated
  permanent_address = 0x01010101,
  current_address = 0x01010102,
  multicast_list = 0x01010103,
  multicast_list_size = 0x01010104,
  offload_encapsulation = 0x0101010A,
  receive_alignment_errors = 0x01020101,
  xmit_one_collision = 0x01020102,
  xmit_more_collisions = 0x01020103,
  offload_current_config = 0xFC01020B,
  offload_parameters = 0xFC01020C,
  offload_hardware_capabilities = 0xFC01020D,
  vmbpmd_peer = 0xFF564D42,  // ours: PeerQuery
};

/// Bits of the packet filter. Promiscuous is sent alone and means everything; 0 stops all data to the guest.
namespace packet_filter {
inline constexpr std::uint32_t kDirected = 0x01;
inline constexpr std::uint32_t kMulticast = 0x02;  // addresses of the multicast list
inline constexpr std::uint32_t kAllMulticast = 0x04;
inline constexpr std::uint32_t kBroadcast = 0x08;
inline constexpr std::uint32_t kPromiscuous = 0x20;
inline constexpr std::uint32_t kKnown = 0x2f;
}  // namespace packet_filter

using MacAddress = std::array<std::uint8_t, 6>;

/// Neither zero nor a group address.
[[nodiscard]] constexpr bool is_station_address(const MacAddress& mac) noexcept {
  return (mac[0] & 1) == 0 && mac != MacAddress{};
}

/// A link speed as Oid::link_speed and its indication say it: in units of 100 bit/s, cut at what fits.
[[nodiscard]] constexpr std::uint32_t link_speed_from(std::uint64_t bit_per_s) noexcept {
  const std::uint64_t units = bit_per_s / 100;
  return units < 0xffffffff ? static_cast<std::uint32_t>(units) : 0xffffffff;
}

enum class NdisObject : std::uint8_t {
  standard = 0x80,  // offload parameters, link state, statistics
  rss_capabilities = 0x88,
  rss_parameters = 0x89,
  oid_request = 0x96,
  offload = 0xA7,
  offload_encapsulation = 0xA8,
};

struct NdisHeader {
  NdisObject type{};
  std::uint8_t revision{};
  std::uint16_t bytes{};  // of the object; FreeBSD counts a trailing table, others do not
};
static_assert(sizeof(NdisHeader) == 4);

struct RssCapabilities {  // revision 2; revision 1 is 16 bytes
  NdisHeader header{NdisObject::rss_capabilities, 2, 18};
  std::uint32_t capabilities{};  // 0x01 Toeplitz; 0x100 IPv4, 0x200 IPv6, ...
  std::uint32_t interrupts = 1;
  std::uint32_t receive_queues{};
  std::uint16_t table_entries{};
  std::uint16_t padding{};  // not on the wire
};
inline constexpr std::size_t kRssCapabilitiesBytes = 18;  // a guest rejects more
static_assert(offsetof(RssCapabilities, padding) == kRssCapabilitiesBytes);

struct RssParameters {  // revision 2; revision 1 ends at 28
  NdisHeader header{NdisObject::rss_parameters, 2, 40};
  std::uint16_t flags{};
  std::uint16_t base_cpu{};
  std::uint32_t hash_info{};    // low byte: function, 0x01 Toeplitz; then types
  std::uint16_t table_bytes{};  // u32 channel indices
  std::uint16_t reserved0{};
  std::uint32_t table_offset{};  // from the object's start
  std::uint16_t key_bytes{};     // 40
  std::uint16_t reserved1{};
  std::uint32_t key_offset{};  // from the object's start
  std::uint32_t processor_masks[3]{};
};
inline constexpr std::size_t kRssParametersMinBytes = 28;
inline constexpr std::uint16_t kRssDisable = 0x10;       // RssParameters::flags
inline constexpr std::uint32_t kRssFunctionMask = 0xff;  // RssParameters::hash_info
inline constexpr std::size_t kRssKeyBytes = 40;
inline constexpr std::size_t kRssTableEntries = 128;  // net_netvsc takes no more
static_assert(sizeof(RssParameters) == 40 && offsetof(RssParameters, key_offset) == 24);

/// Bits of NdisOffload's checksum fields.
namespace offload_checksum {
inline constexpr std::uint32_t kIpOptions = 0x001;  // IPv6: extension headers
inline constexpr std::uint32_t kTcpOptions = 0x004;
inline constexpr std::uint32_t kTcp = 0x010;
inline constexpr std::uint32_t kUdp = 0x040;
inline constexpr std::uint32_t kIpHeader = 0x100;  // IPv4 only
}  // namespace offload_checksum

struct NdisChecksumOffload {
  std::uint32_t encapsulation{};  // kOffload8023, or 0 for none
  std::uint32_t capabilities{};   // offload_checksum bits
};

inline constexpr std::uint32_t kOffload8023 = 2;

struct NdisOffload {  // revision 3; revision 1 ends at 112, revision 2 at 144
  NdisHeader header{NdisObject::offload, 3, 156};
  NdisChecksumOffload tx_ipv4{};
  NdisChecksumOffload rx_ipv4{};
  NdisChecksumOffload tx_ipv6{};
  NdisChecksumOffload rx_ipv6{};
  std::uint32_t lso_v1[4]{};
  std::uint32_t ipsec_v1[7]{};
  std::uint32_t lso_v2_ipv4_encapsulation{};
  std::uint32_t lso_v2_ipv4_max_bytes{};
  std::uint32_t lso_v2_ipv4_min_segments{};
  std::uint32_t lso_v2_ipv6_encapsulation{};
  std::uint32_t lso_v2_ipv6_max_bytes{};
  std::uint32_t lso_v2_ipv6_min_segments{};
  std::uint32_t lso_v2_ipv6_options{};  // 0x1 extension headers, 0x4 TCP options
  std::uint32_t flags{};
  std::uint32_t ipsec_v2[8]{};
  std::uint8_t rsc_ipv4{};
  std::uint8_t rsc_ipv6{};
  std::uint8_t rsc_reserved[2]{};
  std::uint32_t nvgre[2]{};
};
inline constexpr std::size_t kNdisOffloadMinBytes = 112;
static_assert(sizeof(NdisOffload) == 156 && offsetof(NdisOffload, lso_v1) == 36 &&
              offsetof(NdisOffload, lso_v2_ipv4_encapsulation) == 80 && offsetof(NdisOffload, flags) == 108 &&
              offsetof(NdisOffload, rsc_ipv4) == 144 && offsetof(NdisOffload, nvgre) == 148);

/// Values of NdisOffloadParameters: a checksum field takes all, the others up to `enabled`. net_netvsc
/// means both directions when it says receive.
namespace offload_parameter {
inline constexpr std::uint8_t kNoChange = 0;
inline constexpr std::uint8_t kOff = 1;
inline constexpr std::uint8_t kTransmit = 2;
inline constexpr std::uint8_t kEnabled = 2;  // LSO, RSC
inline constexpr std::uint8_t kReceive = 3;
inline constexpr std::uint8_t kBoth = 4;
}  // namespace offload_parameter

struct NdisOffloadParameters {  // revision 3; revision 1 is 20 bytes, revision 2 is 22
  NdisHeader header{NdisObject::standard, 3, 28};
  std::uint8_t ipv4_checksum{};
  std::uint8_t tcp4_checksum{};
  std::uint8_t udp4_checksum{};
  std::uint8_t tcp6_checksum{};
  std::uint8_t udp6_checksum{};
  std::uint8_t lso_v1{};
  std::uint8_t ipsec_v1{};
  std::uint8_t lso_v2_ipv4{};
  std::uint8_t lso_v2_ipv6{};
  std::uint8_t tcp_connection_ipv4{};
  std::uint8_t tcp_connection_ipv6{};
  std::uint8_t padding0{};
  std::uint32_t flags{};
  std::uint8_t ipsec_v2{};
  std::uint8_t ipsec_v2_ipv4{};
  std::uint8_t rsc_ipv4{};
  std::uint8_t rsc_ipv6{};
  std::uint8_t encapsulation{};
  std::uint8_t encapsulation_types{};
  std::uint8_t padding1[2]{};
};
inline constexpr std::size_t kNdisOffloadParametersMinBytes = 20;
static_assert(sizeof(NdisOffloadParameters) == 28 && offsetof(NdisOffloadParameters, lso_v1) == 9 &&
              offsetof(NdisOffloadParameters, flags) == 16 && offsetof(NdisOffloadParameters, rsc_ipv4) == 22);

struct NdisOffloadEncapsulation {
  NdisHeader header{NdisObject::offload_encapsulation, 1, 28};
  std::uint32_t ipv4_enabled = 1;
  std::uint32_t ipv4_type = kOffload8023;
  std::uint32_t ipv4_header_bytes = 14;
  std::uint32_t ipv6_enabled = 1;
  std::uint32_t ipv6_type = kOffload8023;
  std::uint32_t ipv6_header_bytes = 14;
};
static_assert(sizeof(NdisOffloadEncapsulation) == 28);

struct NdisLinkState {
  NdisHeader header{NdisObject::standard, 1, 40};
  std::uint32_t state{};   // 1 connected, 2 disconnected
  std::uint32_t duplex{};  // 2 full
  std::uint32_t padding{};
  std::uint64_t tx_bit_per_s{};
  std::uint64_t rx_bit_per_s{};
  std::uint32_t pause{};
  std::uint32_t autonegotiation{};
};
static_assert(sizeof(NdisLinkState) == 40 && offsetof(NdisLinkState, tx_bit_per_s) == 16);

struct NdisStatistics {
  NdisHeader header{NdisObject::standard, 1, 152};
  std::uint32_t supported{};  // one bit per counter that is kept
  std::uint64_t counters[18]{};
};
static_assert(sizeof(NdisStatistics) == 152);

struct ConfigParameter {  // offsets from its start; strings UTF-16LE, not terminated
  std::uint32_t name_offset{};
  std::uint32_t name_bytes{};
  std::uint32_t type{};  // 0 integer, 2 string
  std::uint32_t value_offset{};
  std::uint32_t value_bytes{};
};
inline constexpr std::uint32_t kConfigParameterString = 2;
static_assert(sizeof(ConfigParameter) == 20);

/// Ours, input and output of Oid::vmbpmd_peer: the guest says what it can do beyond the protocol, the host
/// answers with what both can. A host that is not ours refuses the OID, and both ends keep to the protocol.
struct PeerQuery {
  std::uint32_t magic = kMagic;
  std::uint32_t version = 1;  // another version is refused
  std::uint32_t capabilities{};
  std::uint32_t reserved{};

  static constexpr std::uint32_t kMagic = 0x50424d56;  // "VMBP" in memory order
};
static_assert(sizeof(PeerQuery) == 16);

namespace peer_capability {
/// A range of a transfer-pages packet may hold several messages, back to back, and reach over several suballocs.
inline constexpr std::uint32_t kDenseReceive = 1u << 0;
/// Frames to the guest may come with unfinished checksums. Not offered yet.
inline constexpr std::uint32_t kUnfinishedChecksums = 1u << 1;
/// A GPA-direct packet may hold as many messages as a section, in up to 64 ranges.
inline constexpr std::uint32_t kDirectBatches = 1u << 2;
/// An in-band packet that wants no completion may hold RNDIS PACKET messages behind the 16 bytes of a SEND_RNDIS_PACKET
/// message without a section; its section_bytes says how many bytes. With kDenseReceive only.
inline constexpr std::uint32_t kFramesInRing = 1u << 3;
inline constexpr std::uint32_t kAll = kDenseReceive | kDirectBatches | kFramesInRing;  // what both ends of ours offer
}  // namespace peer_capability

}  // namespace vmbpmd::wire
