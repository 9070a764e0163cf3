// SPDX-License-Identifier: BSD-3-Clause
// The host end (NetVSP): offers a NIC on its link, answers the guest's NVSP and RNDIS, takes frames out of sections and
// guest pages, and sends frames in the receive buffer, many ranges to a packet.
//
//   state       on                                   next state
//   offered     the guest opens the channel           open (NVSP, RNDIS: their own state machines)
//   open        the guest closes                      offered
//   any         ring fault, or a change of MTU        withdrawn (rescinded), offered again at the next step
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "nvsp/host.hpp"
#include "port/end.hpp"
#include "port/free_list.hpp"
#include "rndis/host.hpp"
#include "transport/inproc.hpp"

namespace vmbpmd {

class Host final : public End, private vmb::InprocHost, private nvsp::BufferTable {
 public:
  struct Config {
    wire::NvspVersion highest_version = wire::NvspVersion::v6_1;
    wire::MacAddress guest_mac{};
    std::uint32_t speed_mbps = 100'000;
    std::uint32_t section_bytes = 6144;  // real hosts' value
    std::uint32_t max_packets = 32;      // frames in a section; real hosts say 8
    bool unfiltered = false;             // send the guest what its packet filter does not want, too
    std::string name = "vmbpmd";         // the NIC's friendly name
  };

  explicit Host(const Config& config) noexcept;
  ~Host() override;

  [[nodiscard]] const char* init(vmb::InprocBus& bus, std::string_view link_name) noexcept;
  void close() noexcept;

  std::uint16_t tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept override;
  bool step(Clock::time_point now) noexcept override;
  void apply() noexcept override;
  LinkState link() const noexcept override;

  const nvsp::Host& nvsp() const noexcept { return nvsp_; }
  const rndis::Host& rndis() const noexcept { return rndis_; }

 private:
  static constexpr std::uint32_t kReserved = 16;        // suballocs for control messages and indications
  static constexpr std::uint32_t kMaxRangesSent = 128;  // per transfer-pages packet
  static constexpr std::uint32_t kMaxPieces = 64;       // contiguous pieces of one guest message
  static constexpr std::uint32_t kChunkBytes = 8192;    // aim of a chunk: several frames, a few lines of overhead
  static constexpr std::uint32_t kMaxExtension = 2048;  // of a GPA-direct packet: 64 ranges of three pages each

  // host.cpp: control plane
  void channel_opened(const vmb::ChannelParts& parts) noexcept override;
  void channel_closed() noexcept override;
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override;
  void stop_running() noexcept;
  bool handle_inbox() noexcept;
  void answer_nvsp(const Inbox::Message& message) noexcept;
  void answer_rndis(const Inbox::Message& message) noexcept;
  void on_nvsp(const nvsp::HostEvent& event) noexcept;
  bool send_waiting() noexcept;
  bool send_rndis(Sender& out, std::span<const std::byte> message) noexcept;
  void lay_chunks(bool dense) noexcept;
  void forget_buffers() noexcept;
  void update_sides() noexcept;
  nvsp::HostConfig nvsp_config() const noexcept;

  // host_rx.cpp: the receiving side
  bool take_packet(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept override;
  bool take_control(std::uint64_t id, const PieceView& view, std::uint64_t bytes) noexcept override;
  bool take_message(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept;
  bool take_rndis(Receiver& in, const vmb::PeekedPacket& packet, const wire::NvspRndisPacket& message,
                  Reader reader) noexcept;
  void take_completion(Receiver& in, const vmb::PeekedPacket& packet) noexcept;
  void acknowledge(Sender& out) noexcept override;

  // host_tx.cpp: the sending side
  class Burst;
  std::uint16_t send_in_chunks(Sender& out, rte_mbuf** frames, std::uint16_t count) noexcept;
  bool takes_all() const noexcept;
  bool wanted_by_guest(const rte_mbuf* frame) const noexcept;
  std::uint16_t leading_wanted(rte_mbuf** frames, std::uint16_t count) const noexcept;
  void take_returned() noexcept;
  void give_back(std::uint32_t first_chunk) noexcept;
  std::uint32_t first_suballoc(std::uint32_t chunk) const noexcept { return reserved_ + chunk * suballocs_per_chunk_; }

  const Config config_;
  vmb::InprocBus* bus_{};
  vmb::InprocLink* link_{};
  nvsp::Host nvsp_;
  rndis::Host rndis_;

  // shared memory of the guest, changed under both sides' locks while the channel is open
  std::span<const std::byte> send_buffer_;
  std::uint32_t section_bytes_{}, section_count_{};
  std::span<std::byte> receive_buffer_;
  std::uint16_t receive_buffer_id_{};
  std::uint32_t nvsp_answer_bytes_{wire::kNvspLegacyBytes};
  std::uint32_t suballoc_bytes_{}, suballoc_count_{}, reserved_{}, suballocs_per_chunk_{1};
  bool dense_{};                                      // several frames to a chunk: the guest is ours
  std::unique_ptr<std::atomic<bool>[]> outstanding_;  // by suballoc that names a packet: not yet completed

  // sending side
  struct Tx {
    bool up{};
    std::uint32_t max_frame{};
    std::uint32_t filter{};
    bool in_ring{};  // the guest takes frames in the ring itself
    wire::MacAddress guest_mac{};
    std::vector<wire::MacAddress> multicast;
    FreeList free_chunks;
    std::vector<std::uint32_t> next_chunk;  // chunks of one packet, linked
    std::uint32_t last_used{};              // bytes of a chunk
  } out_;

  // control plane
  struct Waiting {
    bool is_completion;
    std::uint64_t id;
    std::vector<std::byte> bytes;
  };
  bool open_{}, running_{};
  std::uint16_t offered_mtu_{};
  BackOff back_off_;
  Clock::time_point offer_at_{};
  std::deque<Waiting> waiting_;  // answers, in order, that the ring has not taken yet
};

}  // namespace vmbpmd
