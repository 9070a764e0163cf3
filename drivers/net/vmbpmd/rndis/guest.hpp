// SPDX-License-Identifier: BSD-3-Clause
// The guest's half of RNDIS control: initializes the host's NIC, asks what it is, and later sets filters
// and follows the link. Bytes in, bytes and events out: it knows no section, no ring, no clock and no
// thread; PACKET messages are not for it. One request is out at a time; its answer is matched by request id
// and type, in whatever message it comes.
//
// Nothing a host writes crashes it or is believed unchecked (netvsc.md 6.2). Messages that match nothing
// are counted and dropped. A bad or refused answer ends an attach if the request was fatal, else the value
// asked for stays at its default.
//
// The attach, in order (fatal unless said otherwise): INITIALIZE; SET filter 0 (result ignored: some hosts
// keep an old filter); QUERY permanent address; maximum frame size, link speed, media status, peer (all
// four tolerated).
//
//   state         on                                    next state
//   any           start()                               attaching
//   attaching     answer of the last request            operational
//   attaching     fatal request refused or answered badly, abandon()     failed
//   operational   abandon()                             operational, the request is given up
//   attaching, operational, failed      halt(), then next()              halted
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/rndis.hpp"

namespace vmbpmd::rndis {

struct GuestConfig {
  std::uint32_t max_transfer_bytes = 0x4000;  // what the host may send in one message
  std::uint32_t peer_capabilities = 0;        // wire::peer_capability bits that this end offers
};

/// What the host said; defaults stand where it did not.
struct GuestResult {
  std::uint32_t max_packets = 0;
  std::uint32_t max_transfer_bytes = 0;
  std::uint32_t alignment_factor = 0;  // PACKETs start at multiples of 2^factor
  wire::MacAddress mac{};
  std::uint32_t max_frame_size = 0;  // IP MTU; 0: not told
  std::uint32_t link_speed = 0;      // 100 bit/s; 0: not told
  bool connected = true;
  std::uint32_t peer_capabilities = 0;
};

enum class GuestState : std::uint8_t { idle, attaching, operational, halting, halted, failed };

enum class GuestRequest : std::uint8_t {
  none,
  initialize,
  clear_filter,
  query_mac,
  query_max_frame_size,
  query_link_speed,
  query_media,
  query_peer,
  set_mac,
  set_filter,
  set_multicast,
};

enum class Failure : std::uint8_t {
  none,
  malformed_answer,
  initialize_refused,
  alignment_factor,    // above 7
  no_packets,          // the host takes none in a message
  transfer_too_small,  // not even one full frame in a message
  mac_refused,
  mac_invalid,  // not six bytes, zero, or a group address
  timed_out,    // these two are for abandon()
  channel_closed,
};
[[nodiscard]] const char* name(Failure failure) noexcept;

enum class GuestEventKind : std::uint8_t {
  none,
  progress,      // call next()
  operational,   // attached: result() holds, data may flow
  request_done,  // `request` was answered with `status`, or given up (RndisStatus::failure)
  link_changed,  // an indication: look at result()
  failed,        // failure() says why
  ignored,       // counted
};

struct GuestEvent {
  GuestEventKind kind = GuestEventKind::none;
  GuestRequest request = GuestRequest::none;
  wire::RndisStatus status = wire::RndisStatus::success;
};

struct GuestCounters {
  std::uint64_t malformed = 0;            // lengths or offsets that do not hold
  std::uint64_t unmatched = 0;            // late, doubled or unknown answers
  std::uint64_t refused = 0;              // tolerated requests that got no usable answer
  std::uint64_t ignored_indications = 0;  // of a kind that we do not follow
  std::uint64_t unknown = 0;              // message types
};

inline constexpr std::uint32_t kMaxAlignmentFactor = 7;
inline constexpr std::uint32_t kMinTransferBytes = 1514 + 108;
inline constexpr std::size_t kMaxMulticast = 64;

/// Threads: one at a time; no call blocks, allocates or throws.
class Guest {
 public:
  /// Begin an attach, from any state. Counters and request ids go on, so that an answer to an earlier
  /// attach matches nothing.
  void start(const GuestConfig& config) noexcept;

