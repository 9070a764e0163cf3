// SPDX-License-Identifier: BSD-3-Clause
// Compiled for AVX-512 F, BW, VL and BMI2; see frame_loops_of.hpp for what that forbids here.
#include <immintrin.h>

#include "port/frame_loops_of.hpp"

namespace vmbpmd {
namespace {

struct Avx512Copy {
  static void copy(std::byte* to, const std::byte* from, std::uint32_t bytes) noexcept {
    for (; bytes > 64; bytes -= 64, to += 64, from += 64) _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    const __mmask64 tail = _bzhi_u64(~std::uint64_t{0}, bytes);
    _mm512_mask_storeu_epi8(to, tail, _mm512_maskz_loadu_epi8(tail, from));
  }
};

}  // namespace

constinit const FrameLoops kAvx512Loops{LoopsOf<Avx512Copy>::pack, LoopsOf<Avx512Copy>::unpack, "AVX-512"};

}  // namespace vmbpmd
