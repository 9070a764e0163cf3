// SPDX-License-Identifier: BSD-3-Clause
// Bytes as text, both ways, so that a test shows a message as its specification does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmb::test {

/// The bytes that `text` spells in hexadecimal; white space and '|' mean nothing. Anything else ends the process.
inline std::vector<std::byte> hex(std::string_view text) {
  std::vector<std::byte> bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '|') continue;
    const std::size_t at = std::string_view{"0123456789abcdefABCDEF"}.find(c);
    if (at == std::string_view::npos) std::abort();
    const int digit = static_cast<int>(at < 16 ? at : at - 6);
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  if (high >= 0) std::abort();
  return bytes;
}

/// `bytes` in groups of four: compared as text, a difference is printed readably.
inline std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 4 == 0) text += ' ';
    text += kDigits[std::to_integer<unsigned>(bytes[i]) >> 4];
    text += kDigits[std::to_integer<unsigned>(bytes[i]) & 15];
  }
  return text;
}

/// What hex() reads, as to_hex() would print it.
inline std::string to_hex(std::string_view digits) { return to_hex(std::span<const std::byte>{hex(digits)}); }

/// `head` followed by zeros up to `size` bytes.
inline std::vector<std::byte> padded(std::string_view head, std::size_t size) {
  std::vector<std::byte> bytes = hex(head);
  if (bytes.size() > size) std::abort();
  bytes.resize(size);
  return bytes;
}

/// The first `size` bytes, in memory of just that size: a sanitizer sees any look behind them.
inline std::vector<std::byte> cut(std::span<const std::byte> bytes, std::size_t size) {
  if (bytes.size() < size) std::abort();
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

/// A u32 as hexadecimal text in the order of its bytes on the wire.
inline std::string le32(std::uint32_t value) {
  const std::byte bytes[] = {static_cast<std::byte>(value), static_cast<std::byte>(value >> 8),
                             static_cast<std::byte>(value >> 16), static_cast<std::byte>(value >> 24)};
  return to_hex(bytes);
}

}  // namespace vmb::test
