// SPDX-License-Identifier: BSD-3-Clause
// Enable and disable, and what the other end's enable and disable do to this one.
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <new>

#include "api/endpoint.hpp"
#include "api/misuse.hpp"
#include "api/turn.hpp"

namespace vmb {
namespace {

constexpr std::uint32_t kMostReceivedBytes = 16 << 20;  // of received packets, as long as that makes 64

/// Pages of a ring, control page included, that takes one packet of the maximum size.
constexpr std::uint32_t ring_pages(std::uint32_t asked, const PacketLimits& limits) noexcept {
  const std::uint32_t largest = kWireHeaderBytes + align_up(limits.packet_size, 8u) + wire::kTrailerBytes + 8;
  return std::max(asked, 1 + align_up(largest, kPageSize) / kPageSize);
}

RingMemory ring_at(std::span<std::byte> memory, std::uint32_t first_page, std::uint32_t pages) noexcept {
  return {memory.data() + std::size_t{first_page} * kPageSize, (pages - 1) * kPageSize};
}

std::uint64_t now_ms() noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

// ---- registry ----

Registry& Registry::instance() noexcept {
  static auto* const registry = new Registry;  // never destroyed: channels may outlive main()
  return *registry;
}

vmb_channel* Registry::make(void* parent, bool is_server) noexcept {
  const std::scoped_lock lock{mutex};
  for (std::uint32_t tried = 0; tried < kMostChannels; ++tried) {
    last_ = (last_ + 1) % kMostChannels;  // a number rests as long as possible before it is used again
    if (channels_[last_].load(std::memory_order_relaxed) != nullptr) continue;
    auto* const channel = new (std::nothrow) vmb_channel{parent, is_server, static_cast<std::uint16_t>(last_)};
    if (channel != nullptr) channels_[last_].store(channel, std::memory_order_release);
    return channel;
  }
  return nullptr;
}

void Registry::forget(const Endpoint& endpoint) noexcept {
  const std::scoped_lock lock{mutex};
  channels_[endpoint.number()].store(nullptr, std::memory_order_release);
}

void Registry::each_on(const InprocLink* link, void (Endpoint::*call)() noexcept) noexcept {
  for (auto& entry : channels_) {
    vmb_channel* const channel = entry.load(std::memory_order_relaxed);
    if (channel != nullptr && channel->link_ == link) (channel->*call)();
  }
}

// ---- enable ----

vmb_status Endpoint::enable() noexcept {
  if (in_user_code() || state() != State::disabled) return VMB_STATUS_INVALID_DEVICE_STATE;
  const Delivery& to = settings_.delivery;
  const bool delivers = to.pull || to.process_packet != nullptr || to.process_packet_ex != nullptr;
  if (settings_.link.empty() || !delivers) return VMB_STATUS_INVALID_PARAMETER_1;
  freeze();
  { const Turn settled{*this, Turn::Kind::control}; }
  if (!make_traffic_state() || (!is_server_ && !make_rings())) return VMB_STATUS_INSUFFICIENT_RESOURCES;
  return join();
}

vmb_status Endpoint::join() noexcept {
  Registry& registry = Registry::instance();
  const std::scoped_lock lock{registry.mutex};
  link_ = is_server_ ? registry.bus.join(settings_.link, static_cast<InprocHost&>(*this))
                     : registry.bus.join(settings_.link, static_cast<InprocGuest&>(*this));
  if (link_ == nullptr) return VMB_STATUS_UNSUCCESSFUL;
  state_.store(State::enabled, std::memory_order_seq_cst);
  if (is_server_) link_->offer();
  registry.each_on(link_, &Endpoint::try_open);
  return VMB_STATUS_SUCCESS;
}

/// A client's part in the opening, whichever end came last.
void Endpoint::try_open() noexcept {
  if (is_server_ || is_open() || state() == State::disabled || !link_->offered()) return;
  const std::span<std::byte> memory = rings_->bytes();
  const auto pages = static_cast<std::uint32_t>(memory.size() / kPageSize);
  ring_at(memory, 0, inbound_page_).format();
  ring_at(memory, inbound_page_, pages - inbound_page_).format();
  ring_gpadl_ = link_->create_gpadl(memory);
  ChannelParts parts;
  if (link_->open(ring_gpadl_, inbound_page_, parts) != Status::ok) {
    link_->teardown_gpadl(ring_gpadl_);
    return;
  }
  const Exclusive turn{*this};
  open_with(parts);
}

/// Under the turn, with the outbound ring not in use.
void Endpoint::open_with(ChannelParts parts) noexcept {
  parts.max_packet_bytes =
      static_cast<std::uint32_t>(sizeof(wire::PacketDescriptor)) + align_up(settings_.limits.packet_size, 8u);
  stopped_ = false;
  ++opening_;
  channel_.open(parts);
  open_.store(true, std::memory_order_relaxed);
}

void Endpoint::channel_opened(const ChannelParts& parts) noexcept {
  const Exclusive turn{*this};
  if (close_due_) {
    open_due_ = parts;
  } else {
    open_with(parts);
  }
}

// ---- disable ----

void Endpoint::disable() noexcept {
  if (in_user_code()) return misuse(handle(), "vmb_channel_disable", "called from a packet callback");
  if (state() == State::enabled) {
    wait_until_completed();
    Registry& registry = Registry::instance();
    const std::scoped_lock lock{registry.mutex};
    leave();
  }
  const Turn turn{*this, Turn::Kind::control};  // settles: ends what is left
}

/// Under the registry's mutex: off the link, and disabled. What was sent is ended by the next turn that settles.
void Endpoint::leave() noexcept {
  InprocLink* const link = link_;
  if (link == nullptr) return;
  Registry& registry = Registry::instance();
  if (is_server_) {
    registry.bus.leave(link, static_cast<InprocHost&>(*this));  // rescinds: the client's callback comes first
    link_ = nullptr;
    disconnect();
    registry.each_on(link, &Endpoint::leave);  // the client, which that has disabled
  } else {
    disconnect();
    link->close();
    link->teardown_gpadl(ring_gpadl_);
    registry.bus.leave(link, static_cast<InprocGuest&>(*this));
    link_ = nullptr;
  }
  const Exclusive turn{*this};
  state_.store(State::disabled, std::memory_order_seq_cst);
  receiving_ = true;
  empty_inbox();
  close_queued_ = queue_.size();
}

/// Leave the rings. On return no burst of this end is inside.
void Endpoint::disconnect() noexcept {
  const Exclusive turn{*this};
  channel_.close();
  open_.store(false, std::memory_order_relaxed);
  open_due_.reset();
  ++opening_;
  empty_inbox();
  while (!backlog_.empty()) release(backlog_.pop().received());
  close_due_ = true;
  close_queued_ = queue_.size();
}

/// The client is gone; the offer stands.
void Endpoint::channel_closed() noexcept { disconnect(); }

/// The server is gone. The registry takes this end off the link when the server has left it.
void Endpoint::channel_rescinded() noexcept {
  disconnect();
  const Exclusive turn{*this};
  state_.store(State::disabled, std::memory_order_seq_cst);
  receiving_ = true;
  empty_inbox();
  close_queued_ = queue_.size();
}

void Endpoint::wait_until_completed() noexcept {
  const std::uint64_t start = now_ms();
  bool said = false;
  for (;;) {
    std::uint32_t held = 0;
    {
      const Turn turn{*this, Turn::Kind::control};
      empty_inbox();
      send_queued();
      receiving_ = state() != State::enabled;
      held = held_;
    }
    if (held == 0 || state() == State::disabled) return;
    if (!said && now_ms() - start > 1000) {
      said = true;
      log_line(LogLevel::warning, "disabling a channel on link '%s' waits for %u received packets to be completed",
               settings_.link.c_str(), held);
    }
    (void)sched_yield();
  }
}

bool Endpoint::retire() noexcept {
  { const Turn settled{*this, Turn::Kind::control}; }
  const PacketPool* const packets = pool();
  if (packets != nullptr && packets->in_use() != 0) return false;
  Registry::instance().forget(*this);
  return true;
}

// ---- memory ----

vmb_status Endpoint::make_pool() noexcept {
  const std::scoped_lock lock{pool_mutex_};
  if (pool() != nullptr) return VMB_STATUS_SUCCESS;
  freeze();
  if (!eal_is_running()) {
    if (!pool_failed_)
      log_line(LogLevel::error, "packets cannot be allocated: no EAL is running; initialize them instead");
    pool_failed_ = true;
    return VMB_STATUS_NOT_SUPPORTED;
  }
  const PacketLimits& limits = settings_.limits;
  pool_owner_ = PacketPool::create(handle(), number_, limits.packet_count, sizeof_packet(limits), settings_.numa_node);
  if (pool_owner_ == nullptr) {
    if (!pool_failed_) {
      log_line(LogLevel::error, "packets cannot be allocated: no memory for %u of %u bytes on node %d",
               limits.packet_count, sizeof_packet(limits), settings_.numa_node);
    }
    pool_failed_ = true;
    return VMB_STATUS_INSUFFICIENT_RESOURCES;
  }
  pool_.store(pool_owner_.get(), std::memory_order_release);
  return VMB_STATUS_SUCCESS;
}

/// Once per channel: sizes are frozen, and generations go on.
bool Endpoint::make_traffic_state() noexcept {
  if (received_) return true;
  const std::uint32_t packets = settings_.limits.packet_count;
  slots_.reset(new (std::nothrow) Slot[packets]{});
  idle_slots_.reset(new (std::nothrow) std::uint32_t[packets]);
  if (slots_ == nullptr || idle_slots_ == nullptr || !in_flight_.reset(packets)) return false;
  for (idle_slot_count_ = 0; idle_slot_count_ < packets; ++idle_slot_count_) {
    idle_slots_[idle_slot_count_] = packets - 1 - idle_slot_count_;
  }
  received_stride_ = static_cast<std::uint32_t>(sizeof(Received)) + align_up(settings_.limits.packet_size, kCacheLine);
  quota_ = std::clamp(kMostReceivedBytes / received_stride_, 64u, VMB_DEFAULT_TRANSACTION_QUOTA);
  most_parked_ = quota_ / 16;
  received_count_ = quota_ + most_parked_;
  received_ =
      SharedMemory::reserve("received", std::size_t{received_stride_} * (received_count_ + 1), settings_.numa_node);
  if (!received_) return false;
  static std::atomic<std::uint32_t> seed{0};  // so that a token of a channel before this one does not fit
  const std::uint32_t generation = seed.fetch_add(0x9E3779B9, std::memory_order_relaxed);
  for (std::uint32_t index = received_count_; index-- > 0;) {
    auto* const received = new (slot_at(index)) Received{};
    received->index = index;
    received->start_at(generation);
    release(received);
  }
  return true;
}

bool Endpoint::make_rings() noexcept {
  const std::uint32_t outgoing = ring_pages(settings_.outgoing_pages, settings_.limits);
  const std::uint32_t incoming = ring_pages(settings_.incoming_pages, settings_.limits);
  const std::size_t bytes = (std::size_t{outgoing} + incoming) * kPageSize;
  if (rings_ && rings_->bytes().size() == bytes && inbound_page_ == outgoing) return true;
  rings_.reset();
  rings_ = SharedMemory::reserve("rings", bytes, settings_.numa_node);
  inbound_page_ = outgoing;
  return rings_.has_value();
}

}  // namespace vmb
