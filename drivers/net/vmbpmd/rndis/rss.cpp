// SPDX-License-Identifier: BSD-3-Clause
#include "rndis/rss.hpp"

#include <algorithm>

#include "wire/message.hpp"

namespace vmbpmd::rndis {

using wire::RndisStatus;

namespace {

/// @return  false if an entry names a channel that there is not.
bool fill_table(std::span<const std::byte> entries, std::uint32_t queues, RssSettings& settings) noexcept {
  const std::size_t count = std::min(entries.size() / sizeof(std::uint32_t), settings.table.size());
  for (std::size_t i = 0; i < settings.table.size(); ++i) {
    if (i >= count) {
      settings.table[i] = settings.table[i % count];
      continue;
    }
    const auto entry = wire::load<std::uint32_t>(entries, i * sizeof(std::uint32_t));
    if (!entry || *entry >= queues) return false;
    settings.table[i] = static_cast<std::uint16_t>(*entry);
  }
  return true;
}

}  // namespace

RndisStatus parse_rss(std::span<const std::byte> input, std::uint32_t queues, RssSettings& settings) noexcept {
  if (input.size() < wire::kRssParametersMinBytes) return RndisStatus::invalid_length;
  const auto parameters = wire::load_prefix<wire::RssParameters>(input);
  if (parameters.header.bytes > input.size()) return RndisStatus::invalid_length;

  if ((parameters.flags & wire::kRssDisable) != 0 || (parameters.hash_info & wire::kRssFunctionMask) == 0) {
    settings = {};
    return RndisStatus::success;
  }
  if (parameters.key_bytes != wire::kRssKeyBytes || parameters.table_bytes == 0 || parameters.table_bytes % 4 != 0) {
    return RndisStatus::invalid_data;
  }
  const auto table = wire::slice(input, parameters.table_offset, parameters.table_bytes);
  const auto key = wire::slice(input, parameters.key_offset, parameters.key_bytes);
  if (!table || !key) return RndisStatus::invalid_data;

  RssSettings wish{.enabled = true, .hash_info = parameters.hash_info};
  if (!fill_table(*table, queues, wish)) return RndisStatus::invalid_data;
  std::copy(key->begin(), key->end(), wish.key.begin());
  settings = wish;
  return RndisStatus::success;
}

}  // namespace vmbpmd::rndis
