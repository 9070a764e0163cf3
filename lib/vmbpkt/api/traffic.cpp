// SPDX-License-Identifier: BSD-3-Clause
// Packets out, packets in, and what ends them.
#include <algorithm>
#include <cstring>

#include "api/endpoint.hpp"
#include "api/misuse.hpp"
#include "api/turn.hpp"

namespace vmb {
namespace {

constexpr std::uint32_t kKnownSendFlags = VMB_SEND_FLAG_WAIT_FOR_COMPLETION | VMB_SEND_FLAG_FORCE_MDL_LENGTH |
                                          VMB_SEND_FLAG_PAGED_BUFFER | VMB_SEND_FLAG_DATA_IN_ONLY |
                                          VMB_SEND_FLAG_DATA_OUT_ONLY;
constexpr std::uint32_t kBothDirections = VMB_SEND_FLAG_DATA_IN_ONLY | VMB_SEND_FLAG_DATA_OUT_ONLY;

// A routine that always sends again, to a peer that always reads, must not keep its thread for ever.
constexpr std::uint32_t kMostSentAtOnce = 65536;

bool waits(std::uint32_t flags) noexcept { return (flags & VMB_SEND_FLAG_WAIT_FOR_COMPLETION) != 0; }

std::span<const std::byte> bytes_at(const void* buffer, std::uint32_t length) noexcept {
  return {static_cast<const std::byte*>(buffer), length};
}

}  // namespace

bool Endpoint::in_user_code() noexcept { return this_thread.user_code_depth != 0; }

// ---- out ----

bool Endpoint::is_idle(const vmb_packet* packet) const noexcept {
  const PacketWord word = packet->load();
  if (essence(word) == packet_word(number_, PacketKind::initialized, PacketState::idle)) return true;
  const PacketPool* const packets = pool();
  return packets != nullptr && packets->is_out(packet);
}

vmb_status Endpoint::judge(const vmb_packet* packet, std::span<const std::byte> payload, const vmb_mdl* external_data,
                           std::uint32_t flags) const noexcept {
  if (packet == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  const PacketWord word = packet->load();
  if (!is_idle(packet) || !has_routine(word)) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_1;
  if (payload.data() == nullptr && !payload.empty()) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_2;
  if (payload.size() > settings_.limits.packet_size) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_3;
  if (external_data != nullptr) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_4;
  if ((flags & ~kKnownSendFlags) != 0) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_5;
  if ((flags & kBothDirections) == kBothDirections) [[unlikely]]
    return VMB_STATUS_INVALID_PARAMETER_5;
  return state() == State::disabled ? VMB_STATUS_INVALID_DEVICE_STATE : VMB_STATUS_SUCCESS;
}

std::uint32_t Endpoint::send_burst(std::span<const vmb_send_desc> descs, vmb_status& refusal) noexcept {
  const Turn turn{*this};
  std::uint32_t sent = 0;
  for (const vmb_send_desc& desc : descs) {
    const auto payload = bytes_at(desc.buffer, desc.buffer_length);
    refusal = judge(desc.packet, payload, desc.external_data, desc.flags);
    if (refusal != VMB_STATUS_SUCCESS) [[unlikely]]
      return sent;
    if (turn) [[likely]] {
      refusal = submit(desc.packet, payload, waits(desc.flags));
      if (refusal != VMB_STATUS_SUCCESS) [[unlikely]]
        return sent;
    } else {
      leave_in_inbox(desc.packet, payload, waits(desc.flags));
    }
    ++sent;
  }
  return sent;
}

/// Send, or queue behind what is queued.
vmb_status Endpoint::submit(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept {
  if (state() == State::disabled) return VMB_STATUS_INVALID_DEVICE_STATE;
  if (!inbox_.empty()) empty_inbox();
  if (outstanding_ >= settings_.limits.packet_count) return VMB_STATUS_INSUFFICIENT_RESOURCES;
  packet->order = ++order_;
  ++outstanding_;
  if (queue_.empty() && !in_routine_ && can_put()) [[likely]] {
    switch (put(packet, payload, waits)) {
      case Status::ok:
        if (!waits) {
          in_ring(packet);
          send_queued();  // what the routine sent
        }
        return VMB_STATUS_SUCCESS;
      case Status::too_big: --outstanding_; return VMB_STATUS_INVALID_PARAMETER_3;
      default: break;
    }
  }
  keep(packet, payload, waits);
  queue_.push(Queued{packet});
  return VMB_STATUS_SUCCESS;
}

/// Another thread is inside: it, or the next poll, goes on from here.
void Endpoint::leave_in_inbox(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept {
  keep(packet, payload, waits);
  inbox_.put(Queued{packet});
  if (state_.load(std::memory_order_seq_cst) != State::disabled) return;
  const Turn turn{*this, Turn::Kind::control};  // disabled meanwhile: nobody else may come to look
  empty_inbox();
  end_all(queue_.size());
}

/// The packet holds its own payload from here on.
void Endpoint::keep(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept {
  if (!payload.empty()) std::memcpy(store_of(packet), payload.data(), payload.size());
  packet->length = static_cast<std::uint32_t>(payload.size());
  packet->store(with_flag(with_state(packet->load(), PacketState::queued), kWaits, waits));
}

Status Endpoint::put(vmb_packet* packet, std::span<const std::byte> payload, bool waits) noexcept {
  Status status = Status::full;
  if (!waits) {
    status = outgoing_->in_band(TransactionId::none, false, payload);
  } else if (idle_slot_count_ > 0) {
    const std::uint32_t slot = idle_slots_[idle_slot_count_ - 1];
    const TransactionId id = in_flight_.begin(slot);
    status = outgoing_->in_band(id, true, payload);
    if (status == Status::ok) [[likely]] {
      --idle_slot_count_;
      slots_[slot] = {packet, id};
      packet->store(with_state(packet->load(), PacketState::in_flight));
    } else {
      in_flight_.cancel(id);
    }
  }
  if (status == Status::ok) [[likely]] {
    sent_.add(1);
  } else if (status == Status::corrupt) {
    stop(outgoing_->fault());
  }
  return status;
}

Status Endpoint::put_reply(Received* received) noexcept {
  const Status status =
      outgoing_->completion(received->id, std::span<const std::byte>{received->payload(), received->length});
  if (status == Status::corrupt) stop(outgoing_->fault());
  return status;
}

/// In order, as far as there is room; what routines send meanwhile follows.
void Endpoint::send_queued() noexcept {
  if (in_routine_) return;
  for (std::uint32_t left = kMostSentAtOnce; left > 0 && !queue_.empty() && can_put(); --left) {
    const Queued item = queue_.front();
    if (item.is_received()) {
      const Status status = put_reply(item.received());
      if (status == Status::full || status == Status::corrupt) return;
      (void)queue_.pop();
      release(item.received());
      continue;
    }
    vmb_packet* const packet = item.packet();
    const bool waits = (raw(packet->load()) & kWaits) != 0;
    const Status status = put(packet, {store_of(packet), packet->length}, waits);
    if (status == Status::full || status == Status::corrupt) return;
    (void)queue_.pop();
    if (status != Status::ok) {
      end(packet, VMB_STATUS_BUFFER_OVERFLOW, {});
    } else if (!waits) {
      in_ring(packet);
    }
  }
}

/// A packet that waits for nothing has reached the ring.
void Endpoint::in_ring(vmb_packet* packet) noexcept {
  if (!settings_.deferred_completion) return end(packet, VMB_STATUS_SUCCESS, {});
  packet->store(with_state(packet->load(), PacketState::in_flight));
  deferred_.push(Queued{packet});
}

void Endpoint::end_deferred() noexcept {
  for (std::uint32_t left = deferred_.size(); left > 0; --left) {
    end(deferred_.pop().packet(), VMB_STATUS_SUCCESS, {});
  }
}

/// The packet is its owner's again; from here on the library does not know it.
void Endpoint::end(vmb_packet* packet, vmb_status status, std::span<const std::byte> reply) noexcept {
  --outstanding_;
  const PacketWord word = with_flag(with_state(packet->load(), PacketState::idle), kWaits, false);
  packet->store(word);
  if (routine_of(word) == kRoutineDefault) {
    (void)pool()->free(&packet, 1);
    return;
  }
  const UserCode user_code;
  const auto length = static_cast<std::uint32_t>(reply.size());
  const void* const buffer = reply.empty() ? nullptr : reply.data();
  in_routine_ = true;
  if (routine_of(word) == kRoutineEx) {
    packet->routine.ex(packet, packet->context, status, buffer, length);
  } else {
    packet->routine.plain(packet, status, buffer, length);
  }
  in_routine_ = false;
}

/// The channel is closed: end what is in flight, then the first `queued` of the queue; oldest first.
void Endpoint::end_all(std::uint32_t queued) noexcept {
  end_deferred();
  const std::uint32_t slots = in_flight_.slots();
  const std::span<Slot> flying{slots_.get(), slots};
  std::sort(flying.begin(), flying.end(), [](const Slot& a, const Slot& b) {
    if (a.packet == nullptr || b.packet == nullptr) return a.packet != nullptr && b.packet == nullptr;
    return a.packet->order < b.packet->order;
  });
  for (Slot& slot : flying) {
    if (slot.packet == nullptr) break;
    in_flight_.cancel(slot.id);
    vmb_packet* const packet = slot.packet;
    slot.packet = nullptr;
    end(packet, VMB_STATUS_DEVICE_REMOVED, {});
  }
  for (idle_slot_count_ = 0; idle_slot_count_ < slots; ++idle_slot_count_)
    idle_slots_[idle_slot_count_] = idle_slot_count_;
  for (; queued > 0; --queued) {
    const Queued item = queue_.pop();
    if (item.is_received()) {
      release(item.received());
    } else {
      end(item.packet(), VMB_STATUS_DEVICE_REMOVED, {});
    }
  }
}

/// What the peer's control calls left for the owner's turn.
void Endpoint::settle() noexcept {
  if (close_due_) [[unlikely]] {
    close_due_ = false;
    end_all(close_queued_);
  }
  if (open_due_) [[unlikely]] {
    open_with(*open_due_);
    open_due_.reset();
  }
}

void Endpoint::empty_inbox() noexcept {
  inbox_.take([this](Queued item) {
    if (item.is_received()) {
      retire_received(item.received());
      return;
    }
    item.packet()->order = ++order_;
    ++outstanding_;
    queue_.push(item);
  });
}

void Endpoint::stop(Fault fault) noexcept {
  if (stopped_) return;
  stopped_ = true;
  faults_.add(1);
  fault_.store(to_string(fault).data(), std::memory_order_relaxed);
  open_.store(false, std::memory_order_relaxed);
  log_line(LogLevel::error, "channel on link '%s' stopped: its peer broke the rule of %s", settings_.link.c_str(),
           to_string(fault).data());
}

// ---- in ----

std::uint32_t Endpoint::poll(std::uint32_t budget, vmb_recv_desc* out) noexcept {
  Turn turn{*this, Turn::Kind::owner};
  if (!turn) return 0;
  if (!turn.is_outermost()) {
    misuse(handle(), out == nullptr ? "vmb_channel_poll" : "vmb_channel_receive_burst",
           "called from a packet callback");
    return 0;
  }
  empty_inbox();
  const bool hands_over = receiving_ && (out != nullptr) == settings_.delivery.pull;
  const std::uint32_t handed = take_steps(hands_over ? budget : 0, out);
  if (handed == 0) return 0;
  delivered_.add(handed);
  const UserCode user_code;
  const Delivery& to = settings_.delivery;
  if (to.processing_complete != nullptr) to.processing_complete(handle(), handed);
  if (to.processing_complete_ex != nullptr) to.processing_complete_ex(handle(), to.callback_context, handed);
  return handed;
}

/// Everything that a poll does, one packet at a time: so that one poll for many packets does what many for one would.
std::uint32_t Endpoint::take_steps(std::uint32_t budget, vmb_recv_desc* out) noexcept {
  Channel::Receiver receiver{channel_};
  std::uint32_t handed = 0;
  std::uint32_t completions = settings_.limits.packet_count;  // those that were in flight, and no more
  for (;;) {
    end_deferred();
    send_queued();
    const Step step = receive_one(receiver, handed < budget, out == nullptr ? nullptr : out + handed);
    send_queued();
    if (step == Step::none) return handed;
    if (step == Step::handed_over && ++handed == budget) return handed;
    if (step == Step::completed && --completions == 0) return handed;
  }
}

/// Only a completion makes a channel go on that has stopped here, whatever happens to its quota.
bool Endpoint::may_hold_more() noexcept {
  if (!is_below_quota()) at_quota_ = true;
  return !at_quota_;
}

/// The next received packet: to the user, out of the way, or to the packet that it answers.
Endpoint::Step Endpoint::receive_one(Channel::Receiver& receiver, bool may_hand_over, vmb_recv_desc* out) noexcept {
  const bool hand = may_hand_over && may_hold_more();
  if (hand && !backlog_.empty()) {
    hand_over(backlog_.pop().received(), out);
    return Step::handed_over;
  }
  if (!receiver || !receiving_ || stopped_) return Step::none;
  PeekedPacket packet;
  const Status status = receiver.peek(packet);
  if (status == Status::empty) return Step::none;
  if (status != Status::ok) {
    stop(receiver.fault());
    return Step::none;
  }
  if (packet.descriptor.type == wire::PacketType::completion) {
    receive_completion(receiver, packet);
    return Step::completed;
  }
  if (packet.descriptor.type != wire::PacketType::in_band) {
    stop(Fault::packet_type);
    return Step::none;
  }
  return receive_data(receiver, packet, hand, out);
}

Endpoint::Step Endpoint::receive_data(Channel::Receiver& receiver, const PeekedPacket& packet, bool hand,
                                      vmb_recv_desc* out) noexcept {
  if (free_received_ == 0 || (!hand && backlog_.size() == most_parked_)) return Step::none;  // it stays in the ring
  Received* const received = Queued{free_received_}.received();
  free_received_ = received->next;
  received->id = TransactionId{packet.descriptor.transaction_id};
  received->opening = opening_;
  received->wants_completion = packet.wants_completion();
  received->length = receiver.copy_payload(packet, {received->payload(), received_stride_ - sizeof(Received)});
  receiver.take(packet);
  if (hand) {
    hand_over(received, out);
    return Step::handed_over;
  }
  received->set_state(Received::State::parked);
  backlog_.push(Queued{received});
  return Step::parked;
}

void Endpoint::receive_completion(Channel::Receiver& receiver, const PeekedPacket& packet) noexcept {
  std::byte* const scratch = received_->bytes().data() + std::size_t{received_stride_} * received_count_;
  const std::uint32_t length = receiver.copy_payload(packet, {scratch, received_stride_});
  const TransactionId id{packet.descriptor.transaction_id};
  receiver.take(packet);
  const auto slot = in_flight_.retire(id);
  if (!slot) {
    unknown_completions_.add(1);
    return;
  }
  vmb_packet* const ended = slots_[*slot].packet;
  slots_[*slot].packet = nullptr;
  idle_slots_[idle_slot_count_++] = *slot;
  end(ended, VMB_STATUS_SUCCESS, {scratch, length});
}

void Endpoint::hand_over(Received* received, vmb_recv_desc* out) noexcept {
  ++held_;
  received->set_state(Received::State::held);
  vmb_packet_completion* const token = Token{number_, received->index, received->generation()}.handle();
  if (out != nullptr) {
    *out = {token, received->payload(), received->length, 0};
    return;
  }
  const UserCode user_code;
  const Delivery& to = settings_.delivery;
  if (to.process_packet_ex != nullptr) {
    to.process_packet_ex(handle(), to.callback_context, token, received->payload(), received->length, 0);
  } else {
    to.process_packet(handle(), token, received->payload(), received->length, 0);
  }
}

// ---- completing what came in ----

Received* Endpoint::slot_at(std::uint32_t index) const noexcept {
  if (index >= received_count_) return nullptr;
  return reinterpret_cast<Received*>(received_->bytes().data() + std::size_t{received_stride_} * index);
}

/// Check the token and take the reply. The token is dead afterwards.
bool Endpoint::accept_completion(const vmb_complete_desc& desc, const char* call, Received*& received) noexcept {
  const Token token = Token::of(desc.packet);
  received = slot_at(token.index);
  if (received == nullptr || received->generation() != token.generation || received->state() != Received::State::held)
      [[unlikely]] {
    misuse(handle(), call, "not a received packet, or completed already");
    return false;
  }
  std::uint32_t length = desc.buffer_length;
  if (length > settings_.limits.packet_size || (length > 0 && desc.buffer == nullptr)) [[unlikely]] {
    misuse(handle(), call, "a reply beyond the maximum packet size, or without a buffer");
    length = 0;
  }
  if (length > 0) std::memmove(received->payload(), desc.buffer, length);
  received->length = length;
  received->next_generation();
  received->set_state(Received::State::replying);
  return true;
}

void Endpoint::complete(std::span<const vmb_complete_desc> descs, const char* call) noexcept {
  const Turn turn{*this};
  if (turn && !inbox_.empty()) empty_inbox();
  for (const vmb_complete_desc& desc : descs) {
    Received* received = nullptr;
    if (!accept_completion(desc, call, received)) continue;
    if (turn) [[likely]] {
      retire_received(received);
    } else {
      inbox_.put(Queued{received});
    }
  }
}

/// Reply, if there is anybody who waits for one.
void Endpoint::retire_received(Received* received) noexcept {
  --held_;
  if (is_below_quota()) at_quota_ = false;
  if (!received->wants_completion || received->opening != opening_ || state() == State::disabled) {
    release(received);
    return;
  }
  if (queue_.empty() && can_put()) [[likely]] {
    const Status status = put_reply(received);
    if (status == Status::ok || status == Status::too_big) {
      release(received);
      return;
    }
  }
  queue_.push(Queued{received});
}

void Endpoint::release(Received* received) noexcept {
  received->set_state(Received::State::free);
  received->next = free_received_;
  free_received_ = Queued{received}.word();
}

void Endpoint::read_stats(vmb_channel_stats& stats) const noexcept {
  stats.outstanding = shown_outstanding_.load(std::memory_order_relaxed);
  stats.queued = shown_queued_.load(std::memory_order_relaxed);
  stats.held = shown_held_.load(std::memory_order_relaxed);
  stats.sent = sent_.value();
  stats.received = delivered_.value();
  stats.unknown_completions = unknown_completions_.value();
  stats.faults = faults_.value();
  stats.fault = fault_.load(std::memory_order_relaxed);
}

bool Endpoint::is_on_its_way(const vmb_packet* packet) noexcept {
  const PacketWord word = packet->load();
  if (!is_packet(word) || packet->channel != handle()) return false;
  if (state_of(word) != PacketState::queued && state_of(word) != PacketState::in_flight) return false;
  const Turn turn{*this, Turn::Kind::data};
  if (!turn || slots_ == nullptr) return false;
  for (std::uint32_t slot = 0; slot < in_flight_.slots(); ++slot) {
    if (slots_[slot].packet == packet) return true;
  }
  return queue_.holds(packet) || deferred_.holds(packet);
}

}  // namespace vmb
