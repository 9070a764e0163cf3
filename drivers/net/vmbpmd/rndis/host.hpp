// SPDX-License-Identifier: BSD-3-Clause
// The host's half of RNDIS control: the NIC that a guest sees. Answers every control message, and tells the
// guest about its link. Bytes in, bytes and events out: it knows no suballoc, no ring and no thread; PACKET
// messages are not for it.
//
// Every query and set gets an answer, however wrong it is, as long as its request id can be read: some
// guests wait without end. Faults are counted and traffic goes on (netvsc.md 6.3). No answer is longer than
// wire::kMaxControlAnswerBytes.
//
//   state         on                     next state
//   idle          INITIALIZE             operational
//   idle          QUERY, SET             idle; answered with failure
//   operational   INITIALIZE             operational; answered with failure
//   operational   QUERY, SET, RESET      operational
//   any           KEEPALIVE              the same
//   any           HALT, reset()          idle; filter, multicast list, offloads, RSS and peer are forgotten
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "rndis/offload.hpp"
#include "rndis/rss.hpp"
#include "wire/message.hpp"
#include "wire/rndis.hpp"

namespace vmbpmd::rndis {

/// Counters of the NIC as its guest sees them (xmit: from the guest).
class StatisticsSource {
 public:
  /// @param oid  Oid::xmit_ok to receive_no_buffer, or first_class_counter to last_class_counter.
  virtual std::uint64_t counter(wire::Oid oid) noexcept = 0;

 protected:
  ~StatisticsSource() = default;
};

struct HostConfig {
  wire::MacAddress mac{};           // what the guest is told
  std::uint32_t config_mtu = 1514;  // until reset() says what NVSP granted
  std::uint64_t link_bit_per_s = 100'000'000'000;
  bool connected = false;
  std::uint32_t max_packets = 32;                 // PACKETs in one message; 8 imitates a real host
  std::uint32_t max_transfer_bytes = 0xEFFFFFFF;  // as real hosts: the section or the guest's pages are the limit
  std::uint32_t alignment_factor = 3;
  wire::NdisOffload offload{};         // all zero: none
  std::uint32_t rss_capabilities = 0;  // of wire::RssCapabilities
  std::uint32_t rss_queues = 1;
  std::uint32_t peer_capabilities = 0;  // wire::peer_capability bits that this end offers
  bool allow_mac_change = false;
  std::string_view friendly_name = "vmbpmd";  // ASCII; outlives the host; cut at kMaxFriendlyName
  StatisticsSource* statistics = nullptr;     // none: zeros; outlives the host
};

inline constexpr std::size_t kMaxFriendlyName = 100;
inline constexpr std::size_t kMaxHostMulticast = 64;

enum class HostState : std::uint8_t { idle, operational };

enum class HostEventKind : std::uint8_t {
  none,
  initialized,
  filter_changed,     // packet_filter()
  multicast_changed,  // multicast()
  mac_changed,        // mac()
  offload_changed,    // offload().parameters()
  rss_changed,        // rss()
  peer_agreed,        // peer_capabilities()
  halted,
  rejected,  // answered with a failure; counted
  ignored,   // no answer is possible: complete the packet with NVSP's failure; counted
};

struct HostEvent {
  HostEventKind kind = HostEventKind::none;
};

struct Answer {
  std::span<const std::byte> response;  // empty: none. Borrowed until the next call of a non-const member but next()
  HostEvent event;
};

struct HostCounters {
  std::uint64_t malformed = 0;      // lengths, offsets or objects that do not hold
  std::uint64_t unknown = 0;        // message types
  std::uint64_t out_of_order = 0;   // before INITIALIZE, or INITIALIZE twice
  std::uint64_t not_supported = 0;  // OIDs, or what they asked for
};

/// Threads: one at a time; no call blocks, allocates or throws.
class Host {
 public:
  explicit Host(const HostConfig& config) noexcept;

  /// One control message (any but PACKET).
  /// @param message  private memory: the guest cannot change it during the call. From its first byte to the
  ///                 end of what was received.
  Answer on_message(std::span<const std::byte> message) noexcept;

  /// A new channel, or one closed: forget the guest. Link, configuration and counters stay.
  /// @param config_mtu  what NVSP granted.
  void reset(std::uint32_t config_mtu) noexcept;

  /// The link changed. An operational guest is told: next() then gives one INDICATE_STATUS for each that it
  /// does not know yet, the latest state only.
  void indicate_media(bool connected) noexcept;
  void indicate_link_speed(std::uint64_t bit_per_s) noexcept;

  /// The next indication to send, if any. A caller without room for it just asks later.
  /// @return  borrowed until the next call of next().
  [[nodiscard]] std::optional<std::span<const std::byte>> next() noexcept;

  [[nodiscard]] HostState state() const noexcept { return state_; }
  [[nodiscard]] std::uint32_t packet_filter() const noexcept { return filter_; }
  [[nodiscard]] std::span<const wire::MacAddress> multicast() const noexcept {
    return std::span{multicast_}.first(multicast_count_);
  }
  [[nodiscard]] const wire::MacAddress& mac() const noexcept { return mac_; }
  [[nodiscard]] const OffloadSettings& offload() const noexcept { return offload_; }
  [[nodiscard]] const RssSettings& rss() const noexcept { return rss_; }
  [[nodiscard]] std::uint32_t guest_max_transfer_bytes() const noexcept { return guest_max_transfer_bytes_; }
  [[nodiscard]] std::uint32_t peer_capabilities() const noexcept { return peer_capabilities_; }
  [[nodiscard]] const HostCounters& counters() const noexcept { return counters_; }

