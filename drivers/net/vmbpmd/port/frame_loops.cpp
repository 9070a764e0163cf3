// SPDX-License-Identifier: BSD-3-Clause
#include <rte_cpuflags.h>
#include <rte_debug.h>
#include <x86intrin.h>

#include <cstring>

extern "C" {
#include <rte_vect.h>  // DPDK 22.11 forgets this in the header; what that includes is above
}

#include "port/frame_loops_of.hpp"

namespace vmbpmd {
namespace {

/// Overlapping loads and stores of 16 bytes; libc's for long frames.
struct PlainCopy {
  static void copy(std::byte* to, const std::byte* from, std::uint32_t bytes) noexcept {
    if (bytes > 128) {
      std::memcpy(to, from, bytes);
      return;
    }
    if (bytes < 16) {
      std::uint64_t first, last;
      std::memcpy(&first, from, 8);
      std::memcpy(&last, from + bytes - 8, 8);
      std::memcpy(to, &first, 8);
      std::memcpy(to + bytes - 8, &last, 8);
      return;
    }
    const __m128i last = load16(from + bytes - 16);
    if (bytes > 32) {
      const __m128i before_last = load16(from + bytes - 32);
      if (bytes > 64) {
        for (std::uint32_t at = 32; at + 32 < bytes; at += 16) store16(to + at, load16(from + at));
      }
      store16(to + 16, load16(from + 16));
      store16(to + bytes - 32, before_last);
    }
    store16(to, load16(from));
    store16(to + bytes - 16, last);
  }
};

bool may_use_avx512() noexcept {
  return rte_vect_get_max_simd_bitwidth() >= 512 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) > 0 &&
         rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512BW) > 0 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512VL) > 0 &&
         rte_cpu_get_flag_enabled(RTE_CPUFLAG_BMI2) > 0;
}

}  // namespace

constinit const FrameLoops kPlainLoops{LoopsOf<PlainCopy>::pack, LoopsOf<PlainCopy>::unpack, "plain"};

const FrameLoops& frame_loops() noexcept {
#ifdef VMBPMD_WITH_AVX512
  if (may_use_avx512()) return kAvx512Loops;
#endif
  return kPlainLoops;
}

}  // namespace vmbpmd
