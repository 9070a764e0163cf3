// SPDX-License-Identifier: BSD-3-Clause
// Reads test/golden/*.txt: what a driver that is not ours wrote, byte for byte.
//
//   #<position> ch<channel> <kind> flags=<n> xact=<id> <name>      one VMBus packet
//   P <bytes>        the packet as in the ring: descriptor, extension, payload
//   R <where> <n> bytes <name>                                     what it refers to, if anything
//   r <bytes>        those n bytes
//
// Any other line is a comment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmb::test {

struct RecordedPacket {
  unsigned position = 0;  // in the whole exchange
  unsigned channel = 0;
  std::string kind;
  unsigned flags = 0;
  std::uint64_t transaction_id = 0;
  std::string name;  // of the NVSP message
  std::vector<std::byte> packet;
  std::string referred_name;  // of the RNDIS message
  std::size_t referred_bytes = 0;
  std::vector<std::byte> referred;

  [[nodiscard]] bool completion_requested() const { return (flags & 1) != 0; }
  /// The NVSP message: what the descriptor says is behind header and extension.
  [[nodiscard]] std::span<const std::byte> payload() const;
};

/// @param name  a file of VMBPMD_GOLDEN_DIR, which the build defines.
/// @return      its packets in order; empty if it cannot be read or does not hold together.
[[nodiscard]] std::vector<RecordedPacket> read_recording(std::string_view name);

/// @return  the packet at `position`; ends the process if there is none.
[[nodiscard]] const RecordedPacket& at_position(const std::vector<RecordedPacket>& packets, unsigned position);

}  // namespace vmb::test
