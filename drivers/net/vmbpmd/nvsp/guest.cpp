// SPDX-License-Identifier: BSD-3-Clause
#include "nvsp/guest.hpp"

#include <algorithm>

#include "wire/message.hpp"

namespace vmbpmd::nvsp {

using wire::NvspStatus;
using wire::NvspType;
using wire::NvspVersion;

namespace {

constexpr std::size_t version_index_from(NvspVersion highest) noexcept {
  const auto found = std::find_if(wire::kNvspVersions.begin(), wire::kNvspVersions.end(),
                                  [highest](NvspVersion version) { return version <= highest; });
  return static_cast<std::size_t>(found - wire::kNvspVersions.begin());
}

/// The answer as its layout, or nothing if it is too short or of another type.
template <class Message> std::optional<Message> answer_as(std::span<const std::byte> payload) noexcept {
  auto message = wire::load<Message>(payload);
  if (message && message->type != Message{}.type) message.reset();
  return message;
}

Failure judge(const wire::NvspReceiveBufferComplete& answer, const GuestConfig& config) noexcept {
  const std::uint64_t bytes = answer.suballoc_bytes;
  const std::uint64_t count = answer.suballoc_count;
  if (answer.section_count != 1) return Failure::receive_section_count;
  if (answer.offset != 0) return Failure::receive_section_offset;
  if (bytes < std::max(config.min_suballoc_bytes, kMinSuballocBytes)) return Failure::suballoc_too_small;
  if (count == 0 || count > config.max_suballoc_count) return Failure::suballoc_count;
  if (bytes * count > config.receive_bytes) return Failure::suballocs_exceed_buffer;
  return Failure::none;
}

Failure judge(const wire::NvspSendBufferComplete& answer, const GuestConfig& config) noexcept {
  if (answer.section_bytes < kMinSectionBytes) return Failure::section_too_small;
  if (answer.section_bytes % 8 != 0) return Failure::section_misaligned;
  if (answer.section_bytes > config.send_bytes) return Failure::section_exceeds_buffer;
  return Failure::none;
}

}  // namespace

const char* name(Failure failure) noexcept {
  switch (failure) {
    case Failure::none: return "none";
    case Failure::no_common_version: return "the host accepts no NVSP version of ours";
    case Failure::malformed_answer: return "an NVSP answer is too short or of the wrong type";
    case Failure::receive_buffer_refused: return "the host refused the receive buffer";
    case Failure::receive_section_count: return "the receive buffer does not have exactly one section";
    case Failure::receive_section_offset: return "the receive buffer's section is not at offset 0";
    case Failure::suballoc_too_small: return "receive suballocations are too small";
    case Failure::suballoc_count: return "the number of receive suballocations is out of range";
    case Failure::suballocs_exceed_buffer: return "receive suballocations exceed the buffer";
    case Failure::send_buffer_refused: return "the host refused the send buffer";
    case Failure::section_too_small: return "send sections are too small";
    case Failure::section_misaligned: return "the size of send sections is not a multiple of 8";
    case Failure::section_exceeds_buffer: return "a send section exceeds the buffer";
    case Failure::timed_out: return "the host did not answer in time";
    case Failure::channel_closed: return "the channel was closed";
  }
  return "unknown";
}

void Guest::start(const GuestConfig& config) noexcept {
  config_ = config;
  result_ = {};
  version_index_ = version_index_from(config.highest_version);
  state_ = GuestState::negotiate;
  failure_ = Failure::none;
  awaiting_ = false;
  receive_handed_over_ = false;
  send_handed_over_ = false;
  if (version_index_ == wire::kNvspVersions.size()) fail(Failure::no_common_version);
}

template <class Message> Outgoing Guest::give(const Message& message, bool completion_requested) noexcept {
  static_assert(sizeof(Message) <= wire::kNvspBytes);
  out_.fill(std::byte{0});
  wire::store(std::span{out_}, message);
  awaiting_ = completion_requested;
  return {out_, completion_requested};
}

std::optional<Outgoing> Guest::next() noexcept {
  if (awaiting_) return std::nullopt;
  switch (state_) {
    case GuestState::negotiate: return request_init();
    case GuestState::send_config: return tell_config();
    case GuestState::send_version: return tell_version();
    case GuestState::connect_receive:
      receive_handed_over_ = true;
      return give(wire::NvspSendBuffer{NvspType::send_receive_buffer, config_.receive_gpadl, wire::kReceiveBufferId, 0},
                  true);
    case GuestState::connect_send:
      send_handed_over_ = true;
      return give(wire::NvspSendBuffer{NvspType::send_send_buffer, config_.send_gpadl, wire::kSendBufferId, 0}, true);
    case GuestState::revoke_receive: return revoke_receive();
    case GuestState::revoke_send: return revoke_send();
    case GuestState::idle:
    case GuestState::ready:
    case GuestState::detached:
    case GuestState::failed: return std::nullopt;
  }
  return std::nullopt;
}

Outgoing Guest::request_init() noexcept {
  const NvspVersion version = wire::kNvspVersions[version_index_];
  return give(wire::NvspInit{NvspType::init, version, version}, true);
}

Outgoing Guest::tell_config() noexcept {
  state_ = GuestState::send_version;
  wire::NvspNdisConfig config;
  config.mtu = config_.config_mtu;
  config.capabilities = wire::nvsp_capability::kVlan;
  return give(config, false);
}

Outgoing Guest::tell_version() noexcept {
  state_ = GuestState::connect_receive;
  const std::uint32_t minor = result_.version >= NvspVersion::v5 ? 30 : 1;
  return give(wire::NvspNdisVersion{NvspType::send_ndis_version, 6, minor}, false);
}

std::optional<Outgoing> Guest::revoke_receive() noexcept {
  state_ = GuestState::revoke_send;
  if (!receive_handed_over_) return revoke_send();
  return give(wire::NvspRevokeBuffer{NvspType::revoke_receive_buffer, wire::kReceiveBufferId, 0}, false);
}

std::optional<Outgoing> Guest::revoke_send() noexcept {
  state_ = GuestState::detached;
  if (!send_handed_over_) return std::nullopt;
  return give(wire::NvspRevokeBuffer{NvspType::revoke_send_buffer, wire::kSendBufferId, 0}, false);
}

GuestEvent Guest::on_completion(std::span<const std::byte> payload) noexcept {
  if (!awaiting_) {
    ++counters_.unexpected_completions;
    return GuestEvent::ignored;
  }
  awaiting_ = false;
  switch (state_) {
    case GuestState::negotiate: return on_init_complete(payload);
    case GuestState::connect_receive: return on_receive_buffer_complete(payload);
    case GuestState::connect_send: return on_send_buffer_complete(payload);
    default: return GuestEvent::ignored;
  }
}

GuestEvent Guest::on_init_complete(std::span<const std::byte> payload) noexcept {
  const auto answer = answer_as<wire::NvspInitComplete>(payload);
  if (!answer) return fail(Failure::malformed_answer);
  if (answer->status != NvspStatus::success) {
    ++version_index_;
    return version_index_ < wire::kNvspVersions.size() ? GuestEvent::progress : fail(Failure::no_common_version);
  }
  result_.version = wire::kNvspVersions[version_index_];
  state_ = result_.version >= NvspVersion::v2 ? GuestState::send_config : GuestState::send_version;
  return GuestEvent::progress;
}

GuestEvent Guest::on_receive_buffer_complete(std::span<const std::byte> payload) noexcept {
  const auto answer = answer_as<wire::NvspReceiveBufferComplete>(payload);
  if (!answer) return fail(Failure::malformed_answer);
  receive_handed_over_ = answer->status == NvspStatus::success;
  if (!receive_handed_over_) return fail(Failure::receive_buffer_refused);
  if (const Failure failure = judge(*answer, config_); failure != Failure::none) return fail(failure);
  result_.suballoc_bytes = answer->suballoc_bytes;
  result_.suballoc_count = answer->suballoc_count;
  state_ = GuestState::connect_send;
  return GuestEvent::progress;
}

GuestEvent Guest::on_send_buffer_complete(std::span<const std::byte> payload) noexcept {
  const auto answer = answer_as<wire::NvspSendBufferComplete>(payload);
  if (!answer) return fail(Failure::malformed_answer);
  send_handed_over_ = answer->status == NvspStatus::success;
  if (!send_handed_over_) return fail(Failure::send_buffer_refused);
  if (const Failure failure = judge(*answer, config_); failure != Failure::none) return fail(failure);
  result_.section_bytes = answer->section_bytes;
  result_.section_count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(config_.send_bytes / answer->section_bytes, wire::kNoSection));
  state_ = GuestState::ready;
  return GuestEvent::ready;
}

