// SPDX-License-Identifier: BSD-3-Clause
// What a vmb_channel handle stands for: one end of a channel with its packets, in both directions.
//
// The parts: settings, decided while disabled; the connection (connection.cpp), changed by control threads under the
// registry's mutex; and the traffic (traffic.cpp), whose state belongs to whoever holds the turn.
//
// The turn is a try-lock. Data-path calls try it once. A poll that does not get it has nothing to do; a send or a
// completion that does not leaves its packet in the inbox, which the next turn empties. Control threads wait for the
// turn, and while one waits the data path does not try. User code (routines, callbacks) runs within a turn, so never two at once for one channel; what it calls on the
// same channel finds the turn held by its own thread and goes on inside it.
//
// Order of locks: registry mutex, turn, Channel's own. User code runs under the turn only, and is refused everything
// that takes the registry's mutex.
#pragma once

#include <vmbpkt.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "api/fifo.hpp"
#include "api/received.hpp"
#include "channel/channel.hpp"
#include "packet/in_flight.hpp"
#include "packet/layout.hpp"
#include "packet/pool.hpp"
#include "transport/inproc.hpp"
#include "transport/memory.hpp"

namespace vmb {

/// Where received packets go: one of three ways.
struct Delivery {
  vmb_process_packet process_packet{};
  vmb_processing_complete processing_complete{};
  vmb_process_packet_ex process_packet_ex{};
  vmb_processing_complete_ex processing_complete_ex{};
  void* callback_context{};
  bool pull{};
};

/// What the owner decides while the channel is disabled.
struct Settings {
  PacketLimits limits{VMB_DEFAULT_MAXIMUM_PACKET_SIZE, VMB_DEFAULT_MAXIMUM_PACKET_COUNT,
                      VMB_DEFAULT_INLINE_PACKET_CONTEXT_SIZE, VMB_DEFAULT_MAXIMUM_EXTERNAL_DATA,
                      VMB_DEFAULT_MAXIMUM_EXTERNAL_DATA};
  std::uint32_t incoming_pages{VMB_DEFAULT_RING_PAGES};
  std::uint32_t outgoing_pages{VMB_DEFAULT_RING_PAGES};
  int numa_node{VMB_ANY_NODE};
  std::string link;
  Delivery delivery;
  bool deferred_completion{};
};

class Endpoint : private InprocHost, private InprocGuest {
 public:
  enum class State : std::uint8_t { disabled, enabled };

  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  std::uint16_t number() const noexcept { return number_; }
  bool is_server() const noexcept { return is_server_; }
  void* parent() const noexcept { return parent_; }
  State state() const noexcept { return state_.load(std::memory_order_relaxed); }
  bool is_open() const noexcept { return open_.load(std::memory_order_relaxed); }

  // ---- settings ----

  /// The settings, to be changed; null unless disabled (and, for what decides the size of a packet, not frozen).
  Settings* settings() noexcept { return state() == State::disabled ? &settings_ : nullptr; }
  Settings* sizes() noexcept { return frozen_.load(std::memory_order_relaxed) ? nullptr : settings(); }
  const PacketLimits& limits() const noexcept { return settings_.limits; }
  void freeze() noexcept {
    if (!frozen_.load(std::memory_order_relaxed)) frozen_.store(true, std::memory_order_relaxed);
  }

  // ---- connection: control threads ----

  vmb_status enable() noexcept;
  void disable() noexcept;

  /// Whether this thread is in a routine or callback of any channel: what may wait is refused there.
  static bool in_user_code() noexcept;

  /// Off the registry, before destruction. @return false: allocated packets are out; nothing happened.
  [[nodiscard]] bool retire() noexcept;

  // ---- packets ----

  /// Null until make_pool() succeeded.
  PacketPool* pool() const noexcept { return pool_.load(std::memory_order_acquire); }
  vmb_status make_pool() noexcept;

  /// A packet of this channel that may be sent, changed or freed. Reads the packet's word, whatever it is.
  bool is_idle(const vmb_packet* packet) const noexcept;
  bool is_on_its_way(const vmb_packet* packet) noexcept;

  // ---- traffic ----

