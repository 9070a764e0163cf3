// SPDX-License-Identifier: BSD-3-Clause
// The guest end (NetVSC): donates rings and buffers, attaches to the host it finds on its link, sends frames in sections of
// the send buffer or from where they lie, and takes frames out of the receive buffer.
//
//   state        on                                     next state
//   waiting      the link is offered, back-off is over   attaching (channel opened, NVSP started)
//   attaching    NVSP and RNDIS are done                 attached
//   attaching    refused, or no answer in time           waiting, with a longer back-off
//   attached     detach wanted (close, new MTU)          detaching (HALT, revokes)
//   detaching    HALT completed, or no answer in time    waiting
//   any but waiting   rescind, ring fault                waiting
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "channel/gpa_list.hpp"
#include "nvsp/guest.hpp"
#include "packet/in_flight.hpp"
#include "port/end.hpp"
#include "port/free_list.hpp"
#include "rndis/guest.hpp"
#include "transport/inproc.hpp"
#include "transport/memory.hpp"

namespace vmbpmd {

class Guest final : public End, private vmb::InprocGuest {
 public:
  struct Config {
    int numa_node = vmb::SharedMemory::kAnyNode;
    wire::NvspVersion highest_version = wire::NvspVersion::v6_1;
    std::uint32_t ring_bytes = 256 * 1024;  // data bytes of each ring
    std::uint32_t receive_buffer_bytes = 4 * 1024 * 1024;
    std::uint32_t send_buffer_bytes = 2 * 1024 * 1024;
    std::uint32_t tx_copybreak = 512;  // frames up to this are copied into sections
  };

  explicit Guest(const Config& config) noexcept : config_(config) {}
  ~Guest() override;

  /// Reserve memory and join the link. @return false with a reason: no memory, or the link has a guest.
  [[nodiscard]] const char* init(vmb::InprocBus& bus, std::string_view link_name) noexcept;

  /// Detach as far as the host takes part within one round of steps, then leave the link. Idempotent.
  void close() noexcept;

  std::uint16_t tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept override;
  bool step(Clock::time_point now) noexcept override;
  void apply() noexcept override;
  LinkState link() const noexcept override;

  /// The application gave wanted().mac: the host is asked to take it. Otherwise the host's answer counts.
  void use_own_mac() noexcept { own_mac_ = true; }

  /// Begin an orderly detach; step() does it, and attaches again by itself.
  void detach() noexcept;
  /// The same, for good: close() follows.
  void leave() noexcept {
    closing_ = true;
    detach();
  }
  bool is_detached() const noexcept { return state_ == State::waiting; }
  bool is_attached() const noexcept { return state_ == State::attached; }

  const nvsp::Guest& nvsp() const noexcept { return nvsp_; }
  const rndis::Guest& rndis() const noexcept { return rndis_; }
  wire::MacAddress mac() const noexcept;
  /// Largest IP MTU that both ends agreed on; the wish while not attached.
  std::uint16_t mtu() const noexcept;
  std::size_t memory_bytes() const noexcept { return memory_.bytes().size(); }

 private:
  enum class State : std::uint8_t { waiting, attaching, attached, detaching };

  // Slots of the in-flight table, by what they hold.
  static constexpr std::uint32_t kNvspSlot = 0;
  static constexpr std::uint32_t kFirstRndisSlot = 1;
  static constexpr std::uint32_t kRndisSlots = 4;
  static constexpr std::uint32_t kFirstDirectSlot = kFirstRndisSlot + kRndisSlots;
  static constexpr std::uint32_t kDirectSlots = 128;  // frames in flight: more do not fit the caches
  static constexpr std::uint32_t kNoSlot = ~0u;
  static constexpr std::uint32_t kMaxDirectBatch = 32;  // frames of one packet, to a host of ours
  static constexpr std::uint32_t kFirstSectionSlot = kFirstDirectSlot + kDirectSlots;
  static constexpr std::uint32_t kControlBytes = 4096;  // room of one RNDIS control message
  static constexpr std::uint32_t kHeaderBytes = 64;     // room of one direct frame's RNDIS header
  static constexpr std::uint32_t kBounceSlots = 64;     // direct slots with room for a whole frame
  static constexpr std::uint32_t kMaxRangesTaken =
      StagedTransactions::kMaxPiecesOfOne;  // per transfer-pages packet (netvsc.md 5.3: 562 at most)

