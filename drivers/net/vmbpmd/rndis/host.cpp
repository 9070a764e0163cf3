// SPDX-License-Identifier: BSD-3-Clause
#include "rndis/host.hpp"

#include <algorithm>

#include "wire/message.hpp"

namespace vmbpmd::rndis {

using wire::RndisStatus;
using wire::RndisType;

namespace {

/// The message cut to the length it claims, if that holds; net_netvsc's messages may be followed by anything.
std::optional<std::span<const std::byte>> trimmed(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisHeader>(message);
  if (!header || header->length < sizeof(wire::RndisHeader)) return std::nullopt;
  return wire::slice(message, 0, header->length);
}

constexpr HostEvent event_for(RndisStatus status, HostEvent success) noexcept {
  return status == RndisStatus::success ? success : HostEvent{HostEventKind::rejected};
}

}  // namespace

Host::Host(const HostConfig& config) noexcept : config_{config}, offload_{config.offload} {
  config_.friendly_name = config_.friendly_name.substr(0, kMaxFriendlyName);
  reset(config.config_mtu);
}

void Host::reset(std::uint32_t config_mtu) noexcept {
  config_.config_mtu = config_mtu;
  forget_guest();
}

void Host::forget_guest() noexcept {
  state_ = HostState::idle;
  mac_ = config_.mac;
  filter_ = 0;
  multicast_count_ = 0;
  offload_.reset();
  encapsulation_ = {};
  rss_ = {};
  guest_max_transfer_bytes_ = 0;
  peer_capabilities_ = 0;
  media_pending_ = speed_pending_ = offload_pending_ = false;
}

Answer Host::on_message(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisHeader>(message);
  if (!header) return ignore(counters_.malformed);
  switch (header->type) {
    case RndisType::initialize: return on_initialize(message);
    case RndisType::query: return on_query(message);
    case RndisType::set: return on_set(message);
    case RndisType::halt: return on_halt(message);
    case RndisType::reset: return on_reset(message);
    case RndisType::keepalive: return on_keepalive(message);
    default: return ignore(counters_.unknown);
  }
}

Answer Host::on_initialize(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisRequestHeader>(message);
  if (!header) return ignore(counters_.malformed);
  const auto whole = trimmed(message);
  const auto request = whole ? wire::load<wire::RndisInitialize>(*whole) : std::nullopt;

  wire::RndisInitializeComplete answer;
  answer.request_id = header->request_id;
  answer.max_packets = config_.max_packets;
  answer.max_transfer_bytes = config_.max_transfer_bytes;
  answer.alignment_factor = config_.alignment_factor;
  if (!request) {
    ++counters_.malformed;
    answer.status = RndisStatus::invalid_length;
  } else if (state_ == HostState::operational) {
    ++counters_.out_of_order;
    answer.status = RndisStatus::failure;
  } else if (request->major != 1) {
    ++counters_.not_supported;
    answer.status = RndisStatus::bad_version;
  } else {
    state_ = HostState::operational;
    guest_max_transfer_bytes_ = request->max_transfer_bytes;
  }
  return respond(answer, event_for(answer.status, {HostEventKind::initialized}));
}

/// Both QUERY and SET: find the input, then let the OID's handler have it.
RndisStatus Host::run(std::span<const std::byte> message, bool is_set, Exchange& exchange) noexcept {
  const auto whole = trimmed(message);
  const auto request = whole ? wire::load<wire::RndisQuery>(*whole) : std::nullopt;
  if (!request) return RndisStatus::invalid_length;
  if (state_ != HostState::operational) return RndisStatus::failure;
  if (request->input_bytes != 0) {
    constexpr std::uint32_t kBehindHeader = sizeof(wire::RndisQuery) - wire::kOffsetBase;
    if (request->input_offset < kBehindHeader) return RndisStatus::invalid_data;
    const auto input =
        wire::slice(*whole, std::uint64_t{request->input_offset} + wire::kOffsetBase, request->input_bytes);
    if (!input) return RndisStatus::invalid_length;
    exchange.input = *input;
  }
  exchange.oid = request->oid;
  const Handler handler = find_handler(request->oid, is_set, exchange.value);
  return handler != nullptr ? (this->*handler)(exchange) : RndisStatus::not_supported;
}

Answer Host::on_query(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisRequestHeader>(message);
  if (!header) return ignore(counters_.malformed);
  Exchange exchange;
  exchange.room = std::span{response_}.subspan(sizeof(wire::RndisQueryComplete));

  wire::RndisQueryComplete answer;
  answer.request_id = header->request_id;
  answer.status = run(message, false, exchange);
  if (answer.status == RndisStatus::success) answer.output_bytes = static_cast<std::uint32_t>(exchange.output_bytes);
  answer.length += answer.output_bytes;
  count(answer.status);
  return respond(answer, event_for(answer.status, exchange.event));
}

Answer Host::on_set(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisRequestHeader>(message);
  if (!header) return ignore(counters_.malformed);
  Exchange exchange;
  wire::RndisSetComplete answer;
  answer.request_id = header->request_id;
  answer.status = run(message, true, exchange);
  count(answer.status);
  return respond(answer, event_for(answer.status, exchange.event));
}

Answer Host::on_halt(std::span<const std::byte> message) noexcept {
  if (!trimmed(message)) return ignore(counters_.malformed);
  forget_guest();
  return {{}, {HostEventKind::halted}};
}

Answer Host::on_reset(std::span<const std::byte> message) noexcept {
  const auto whole = trimmed(message);
  if (!whole || whole->size() < sizeof(wire::RndisReset)) return ignore(counters_.malformed);
  wire::RndisResetComplete answer;  // nothing is ever under way here, and the filter stays
  if (state_ != HostState::operational) {
    ++counters_.out_of_order;
    answer.status = RndisStatus::failure;
  }
  return respond(answer, event_for(answer.status, {}));
}

Answer Host::on_keepalive(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisRequestHeader>(message);
  if (!header) return ignore(counters_.malformed);
  wire::RndisSetComplete answer;
  answer.type = RndisType::keepalive_complete;
  answer.request_id = header->request_id;
  const auto whole = trimmed(message);
  if (!whole || whole->size() < sizeof(wire::RndisKeepalive)) {
    ++counters_.malformed;
    answer.status = RndisStatus::invalid_length;
  }
  return respond(answer, event_for(answer.status, {}));
}

template <class Message> Answer Host::respond(const Message& message, HostEvent event) noexcept {
  wire::store(std::span{response_}, message);
  return {std::span<const std::byte>{response_}.first(message.length), event};
}

Answer Host::ignore(std::uint64_t& counter) noexcept {
  ++counter;
  return {{}, {HostEventKind::ignored}};
}

void Host::count(RndisStatus status) noexcept {
  switch (status) {
    case RndisStatus::success: break;
    case RndisStatus::failure: ++counters_.out_of_order; break;
    case RndisStatus::not_supported: ++counters_.not_supported; break;
    default: ++counters_.malformed; break;
  }
}

void Host::indicate_media(bool connected) noexcept {
  if (config_.connected == connected) return;
  config_.connected = connected;
  media_pending_ = state_ == HostState::operational;
}

void Host::indicate_link_speed(std::uint64_t bit_per_s) noexcept {
  if (config_.link_bit_per_s == bit_per_s) return;
  config_.link_bit_per_s = bit_per_s;
  speed_pending_ = state_ == HostState::operational;
}

std::optional<std::span<const std::byte>> Host::next() noexcept {
  wire::RndisIndicateStatus message;
  std::span<const std::byte> buffer;
  const std::uint32_t speed = wire::link_speed_from(config_.link_bit_per_s);
  const wire::NdisOffload offload = offload_.current();
  if (media_pending_) {
    media_pending_ = false;
    message.status = config_.connected ? RndisStatus::media_connect : RndisStatus::media_disconnect;
  } else if (speed_pending_) {
    speed_pending_ = false;
    message.status = RndisStatus::link_speed_change;
    buffer = std::as_bytes(std::span{&speed, 1});
  } else if (offload_pending_) {
    offload_pending_ = false;
    message.status = RndisStatus::offload_current_config;
    buffer = std::as_bytes(std::span{&offload, 1});
  } else {
    return std::nullopt;
  }
  if (!buffer.empty()) message.buffer_offset = sizeof(message) - wire::kOffsetBase;
  message.buffer_bytes = static_cast<std::uint32_t>(buffer.size());
  message.length += message.buffer_bytes;
  wire::store(std::span{indication_}, message);
  std::copy(buffer.begin(), buffer.end(), indication_.begin() + sizeof(message));
  return std::span<const std::byte>{indication_}.first(message.length);
}

}  // namespace vmbpmd::rndis