GuestEvent Guest::on_message(std::span<const std::byte> payload) noexcept {
  const auto header = wire::load<wire::NvspHeader>(payload);
  std::uint64_t* counter = &counters_.unknown_messages;
  std::size_t least = sizeof(wire::NvspHeader);
  switch (header ? header->type : NvspType::none) {
    case NvspType::send_vf_association:
      counter = &counters_.vf_associations;
      least = sizeof(wire::NvspVfAssociation);
      break;
    case NvspType::switch_data_path:
      counter = &counters_.data_path_switches;
      least = sizeof(wire::NvspSwitchDataPath);
      break;
    case NvspType::send_indirection_table:
      counter = &counters_.send_tables;
      least = sizeof(wire::NvspSendTable);
      break;
    default: break;
  }
  if (payload.size() < least) counter = &counters_.malformed_messages;
  ++*counter;
  return GuestEvent::ignored;
}

void Guest::detach() noexcept {
  switch (state_) {
    case GuestState::idle:
    case GuestState::revoke_receive:
    case GuestState::revoke_send:
    case GuestState::detached: return;
    default: break;
  }
  awaiting_ = false;
  state_ = GuestState::revoke_receive;
}

void Guest::abandon(Failure reason) noexcept {
  if (state_ >= GuestState::negotiate && state_ <= GuestState::ready) fail(reason);
}

GuestEvent Guest::fail(Failure reason) noexcept {
  failure_ = reason;
  state_ = GuestState::failed;
  awaiting_ = false;
  return GuestEvent::failed;
}

}  // namespace vmbpmd::nvsp
