// SPDX-License-Identifier: BSD-3-Clause
#include "nvsp/host.hpp"

#include <algorithm>

#include "wire/message.hpp"

namespace vmbpmd::nvsp {

using wire::NvspStatus;
using wire::NvspType;
using wire::NvspVersion;

namespace {

constexpr NvspType answer_type(NvspType request) noexcept {
  switch (request) {
    case NvspType::init: return NvspType::init_complete;
    case NvspType::send_receive_buffer: return NvspType::send_receive_buffer_complete;
    case NvspType::send_send_buffer: return NvspType::send_send_buffer_complete;
    case NvspType::send_rndis_packet: return NvspType::send_rndis_packet_complete;
    case NvspType::oid_query_ex: return NvspType::oid_query_ex_complete;
    default: return request;  // subchannel's answer has its own type; nothing better for the unknown
  }
}

constexpr std::uint32_t grant_config_mtu(std::uint32_t asked, std::uint32_t own) noexcept {
  const bool in_range = asked >= kMinConfigMtu && asked <= kMaxConfigMtu;
  return std::min(own, in_range ? asked : wire::kDefaultConfigMtu);
}

}  // namespace

Answer Host::on_message(std::span<const std::byte> payload, bool completion_requested) noexcept {
  const auto header = wire::load<wire::NvspHeader>(payload);
  const bool was_ready = state_ >= HostState::ready;
  Reply reply = header ? dispatch(header->type, payload) : refuse(NvspType::none, counters_.malformed);
  if (state_ == HostState::agreed && have_ndis_version_ && have_receive_ &&
      (have_config_ || version_ < NvspVersion::v2)) {
    state_ = HostState::ready;
  }
  reply.event.ready = !was_ready && state_ == HostState::ready;
  if (!completion_requested) return {std::nullopt, reply.event};
  return {std::span<const std::byte>{out_}.first(reply.bytes), reply.event};
}

Host::Reply Host::dispatch(NvspType type, std::span<const std::byte> payload) noexcept {
  switch (type) {
    case NvspType::init: return on_init(payload);
    case NvspType::send_ndis_version: return on_ndis_version(payload);
    case NvspType::send_ndis_config: return on_ndis_config(payload);
    case NvspType::send_receive_buffer: return on_receive_buffer(payload);
    case NvspType::send_send_buffer: return on_send_buffer(payload);
    case NvspType::revoke_receive_buffer:
    case NvspType::revoke_send_buffer: return on_revoke(type, payload);
    case NvspType::switch_data_path: return on_switch_data_path(payload);
    case NvspType::oid_query_ex: return on_oid_query(payload);
    case NvspType::subchannel: return on_subchannel(payload);
    default: return refuse(type, counters_.unknown);
  }
}

Host::Reply Host::on_init(std::span<const std::byte> payload) noexcept {
  const auto init = wire::load<wire::NvspInit>(payload);
  if (!init) return refuse(NvspType::init, counters_.malformed);
  if (state_ != HostState::opened) return refuse(NvspType::init, counters_.out_of_order);

  wire::NvspInitComplete answer;
  const NvspVersion version = init->min_version;
  const bool known =
      std::find(wire::kNvspVersions.begin(), wire::kNvspVersions.end(), version) != wire::kNvspVersions.end();
  if (!known || version > config_.highest_version) {
    ++counters_.versions_refused;
    answer.status = NvspStatus::none;
    return compose(answer, wire::kNvspLegacyBytes);
  }
  version_ = version;
  state_ = HostState::agreed;
  answer.status = NvspStatus::success;
  if (version == NvspVersion::v1) answer.deprecated_version = static_cast<std::uint32_t>(NvspVersion::v1);
  return compose(answer, wire::kNvspLegacyBytes, {.kind = HostEventKind::version_agreed});
}

Host::Reply Host::on_ndis_version(std::span<const std::byte> payload) noexcept {
  if (!wire::load<wire::NvspNdisVersion>(payload)) return refuse(NvspType::send_ndis_version, counters_.malformed);
  if (!attaching_or_ready() || have_ndis_version_) return refuse(NvspType::send_ndis_version, counters_.out_of_order);
  have_ndis_version_ = true;
  return {};
}

Host::Reply Host::on_ndis_config(std::span<const std::byte> payload) noexcept {
  const auto config = wire::load<wire::NvspNdisConfig>(payload);
  if (!config) return refuse(NvspType::send_ndis_config, counters_.malformed);
  if (!attaching_or_ready() || version_ < NvspVersion::v2 || have_config_) {
    return refuse(NvspType::send_ndis_config, counters_.out_of_order);
  }
  have_config_ = true;
  config_mtu_ = grant_config_mtu(config->mtu, config_.max_config_mtu);
  capabilities_ = config->capabilities | std::uint64_t{config->capabilities_high} << 32;
  return {};
}

Host::Reply Host::on_receive_buffer(std::span<const std::byte> payload) noexcept {
  const auto request = wire::load<wire::NvspSendBuffer>(payload);
  if (!request) return refuse(NvspType::send_receive_buffer, counters_.malformed);
  const bool sized = have_config_ || version_ < NvspVersion::v2;  // the MTU is settled
  if (!attaching_or_ready() || have_receive_ || !sized) {
    return refuse(NvspType::send_receive_buffer, counters_.out_of_order);
  }
  const std::uint32_t unit = suballoc_bytes_for(config_mtu_);
  const auto bytes = usable_buffer(request->gpadl, unit);
  if (!bytes) return refuse(NvspType::send_receive_buffer, counters_.buffers_refused);

  have_receive_ = true;
  wire::NvspReceiveBufferComplete answer;
  answer.status = NvspStatus::success;
  answer.section_count = 1;
  answer.suballoc_bytes = unit;
  answer.suballoc_count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(*bytes / unit, config_.max_suballoc_count));
  answer.end_offset = unit * answer.suballoc_count;
  return compose(answer, answer_bytes(),
                 {.kind = HostEventKind::receive_connected,
                  .id = request->id,
                  .gpadl = request->gpadl,
                  .unit_bytes = unit,
                  .unit_count = answer.suballoc_count});
}

