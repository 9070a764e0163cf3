// SPDX-License-Identifier: BSD-3-Clause
// What both ends of the NIC share: a channel polled by bursts, frames on their way in, acknowledgements on their way out,
// control messages handed to the control thread.
//
// State belongs to a side. The receiving side is whoever holds the inbound ring (Channel::Receiver), the sending side
// whoever holds the outbound one (Channel::Sender); two Spsc queues lead from the first to the second: acknowledgements
// that are due, and our own resources that the peer gave back. The control plane (one mutex per process, control.hpp)
// owns the rest, and enters a side like a burst does.
//
// A burst never waits: what it cannot do now (ring held by another lcore, no room) the next one does.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "channel/channel.hpp"
#include "port/counters.hpp"
#include "port/frame_loops.hpp"
#include "port/inbox.hpp"
#include "port/mbufs.hpp"
#include "port/spsc.hpp"
#include "port/staged.hpp"
#include "wire/ndis.hpp"
#include "wire/nvsp.hpp"

namespace vmbpmd {

using Clock = std::chrono::steady_clock;

/// What the application wants of an end; ethdev writes it under the control mutex, step() makes it so.
struct Wanted {
  bool started{};
  bool promiscuous{};
  bool all_multicast{};
  std::uint16_t mtu{1500};
  wire::MacAddress mac{};
};

struct LinkState {
  bool up{};
  std::uint32_t speed_mbps{};
  friend bool operator==(const LinkState&, const LinkState&) = default;
};

/// How long to keep away from a peer that misbehaved: 100 ms, doubled up to 10 s, from the start again after 10 quiet
/// seconds.
class BackOff {
 public:
  std::chrono::milliseconds next(Clock::time_point now) noexcept {
    using namespace std::chrono_literals;
    wait_ = wait_ == 0ms || now - last_ > 10s + wait_ ? 100ms : std::min<std::chrono::milliseconds>(wait_ * 2, 10s);
    last_ = now;
    return wait_;
  }

 private:
  std::chrono::milliseconds wait_{};
  Clock::time_point last_{};
};

/// Bytes of a frame beyond its IP MTU: Ethernet header and one VLAN tag.
inline constexpr std::uint32_t kFrameOverhead = 18;

class End {
 public:
  static constexpr std::uint16_t kMinMtu = 68;
  static constexpr std::uint16_t kMaxMtu = 9202;  // config MTU 9216, the most any host grants (netvsc.md 1.5.12)

  virtual ~End() = default;

  // ---- data path: any lcore, never blocks ----

  /// Received frames, in order, each in mbufs of the pool given to start_rx(). @return how many of `count`.
  std::uint16_t rx_burst(rte_mbuf** frames, std::uint16_t count) noexcept;

  /// @return how many of `count` are sent, or freed and counted because they never could be; the rest stays the caller's.
  virtual std::uint16_t tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept = 0;

  // ---- control plane: under the control mutex ----

  /// Do what is due. @return true: something happened, call again; it lets two ends of one process talk to their end.
  virtual bool step(Clock::time_point now) noexcept = 0;

  /// Take over a change of wanted().
  virtual void apply() noexcept = 0;

  virtual LinkState link() const noexcept = 0;

  Wanted& wanted() noexcept { return wanted_; }
  const Wanted& wanted() const noexcept { return wanted_; }

  /// From now on frames are kept for rx_burst(); before, and after stop_rx(), they are acknowledged and counted as missed.
  void start_rx(const MbufFiller& filler) noexcept;
  void stop_rx() noexcept;

  /// See free_sent().
  void set_fast_free(bool fast) noexcept;

  const RxCounters& rx_counters() const noexcept { return rx_; }
  const TxCounters& tx_counters() const noexcept { return tx_; }
  const LinkCounters& link_counters() const noexcept { return links_; }
  RxCounters& rx_counters() noexcept { return rx_; }
  TxCounters& tx_counters() noexcept { return tx_; }
  LinkCounters& link_counters() noexcept { return links_; }

 protected:
  using Sender = vmb::Channel::Sender;

  /// The inbound ring, owned for one burst; what is staged in place there is not given back.
  class Receiver : public vmb::Channel::Receiver {
   public:
    explicit Receiver(End& end, Sender::Wait wait = Sender::Wait::no) noexcept
        : vmb::Channel::Receiver(end.channel_, wait), staged_(end.staged_) {}
    ~Receiver() {
      if (!*this) return;
      give_back_late(ring().memory().size() / 8);
      if (const auto limit = staged_.ring_limit(); limit) {
        ring().give_back_only_to(*limit);
      } else {
        ring().give_back_all();
      }
    }