  /// As vmb_packet_send_burst(). @param refusal  receives SUCCESS or the status of the first refusal.
  std::uint32_t send_burst(std::span<const vmb_send_desc> descs, vmb_status& refusal) noexcept;

  /// As vmb_channel_poll(), or, with `out`, vmb_channel_receive_burst().
  std::uint32_t poll(std::uint32_t budget, vmb_recv_desc* out) noexcept;

  /// As vmb_channel_packet_complete(); all tokens name this channel.
  void complete(std::span<const vmb_complete_desc> descs, const char* call) noexcept;

  /// As vmb_channel_set_transaction_quota(). @param quota  above 0.
  void set_quota(std::uint32_t quota) noexcept { asked_quota_.store(quota, std::memory_order_relaxed); }

  void read_stats(vmb_channel_stats& stats) const noexcept;

  std::atomic<void*> user_pointer{};
  std::atomic<std::uint64_t> misuses{};

 protected:
  Endpoint(void* parent, bool is_server, std::uint16_t number) noexcept
      : parent_(parent), number_(number), is_server_(is_server) {}
  virtual ~Endpoint() = default;

 private:
  class Turn;
  friend class Registry;

  /// The turn without the outbound ring, waited for: a control thread's short look inside. No user code runs.
  class Exclusive {
   public:
    explicit Exclusive(Endpoint& endpoint) noexcept : endpoint_(endpoint) { endpoint_.wait_for_turn(); }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;
    ~Exclusive() { endpoint_.turn_.unlock(); }

   private:
    Endpoint& endpoint_;
  };

  struct Slot {
    vmb_packet* packet;
    TransactionId id;
  };

  /// A counter with one writer at a time, read by anyone.
  class Counter {
   public:
    void add(std::uint64_t n) noexcept {
      value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{};
  };

  vmb_channel* handle() noexcept;

  void wait_for_turn() noexcept {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    turn_.lock();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }

  // connection.cpp; the callbacks come from the peer's control call, under the registry's mutex
  void channel_opened(const ChannelParts& parts) noexcept override;
  void channel_closed() noexcept override;
  void channel_rescinded() noexcept override;
  vmb_status join() noexcept;
  void leave() noexcept;
  void try_open() noexcept;
  void disconnect() noexcept;
  void open_with(ChannelParts parts) noexcept;
  bool make_traffic_state() noexcept;
  bool make_rings() noexcept;
  void wait_until_completed() noexcept;

