// SPDX-License-Identifier: BSD-3-Clause
// What rndis::Host answers to each object identifier: the table, then its handlers.

#include <algorithm>

#include "rndis/host.hpp"
#include "wire/message.hpp"

namespace vmbpmd::rndis {

using wire::Oid;
using wire::RndisStatus;

struct OidTable {
  struct Row {
    Oid oid;
    Host::Handler query;
    Host::Handler set;
    std::uint32_t value;  // for answer_value
  };
  static const Row* find(Oid oid) noexcept;
  static const Row kRows[];
};

// Sources of the constants: netvsc.md 3.1.
constexpr OidTable::Row OidTable::kRows[] = {
    {Oid::supported_list, &Host::answer_supported_list, nullptr, 0},
    {Oid::hardware_status, &Host::answer_value, nullptr, 0},  // ready
    {Oid::media_supported, &Host::answer_value, nullptr, 0},  // 802.3
    {Oid::media_in_use, &Host::answer_value, nullptr, 0},
    {Oid::maximum_lookahead, &Host::answer_max_frame_size, nullptr, 0},
    {Oid::maximum_frame_size, &Host::answer_max_frame_size, nullptr, 0},
    {Oid::link_speed, &Host::answer_link_speed, nullptr, 0},
    {Oid::transmit_buffer_space, &Host::answer_value, nullptr, 262144},
    {Oid::receive_buffer_space, &Host::answer_value, nullptr, 262144},
    {Oid::transmit_block_size, &Host::answer_config_mtu, nullptr, 0},
    {Oid::receive_block_size, &Host::answer_config_mtu, nullptr, 0},
    {Oid::vendor_id, &Host::answer_value, nullptr, 0x15d},
    {Oid::vendor_description, &Host::answer_vendor_description, nullptr, 0},
    {Oid::packet_filter, &Host::answer_filter, &Host::set_filter, 0},
    {Oid::current_lookahead, &Host::answer_max_frame_size, nullptr, 0},
    {Oid::driver_version, &Host::answer_driver_version, nullptr, 0},
    {Oid::maximum_total_size, &Host::answer_config_mtu, nullptr, 0},
    {Oid::mac_options, &Host::answer_value, nullptr, 0x24D},
    {Oid::media_connect_status, &Host::answer_media_status, nullptr, 0},
    {Oid::maximum_send_packets, &Host::answer_value, nullptr, 0xffffffff},
    {Oid::vendor_driver_version, &Host::answer_driver_version, nullptr, 0},
    {Oid::network_layer_addresses, nullptr, &Host::set_ignored, 0},
    {Oid::rss_capabilities, &Host::answer_rss_capabilities, nullptr, 0},
    {Oid::rss_parameters, nullptr, &Host::set_rss, 0},
    {Oid::max_link_speed, &Host::answer_max_link_speed, nullptr, 0},
    {Oid::link_state, &Host::answer_link_state, nullptr, 0},
    {Oid::config_parameter, nullptr, &Host::set_config_parameter, 0},
    {Oid::xmit_ok, &Host::answer_counter, nullptr, 0},
    {Oid::receive_ok, &Host::answer_counter, nullptr, 0},
    {Oid::xmit_error, &Host::answer_counter, nullptr, 0},
    {Oid::receive_error, &Host::answer_counter, nullptr, 0},
    {Oid::receive_no_buffer, &Host::answer_counter, nullptr, 0},
    {Oid::statistics, &Host::answer_statistics, nullptr, 0},
    {Oid::friendly_name, &Host::answer_friendly_name, nullptr, 0},
    {Oid::permanent_address, &Host::answer_permanent_address, nullptr, 0},
    {Oid::current_address, &Host::answer_current_address, nullptr, 0},
    {Oid::multicast_list, nullptr, &Host::set_multicast, 0},
    {Oid::multicast_list_size, &Host::answer_value, nullptr, kMaxHostMulticast},
    {Oid::offload_encapsulation, &Host::answer_encapsulation, &Host::set_encapsulation, 0},
    {Oid::receive_alignment_errors, &Host::answer_value, nullptr, 0},
    {Oid::xmit_one_collision, &Host::answer_value, nullptr, 0},
    {Oid::xmit_more_collisions, &Host::answer_value, nullptr, 0},
    {Oid::offload_current_config, &Host::answer_current_offload, nullptr, 0},
    {Oid::offload_parameters, nullptr, &Host::set_offload, 0},
    {Oid::offload_hardware_capabilities, &Host::answer_hardware_offload, nullptr, 0},
    {Oid::vmbpmd_peer, &Host::answer_peer, nullptr, 0},
};

const OidTable::Row* OidTable::find(Oid oid) noexcept {
  const auto found = std::find_if(std::begin(kRows), std::end(kRows), [oid](const Row& row) { return row.oid == oid; });
  return found != std::end(kRows) ? found : nullptr;
}

Host::Handler Host::find_handler(Oid oid, bool is_set, std::uint32_t& value) noexcept {
  if (oid >= Oid::first_class_counter && oid <= Oid::last_class_counter) {
    return is_set ? nullptr : &Host::answer_counter;
  }
  const OidTable::Row* row = OidTable::find(oid);
  if (row == nullptr) return nullptr;
  value = row->value;
  return is_set ? row->set : row->query;
}

namespace {

constexpr std::uint32_t ip_mtu(std::uint32_t config_mtu) noexcept { return config_mtu - 14; }

/// Writes `text` in units of T (ASCII, or UTF-16LE), zero terminated.
template <class T> std::size_t write_text(std::string_view text, std::span<std::byte> room) noexcept {
  std::size_t at = 0;
  for (const char c : text) at += wire::store(room, static_cast<T>(static_cast<unsigned char>(c)), at) ? sizeof(T) : 0;
  return at + (wire::store(room, T{0}, at) ? sizeof(T) : 0);
}

std::optional<std::uint8_t> hex_digit(std::uint16_t unit) noexcept {
  if (unit >= u'0' && unit <= u'9') return static_cast<std::uint8_t>(unit - u'0');
  if (unit >= u'a' && unit <= u'f') return static_cast<std::uint8_t>(unit - u'a' + 10);
  if (unit >= u'A' && unit <= u'F') return static_cast<std::uint8_t>(unit - u'A' + 10);
  return std::nullopt;
}

/// Twelve hexadecimal digits in UTF-16LE.
std::optional<wire::MacAddress> parse_mac(std::span<const std::byte> text) noexcept {
  wire::MacAddress mac{};
  if (text.size() != mac.size() * 4) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const auto high = hex_digit(wire::load<std::uint16_t>(text, i * 4).value_or(0));
    const auto low = hex_digit(wire::load<std::uint16_t>(text, i * 4 + 2).value_or(0));
    if (!high || !low) return std::nullopt;
    mac[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return mac;
}

bool is_text(std::span<const std::byte> utf16, std::string_view ascii) noexcept {
  if (utf16.size() != ascii.size() * 2) return false;
  for (std::size_t i = 0; i < ascii.size(); ++i) {
    if (wire::load<std::uint16_t>(utf16, i * 2) != static_cast<unsigned char>(ascii[i])) return false;
  }
  return true;
}

}  // namespace

template <wire::Layout T> RndisStatus Host::Exchange::answer(const T& output, std::size_t bytes) noexcept {
  if (!wire::store(room, output)) return RndisStatus::resources;
  output_bytes = bytes;
  return RndisStatus::success;
}

// --- what the NIC is ---

RndisStatus Host::answer_value(Exchange& exchange) noexcept { return exchange.answer(exchange.value); }

/// Without ours, and without the class counters: with them the answer would outgrow kMaxControlAnswerBytes.
RndisStatus Host::answer_supported_list(Exchange& exchange) noexcept {
  constexpr std::size_t kListed = std::size(OidTable::kRows) - 1;
  static_assert(sizeof(wire::RndisQueryComplete) + kListed * sizeof(Oid) <= wire::kMaxControlAnswerBytes);
  std::array<Oid, kListed> list;
  std::transform(std::begin(OidTable::kRows), std::begin(OidTable::kRows) + kListed, list.begin(),
                 [](const OidTable::Row& row) { return row.oid; });
  return exchange.answer(list);
}

RndisStatus Host::answer_max_frame_size(Exchange& exchange) noexcept {
  return exchange.answer(ip_mtu(config_.config_mtu));
}

RndisStatus Host::answer_config_mtu(Exchange& exchange) noexcept { return exchange.answer(config_.config_mtu); }

RndisStatus Host::answer_permanent_address(Exchange& exchange) noexcept { return exchange.answer(config_.mac); }

RndisStatus Host::answer_current_address(Exchange& exchange) noexcept { return exchange.answer(mac_); }

RndisStatus Host::answer_driver_version(Exchange& exchange) noexcept { return exchange.answer(std::uint16_t{0x0100}); }

RndisStatus Host::answer_vendor_description(Exchange& exchange) noexcept {
  exchange.output_bytes = write_text<char>("vmbpmd", exchange.room);
  return RndisStatus::success;
}

RndisStatus Host::answer_friendly_name(Exchange& exchange) noexcept {
  exchange.output_bytes = write_text<char16_t>(config_.friendly_name, exchange.room);
  return RndisStatus::success;
}

// --- the link ---

RndisStatus Host::answer_link_speed(Exchange& exchange) noexcept {
  return exchange.answer(wire::link_speed_from(config_.link_bit_per_s));
}

RndisStatus Host::answer_max_link_speed(Exchange& exchange) noexcept {
  return exchange.answer(std::array{config_.link_bit_per_s, config_.link_bit_per_s});
}

RndisStatus Host::answer_media_status(Exchange& exchange) noexcept {
  return exchange.answer(config_.connected ? std::uint32_t{0} : std::uint32_t{1});
}

RndisStatus Host::answer_link_state(Exchange& exchange) noexcept {
  wire::NdisLinkState link;
  link.state = config_.connected ? 1 : 2;
  link.duplex = 2;
  link.tx_bit_per_s = link.rx_bit_per_s = config_.link_bit_per_s;
  return exchange.answer(link);
}

// --- counters ---

/// A u64 where the asker says that it has room for one, else a u32.
RndisStatus Host::answer_counter(Exchange& exchange) noexcept {
  const std::uint64_t value = config_.statistics != nullptr ? config_.statistics->counter(exchange.oid) : 0;
  if (exchange.input.size() >= sizeof(std::uint64_t)) return exchange.answer(value);
  return exchange.answer(static_cast<std::uint32_t>(value));
}

RndisStatus Host::answer_statistics(Exchange& exchange) noexcept { return exchange.answer(wire::NdisStatistics{}); }

// --- what comes to the guest ---

RndisStatus Host::answer_filter(Exchange& exchange) noexcept { return exchange.answer(filter_); }

RndisStatus Host::set_filter(Exchange& exchange) noexcept {
  const auto filter = wire::load<std::uint32_t>(exchange.input);
  if (!filter) return RndisStatus::invalid_length;
  filter_ = *filter & wire::packet_filter::kKnown;
  exchange.event.kind = HostEventKind::filter_changed;
  return RndisStatus::success;
}

RndisStatus Host::set_multicast(Exchange& exchange) noexcept {
  constexpr std::size_t kEach = sizeof(wire::MacAddress);
  if (exchange.input.size() % kEach != 0) return RndisStatus::invalid_length;
  if (exchange.input.size() / kEach > kMaxHostMulticast) return RndisStatus::resources;
  multicast_count_ = exchange.input.size() / kEach;
  for (std::size_t i = 0; i < multicast_count_; ++i) {
    multicast_[i] = wire::load<wire::MacAddress>(exchange.input, i * kEach).value_or(wire::MacAddress{});
  }
  exchange.event.kind = HostEventKind::multicast_changed;
  return RndisStatus::success;
}

RndisStatus Host::answer_rss_capabilities(Exchange& exchange) noexcept {
  wire::RssCapabilities capabilities;
  capabilities.capabilities = config_.rss_capabilities;
  capabilities.receive_queues = config_.rss_queues;
  capabilities.table_entries = wire::kRssTableEntries;
  return exchange.answer(capabilities, wire::kRssCapabilitiesBytes);
}

RndisStatus Host::set_rss(Exchange& exchange) noexcept {
  exchange.event.kind = HostEventKind::rss_changed;
  return parse_rss(exchange.input, config_.rss_queues, rss_);
}

// --- offloads ---

RndisStatus Host::answer_hardware_offload(Exchange& exchange) noexcept { return exchange.answer(offload_.hardware()); }

RndisStatus Host::answer_current_offload(Exchange& exchange) noexcept { return exchange.answer(offload_.current()); }

RndisStatus Host::set_offload(Exchange& exchange) noexcept {
  const RndisStatus status = offload_.apply(exchange.input);
  exchange.event.kind = HostEventKind::offload_changed;
  offload_pending_ = offload_pending_ || status == RndisStatus::success;
  return status;
}

RndisStatus Host::answer_encapsulation(Exchange& exchange) noexcept { return exchange.answer(encapsulation_); }

RndisStatus Host::set_encapsulation(Exchange& exchange) noexcept {
  const auto wish = wire::load<wire::NdisOffloadEncapsulation>(exchange.input);
  if (!wish || wish->header.bytes < sizeof(*wish) || wish->header.bytes > exchange.input.size()) {
    return RndisStatus::invalid_length;
  }
  if (wish->header.type != wire::NdisObject::offload_encapsulation || wish->header.revision == 0) {
    return RndisStatus::invalid_data;
  }
  const bool ethernet = wish->ipv4_type == wire::kOffload8023 && wish->ipv4_header_bytes == 14 &&
                        wish->ipv6_type == wire::kOffload8023 && wish->ipv6_header_bytes == 14;
  if (!ethernet) return RndisStatus::not_supported;
  encapsulation_ = *wish;
  encapsulation_.header = wire::NdisOffloadEncapsulation{}.header;
  return RndisStatus::success;
}

// --- the rest ---

RndisStatus Host::set_config_parameter(Exchange& exchange) noexcept {
  const auto parameter = wire::load<wire::ConfigParameter>(exchange.input);
  if (!parameter) return RndisStatus::invalid_length;
  constexpr std::uint32_t kLongest = 255;
  if (parameter->name_bytes > kLongest || parameter->value_bytes > kLongest) return RndisStatus::invalid_length;
  const auto name = wire::slice(exchange.input, parameter->name_offset, parameter->name_bytes);
  const auto value = wire::slice(exchange.input, parameter->value_offset, parameter->value_bytes);
  if (!name || !value) return RndisStatus::invalid_length;

  if (!config_.allow_mac_change || !is_text(*name, "NetworkAddress")) return RndisStatus::not_supported;
  const auto mac = parse_mac(*value);
  if (parameter->type != wire::kConfigParameterString || !mac || !wire::is_station_address(*mac)) {
    return RndisStatus::invalid_data;
  }
  mac_ = *mac;
  exchange.event.kind = HostEventKind::mac_changed;
  return RndisStatus::success;
}

RndisStatus Host::set_ignored(Exchange&) noexcept { return RndisStatus::success; }

RndisStatus Host::answer_peer(Exchange& exchange) noexcept {
  auto peer = wire::load<wire::PeerQuery>(exchange.input);
  if (!peer) return RndisStatus::invalid_length;
  if (peer->magic != wire::PeerQuery::kMagic) return RndisStatus::invalid_data;
  if (peer->version != wire::PeerQuery{}.version) return RndisStatus::not_supported;
  peer_capabilities_ = peer->capabilities & config_.peer_capabilities;
  peer->capabilities = peer_capabilities_;
  peer->reserved = 0;
  exchange.event.kind = HostEventKind::peer_agreed;
  return exchange.answer(*peer);
}

}  // namespace vmbpmd::rndis