  /// The next message to send, if it is our turn: nothing while a request is out.
  /// @return  borrowed until the next call of a non-const member.
  [[nodiscard]] std::optional<std::span<const std::byte>> next() noexcept;

  /// One control message from the host (any but PACKET).
  /// @param message  private memory, from the message's first byte to the end of its range.
  GuestEvent on_message(std::span<const std::byte> message) noexcept;

  /// The answer did not come in time, or never will.
  GuestEvent abandon(Failure reason) noexcept;

  /// Requests once operational; they wait for next(), and end in request_done. A request made again before
  /// it was sent replaces the earlier one.
  void set_packet_filter(std::uint32_t filter) noexcept;
  void query_link() noexcept;  // media status and speed
  /// @return  false, with nothing changed, for more than kMaxMulticast addresses.
  bool set_multicast(std::span<const wire::MacAddress> addresses) noexcept;

  /// Ask the host to take another address for this guest.
  void set_mac(const wire::MacAddress& mac) noexcept;

  /// Drop whatever is out or waiting; next() then gives HALT, which has no answer. No effect before start()
  /// or twice.
  void halt() noexcept;

  [[nodiscard]] GuestState state() const noexcept { return state_; }
  [[nodiscard]] Failure failure() const noexcept { return failure_; }
  [[nodiscard]] const GuestResult& result() const noexcept { return result_; }
  [[nodiscard]] std::uint32_t peer_capabilities() const noexcept { return result_.peer_capabilities; }
  [[nodiscard]] GuestRequest outstanding() const noexcept { return outstanding_; }
  [[nodiscard]] const GuestCounters& counters() const noexcept { return counters_; }

 private:
  /// The answer to a query or set, its lengths checked.
  struct Completion {
    wire::RndisStatus status = wire::RndisStatus::failure;
    std::span<const std::byte> output;
  };

  std::span<const std::byte> send(GuestRequest request) noexcept;
  std::span<const std::byte> send_initialize() noexcept;
  std::span<const std::byte> send_query(wire::RndisType type, wire::Oid oid, std::span<const std::byte> input) noexcept;
  std::span<const std::byte> send_mac() noexcept;
  GuestRequest take_wanted() noexcept;

  GuestEvent on_answer(wire::RndisType type, std::span<const std::byte> message) noexcept;
  GuestEvent on_indication(std::span<const std::byte> message) noexcept;
  GuestEvent finish(GuestRequest request, std::span<const std::byte> message) noexcept;
  Failure take_initialize(std::span<const std::byte> message) noexcept;
  Failure take_mac(const Completion& completion) noexcept;
  bool take_tolerated(GuestRequest request, const Completion& completion) noexcept;
  static std::optional<Completion> parse_completion(GuestRequest request, std::span<const std::byte> message) noexcept;
  GuestEvent advance(GuestRequest request, wire::RndisStatus status) noexcept;
  GuestEvent fail(Failure reason) noexcept;

  GuestConfig config_{};
  GuestResult result_{};
  GuestCounters counters_{};
  std::array<wire::MacAddress, kMaxMulticast> multicast_{};
  std::array<std::byte, sizeof(wire::RndisQuery) + sizeof(multicast_)> out_{};
  std::size_t multicast_count_ = 0;
  wire::MacAddress mac_{};
  std::uint32_t filter_ = 0;
  std::uint32_t request_id_ = 0;  // of the last request sent
  std::uint32_t wanted_ = 0;      // bit per GuestRequest that waits to be sent
  GuestRequest outstanding_ = GuestRequest::none;
  GuestState state_ = GuestState::idle;
  Failure failure_ = Failure::none;
};

}  // namespace vmbpmd::rndis
