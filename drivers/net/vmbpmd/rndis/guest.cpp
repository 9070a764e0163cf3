// SPDX-License-Identifier: BSD-3-Clause
#include "rndis/guest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <utility>

#include "wire/message.hpp"

namespace vmbpmd::rndis {

using wire::Oid;
using wire::RndisStatus;
using wire::RndisType;

namespace {

constexpr std::uint32_t bit(GuestRequest request) noexcept { return 1u << static_cast<unsigned>(request); }

constexpr GuestRequest kLastOfAttach = GuestRequest::query_peer;

constexpr std::uint32_t kAttach = bit(GuestRequest::initialize) | bit(GuestRequest::clear_filter) |
                                  bit(GuestRequest::query_mac) | bit(GuestRequest::query_max_frame_size) |
                                  bit(GuestRequest::query_link_speed) | bit(GuestRequest::query_media) |
                                  bit(GuestRequest::query_peer);

constexpr RndisType answer_to(GuestRequest request) noexcept {
  switch (request) {
    case GuestRequest::initialize: return RndisType::initialize_complete;
    case GuestRequest::clear_filter:
    case GuestRequest::set_mac:
    case GuestRequest::set_filter:
    case GuestRequest::set_multicast: return RndisType::set_complete;
    default: return RndisType::query_complete;
  }
}

/// Most bytes of output that the asker has room for.
constexpr std::size_t wanted_bytes(GuestRequest request) noexcept {
  switch (request) {
    case GuestRequest::query_mac: return sizeof(wire::MacAddress);
    case GuestRequest::query_peer: return sizeof(wire::PeerQuery);
    default: return sizeof(std::uint32_t);
  }
}

}  // namespace

const char* name(Failure failure) noexcept {
  switch (failure) {
    case Failure::none: return "none";
    case Failure::malformed_answer: return "an RNDIS answer's lengths do not hold";
    case Failure::initialize_refused: return "the host refused RNDIS INITIALIZE";
    case Failure::alignment_factor: return "the host's RNDIS alignment factor is above 7";
    case Failure::no_packets: return "the host takes no RNDIS packet in a message";
    case Failure::transfer_too_small: return "the host takes less than one full frame in an RNDIS message";
    case Failure::mac_refused: return "the host does not tell a MAC address";
    case Failure::mac_invalid: return "the host's MAC address is not one of a station";
    case Failure::timed_out: return "the host did not answer an RNDIS request in time";
    case Failure::channel_closed: return "the channel was closed";
  }
  return "unknown";
}

void Guest::start(const GuestConfig& config) noexcept {
  config_ = config;
  result_ = {};
  wanted_ = kAttach;
  outstanding_ = GuestRequest::none;
  state_ = GuestState::attaching;
  failure_ = Failure::none;
}

std::optional<std::span<const std::byte>> Guest::next() noexcept {
  if (state_ == GuestState::halting) {
    state_ = GuestState::halted;
    wire::store(std::span{out_}, wire::RndisHalt{RndisType::halt, sizeof(wire::RndisHalt), ++request_id_});
    return std::span<const std::byte>{out_}.first(sizeof(wire::RndisHalt));
  }
  if (state_ != GuestState::attaching && state_ != GuestState::operational) return std::nullopt;
  if (outstanding_ != GuestRequest::none) return std::nullopt;
  outstanding_ = take_wanted();
  if (outstanding_ == GuestRequest::none) return std::nullopt;
  ++request_id_;
  return send(outstanding_);
}

GuestRequest Guest::take_wanted() noexcept {
  if (wanted_ == 0) return GuestRequest::none;
  const auto first = static_cast<GuestRequest>(std::countr_zero(wanted_));  // in the order of the enumeration
  wanted_ &= ~bit(first);
  return first;
}

std::span<const std::byte> Guest::send(GuestRequest request) noexcept {
  const auto filter = [this](const std::uint32_t& bits) {
    return send_query(RndisType::set, Oid::packet_filter, std::as_bytes(std::span{&bits, 1}));
  };
  switch (request) {
    case GuestRequest::none: break;
    case GuestRequest::initialize: return send_initialize();
    case GuestRequest::clear_filter: return filter(0);
    case GuestRequest::query_mac: return send_query(RndisType::query, Oid::permanent_address, {});
    case GuestRequest::query_max_frame_size: return send_query(RndisType::query, Oid::maximum_frame_size, {});
    case GuestRequest::query_link_speed: return send_query(RndisType::query, Oid::link_speed, {});
    case GuestRequest::query_media: return send_query(RndisType::query, Oid::media_connect_status, {});
    case GuestRequest::query_peer: {
      wire::PeerQuery query;
      query.capabilities = config_.peer_capabilities;
      return send_query(RndisType::query, Oid::vmbpmd_peer, std::as_bytes(std::span{&query, 1}));
    }
    case GuestRequest::set_mac: return send_mac();
    case GuestRequest::set_filter: return filter(filter_);
    case GuestRequest::set_multicast:
      return send_query(RndisType::set, Oid::multicast_list,
                        std::as_bytes(std::span{multicast_}.first(multicast_count_)));
  }
  return {};
}

std::span<const std::byte> Guest::send_initialize() noexcept {
  wire::RndisInitialize message;
  message.request_id = request_id_;
  message.max_transfer_bytes = config_.max_transfer_bytes;
  wire::store(std::span{out_}, message);
  return std::span<const std::byte>{out_}.first(sizeof(message));
}

std::span<const std::byte> Guest::send_query(RndisType type, Oid oid, std::span<const std::byte> input) noexcept {
  wire::RndisQuery message;
  const std::size_t bytes = sizeof(message) + input.size();
  message.type = type;
  message.length = static_cast<std::uint32_t>(bytes);
  message.request_id = request_id_;
  message.oid = oid;
  message.input_bytes = static_cast<std::uint32_t>(input.size());
  wire::store(std::span{out_}, message);
  std::copy(input.begin(), input.end(), out_.begin() + sizeof(message));
  return std::span<const std::byte>{out_}.first(bytes);
}

std::span<const std::byte> Guest::send_mac() noexcept {
  // netvsc.md 3.9: name and value as UTF-16LE, the address as twelve hexadecimal digits.
  static constexpr std::u16string_view kName = u"NetworkAddress";
  struct {
    wire::ConfigParameter parameter;
    std::array<char16_t, kName.size()> name;
    std::array<char16_t, 2 * std::tuple_size_v<wire::MacAddress>> value;
  } input{};
  static_assert(sizeof input == 72);
  input.parameter = {sizeof(wire::ConfigParameter), sizeof input.name, wire::kConfigParameterString,
                     sizeof(wire::ConfigParameter) + sizeof input.name, sizeof input.value};
  std::ranges::copy(kName, input.name.begin());
  for (std::size_t digit = 0; digit < input.value.size(); ++digit) {
    const unsigned nibble = mac_[digit / 2] >> (digit % 2 == 0 ? 4 : 0) & 0xf;
    input.value[digit] = u"0123456789ABCDEF"[nibble];
  }
  return send_query(RndisType::set, Oid::config_parameter, std::as_bytes(std::span{&input, 1}));
}

GuestEvent Guest::on_message(std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisHeader>(message);
  if (!header || header->length < sizeof(wire::RndisHeader) || header->length > message.size()) {
    ++counters_.malformed;
    return {GuestEventKind::ignored};
  }
  switch (header->type) {
    case RndisType::initialize_complete:
    case RndisType::query_complete:
    case RndisType::set_complete: return on_answer(header->type, message.first(header->length));
    case RndisType::indicate_status: return on_indication(message);
    default: ++counters_.unknown; return {GuestEventKind::ignored};
  }
}

GuestEvent Guest::on_answer(RndisType type, std::span<const std::byte> message) noexcept {
  const auto header = wire::load<wire::RndisRequestHeader>(message);
  if (!header) {
    ++counters_.malformed;
    return {GuestEventKind::ignored};
  }
  if (outstanding_ == GuestRequest::none || header->request_id != request_id_ || type != answer_to(outstanding_)) {
    ++counters_.unmatched;
    return {GuestEventKind::ignored};
  }
  return finish(std::exchange(outstanding_, GuestRequest::none), message);
}

GuestEvent Guest::finish(GuestRequest request, std::span<const std::byte> message) noexcept {
  if (request == GuestRequest::initialize) {
    const Failure failure = take_initialize(message);
    return failure == Failure::none ? advance(request, RndisStatus::success) : fail(failure);
  }
  const auto completion = parse_completion(request, message);
  if (!completion) ++counters_.malformed;
  if (request == GuestRequest::query_mac) {
    const Failure failure = completion ? take_mac(*completion) : Failure::malformed_answer;
    return failure == Failure::none ? advance(request, RndisStatus::success) : fail(failure);
  }
  const Completion answer = completion.value_or(Completion{});
  const bool taken = take_tolerated(request, answer);
  if (!taken) ++counters_.refused;
  return advance(request, taken || answer.status != RndisStatus::success ? answer.status : RndisStatus::failure);
}

std::optional<Guest::Completion> Guest::parse_completion(GuestRequest request,
                                                         std::span<const std::byte> message) noexcept {
  if (answer_to(request) == RndisType::set_complete) {
    const auto set = wire::load<wire::RndisSetComplete>(message);
    if (!set) return std::nullopt;
    return Completion{set->status, {}};
  }
  const auto query = wire::load<wire::RndisQueryComplete>(message);
  if (!query) return std::nullopt;
  if (query->output_bytes == 0) return Completion{query->status, {}};
  constexpr std::uint32_t kBehindHeader = sizeof(wire::RndisQueryComplete) - wire::kOffsetBase;
  if (query->output_offset < kBehindHeader || query->output_bytes > wanted_bytes(request)) return std::nullopt;
  const auto output =
      wire::slice(message, std::uint64_t{query->output_offset} + wire::kOffsetBase, query->output_bytes);
  if (!output) return std::nullopt;
  return Completion{query->status, *output};
}

Failure Guest::take_initialize(std::span<const std::byte> message) noexcept {
  const auto answer = wire::load<wire::RndisInitializeComplete>(message);
  if (!answer) return Failure::malformed_answer;
  if (answer->status != RndisStatus::success) return Failure::initialize_refused;
  if (answer->alignment_factor > kMaxAlignmentFactor) return Failure::alignment_factor;
  if (answer->max_packets == 0) return Failure::no_packets;
  if (answer->max_transfer_bytes < kMinTransferBytes) return Failure::transfer_too_small;
  result_.max_packets = answer->max_packets;
  result_.max_transfer_bytes = answer->max_transfer_bytes;
  result_.alignment_factor = answer->alignment_factor;
  return Failure::none;
}

Failure Guest::take_mac(const Completion& completion) noexcept {
  if (completion.status != RndisStatus::success) return Failure::mac_refused;
  const auto mac = wire::load<wire::MacAddress>(completion.output);
  if (!mac || !wire::is_station_address(*mac)) return Failure::mac_invalid;
  result_.mac = *mac;
  return Failure::none;
}

bool Guest::take_tolerated(GuestRequest request, const Completion& completion) noexcept {
  if (completion.status != RndisStatus::success) return false;
  if (answer_to(request) == RndisType::set_complete) return true;
  if (request == GuestRequest::query_peer) {
    const auto peer = wire::load<wire::PeerQuery>(completion.output);
    if (!peer || peer->magic != wire::PeerQuery::kMagic || peer->version != wire::PeerQuery{}.version) return false;
    result_.peer_capabilities = peer->capabilities & config_.peer_capabilities;
    return true;
  }
  const auto value = wire::load<std::uint32_t>(completion.output);
  if (!value) return false;
  switch (request) {
    case GuestRequest::query_max_frame_size: result_.max_frame_size = *value; return true;
    case GuestRequest::query_link_speed: result_.link_speed = *value; return true;
    case GuestRequest::query_media: result_.connected = *value == 0; return true;
    default: return false;
  }
}

GuestEvent Guest::advance(GuestRequest request, RndisStatus status) noexcept {
  if (state_ == GuestState::operational) return {GuestEventKind::request_done, request, status};
  if (request != kLastOfAttach) return {GuestEventKind::progress, request, status};
  state_ = GuestState::operational;
  return {GuestEventKind::operational, request, status};
}

GuestEvent Guest::on_indication(std::span<const std::byte> message) noexcept {
  const auto indication = wire::load<wire::RndisIndicateStatus>(message);
  // Against the range, not the message's length: old hosts do not count the buffer in it.
  const auto buffer = indication ? wire::slice(message, std::uint64_t{indication->buffer_offset} + wire::kOffsetBase,
                                               indication->buffer_bytes)
                                 : std::nullopt;
  if (!buffer) {
    ++counters_.malformed;
    return {GuestEventKind::ignored};
  }
  const bool following = state_ == GuestState::attaching || state_ == GuestState::operational;
  switch (following ? indication->status : RndisStatus::success) {
    case RndisStatus::media_connect: result_.connected = true; return {GuestEventKind::link_changed};
    case RndisStatus::media_disconnect: result_.connected = false; return {GuestEventKind::link_changed};
    case RndisStatus::link_speed_change:
      if (const auto speed = wire::load<std::uint32_t>(*buffer)) {
        result_.link_speed = *speed;
        return {GuestEventKind::link_changed};
      }
      wanted_ |= bit(GuestRequest::query_link_speed);
      return {GuestEventKind::progress};
    default: ++counters_.ignored_indications; return {GuestEventKind::ignored};
  }
}

GuestEvent Guest::abandon(Failure reason) noexcept {
  if (state_ == GuestState::attaching) return fail(reason);
  const GuestRequest request = std::exchange(outstanding_, GuestRequest::none);
  if (request == GuestRequest::none) return {};
  ++counters_.refused;
  return {GuestEventKind::request_done, request, RndisStatus::failure};
}

GuestEvent Guest::fail(Failure reason) noexcept {
  state_ = GuestState::failed;
  failure_ = reason;
  outstanding_ = GuestRequest::none;
  wanted_ = 0;
  return {GuestEventKind::failed};
}

void Guest::set_packet_filter(std::uint32_t filter) noexcept {
  if (state_ != GuestState::operational) return;
  filter_ = filter;
  wanted_ |= bit(GuestRequest::set_filter);
}

void Guest::set_mac(const wire::MacAddress& mac) noexcept {
  if (state_ != GuestState::operational) return;
  mac_ = mac;
  wanted_ |= bit(GuestRequest::set_mac);
}

void Guest::query_link() noexcept {
  if (state_ != GuestState::operational) return;
  wanted_ |= bit(GuestRequest::query_media) | bit(GuestRequest::query_link_speed);
}

bool Guest::set_multicast(std::span<const wire::MacAddress> addresses) noexcept {
  if (addresses.size() > kMaxMulticast) return false;
  if (state_ != GuestState::operational) return true;
  std::copy(addresses.begin(), addresses.end(), multicast_.begin());
  multicast_count_ = addresses.size();
  wanted_ |= bit(GuestRequest::set_multicast);
  return true;
}

void Guest::halt() noexcept {
  if (state_ == GuestState::idle || state_ == GuestState::halted) return;
  outstanding_ = GuestRequest::none;
  wanted_ = 0;
  state_ = GuestState::halting;
}

}  // namespace vmbpmd::rndis
