// SPDX-License-Identifier: BSD-3-Clause
// What calls inside the library answer, and why a channel died.
//
// Status is for the caller who asked; Fault is for the peer who misbehaved: the first one found stays with the
// channel, is counted, and has a name that people can read. The C API's NTSTATUS values are made from Status at the
// edge of the library (packet/, include/vmbpkt.h), nowhere else.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmb {

// clang-format off: version 14 takes the attribute for something else
enum class [[nodiscard]] Status : std::uint8_t{
    ok,
    full,     // nothing changed; retry after the peer has read
    empty,    // nothing there; retry after the peer has written
    too_big,  // caller's mistake: can never fit
    invalid,  // caller's mistake: argument out of range
    closed,   // no peer, or the channel is dead
    corrupt,  // peer's mistake: see Fault; the channel is dead
};
// clang-format on

/// Why a ring is dead: a value that the peer wrote and that no correct peer writes (vmbus.md 5.2).
enum class Fault : std::uint8_t {
  none,
  write_index,         // not a multiple of 8, outside the ring, or behind what was read
  read_index,          // the same, or beyond what was written
  truncated_packet,    // less than a descriptor, or length beyond the bytes available
  header_length,       // below 16, beyond the packet, or too small for its type's extension
  packet_length,       // larger than any packet this end takes
  flags,               // a bit other than "completion requested"
  packet_type,         // none of the four kinds in use
  range_count,         // zero, or more ranges than the header holds
  range_outside,       // a range outside the memory it refers to
  transfer_set,        // not the receive buffer's id
  unknown_completion,  // answers nothing that is in flight (counted; not fatal by itself)
};

constexpr std::string_view to_string(Fault fault) noexcept {
  switch (fault) {
    case Fault::none: return "none";
    case Fault::write_index: return "write_index";
    case Fault::read_index: return "read_index";
    case Fault::truncated_packet: return "truncated_packet";
    case Fault::header_length: return "header_length";
    case Fault::packet_length: return "packet_length";
    case Fault::flags: return "flags";
    case Fault::packet_type: return "packet_type";
    case Fault::range_count: return "range_count";
    case Fault::range_outside: return "range_outside";
    case Fault::transfer_set: return "transfer_set";
    case Fault::unknown_completion: return "unknown_completion";
  }
  return "unknown";
}

}  // namespace vmb
