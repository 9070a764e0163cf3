// SPDX-License-Identifier: BSD-3-Clause
// VMBus packets as they stand in a ring: descriptor, extension by type, payload, padding to 8, trailer.
// Source: vmbus.md 1.5, 3.1 to 3.5, 3.9. Integers are little-endian; lengths are in 8-byte units where named so.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"

namespace vmb::wire {

enum class PacketType : std::uint16_t {
  in_band = 6,
  transfer_pages = 7,  // host to guest: ranges of the receive buffer
  gpa_direct = 9,      // guest to host: ranges of guest pages
  completion = 11,
};

constexpr bool is_known(PacketType type) noexcept {
  return type == PacketType::in_band || type == PacketType::transfer_pages || type == PacketType::gpa_direct ||
         type == PacketType::completion;
}

inline constexpr std::uint16_t kFlagCompletionRequested = 1;  // any other bit is a fault

struct PacketDescriptor {
  PacketType type;
  std::uint16_t offset8;  // payload start from the descriptor's first byte, 8-byte units; >= 2
  std::uint16_t length8;  // descriptor + extension + padded payload, 8-byte units; >= offset8
  std::uint16_t flags;
  std::uint64_t transaction_id;  // sender's cookie, opaque to the receiver
};
static_assert(sizeof(PacketDescriptor) == 16 && offsetof(PacketDescriptor, transaction_id) == 8);

/// Follows the descriptor of a transfer-pages packet; `TransferRange`s follow it.
struct TransferHeader {
  std::uint16_t set_id;    // id of the buffer the ranges lie in
  std::uint16_t reserved;  // senders write 0, receivers see anything
  std::uint32_t range_count;
};
static_assert(sizeof(TransferHeader) == 8);

struct TransferRange {
  std::uint32_t byte_count;   // count first
  std::uint32_t byte_offset;  // from the start of the buffer
};
static_assert(sizeof(TransferRange) == 8);

/// Follows the descriptor of a GPA-direct packet; ranges follow, each a `GpaRange` and its page numbers.
struct GpaHeader {
  std::uint32_t reserved;  // senders write 0, receivers see anything
  std::uint32_t range_count;
};
static_assert(sizeof(GpaHeader) == 8);

struct GpaRange {
  std::uint32_t byte_count;   // > 0
  std::uint32_t byte_offset;  // into the first page; < 4096
};
static_assert(sizeof(GpaRange) == 8);

/// Page numbers (u64, guest physical address >> 12) that follow a GpaRange.
constexpr std::uint64_t pages_of(GpaRange range) noexcept {
  return (std::uint64_t{range.byte_offset} + range.byte_count + kPageSize - 1) / kPageSize;
}

inline constexpr std::uint32_t kTrailerBytes = 8;  // u64: this packet's own start offset << 32; nobody trusts it
inline constexpr std::uint32_t kMaxPacketBytes = 65535 * 8;

/// Ring bytes that a packet takes, its trailer included.
constexpr std::uint32_t ring_bytes(std::uint32_t header_bytes, std::uint32_t payload_bytes) noexcept {
  return header_bytes + align_up(payload_bytes, 8u) + kTrailerBytes;
}
static_assert(ring_bytes(16, 40) == 64);

}  // namespace vmb::wire