Host::Reply Host::on_send_buffer(std::span<const std::byte> payload) noexcept {
  const auto request = wire::load<wire::NvspSendBuffer>(payload);
  if (!request) return refuse(NvspType::send_send_buffer, counters_.malformed);
  if (!attaching_or_ready() || have_send_) return refuse(NvspType::send_send_buffer, counters_.out_of_order);
  const std::uint32_t unit = config_.section_bytes;
  const auto bytes = usable_buffer(request->gpadl, unit);
  if (!bytes) return refuse(NvspType::send_send_buffer, counters_.buffers_refused);

  have_send_ = true;
  wire::NvspSendBufferComplete answer;
  answer.status = NvspStatus::success;
  answer.section_bytes = unit;
  return compose(answer, answer_bytes(),
                 {.kind = HostEventKind::send_connected,
                  .id = request->id,
                  .gpadl = request->gpadl,
                  .unit_bytes = unit,
                  .unit_count = static_cast<std::uint32_t>(*bytes / unit)});
}

Host::Reply Host::on_revoke(NvspType type, std::span<const std::byte> payload) noexcept {
  if (!wire::load<wire::NvspRevokeBuffer>(payload)) return refuse(type, counters_.malformed);
  if (state_ == HostState::revoked) return {};  // net_netvsc may say it twice
  const bool connected = type == NvspType::revoke_receive_buffer ? have_receive_ : have_send_;
  if (!connected) return refuse(type, counters_.out_of_order);
  state_ = HostState::revoked;
  return {0, {.kind = HostEventKind::revoked}};
}

Host::Reply Host::on_switch_data_path(std::span<const std::byte> payload) noexcept {
  if (!wire::load<wire::NvspSwitchDataPath>(payload)) return refuse(NvspType::switch_data_path, counters_.malformed);
  if (state_ != HostState::ready || version_ < NvspVersion::v4) {
    return refuse(NvspType::switch_data_path, counters_.out_of_order);
  }
  return {0, {.kind = HostEventKind::data_path_switched}};
}

Host::Reply Host::on_oid_query(std::span<const std::byte> payload) noexcept {
  if (!wire::load<wire::NvspOidQueryEx>(payload)) return refuse(NvspType::oid_query_ex, counters_.malformed);
  if (state_ != HostState::ready || version_ < NvspVersion::v5) {
    return refuse(NvspType::oid_query_ex, counters_.out_of_order);
  }
  constexpr std::uint32_t kNotSupported = 0xC00000BB;  // an RNDIS status: this message has no other
  return compose(wire::NvspOidQueryExComplete{NvspType::oid_query_ex_complete, kNotSupported, 0}, answer_bytes());
}

Host::Reply Host::on_subchannel(std::span<const std::byte> payload) noexcept {
  if (!wire::load<wire::NvspSubchannel>(payload)) return refuse(NvspType::subchannel, counters_.malformed);
  if (state_ != HostState::ready || version_ < NvspVersion::v5) {
    return refuse(NvspType::subchannel, counters_.out_of_order);
  }
  // One queue so far: nothing to grant. net_netvsc compares the length with 40 at every version.
  return compose(wire::NvspSubchannelComplete{NvspType::subchannel, NvspStatus::failure, 0}, wire::kNvspBytes);
}

template <class Message>
Host::Reply Host::compose(const Message& message, std::size_t bytes, HostEvent event) noexcept {
  static_assert(sizeof(Message) <= wire::kNvspLegacyBytes);
  out_.fill(std::byte{0});
  wire::store(std::span{out_}, message);
  return {bytes, event};
}

Host::Reply Host::refuse(NvspType request, std::uint64_t& counter) noexcept {
  ++counter;
  const HostEvent event{.kind = HostEventKind::ignored};
  if (request == NvspType::init) {
    wire::NvspInitComplete answer;
    answer.status = NvspStatus::failure;
    return compose(answer, wire::kNvspLegacyBytes, event);
  }
  const std::size_t bytes = request == NvspType::subchannel ? wire::kNvspBytes : answer_bytes();
  return compose(wire::NvspStatusMessage{answer_type(request), NvspStatus::failure}, bytes, event);
}

std::optional<std::uint64_t> Host::usable_buffer(std::uint32_t gpadl, std::uint32_t unit_bytes) noexcept {
  const auto bytes = buffers_->gpadl_bytes(gpadl);
  if (!bytes || *bytes < unit_bytes || *bytes > config_.max_buffer_bytes) return std::nullopt;
  return bytes;
}

std::size_t Host::answer_bytes() const noexcept {
  return version_ >= NvspVersion::v6_1 ? wire::kNvspBytes : wire::kNvspLegacyBytes;
}

bool Host::attaching_or_ready() const noexcept { return state_ == HostState::agreed || state_ == HostState::ready; }

void Host::reset() noexcept {
  capabilities_ = 0;
  version_ = {};
  config_mtu_ = std::min(config_.max_config_mtu, wire::kDefaultConfigMtu);
  state_ = HostState::opened;
  have_config_ = have_ndis_version_ = have_receive_ = have_send_ = false;
}

}  // namespace vmbpmd::nvsp
