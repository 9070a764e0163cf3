// SPDX-License-Identifier: BSD-3-Clause
// How a guest wants its frames spread over its channels: the contents of Oid::rss_parameters, judged and
// copied out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/rndis.hpp"

namespace vmbpmd::rndis {

struct RssSettings {
  bool enabled = false;         // false: everything goes to channel 0, the rest means nothing
  std::uint32_t hash_info = 0;  // function and types as in wire::RssParameters
  std::array<std::uint16_t, wire::kRssTableEntries>
      table{};  // channel indices; a shorter table was repeated to fill it
  std::array<std::byte, wire::kRssKeyBytes> key{};
};

/// Table and key are found by their offsets; their order and the size that the header claims differ between
/// guests. An object that disables is not looked at further. A table of more than kRssTableEntries is cut.
/// @param input   the object as received; offsets in it are checked in 64 bits.
/// @param queues  channels there are: entries are below.
/// @return        success with `settings` set, or a failure with `settings` as it was.
wire::RndisStatus parse_rss(std::span<const std::byte> input, std::uint32_t queues, RssSettings& settings) noexcept;

}  // namespace vmbpmd::rndis
