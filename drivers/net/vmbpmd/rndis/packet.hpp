// SPDX-License-Identifier: BSD-3-Clause
// RNDIS PACKET messages on the data path: the header before each frame, written and judged.
//
// Source: netvsc.md 2.4, 2.5, 6.2, 6.3. A frame without offloads carries no per-packet information.
#pragma once

#include <cstdint>

#include "wire/rndis.hpp"

namespace vmbpmd::rndis {

inline constexpr std::uint32_t kPacketHeaderBytes = sizeof(wire::RndisPacket);
inline constexpr std::uint32_t kMinFrameBytes = 14;  // an Ethernet header

/// The header of a frame that starts right behind it. @param padding  bytes behind the frame that belong to the message.
constexpr wire::RndisPacket packet_header(std::uint32_t frame_bytes, std::uint32_t padding = 0) noexcept {
  wire::RndisPacket header{};
  header.length = kPacketHeaderBytes + frame_bytes + padding;
  header.data_offset = kPacketHeaderBytes - static_cast<std::uint32_t>(wire::kOffsetBase);
  header.data_bytes = frame_bytes;
  return header;
}

/// Where a frame lies in its message.
struct PacketLayout {
  std::uint32_t message_bytes;
  std::uint32_t data_at;  // from the message's first byte
  std::uint32_t data_bytes;
};

/// Judge a private copy of a header. @param available  bytes from the header's first to the end of what was received.
/// @return false: some length or offset does not hold; nothing of the message may be used.
constexpr bool judge(const wire::RndisPacket& header, std::uint64_t available, PacketLayout& layout) noexcept {
  const std::uint64_t data_at = std::uint64_t{header.data_offset} + wire::kOffsetBase;
  const std::uint64_t info_at = std::uint64_t{header.info_offset} + wire::kOffsetBase;
  const bool holds = header.type == wire::RndisType::packet && header.length >= kPacketHeaderBytes &&
                     header.length <= available && data_at >= kPacketHeaderBytes &&
                     header.data_bytes >= kMinFrameBytes && data_at + header.data_bytes <= header.length &&
                     (header.oob_offset | header.oob_bytes | header.oob_count | header.vc_handle) == 0;
  const bool info_holds = header.info_bytes == 0 ||
                          (info_at >= kPacketHeaderBytes && info_at % 4 == 0 && info_at + header.info_bytes <= data_at);
  layout = {header.length, static_cast<std::uint32_t>(data_at), header.data_bytes};
  return holds && info_holds;
}

}  // namespace vmbpmd::rndis
