// SPDX-License-Identifier: BSD-3-Clause
// The host's half of NVSP control: answers one guest's requests on the primary channel. Bytes in, the
// payload of a completion and an event out: it knows no ring, no memory and no thread; sizes of GPADLs come
// through BufferTable. RNDIS messages (107, 108) are not for it.
//
// A message that is unknown, too short, unknown to the agreed version or out of order never ends anything:
// it is counted, completed with failure if it asked for a completion, and life goes on (netvsc.md 1.7,
// 6.3).
//
//   state    on                                     next state
//   opened   INIT with a version we know            agreed; another INIT is refused, and tried again
//   agreed   NDIS version, config, buffers          agreed; each once, config before receive buffer
//   agreed   the last of: NDIS version, receive buffer, (version 2 and later) config      ready
//   ready    send buffer, subchannel, OID query, data path switch     ready
//   agreed, ready    revoke of a connected buffer   revoked; the data path stops until the channel is closed
//   revoked  revoke                                 revoked
//   any      reset()                                opened
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wire/nvsp.hpp"

namespace vmbpmd::nvsp {

/// Who knows the guest's memory.
class BufferTable {
 public:
  /// @return  size of a GPADL of this NIC's channel that can be used as a buffer (one contiguous range,
  ///          page aligned, mapped read-write); nothing if there is no such GPADL.
  virtual std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept = 0;

 protected:
  ~BufferTable() = default;
};

struct HostConfig {
  wire::NvspVersion highest_version = wire::NvspVersion::v6_1;
  std::uint32_t max_config_mtu = 9216 + 14;  // IP MTU + 14
  std::uint32_t section_bytes = 6144;
  std::uint32_t max_suballoc_count = 32768;
  std::uint64_t max_buffer_bytes = 64u << 20;  // larger receive or send buffers are refused
};

enum class HostState : std::uint8_t { opened, agreed, ready, revoked };

enum class HostEventKind : std::uint8_t {
  none,
  version_agreed,
  receive_connected,   // gpadl, id, unit_bytes x unit_count suballocs
  send_connected,      // gpadl, id, unit_bytes x unit_count sections
  revoked,             // stop touching both buffers at once, also for frames already on their way
  data_path_switched,  // the guest says which path it uses; we have the synthetic one only
  ignored,             // unknown, malformed or out of order: counted
};

struct HostEvent {
  HostEventKind kind = HostEventKind::none;
  bool ready = false;  // RNDIS messages may flow from this message on; true exactly once per attach
  std::uint16_t id = 0;
  std::uint32_t gpadl = 0;
  std::uint32_t unit_bytes = 0;
  std::uint32_t unit_count = 0;
};

struct Answer {
  /// Payload of the VMBus completion, possibly empty; nothing if none was asked for. Borrowed until the
  /// next call of a non-const member.
  std::optional<std::span<const std::byte>> completion;
  HostEvent event;
};

struct HostCounters {
  std::uint64_t versions_refused = 0;
  std::uint64_t buffers_refused = 0;  // no such GPADL, or too small or too large
  std::uint64_t malformed = 0;
  std::uint64_t out_of_order = 0;  // also: twice, or newer than the agreed version
  std::uint64_t unknown = 0;
};

/// Bounds of a guest's wish for a config MTU; outside them it gets wire::kDefaultConfigMtu.
inline constexpr std::uint32_t kMinConfigMtu = 68 + 14;
inline constexpr std::uint32_t kMaxConfigMtu = 9216 + 14;

/// Bytes of a suballoc that takes any frame of a config MTU, with a VLAN tag, behind its RNDIS header and
/// four infos.
[[nodiscard]] constexpr std::uint32_t suballoc_bytes_for(std::uint32_t config_mtu) noexcept {
  constexpr std::uint32_t kHeader = 44 + 4 * 16;
  constexpr std::uint32_t kFloor = 1728;  // what real hosts give at 1514: keeps guests' tunings valid
  const std::uint32_t bytes = (kHeader + config_mtu + 4 + 63) / 64 * 64;
  return bytes < kFloor ? kFloor : bytes;
}
static_assert(suballoc_bytes_for(1514) == 1728 && suballoc_bytes_for(9014) == 9152);

/// Threads: one at a time; no call blocks, allocates or throws.
class Host {
 public:
  /// @param buffers  outlives this object.
  Host(const HostConfig& config, BufferTable& buffers) noexcept : config_{config}, buffers_{&buffers} { reset(); }

  /// One in-band packet of the primary channel that is neither 107 nor 108.
  /// @param payload  private memory: the guest cannot change it during the call.
  Answer on_message(std::span<const std::byte> payload, bool completion_requested) noexcept;

  /// The channel was closed: forget everything but the configuration and the counters.
  void reset() noexcept;

  [[nodiscard]] HostState state() const noexcept { return state_; }
  [[nodiscard]] wire::NvspVersion version() const noexcept { return version_; }
  [[nodiscard]] std::uint32_t config_mtu() const noexcept { return config_mtu_; }      // granted
  [[nodiscard]] std::uint64_t capabilities() const noexcept { return capabilities_; }  // of NvspNdisConfig
  [[nodiscard]] const HostCounters& counters() const noexcept { return counters_; }

 private:
  /// What a handler made of a message: bytes in out_ (length 0: an empty completion) and an event.
  struct Reply {
    std::size_t bytes = 0;
    HostEvent event{};
  };

  Reply dispatch(wire::NvspType type, std::span<const std::byte> payload) noexcept;
  Reply on_init(std::span<const std::byte> payload) noexcept;
  Reply on_ndis_version(std::span<const std::byte> payload) noexcept;
  Reply on_ndis_config(std::span<const std::byte> payload) noexcept;
  Reply on_receive_buffer(std::span<const std::byte> payload) noexcept;
  Reply on_send_buffer(std::span<const std::byte> payload) noexcept;
  Reply on_revoke(wire::NvspType type, std::span<const std::byte> payload) noexcept;
  Reply on_switch_data_path(std::span<const std::byte> payload) noexcept;
  Reply on_oid_query(std::span<const std::byte> payload) noexcept;
  Reply on_subchannel(std::span<const std::byte> payload) noexcept;

  template <class Message> Reply compose(const Message& message, std::size_t bytes, HostEvent event = {}) noexcept;
  Reply refuse(wire::NvspType request, std::uint64_t& counter) noexcept;
  std::optional<std::uint64_t> usable_buffer(std::uint32_t gpadl, std::uint32_t unit_bytes) noexcept;
  [[nodiscard]] std::size_t answer_bytes() const noexcept;
  [[nodiscard]] bool attaching_or_ready() const noexcept;

  HostConfig config_;
  BufferTable* buffers_;
  HostCounters counters_{};
  std::array<std::byte, wire::kNvspBytes> out_{};
  std::uint64_t capabilities_ = 0;
  wire::NvspVersion version_{};
  std::uint32_t config_mtu_ = wire::kDefaultConfigMtu;
  HostState state_ = HostState::opened;
  bool have_config_ = false;
  bool have_ndis_version_ = false;
  bool have_receive_ = false;
  bool have_send_ = false;
};

}  // namespace vmbpmd::nvsp
