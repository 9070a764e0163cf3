// SPDX-License-Identifier: BSD-3-Clause
// RNDIS inside NVSP: layouts and numbers of its messages, no behaviour. What QUERY and SET carry stands in
// wire/ndis.hpp.
//
// A message starts with type and length (header included). **Every offset field counts from byte 8 of its
// message**, the first field after the header (kOffsetBase). Answers have the request's type with bit 31
// set and repeat its request id. Enumerations are not closed: unknown values are carried unchanged.
// Reserved fields are zero when written.
//
// Source: netvsc.md section 2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/ndis.hpp"

namespace vmbpmd::wire {

inline constexpr std::size_t kOffsetBase = 8;
inline constexpr std::uint32_t kRndisAnswer = 0x80000000;   // bit of the type
inline constexpr std::size_t kMaxControlAnswerBytes = 256;  // net_netvsc keeps no more of an answer

enum class RndisType : std::uint32_t {
  packet = 0x00000001,  // both directions
  initialize = 0x00000002,
  initialize_complete = 0x80000002,
  halt = 0x00000003,  // no answer
  query = 0x00000004,
  query_complete = 0x80000004,
  set = 0x00000005,
  set_complete = 0x80000005,
  reset = 0x00000006,
  reset_complete = 0x80000006,
  indicate_status = 0x00000007,  // host to guest
  keepalive = 0x00000008,
  keepalive_complete = 0x80000008,
};

enum class RndisStatus : std::uint32_t {
  success = 0x00000000,
  pending = 0x00000103,
  buffer_overflow = 0x80000005,
  failure = 0xC0000001,
  resources = 0xC000009A,
  not_supported = 0xC00000BB,
  bad_version = 0xC0010004,
  invalid_packet = 0xC001000F,
  invalid_length = 0xC0010014,
  invalid_data = 0xC0010015,
  buffer_too_short = 0xC0010016,
  invalid_oid = 0xC0010017,
  // indications
  media_connect = 0x4001000B,
  media_disconnect = 0x4001000C,
  link_speed_change = 0x40010013,  // payload: u32, 100 bit/s
  network_change = 0x40010018,
  offload_current_config = 0x40020006,  // payload: NdisOffload
};

struct RndisHeader {  // starts every message
  RndisType type{};
  std::uint32_t length{};  // bytes of the message, header included
};
static_assert(sizeof(RndisHeader) == 8);

struct RndisRequestHeader {  // starts every control message but RESET, its answer and INDICATE_STATUS
  RndisType type{};
  std::uint32_t length{};
  std::uint32_t request_id{};  // the asker's, opaque to the other end
};
static_assert(sizeof(RndisRequestHeader) == 12);

struct RndisInitialize {
  RndisType type = RndisType::initialize;
  std::uint32_t length = 24;
  std::uint32_t request_id{};
  std::uint32_t major = 1;
  std::uint32_t minor = 0;
  std::uint32_t max_transfer_bytes{};  // what the guest can take in one message
};
static_assert(sizeof(RndisInitialize) == 24 && offsetof(RndisInitialize, max_transfer_bytes) == 20);

struct RndisInitializeComplete {
  RndisType type = RndisType::initialize_complete;
  std::uint32_t length = 52;
  std::uint32_t request_id{};
  RndisStatus status{};
  std::uint32_t major = 1;
  std::uint32_t minor = 0;
  std::uint32_t device_flags = 1;      // connectionless
  std::uint32_t medium = 0;            // 802.3
  std::uint32_t max_packets{};         // PACKETs in one NVSP message; >= 1
  std::uint32_t max_transfer_bytes{};  // bytes of them
  std::uint32_t alignment_factor{};    // each PACKET starts at a multiple of 2^factor from the first; <= 7
  std::uint32_t af_list_offset{};
  std::uint32_t af_list_bytes{};
};
static_assert(sizeof(RndisInitializeComplete) == 52 && offsetof(RndisInitializeComplete, max_packets) == 32);

struct RndisHalt {
  RndisType type = RndisType::halt;
  std::uint32_t length = 12;
  std::uint32_t request_id{};
};
static_assert(sizeof(RndisHalt) == 12);

struct RndisQuery {  // QUERY and SET; followed by the input
  RndisType type{};
  std::uint32_t length{};  // 28 + input
  std::uint32_t request_id{};
  Oid oid{};
  std::uint32_t input_bytes{};
  std::uint32_t input_offset = 20;  // 20 also without input: Hyper-V fails a zero
  std::uint32_t vc_handle{};
};
static_assert(sizeof(RndisQuery) == 28 && offsetof(RndisQuery, input_bytes) == 16);

struct RndisQueryComplete {  // followed by the output
  RndisType type = RndisType::query_complete;
  std::uint32_t length = 24;  // 24 + output
  std::uint32_t request_id{};
  RndisStatus status{};
  std::uint32_t output_bytes{};
  std::uint32_t output_offset = 16;
};
static_assert(sizeof(RndisQueryComplete) == 24 && offsetof(RndisQueryComplete, output_bytes) == 16);

struct RndisSetComplete {  // SET_CMPLT and KEEPALIVE_CMPLT
  RndisType type = RndisType::set_complete;
  std::uint32_t length = 16;
  std::uint32_t request_id{};
  RndisStatus status{};
};
static_assert(sizeof(RndisSetComplete) == 16);

struct RndisReset {  // has no request id
  RndisType type = RndisType::reset;
  std::uint32_t length = 12;
  std::uint32_t reserved{};
};
static_assert(sizeof(RndisReset) == 12);

struct RndisResetComplete {
  RndisType type = RndisType::reset_complete;
  std::uint32_t length = 16;
  RndisStatus status{};
  std::uint32_t addressing_reset{};  // 1: filter and multicast list must be set again
};
static_assert(sizeof(RndisResetComplete) == 16);

struct RndisIndicateStatus {  // followed by the buffer
  RndisType type = RndisType::indicate_status;
  std::uint32_t length = 20;  // 20 + buffer; hosts up to 2012 R2 leave the buffer out
  RndisStatus status{};
  std::uint32_t buffer_bytes{};
  std::uint32_t buffer_offset{};  // 12, or 0 without a buffer
};
static_assert(sizeof(RndisIndicateStatus) == 20);

struct RndisKeepalive {
  RndisType type = RndisType::keepalive;
  std::uint32_t length = 12;
  std::uint32_t request_id{};
};
static_assert(sizeof(RndisKeepalive) == 12);

struct RndisPacket {  // then per-packet information, then the frame; gaps are allowed
  RndisType type = RndisType::packet;
  std::uint32_t length{};       // header, infos, frame, trailing padding; >= 44
  std::uint32_t data_offset{};  // >= 36; need not be aligned
  std::uint32_t data_bytes{};   // one Ethernet frame without FCS
  std::uint32_t oob_offset{};   // the three out-of-band fields are 0
  std::uint32_t oob_bytes{};
  std::uint32_t oob_count{};
  std::uint32_t info_offset{};  // 36, a multiple of 4, or 0 when there is none
  std::uint32_t info_bytes{};   // sum of the records' sizes
  std::uint32_t vc_handle{};    // 0
  std::uint32_t reserved{};     // 0
};
static_assert(sizeof(RndisPacket) == 44 && offsetof(RndisPacket, info_offset) == 28);

enum class PacketInfoType : std::uint32_t {
  checksum = 0,  // guest to host: request; host to guest: result
  ipsec = 1,
  large_send = 2,
  vlan = 6,
  hash_value = 8,
  hash_info = 9,
  packet_id = 0x80000001,  // of a coalesced packet's fragments
};

struct PacketInfo {           // one record of per-packet information; followed by its value
  std::uint32_t bytes{};      // of the record; a multiple of 4, >= 16
  PacketInfoType type{};      // unknown: skip the record
  std::uint32_t offset = 12;  // of the value, from the record's start; always 12 (net_netvsc does not look)
};
static_assert(sizeof(PacketInfo) == 12);

struct PacketInfo32 {  // every record that we write: a u32 as value
  std::uint32_t bytes = 16;
  PacketInfoType type{};
  std::uint32_t offset = 12;
  std::uint32_t value{};
};
static_assert(sizeof(PacketInfo32) == 16);

}  // namespace vmbpmd::wire
