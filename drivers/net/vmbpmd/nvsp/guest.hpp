// SPDX-License-Identifier: BSD-3-Clause
// The guest's half of NVSP control: agrees a version, says what it is, hands over the receive and the send
// buffer, and takes them back. Bytes in, bytes and events out: it knows no ring, no channel, no clock and
// no thread. RNDIS messages (107, 108) are not for it; the caller keeps them apart, and answers any in-band
// packet that asks for a completion with an empty one.
//
// Nothing a host writes crashes it or is believed unchecked: an answer that does not hold (netvsc.md 6.2)
// ends the attach with a Failure, everything else that is not expected is counted and ignored.
//
//   state            on                           next state
//   any              start()                      negotiate
//   negotiate        answer: accepted             send_config, or send_version when version 1 was agreed
//   negotiate        answer: any other status     negotiate, one version lower; failed below version 1
//   send_config      next()                       send_version
//   send_version     next()                       connect_receive
//   connect_receive  answer: good / bad           connect_send / failed
//   connect_send     answer: good / bad           ready / failed
//   ready, failed    detach()                     revoke_receive
//   negotiate .. connect_send  detach()           revoke_receive
//   negotiate .. ready         abandon()          failed
//   revoke_receive   next()                       revoke_send (each only if its buffer was handed over)
//   revoke_send      next()                       detached
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/nvsp.hpp"

namespace vmbpmd::nvsp {

struct Outgoing {
  std::span<const std::byte> payload;  // borrowed until the next call of a non-const member
  bool completion_requested;
};

struct GuestConfig {
  wire::NvspVersion highest_version = wire::NvspVersion::v6_1;
  std::uint32_t config_mtu = wire::kDefaultConfigMtu;  // IP MTU + 14; from version 2 on the host is told
  std::uint32_t receive_gpadl = 0;
  std::uint64_t receive_bytes = 0;
  std::uint32_t send_gpadl = 0;
  std::uint64_t send_bytes = 0;
  std::uint32_t min_suballoc_bytes = 128;       // RNDIS header, four infos and an Ethernet header, rounded up
  std::uint32_t max_suballoc_count = 1u << 20;  // what the caller's bookkeeping can take
};

/// What was agreed; complete in state ready.
struct GuestResult {
  wire::NvspVersion version{};
  std::uint32_t suballoc_bytes = 0;
  std::uint32_t suballoc_count = 0;
  std::uint32_t section_bytes = 0;
  std::uint32_t section_count = 0;
};

enum class GuestState : std::uint8_t {
  idle,
  negotiate,
  send_config,
  send_version,
  connect_receive,
  connect_send,
  ready,
  revoke_receive,
  revoke_send,
  detached,
  failed,
};

enum class Failure : std::uint8_t {
  none,
  no_common_version,
  malformed_answer,        // shorter than its type, or another type than asked for
  receive_buffer_refused,  // the host's status is not success
  receive_section_count,   // not exactly one section
  receive_section_offset,  // not at offset 0
  suballoc_too_small,
  suballoc_count,  // none, or more than max_suballoc_count
  suballocs_exceed_buffer,
  send_buffer_refused,
  section_too_small,   // below kMinSectionBytes
  section_misaligned,  // not a multiple of 8
  section_exceeds_buffer,
  timed_out,  // these two are for abandon()
  channel_closed,
};
[[nodiscard]] const char* name(Failure failure) noexcept;

enum class GuestEvent : std::uint8_t {
  none,      // nothing for the caller to do
  progress,  // call next()
  ready,     // attached: result() holds
  failed,    // failure() says why; detach() and next() give the buffers back while the channel is open
  ignored,   // the message was not expected or not understood; counted
};

struct GuestCounters {
  std::uint64_t unexpected_completions = 0;
  std::uint64_t vf_associations = 0;
  std::uint64_t data_path_switches = 0;
  std::uint64_t send_tables = 0;
  std::uint64_t malformed_messages = 0;
  std::uint64_t unknown_messages = 0;
};

inline constexpr std::uint32_t kMinSectionBytes = 256;
inline constexpr std::uint32_t kMinSuballocBytes = 68;  // Linux's floor; GuestConfig's cannot go below it

/// Threads: one at a time; no call blocks, allocates or throws.
class Guest {
 public:
  /// Begin an attach on a freshly opened channel, from any state. Counters go on counting.
  void start(const GuestConfig& config) noexcept;

  /// The next message to send, if it is our turn. A message that gets an answer is handed out once; the
  /// next one comes after its answer was passed to on_completion().
  [[nodiscard]] std::optional<Outgoing> next() noexcept;

  /// The payload of the completion of a message that next() gave.
  GuestEvent on_completion(std::span<const std::byte> payload) noexcept;

  /// The payload of an unsolicited in-band message. All known ones are allowed at any time and none changes
  /// anything.
  GuestEvent on_message(std::span<const std::byte> payload) noexcept;

  /// Begin to give the buffers back: next() then gives the revokes, for every buffer that the host may
  /// think is its. The caller has stopped its data path. No effect before start() or twice.
  void detach() noexcept;

  /// The caller waited long enough, or lost the channel: state failed, unless already idle or past detach().
  void abandon(Failure reason) noexcept;

  [[nodiscard]] GuestState state() const noexcept { return state_; }
  [[nodiscard]] Failure failure() const noexcept { return failure_; }
  [[nodiscard]] const GuestResult& result() const noexcept { return result_; }
  [[nodiscard]] const GuestCounters& counters() const noexcept { return counters_; }

 private:
  template <class Message> Outgoing give(const Message& message, bool completion_requested) noexcept;
  Outgoing request_init() noexcept;
  Outgoing tell_config() noexcept;
  Outgoing tell_version() noexcept;
  std::optional<Outgoing> revoke_receive() noexcept;
  std::optional<Outgoing> revoke_send() noexcept;

  GuestEvent on_init_complete(std::span<const std::byte> payload) noexcept;
  GuestEvent on_receive_buffer_complete(std::span<const std::byte> payload) noexcept;
  GuestEvent on_send_buffer_complete(std::span<const std::byte> payload) noexcept;
  GuestEvent fail(Failure reason) noexcept;

  GuestConfig config_{};
  GuestResult result_{};
  GuestCounters counters_{};
  std::array<std::byte, wire::kNvspBytes> out_{};
  std::size_t version_index_ = 0;  // into wire::kNvspVersions
  GuestState state_ = GuestState::idle;
  Failure failure_ = Failure::none;
  bool awaiting_ = false;  // a request of this state is out
  bool receive_handed_over_ = false;
  bool send_handed_over_ = false;
};

}  // namespace vmbpmd::nvsp
