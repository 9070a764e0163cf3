// SPDX-License-Identifier: BSD-3-Clause
// The inner loops of the data path: frames of whole bursts between mbufs and RNDIS PACKET messages back to back in
// shared memory. Each takes the plain cases, which are nearly all, and stops before the first that is not; the caller
// deals with that one, and calls again.
//
// There is one set for any CPU, and one for AVX-512, compiled apart and chosen at run time. Both write the same bytes and
// judge alike: test/port compares them.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

namespace vmbpmd {

struct PackRules {
  std::uint32_t max_frame{};   // bytes
  std::uint32_t alignment{8};  // of messages: a power of two, at least 8
};

struct Packed {
  std::uint16_t frames{};
  std::uint32_t bytes{};    // of messages, padding included
  std::uint32_t payload{};  // of frames
};

struct UnpackRules {
  std::uint64_t rearm{};      // of an mbuf: data_off, refcnt, nb_segs, port
  std::uint32_t max_frame{};  // bytes; an mbuf of the pool has room for it
};

struct Unpacked {
  std::uint16_t frames{};
  std::uint32_t bytes{};    // of messages
  std::uint32_t payload{};  // of frames
};

struct FrameLoops {
  /// Write a message for each of the leading frames that are one segment, of 14 to max_frame bytes, and fit.
  /// @param to    8-aligned, `room` bytes; nothing behind the messages is written.
  Packed (*pack)(std::byte* to, std::uint32_t room, rte_mbuf* const* frames, std::uint16_t count,
                 const PackRules& rules) noexcept;

  /// Fill an mbuf for each of the leading messages that hold a frame of 14 to max_frame bytes right behind their header
  /// and nothing else. The peer may change `from` meanwhile: headers are copied, judged as copies, used as copies.
  /// @param frames  mbufs of the pool; those behind the returned count are untouched or half written, and still good.
  Unpacked (*unpack)(const std::byte* from, std::uint32_t bytes, rte_mbuf* const* frames, std::uint16_t count,
                     const UnpackRules& rules) noexcept;

  const char* name;
};

/// The best for this CPU, within what EAL's --force-max-simd-bitwidth allows.
const FrameLoops& frame_loops() noexcept;

extern const FrameLoops kPlainLoops;
#ifdef VMBPMD_WITH_AVX512
extern const FrameLoops kAvx512Loops;  // only where the CPU has AVX-512 F, BW, VL and BMI2
#endif

}  // namespace vmbpmd
