// SPDX-License-Identifier: BSD-3-Clause
// Small arithmetic and byte access used by every layer.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace vmb {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian and so must the CPU be");

inline constexpr std::uint32_t kCacheLine = 64;
inline constexpr std::uint32_t kPageSize = 4096;  // a Hyper-V page, whatever the CPU's

template <std::unsigned_integral T> constexpr T align_up(T value, std::type_identity_t<T> alignment) noexcept {
  return static_cast<T>((value + alignment - 1) & ~(alignment - 1));
}

template <class T>
concept TriviallyCopyable = std::is_trivially_copyable_v<T>;

/// The bytes of one trivially copyable object.
template <TriviallyCopyable T> std::span<const std::byte> bytes_of(const T& object) noexcept {
  return std::as_bytes(std::span{&object, std::size_t{1}});
}

/// Copy a T out of `bytes`, which must hold one at `offset`: the one read of memory that a peer may be changing.
template <TriviallyCopyable T> T load(std::span<const std::byte> bytes, std::size_t offset = 0) noexcept {
  T object;
  std::memcpy(&object, bytes.data() + offset, sizeof object);
  return object;
}

/// Have memory that another core wrote on its way before it is read. Any address is harmless.
inline void prefetch(const std::byte* at, std::uint32_t bytes) noexcept {
  for (std::uint32_t done = 0; done < bytes; done += kCacheLine) __builtin_prefetch(at + done);
}

/// The same, before it is written: the other core's copies go.
inline void prefetch_for_write(const std::byte* at, std::uint32_t bytes) noexcept {
  // As an instruction, for the compiler makes it a plain prefetch for CPUs of DPDK's baseline; those ignore it.
  for (std::uint32_t done = 0; done < bytes; done += kCacheLine) asm volatile("prefetchw %0" ::"m"(at[done]));
}

}  // namespace vmb
