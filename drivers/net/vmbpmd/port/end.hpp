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
#include <span>

#include "channel/channel.hpp"
#include "port/counters.hpp"
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
  using Receiver = vmb::Channel::Receiver;
  using Sender = vmb::Channel::Sender;

  /// What to do with frames that find no room among the staged ones.
  enum class Overflow : bool { wait, discard };

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
  virtual bool take_packet(Receiver& in, const vmb::PeekedPacket& packet, Overflow overflow) noexcept = 0;

  /// Write acknowledgements that are due; those that do not fit wait. Sending side.
  virtual void acknowledge(Sender& out) noexcept = 0;

  /// Read the inbound ring until `frames` are staged or nothing is left. Receiving side.
  void read_inbound(Receiver& in, std::uint32_t frames, Overflow overflow) noexcept;

  /// The sending side is short of something that lies in the inbound ring: read it.
  void drain_for_sender() noexcept;

  /// Whether one more transaction may be taken over: its acknowledgement has a place.
  bool may_owe_one_more() const noexcept { return due_.room() > staged_.transactions(); }
  void owe(std::uint64_t id, wire::NvspStatus status) noexcept { (void)due_.push({id, status}); }

  /// What becomes of the frames of the next packet, which is at most `pieces` pieces. Receiving side.
  enum class Verdict : std::uint8_t { keep, discard, leave_in_ring };
  Verdict judge_room(std::uint32_t pieces, Overflow overflow) const noexcept;

  /// The pieces added since the last settle() are one transaction: kept, or acknowledged and counted as missed.
  /// @param bad  frames of it that were refused; with no other, the transaction is completed with a failure.
  void settle(std::uint64_t id, bool keep, std::uint32_t frames, std::uint32_t bad) noexcept;

  /// Where a burst leaves a ring fault for the control thread.
  void report(vmb::Fault fault) noexcept { fault_.store(fault, std::memory_order_release); }
  vmb::Fault take_fault() noexcept { return fault_.exchange(vmb::Fault::none, std::memory_order_acq_rel); }

  /// Post a control message found by a burst. @return false: no place or too long; the caller completes it with a failure.
  bool post(ControlKind kind, std::uint64_t id, bool wants_completion, std::span<const std::byte> bytes) noexcept;

  /// Control plane: read a ring that no lcore polled since the last look, write acknowledgements nobody else writes.
  void service_unpolled(Clock::time_point now) noexcept;

  /// Control plane, a new channel is about to open. @return false: no memory.
  [[nodiscard]] bool reset_sides() noexcept;

  /// Control plane, the channel is closed: frames not delivered are lost and counted.
  void lose_staged() noexcept;

  vmb::Channel channel_;

  // receiving side
  StagedFrames staged_;
  MbufFiller filler_;
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
  /// Acknowledge all staged frames and count them as missed. Receiving side.
  void discard_staged() noexcept;

  std::uint16_t deliver(rte_mbuf** frames, std::uint16_t count) noexcept;

  static constexpr std::uint32_t kMaxPacketsPerRead = 256;  // so that no peer can pin an lcore (netvsc.md 6.1)
  static constexpr std::uint32_t kMaxDue = 2048;
  // An application that stops polling is late, and back-pressure holds its frames; one that never began is tx-only.
  static constexpr auto kAbandonedAfter = std::chrono::seconds{5};
  static constexpr auto kNeverPolledAfter = std::chrono::milliseconds{100};

  alignas(vmb::kCacheLine) std::atomic<std::uint32_t> polls_{};  // rx bursts; its writer is the polling lcore
  std::atomic<bool> rx_abandoned_{};  // no rx burst for so long that a sender may drop what stands in its way
  std::uint32_t polls_seen_{}, polls_at_start_{};
  std::uint64_t sends_seen_{};
  Clock::time_point polled_at_{};
};

}  // namespace vmbpmd
