// SPDX-License-Identifier: BSD-3-Clause
// How big a packet object is, and what lies where in it: decided by a channel's maxima, by nothing else.
//
//   [header: 64 bytes][inline context][store: the payload while the packet is queued, and its descriptors]
//
// Source: kmcl.md 5.2, Q3.
#pragma once

#include <cstdint>

#include "base/bits.hpp"

namespace vmb {

/// What a channel's owner sets before the first packet exists.
struct PacketLimits {
  std::uint32_t packet_size;      // most payload bytes, > 0
  std::uint32_t packet_count;     // most packets sent and not yet ended, > 0
  std::uint32_t context_size;     // scratch bytes within each packet
  std::uint32_t external_bytes;   // external data of one packet
  std::uint32_t external_pieces;  // in how many pieces of memory
};

inline constexpr std::uint32_t kPacketHeaderBytes = 64;   // struct vmb_packet
inline constexpr std::uint32_t kWireHeaderBytes = 32;     // descriptor and extension, at most
inline constexpr std::uint32_t kSendBytesLimit = 524280;  // a packet on the wire is smaller: 65535 units of 8 bytes

/// Bytes of page numbers and ranges that describe the external data.
constexpr std::uint64_t external_descriptor_bytes(const PacketLimits& limits) noexcept {
  const std::uint64_t pages = (std::uint64_t{limits.external_bytes} + kPageSize - 1) / kPageSize;
  return 8 * (std::uint64_t{limits.external_pieces} * 3 + pages);
}

/// What vmb_channel_sizeof_packet() answers: a multiple of 64, more than payload plus a pointer.
constexpr std::uint32_t sizeof_packet(const PacketLimits& limits) noexcept {
  const std::uint64_t bytes = kPacketHeaderBytes + std::uint64_t{limits.context_size} + kWireHeaderBytes +
                              align_up(std::uint64_t{limits.packet_size}, 8) + external_descriptor_bytes(limits);
  return static_cast<std::uint32_t>(align_up(bytes, kCacheLine));
}

/// Where the payload of a queued packet lies, from the start of the object.
constexpr std::uint32_t store_offset(const PacketLimits& limits) noexcept {
  return kPacketHeaderBytes + align_up(limits.context_size, 8);  // the padding is taken from kWireHeaderBytes
}

/// The size rule for a send: the packet on the wire, without external data.
constexpr bool fits_wire(std::uint32_t payload_bytes, std::uint64_t ring_data_bytes) noexcept {
  const std::uint64_t bytes = std::uint64_t{kWireHeaderBytes} + payload_bytes;
  return bytes < ring_data_bytes && bytes < kSendBytesLimit;
}

}  // namespace vmb