 private:
  friend struct OidTable;

  /// One QUERY or SET on its way through its handler.
  struct Exchange {
    wire::Oid oid{};
    std::uint32_t value = 0;  // of the OID's row: what answer_value() answers
    std::span<const std::byte> input;
    std::span<std::byte> room;  // for the output
    std::size_t output_bytes = 0;
    HostEvent event{};

    template <wire::Layout T> wire::RndisStatus answer(const T& output, std::size_t bytes = sizeof(T)) noexcept;
  };
  using Handler = wire::RndisStatus (Host::*)(Exchange&) noexcept;

  // host.cpp: the messages
  Answer on_initialize(std::span<const std::byte> message) noexcept;
  Answer on_query(std::span<const std::byte> message) noexcept;
  Answer on_set(std::span<const std::byte> message) noexcept;
  Answer on_halt(std::span<const std::byte> message) noexcept;
  Answer on_reset(std::span<const std::byte> message) noexcept;
  Answer on_keepalive(std::span<const std::byte> message) noexcept;
  wire::RndisStatus run(std::span<const std::byte> message, bool is_set, Exchange& exchange) noexcept;
  template <class Message> Answer respond(const Message& message, HostEvent event) noexcept;
  Answer ignore(std::uint64_t& counter) noexcept;
  void count(wire::RndisStatus status) noexcept;
  void forget_guest() noexcept;

  // oids.cpp: the table of OIDs and their handlers
  static Handler find_handler(wire::Oid oid, bool is_set, std::uint32_t& value) noexcept;
  wire::RndisStatus answer_value(Exchange& exchange) noexcept;
  wire::RndisStatus answer_supported_list(Exchange& exchange) noexcept;
  wire::RndisStatus answer_max_frame_size(Exchange& exchange) noexcept;
  wire::RndisStatus answer_config_mtu(Exchange& exchange) noexcept;
  wire::RndisStatus answer_link_speed(Exchange& exchange) noexcept;
  wire::RndisStatus answer_max_link_speed(Exchange& exchange) noexcept;
  wire::RndisStatus answer_media_status(Exchange& exchange) noexcept;
  wire::RndisStatus answer_link_state(Exchange& exchange) noexcept;
  wire::RndisStatus answer_permanent_address(Exchange& exchange) noexcept;
  wire::RndisStatus answer_current_address(Exchange& exchange) noexcept;
  wire::RndisStatus answer_driver_version(Exchange& exchange) noexcept;
  wire::RndisStatus answer_vendor_description(Exchange& exchange) noexcept;
  wire::RndisStatus answer_friendly_name(Exchange& exchange) noexcept;
  wire::RndisStatus answer_counter(Exchange& exchange) noexcept;
  wire::RndisStatus answer_statistics(Exchange& exchange) noexcept;
  wire::RndisStatus answer_filter(Exchange& exchange) noexcept;
  wire::RndisStatus answer_rss_capabilities(Exchange& exchange) noexcept;
  wire::RndisStatus answer_hardware_offload(Exchange& exchange) noexcept;
  wire::RndisStatus answer_current_offload(Exchange& exchange) noexcept;
  wire::RndisStatus answer_encapsulation(Exchange& exchange) noexcept;
  wire::RndisStatus answer_peer(Exchange& exchange) noexcept;
  wire::RndisStatus set_filter(Exchange& exchange) noexcept;
  wire::RndisStatus set_multicast(Exchange& exchange) noexcept;
  wire::RndisStatus set_rss(Exchange& exchange) noexcept;
  wire::RndisStatus set_offload(Exchange& exchange) noexcept;
  wire::RndisStatus set_encapsulation(Exchange& exchange) noexcept;
  wire::RndisStatus set_config_parameter(Exchange& exchange) noexcept;
  wire::RndisStatus set_ignored(Exchange& exchange) noexcept;

  HostConfig config_;
  HostCounters counters_{};
  OffloadSettings offload_;
  wire::NdisOffloadEncapsulation encapsulation_{};
  RssSettings rss_{};
  std::array<wire::MacAddress, kMaxHostMulticast> multicast_{};
  std::size_t multicast_count_ = 0;
  std::array<std::byte, wire::kMaxControlAnswerBytes> response_{};
  std::array<std::byte, sizeof(wire::RndisIndicateStatus) + sizeof(wire::NdisOffload)> indication_{};
  wire::MacAddress mac_{};
  std::uint32_t filter_ = 0;
  std::uint32_t guest_max_transfer_bytes_ = 0;
  std::uint32_t peer_capabilities_ = 0;
  HostState state_ = HostState::idle;
  bool media_pending_ = false;  // indications not yet handed out
  bool speed_pending_ = false;
  bool offload_pending_ = false;
};

}  // namespace vmbpmd::rndis
