// SPDX-License-Identifier: BSD-3-Clause
// An outgoing packet: one cache line that knows where the packet stands in its life, and what its owner hung on it.
//
//        initialize (routine: none) | allocate (routine: frees it)
//                              \    v
//   set routine, pointer -->   idle  --free--> pooled           allocated packets only
//                               | sent       ^
//         no room, or not open  v            | routine entered
//                     queued --> in_flight --+                  without WAIT_FOR_COMPLETION: idle at once
//
// All of that is one 8-byte word. Whether there is a pointer and which routine is due are bits of it, so neither needs a
// store when a packet is made. Of a pool's packets only those in its backend are `pooled`; one in an lcore's cache is
// `idle`, with its place in that cache in the word (packet/pool.hpp says why, and how it is told from one that is out).
//
// Threads  one at a time per packet, handed on by its owner. The word is atomic, relaxed, so that misuse by two threads
//          stays misuse and does not become undefined.
#pragma once

#include <vmbpkt.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "packet/layout.hpp"

namespace vmb {

/// The word. From the top: 16 bits magic, 16 bits of the channel's number, 4 bits kind, 4 bits state, 4 bits flags; then
/// where the packet was last put: 10 bits of the lcore, 10 bits of the place in its cache.
enum class PacketWord : std::uint64_t {};

enum class PacketKind : std::uint8_t { allocated = 0xA, initialized = 0x5 };
enum class PacketState : std::uint8_t { pooled = 0x1, idle = 0x6, queued = 0xB, in_flight = 0xC };

inline constexpr std::uint64_t kHasPointer = 1 << 20;    // vmb_packet::pointer counts, else it is null
inline constexpr std::uint64_t kRoutineBits = 6 << 20;   // one of:
inline constexpr std::uint64_t kRoutineDefault = 0;      //   allocated: free the packet; initialized: invalid
inline constexpr std::uint64_t kRoutinePlain = 2 << 20;  //   vmb_packet::routine.plain
inline constexpr std::uint64_t kRoutineEx = 4 << 20;     //   vmb_packet::routine.ex, with context
inline constexpr std::uint64_t kRoutineNone = 6 << 20;   //   taken away: invalid
inline constexpr std::uint64_t kWaits = 8 << 20;         // sent with WAIT_FOR_COMPLETION
inline constexpr std::uint64_t kPacketFlags = 15 << 20;
inline constexpr std::uint32_t kPlaces = 1024;           // in a cache; and lcores
inline constexpr std::uint64_t kPacketWhere = 0xF'FFFF;  // lcore and place
inline constexpr std::uint64_t kPacketStateBits = 0xF00'0000;
inline constexpr std::uint64_t kPacketMagicBits = 0xFFFF'0000'0000'0000;
inline constexpr std::uint64_t kPacketMagic = 0x564D'0000'0000'0000;

constexpr PacketWord packet_word(std::uint16_t channel, PacketKind kind, PacketState state) noexcept {
  return PacketWord{kPacketMagic | std::uint64_t{channel} << 32 | std::uint64_t{static_cast<std::uint8_t>(kind)} << 28 |
                    std::uint64_t{static_cast<std::uint8_t>(state)} << 24};
}

constexpr std::uint64_t raw(PacketWord word) noexcept { return static_cast<std::uint64_t>(word); }
/// Channel, kind and state: what packet_word() makes.
constexpr PacketWord essence(PacketWord word) noexcept {
  return PacketWord{raw(word) & ~(kPacketFlags | kPacketWhere)};
}
constexpr PacketWord at_place(PacketWord word, std::uint32_t lcore, std::uint32_t place) noexcept {
  return PacketWord{raw(word) | std::uint64_t{lcore} << 10 | place};
}
constexpr std::uint32_t lcore_of(PacketWord word) noexcept {
  return static_cast<std::uint32_t>(raw(word) >> 10) % kPlaces;
}
constexpr std::uint32_t place_of(PacketWord word) noexcept { return static_cast<std::uint32_t>(raw(word)) % kPlaces; }
constexpr bool is_packet(PacketWord word) noexcept { return (raw(word) & kPacketMagicBits) == kPacketMagic; }
constexpr PacketKind kind_of(PacketWord word) noexcept {
  return static_cast<PacketKind>(static_cast<std::uint8_t>(raw(word) >> 28 & 15));
}
constexpr PacketState state_of(PacketWord word) noexcept {
  return static_cast<PacketState>(static_cast<std::uint8_t>(raw(word) >> 24 & 15));
}
constexpr PacketWord with_state(PacketWord word, PacketState state) noexcept {
  return PacketWord{(raw(word) & ~kPacketStateBits) | std::uint64_t{static_cast<std::uint8_t>(state)} << 24};
}
constexpr PacketWord with_flag(PacketWord word, std::uint64_t flag, bool on) noexcept {
  return PacketWord{on ? raw(word) | flag : raw(word) & ~flag};
}
constexpr std::uint64_t routine_of(PacketWord word) noexcept { return raw(word) & kRoutineBits; }
constexpr PacketWord with_routine(PacketWord word, std::uint64_t routine) noexcept {
  return PacketWord{(raw(word) & ~kRoutineBits) | routine};
}

/// Whether somebody is told when the packet's transaction ends: only then it may be sent.
constexpr bool has_routine(PacketWord word) noexcept {
  const std::uint64_t routine = routine_of(word);
  return routine == kRoutineDefault ? kind_of(word) == PacketKind::allocated : routine != kRoutineNone;
}

}  // namespace vmb

/// The object behind the handle, at the start of its memory, which need not be aligned to more than 16.
struct vmb_packet {
  std::atomic<vmb::PacketWord> word;
  vmb_channel* channel;  // for life: stored when the pool is made, or by initialize
  void* pointer;         // garbage without kHasPointer
  union {
    vmb_packet_completion_routine plain;
    vmb_packet_completion_routine_ex ex;
  } routine;             // garbage unless the word says which
  void* context;         // of routine.ex
  std::uintptr_t next;   // the queue's, while queued
  std::uint64_t order;   // the channel's, while queued or in flight: when it was sent
  std::uint32_t length;  // payload bytes in the store, while queued
  std::uint32_t unused;

  vmb::PacketWord load() const noexcept { return word.load(std::memory_order_relaxed); }
  void store(vmb::PacketWord value) noexcept { word.store(value, std::memory_order_relaxed); }

  std::byte* at(std::uint32_t offset) noexcept { return reinterpret_cast<std::byte*>(this) + offset; }
};
static_assert(sizeof(vmb_packet) == vmb::kPacketHeaderBytes && alignof(vmb_packet) <= VMB_PACKET_ALIGNMENT);
static_assert(std::atomic<vmb::PacketWord>::is_always_lock_free);
