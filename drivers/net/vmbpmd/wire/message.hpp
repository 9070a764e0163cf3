// SPDX-License-Identifier: BSD-3-Clause
// Reading and writing of NVSP and RNDIS messages in byte spans: always a copy, always inside the span. The
// layouts themselves are little-endian structs without holes (wire/nvsp.hpp, wire/rndis.hpp,
// wire/ndis.hpp), so that a copy of the struct is the message; a big-endian machine would need more than
// this file.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace vmbpmd::wire {

static_assert(std::endian::native == std::endian::little);

template <class T>
concept Layout = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;

/// @return  a copy of the T at `offset`; nothing if it does not lie wholly inside `bytes`.
template <Layout T>
[[nodiscard]] std::optional<T> load(std::span<const std::byte> bytes, std::size_t offset = 0) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// @return  a T whose bytes beyond the end of `bytes` are zero: for an object that grew with its revisions.
template <Layout T> [[nodiscard]] T load_prefix(std::span<const std::byte> bytes) noexcept {
  T value{};
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size() < sizeof(T) ? bytes.size() : sizeof(T));
  return value;
}

/// @return  false, with nothing written, if `value` does not fit.
template <Layout T> bool store(std::span<std::byte> bytes, const T& value, std::size_t offset = 0) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
  return true;
}

/// @return  [offset, offset + length) of `bytes`, or nothing if any of it lies outside. The arithmetic is
///          in 64 bits: sums of two 32-bit values of a peer cannot wrap.
[[nodiscard]] inline std::optional<std::span<const std::byte>> slice(std::span<const std::byte> bytes,
                                                                     std::uint64_t offset,
                                                                     std::uint64_t length) noexcept {
  if (offset > bytes.size() || length > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
}

}  // namespace vmbpmd::wire