   private:
    const StagedTransactions& staged_;
  };

  /// Who reads the inbound ring, and so what becomes of what finds no place among the staged transactions.
  enum class Reader : std::uint8_t {
    receiver,    // rx_burst: reads the messages at once, and finds control messages then; the ring waits
    other,       // a sender, the control thread: control messages must be found now; the ring waits
    for_nobody,  // the same, and nobody calls rx_burst: the oldest are dropped
  };

  /// How this end's received bytes are to be read; changed with the receiving side held.
  struct RxRules {
    bool pieces_stand_alone{};        // each piece holds messages of its own; else all pieces are one sequence of bytes
    bool one_message_a_piece{};       // what follows it in the piece is nothing
    std::uint32_t max_frame{};        // bytes
    std::uint32_t max_messages{~0u};  // in a transaction
    bool frames_in_ring{};            // wire::peer_capability::kFramesInRing
    bool filters{};                   // only `mac`, and what for_us() says
    bool all_multicast{};
    wire::MacAddress mac{};
  };
  void set_rx_rules(const RxRules& rules) noexcept;

  /// An answer to the peer's transaction.
  struct Acknowledgement {
    std::uint64_t id;
    wire::NvspStatus status;
  };

  End() = default;
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  /// Judge the next packet of the inbound ring and take it over: frames are staged, our own resources come back, control
  /// messages are posted. @return false: it stays in the ring for now, or the ring is dead.
  virtual bool take_packet(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept = 0;

  /// The oldest transaction, or the piece of it that is next, is an RNDIS control message, found while it is read: post
  /// it. Receiving side.
  /// @return false: it does not hold; nothing has happened.
  virtual bool take_control(std::uint64_t id, const PieceView& view, std::uint64_t bytes) noexcept = 0;

  /// The next packet holds RNDIS messages itself, as our own peer may write it: stage them.
  /// @return what take_packet() returns; nothing: it is another packet.
  std::optional<bool> take_frames(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept;

  /// Send leading frames in the ring itself, if all of them together are little. Sending side.
  /// @return how many, 0: the ring is full of them; nothing: they are to be sent in another way.
  std::optional<std::uint16_t> send_in_ring(Sender& out, rte_mbuf** frames, std::uint16_t count,
                                            std::uint32_t max_frame) noexcept;

  /// Write acknowledgements that are due; those that do not fit wait. Sending side.
  virtual void acknowledge(Sender& out) noexcept = 0;

  /// Read the inbound ring until nothing is left, or no place. Receiving side.
  void read_inbound(Receiver& in, Reader reader) noexcept;

  /// The sending side is short of something that lies in the inbound ring: read it.
  void drain_for_sender() noexcept;

  void owe(std::uint64_t id, wire::NvspStatus status) noexcept { (void)due_.push({id, status}); }

  /// Whether one more packet may be taken over: its acknowledgement has a place.
  bool may_owe_one_more() const noexcept { return due_.room() > staged_.size(); }

  /// Make a place for a transaction of `pieces` pieces. @return false: leave it in the ring. Receiving side.
  bool make_room(std::uint32_t pieces, Reader reader) noexcept;

  /// The pieces added since the last one are a transaction. Receiving side.
  void stage(std::uint64_t id, Reader reader) noexcept;

  /// Where a burst leaves a ring fault for the control thread.
  void report(vmb::Fault fault) noexcept { fault_.store(fault, std::memory_order_release); }
  vmb::Fault take_fault() noexcept { return fault_.exchange(vmb::Fault::none, std::memory_order_acq_rel); }

  /// Post a control message found by a burst. @return false: no place or too long; the caller completes it with a failure.
  bool post(ControlKind kind, std::uint64_t id, bool wants_completion, std::span<const std::byte> bytes) noexcept;

  /// Control plane: read a ring that no lcore polled since the last look, write acknowledgements nobody else writes.
  void service_unpolled(Clock::time_point now) noexcept;

  /// Control plane, a new channel is about to open. @return false: no memory.
  [[nodiscard]] bool reset_sides() noexcept;

  /// Control plane: close the channel; frames that came and were not delivered are lost and counted.
  void close_data() noexcept;

  vmb::Channel channel_;

  // receiving side
  StagedTransactions staged_;
  MbufFiller filler_;
  const FrameLoops* loops_{&frame_loops()};
  UnpackRules unpack_rules_;
  RxRules rx_rules_;
  bool rx_started_{};
  RxCounters rx_;

  // from the receiving to the sending side
  Spsc<Acknowledgement> due_;
  Spsc<std::uint32_t> returned_;

  // sending side
  bool fast_free_{};
  TxCounters tx_;

  // from the receiving side to the control plane
  Inbox inbox_;
  std::atomic<vmb::Fault> fault_{vmb::Fault::none};

  // control plane
  Wanted wanted_;
  LinkCounters links_;

 private:
  // end_rx.cpp
  enum class Found : std::uint8_t { frame, no_frame, no_mbuf };

  /// The messages that the packet holds itself, as our own peer may write them; no bytes: it is another packet.
  /// @return nowhere, but bytes: they do not hold.
  Piece frames_in(const Receiver& in, const vmb::PeekedPacket& packet) const noexcept;

  /// Take a few packets out of the ring, so that the next transaction's memory is on its way while one is read.
  /// @return how many packets.
  std::uint32_t read_ahead(Receiver& in) noexcept;

  /// Read staged transactions. @return frames delivered; fewer than `count`: nothing is left, or the pool is short.
  std::uint16_t deliver_in_ring(Receiver& in, rte_mbuf** frames, std::uint16_t count) noexcept;
  std::uint16_t deliver(rte_mbuf** frames, std::uint16_t count) noexcept;
  bool deliver_plain(rte_mbuf** frames, std::uint16_t count, std::uint16_t& done, std::uint64_t& bytes) noexcept;
  bool deliver_split(rte_mbuf** frames, std::uint16_t count, std::uint16_t& done, std::uint64_t& bytes) noexcept;

  /// Read one message of the oldest transaction, whatever its form.
  /// @param frame  where to put a frame; null: it is dropped.
  Found read_message(rte_mbuf** frame) noexcept;
  Found bad_message() noexcept;
  void took(std::uint32_t messages, std::uint32_t bytes) noexcept;
  void finish_oldest() noexcept;

  std::uint16_t keep_ours(rte_mbuf** frames, std::uint16_t count, std::uint64_t& bytes) noexcept;
  bool for_us(const wire::MacAddress& destination) const noexcept;

  /// Acknowledge the oldest transaction and count its frames. Receiving side.
  void drop_oldest(Counter& frames) noexcept;

  void set_unpack_rules() noexcept;

  static constexpr std::uint32_t kMaxInRing = 1024;         // bytes of messages: more are better off in a section
  static constexpr std::uint32_t kMaxPacketsPerRead = 256;  // so that no peer can pin an lcore (netvsc.md 6.1)
  static constexpr std::uint32_t kMaxReadsAtClose = 64;
  static constexpr std::uint32_t kMaxDue = 2048;
  // An application that stops polling is late, and back-pressure holds its frames; one that never began, and sends much,
  // is tx-only. Time counts as far as this thread sees it pass: not while the process is stopped, or the machine is busy.
  static constexpr auto kAbandonedAfter = std::chrono::seconds{5};
  static constexpr auto kNeverPolledAfter = std::chrono::milliseconds{100};
  static constexpr std::uint64_t kManySends = 4096;  // VMBus packets, and bursts cut short
  static constexpr auto kLongestLook = std::chrono::milliseconds{10};

  /// VMBus packets sent and bursts cut short, ever.
  std::uint64_t all_sends() const noexcept { return tx_.aggregates.total() + tx_.no_room.total(); }

  /// Control plane, no rx burst since the last look. @return true: the application sends, and is taken not to receive.
  bool only_sends(Clock::time_point now) noexcept;

  alignas(vmb::kCacheLine) std::atomic<std::uint32_t> polls_{};  // rx bursts; its writer is the polling lcore
  std::atomic<bool> rx_abandoned_{};  // no rx burst for so long that a sender may drop what stands in its way

  // control plane
  std::uint32_t polls_seen_{}, polls_at_start_{};
  std::uint64_t sends_seen_{}, sends_at_poll_{};
  Clock::time_point looked_at_{};
  Clock::duration unpolled_for_{};
};

}  // namespace vmbpmd
