// SPDX-License-Identifier: BSD-3-Clause
// The loops of frame_loops.hpp over one way to copy. Included by the objects that differ in their instruction set: what is
// here has internal linkage and calls no function of external linkage that is defined in a header, for the linker
// would be free to take this object's for all.
#pragma once

#include <emmintrin.h>
#include <smmintrin.h>

#include "port/frame_loops.hpp"
#include "rndis/packet.hpp"

namespace vmbpmd {
namespace {

inline __m128i load16(const void* from) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
inline void store16(void* to, __m128i value) noexcept { _mm_storeu_si128(static_cast<__m128i*>(to), value); }

/// @tparam Copy  copy(to, from, bytes): exactly `bytes`, at least 14, neither read nor written beyond.
template <class Copy> struct LoopsOf {
  static Packed pack(std::byte* to, std::uint32_t room, rte_mbuf* const* frames, std::uint16_t count,
                     const PackRules& rules) noexcept {
    if (rules.max_frame < kMinFrame) return {};
    const std::uint32_t mask = rules.alignment - 1, most = rules.max_frame - kMinFrame;
    const std::byte* const begin = to;
    std::uint32_t payload = 0;
    std::uint16_t done = 0;
    for (; done < count; ++done) {
      const rte_mbuf* const frame = frames[done];
      const std::uint32_t bytes = frame->pkt_len;
      const std::uint32_t message = (kHeader + bytes + mask) & ~mask;
      if (frame->nb_segs != 1 || bytes - kMinFrame > most || message > room) break;
      // A message is padded with zeros so that the next one is aligned; the padding counts as the message's own.
      store16(to + message - 16, _mm_setzero_si128());
      for (std::uint32_t more = 32; more <= rules.alignment; more += 16)
        store16(to + message - more, _mm_setzero_si128());
      store16(to, _mm_set_epi32(static_cast<int>(bytes), static_cast<int>(kDataOffset), static_cast<int>(message),
                                static_cast<int>(kPacketType)));
      store16(to + 16, _mm_setzero_si128());
      store16(to + kHeader - 16, _mm_setzero_si128());
      Copy::copy(to + kHeader, static_cast<const std::byte*>(frame->buf_addr) + frame->data_off, bytes);
      to += message;
      room -= message;
      payload += bytes;
    }
    return {done, static_cast<std::uint32_t>(to - begin), payload};
  }

  static Unpacked unpack(const std::byte* from, std::uint32_t bytes, rte_mbuf* const* frames, std::uint16_t count,
                         const UnpackRules& rules) noexcept {
    if (rules.max_frame < kMinFrame) return {};
    const std::uint32_t most = rules.max_frame - kMinFrame;
    const std::byte* const begin = from;
    std::uint32_t payload = 0;
    std::uint16_t done = 0;
    for (; done < count && bytes >= kHeader + kMinFrame; ++done) {
      __m128i lengths = load16(from);
      __m128i rest = _mm_or_si128(load16(from + 16), load16(from + kHeader - 16));
      asm("" : "+x"(lengths), "+x"(rest));  // read once: the compiler may not go back to memory for them
      const auto type_and_length = static_cast<std::uint64_t>(_mm_cvtsi128_si64(lengths));
      const auto offset_and_data = static_cast<std::uint64_t>(_mm_extract_epi64(lengths, 1));
      const auto message = static_cast<std::uint32_t>(type_and_length >> 32);
      const auto data = static_cast<std::uint32_t>(offset_and_data >> 32);
      if (static_cast<std::uint32_t>(type_and_length) != kPacketType ||
          static_cast<std::uint32_t>(offset_and_data) != kDataOffset || _mm_testz_si128(rest, rest) == 0 ||
          data - kMinFrame > most || message > bytes || message < kHeader + data) {
        break;
      }
      rte_mbuf* const frame = frames[done];
      Copy::copy(static_cast<std::byte*>(frame->buf_addr) + RTE_PKTMBUF_HEADROOM, from + kHeader, data);
      fill(frame, data, rules.rearm);
      from += message;
      bytes -= message;
      payload += data;
    }
    return {done, static_cast<std::uint32_t>(from - begin), payload};
  }

 private:
  static constexpr std::uint32_t kHeader = rndis::kPacketHeaderBytes;
  static constexpr std::uint32_t kMinFrame = rndis::kMinFrameBytes;
  static constexpr auto kPacketType = static_cast<std::uint32_t>(wire::RndisType::packet);
  static constexpr auto kDataOffset = static_cast<std::uint32_t>(kHeader - wire::kOffsetBase);

  /// What a pool does not keep from one use of an mbuf to the next, in three stores; the rest is as raw free left it.
  static void fill(rte_mbuf* frame, std::uint32_t bytes, std::uint64_t rearm) noexcept {
    // rearm_data and ol_flags lie side by side, so do packet_type, pkt_len, data_len, vlan_tci, hash.rss
    store16(&frame->rearm_data, _mm_set_epi64x(0, static_cast<long long>(rearm)));
    store16(&frame->rx_descriptor_fields1, _mm_set_epi32(0, static_cast<int>(bytes), static_cast<int>(bytes), 0));
  }
  static_assert(offsetof(rte_mbuf, ol_flags) == offsetof(rte_mbuf, rearm_data) + 8);
};

}  // namespace
}  // namespace vmbpmd