  // traffic.cpp; all under the turn
  vmb_status judge(const vmb_packet* packet, std::span<const std::byte> payload, const vmb_mdl* external_data,
                   std::uint32_t flags) const noexcept;
  vmb_status submit(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept;
  void leave_in_inbox(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept;
  void keep(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept;
  Status put(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept;
  Status put_reply(Received* received) noexcept;
  bool can_put() const noexcept { return outgoing_.has_value() && !stopped_; }
  void empty_inbox() noexcept;
  void send_queued() noexcept;
  void in_ring(vmb_packet* packet) noexcept;
  void end(vmb_packet* packet, vmb_status status, std::span<const std::byte> reply) noexcept;
  void end_deferred() noexcept;
  void end_all(std::uint32_t queued) noexcept;
  void settle() noexcept;
  void stop(Fault fault) noexcept;
  enum class Step : std::uint8_t { none, handed_over, parked, completed };
  std::uint32_t take_steps(std::uint32_t budget, vmb_recv_desc* out) noexcept;
  Step receive_one(Channel::Receiver& receiver, bool may_hand_over, vmb_recv_desc* out) noexcept;
  Step receive_data(Channel::Receiver& receiver, const PeekedPacket& packet, bool hand, vmb_recv_desc* out) noexcept;
  void receive_completion(Channel::Receiver& receiver, const PeekedPacket& packet) noexcept;
  bool is_below_quota() const noexcept {
    return held_ < std::min(quota_, asked_quota_.load(std::memory_order_relaxed));
  }
  bool may_hold_more() noexcept;
  void hand_over(Received* received, vmb_recv_desc* out) noexcept;
  void retire_received(Received* received) noexcept;
  void release(Received* received) noexcept;
  bool accept_completion(const vmb_complete_desc& desc, const char* call, Received*& received) noexcept;
  Received* slot_at(std::uint32_t index) const noexcept;
  std::byte* store_of(vmb_packet* packet) const noexcept { return packet->at(store_offset(settings_.limits)); }

  // ---- identity and settings ----
  void* parent_;
  std::uint16_t number_;
  bool is_server_;
  std::atomic<State> state_{State::disabled};
  std::atomic<bool> open_{};
  std::atomic<bool> frozen_{};
  Settings settings_;

  // ---- packets ----
  std::atomic<PacketPool*> pool_{};
  std::unique_ptr<PacketPool> pool_owner_;
  std::mutex pool_mutex_;
  bool pool_failed_{};  // and the log knows

  // ---- connection, under the registry's mutex ----
  InprocLink* link_{};
  std::optional<SharedMemory> rings_;
  std::uint32_t inbound_page_{};
  std::uint32_t ring_gpadl_{};

  // ---- traffic, under the turn ----
  TryLock turn_;
  std::atomic<std::uint32_t> waiting_{};  // control threads that want the turn
  std::atomic<const void*> holder_{};     // the thread whose turn it is
  Inbox inbox_;
  Channel channel_;
  std::optional<Channel::Sender> outgoing_;  // in a turn of an open channel
  InFlight in_flight_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<std::uint32_t[]> idle_slots_;
  std::uint32_t idle_slot_count_{};
  Fifo queue_;     // packets and replies that wait for room or for the peer
  Fifo deferred_;  // packets in the ring whose routine waits for the poll
  Fifo backlog_;   // received packets that nobody took yet
  std::uint64_t order_{};
  std::uint32_t outstanding_{};
  std::uint32_t held_{};
  std::uint32_t opening_{};
  bool in_routine_{};
  bool stopped_{};        // the peer broke the rules; until the next opening
  bool receiving_{true};  // false while disable waits
  bool close_due_{};      // the peer closed: end `close_queued_` of the queue, and all that is in flight
  std::uint32_t close_queued_{};
  std::optional<ChannelParts> open_due_;  // the peer opened again before that was done
  std::optional<SharedMemory> received_;  // slots of received packets, then room for one reply
  std::uint32_t received_stride_{};
  std::uint32_t received_count_{};  // slots: quota_ for packets handed over, and most_parked_ for the backlog
  std::uint32_t quota_{};           // the most that asked_quota_ can mean
  std::atomic<std::uint32_t> asked_quota_{VMB_DEFAULT_TRANSACTION_QUOTA};
  bool at_quota_{};  // a poll found it reached; until a completion
  std::uint32_t most_parked_{};
  std::uintptr_t free_received_{};
  Counter sent_, delivered_, unknown_completions_, faults_;
  std::atomic<const char*> fault_{};
  std::atomic<std::uint32_t> shown_outstanding_{}, shown_queued_{}, shown_held_{};
};

/// All channels of the process by number, and the bus they meet on.
class Registry {
 public:
  static constexpr std::uint32_t kMostChannels = 4096;

  static Registry& instance() noexcept;

  /// @return  null: no memory, or too many.
  vmb_channel* make(void* parent, bool is_server) noexcept;

  /// Forget the number. The object stays.
  void forget(const Endpoint& endpoint) noexcept;

  /// Null: no such channel (any more).
  vmb_channel* at(std::uint32_t number) const noexcept {
    return number < kMostChannels ? channels_[number].load(std::memory_order_acquire) : nullptr;
  }

  /// Under the mutex: call it for every end on this link.
  void each_on(const InprocLink* link, void (Endpoint::*call)() noexcept) noexcept;

  std::mutex mutex;  // of the control plane
  InprocBus bus;

 private:
  std::atomic<vmb_channel*> channels_[kMostChannels]{};
  std::uint32_t last_{};
};

}  // namespace vmb

/// The object behind the handle.
struct vmb_channel final : vmb::Endpoint {
  vmb_channel(void* parent, bool is_server, std::uint16_t number) noexcept : vmb::Endpoint(parent, is_server, number) {}
};

namespace vmb {
inline vmb_channel* Endpoint::handle() noexcept { return static_cast<vmb_channel*>(this); }
}  // namespace vmb