  // guest.cpp: control plane
  void channel_rescinded() noexcept override;
  bool open_channel(Clock::time_point now) noexcept;
  void close_channel() noexcept;
  bool handle_inbox(Clock::time_point now) noexcept;
  void on_nvsp(nvsp::GuestEvent event, Clock::time_point now) noexcept;
  void on_rndis(const rndis::GuestEvent& event, Clock::time_point now) noexcept;
  bool send_control() noexcept;
  bool send_nvsp() noexcept;
  bool send_rndis() noexcept;
  void start_data() noexcept;
  void update_tx() noexcept;
  std::uint32_t wanted_filter() const noexcept;
  std::byte* control_room(std::uint32_t slot) const noexcept;
  bool attach_failed(const char* what, const char* why, Clock::time_point now) noexcept;

  // guest_rx.cpp: the receiving side
  bool take_packet(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept override;
  bool take_control(std::uint64_t id, const PieceView& view, std::uint64_t bytes) noexcept override;
  bool take_transfer(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept;
  void take_completion(Receiver& in, const vmb::PeekedPacket& packet) noexcept;
  void acknowledge(Sender& out) noexcept override;

  // guest_tx.cpp: the sending side
  struct Section {
    std::uint32_t slot;
    std::uint32_t used;
    std::uint32_t frames;
    std::uint32_t payload_bytes;
  };
  std::byte* section_at(std::uint32_t slot) const noexcept;
  std::uint16_t send_elsewhere(Sender& out, rte_mbuf** frames, std::uint16_t count) noexcept;
  bool open_section(Section& section) noexcept;
  std::uint16_t fill(Section& section, rte_mbuf** frames, std::uint16_t count) noexcept;
  bool close_section(Sender& out, Section& section) noexcept;
  void take_returned() noexcept;
  std::uint32_t padded(std::uint32_t frame_bytes) const noexcept;
  bool fits(const Section& section, std::uint32_t frame_bytes) const noexcept;

  // guest_direct.cpp: the sending side, but for free_direct_frames()
  struct DirectSlot {
    std::atomic<rte_mbuf*> frame{};   // while in flight; none if it was copied
    std::atomic<std::uint32_t> next;  // of the same packet, or kNoSlot
    std::uint32_t header_for{};       // frame length that the header in memory says; the sender's
  };
  std::uint16_t send_direct(Sender& out, rte_mbuf** frames, std::uint16_t count, std::uint64_t& bytes) noexcept;
  bool send_bounced(Sender& out, const rte_mbuf* frame) noexcept;
  bool send_list(Sender& out, std::uint32_t first_slot, const vmb::GpaList& list) noexcept;
  std::byte* write_header(std::uint32_t slot, const rte_mbuf* frame) noexcept;
  void free_direct(std::uint32_t first_slot) noexcept;
  void free_direct_frames(std::uint32_t first_slot) noexcept;

  const Config config_;
  vmb::InprocBus* bus_{};
  vmb::InprocLink* link_{};
  vmb::SharedMemory memory_;
  std::span<std::byte> rings_, receive_buffer_, send_buffer_, control_, headers_, bounce_;
  vmb::InFlight in_flight_;
  std::unique_ptr<DirectSlot[]> direct_;

  // sending side
  struct Tx {
    bool up{};
    std::uint32_t section_bytes{}, max_packets{}, alignment{8}, max_frame{}, copybreak{};
    std::uint32_t max_bytes{};  // of one message: what a section holds, and the host takes
    FreeList free_sections;
    std::vector<std::uint32_t> free_direct;
    std::uint32_t bounce_bytes{};
    bool in_ring{};                 // the host takes frames in the ring itself
    std::uint32_t direct_batch{1};  // frames that a GPA-direct packet may hold
    std::uint32_t last_used{};      // bytes of a section
  } out_;

  // receiving side
  std::vector<vmb::wire::TransferRange> ranges_;

  // control plane
  State state_{State::waiting};
  nvsp::Guest nvsp_;
  rndis::Guest rndis_;
  std::uint32_t gpadls_[3]{};    // rings, receive buffer, send buffer
  std::uint32_t rndis_sends_{};  // bit per RNDIS slot in use
  std::vector<std::byte> nvsp_unsent_,
      rndis_unsent_;  // a message that its state machine gave and the ring has not taken
  bool nvsp_wants_completion_{};
  std::uint32_t filter_sent_{};
  bool filter_busy_{};
  std::uint16_t asked_mtu_{};  // in the attach under way
  std::uint32_t max_frame_in_{};
  bool own_mac_{};
  wire::MacAddress mac_asked_{};
  bool closing_{};
  Clock::time_point retry_at_{}, deadline_{};
  BackOff back_off_;
};

}  // namespace vmbpmd
