// SPDX-License-Identifier: BSD-3-Clause
// vmb_packet_*: handles and arguments checked, then the packet, its pool, or its channel's Endpoint.
#include "api/endpoint.hpp"
#include "api/misuse.hpp"

using vmb::PacketKind;
using vmb::PacketPool;
using vmb::PacketState;
using vmb::PacketWord;

namespace {

/// A packet, and not a free one.
bool is_live(const vmb_packet* packet) noexcept {
  if (packet == nullptr || !is_packet(packet->load())) return false;
  const PacketState state = state_of(packet->load());
  return state == PacketState::queued || state == PacketState::in_flight || packet->channel->is_idle(packet);
}

bool is_aligned(const void* memory) noexcept {
  return reinterpret_cast<std::uintptr_t>(memory) % VMB_PACKET_ALIGNMENT == 0;
}

vmb_status judge_size(const vmb_channel* channel, const void* memory, uint32_t byte_count) noexcept {
  if (channel == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (memory == nullptr || !is_aligned(memory)) return VMB_STATUS_INVALID_PARAMETER_2;
  return byte_count < sizeof_packet(channel->limits()) ? VMB_STATUS_INVALID_PARAMETER_3 : VMB_STATUS_SUCCESS;
}

void initialize_one(vmb_channel* channel, void* memory, [[maybe_unused]] const char* call) noexcept {
  auto* const packet = static_cast<vmb_packet*>(memory);
#ifndef NDEBUG
  if (channel->is_on_its_way(packet)) vmb::misuse(channel, call, "the packet is in flight");
#endif
  new (memory) vmb_packet{};
  packet->channel = channel;
  packet->store(packet_word(channel->number(), PacketKind::initialized, PacketState::idle));
}

/// The pool, made by the first call that needs it.
vmb_status pool_of(vmb_channel* channel, PacketPool*& pool) noexcept {
  pool = channel->pool();
  if (pool != nullptr) [[likely]]
    return VMB_STATUS_SUCCESS;
  const vmb_status made = channel->make_pool();
  pool = channel->pool();
  return made;
}

const char* why_not_free(PacketWord word) noexcept {
  if (kind_of(word) != PacketKind::allocated) return "the packet was initialized, not allocated";
  const bool on_its_way = state_of(word) == PacketState::queued || state_of(word) == PacketState::in_flight;
  return on_its_way ? "the packet is in flight" : "the packet is free already";
}

/// The pool a packet goes back to; null if it is no packet, or of a channel without one.
PacketPool* home_of(const vmb_packet* packet) noexcept {
  return packet != nullptr && is_packet(packet->load()) ? packet->channel->pool() : nullptr;
}

void free_one(vmb_packet* packet, const char* call) noexcept {
  if (packet == nullptr) return;
  PacketPool* const pool = home_of(packet);
  if (pool != nullptr && pool->free(&packet, 1) == 1) [[likely]]
    return;
  const PacketWord word = packet->load();
  if (is_packet(word)) {
    vmb::misuse(packet->channel, call, why_not_free(word));
  } else {
    vmb::misuse(nullptr, call, "not a packet");
  }
}

/// The word of a packet whose routine may be set; otherwise misuse.
bool may_set_routine(const vmb_packet* packet, const char* call) noexcept {
  if (is_live(packet)) {
    if (state_of(packet->load()) == PacketState::idle) [[likely]]
      return true;
    vmb::misuse(packet->channel, call, "the packet is in flight");
  } else {
    vmb::misuse(nullptr, call, "not a packet, or free");
  }
  return false;
}

}  // namespace

// ---- making, unmaking ----

uint32_t vmb_channel_sizeof_packet(const vmb_channel* channel) {
  return channel != nullptr ? sizeof_packet(channel->limits()) : 0;
}

vmb_status vmb_packet_initialize(vmb_channel* channel, vmb_packet* packet, uint32_t byte_count) {
  if (const vmb_status bad = judge_size(channel, packet, byte_count); bad != VMB_STATUS_SUCCESS) return bad;
  channel->freeze();
  initialize_one(channel, packet, "vmb_packet_initialize");
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_packet_initialize_bulk(vmb_channel* channel, void* base, uint32_t stride, uint32_t count,
                                      vmb_packet** packets) {
  if (const vmb_status bad = judge_size(channel, base, stride); bad != VMB_STATUS_SUCCESS) return bad;
  if (stride % VMB_PACKET_ALIGNMENT != 0) return VMB_STATUS_INVALID_PARAMETER_3;
  if (count == 0) return VMB_STATUS_SUCCESS;
  channel->freeze();
  auto* memory = static_cast<std::byte*>(base);
  for (uint32_t i = 0; i < count; ++i, memory += stride) {
    initialize_one(channel, memory, "vmb_packet_initialize_bulk");
    if (packets != nullptr) packets[i] = reinterpret_cast<vmb_packet*>(memory);
  }
  return VMB_STATUS_SUCCESS;
}

vmb_packet* vmb_packet_allocate(vmb_channel* channel) {
  PacketPool* pool = nullptr;
  if (channel == nullptr || pool_of(channel, pool) != VMB_STATUS_SUCCESS) return nullptr;
  vmb_packet* packet = nullptr;
  return pool->allocate(&packet, 1) ? packet : nullptr;
}

vmb_status vmb_packet_allocate_bulk(vmb_channel* channel, vmb_packet** packets, uint32_t count) {
  if (channel == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (packets == nullptr) return count == 0 ? VMB_STATUS_SUCCESS : VMB_STATUS_INVALID_PARAMETER_2;
  PacketPool* pool = nullptr;
  if (const vmb_status made = pool_of(channel, pool); made != VMB_STATUS_SUCCESS) [[unlikely]]
    return made;
  return pool->allocate(packets, count) ? VMB_STATUS_SUCCESS : VMB_STATUS_INSUFFICIENT_RESOURCES;
}

void vmb_packet_free(vmb_packet* packet) { free_one(packet, "vmb_packet_free"); }

void vmb_packet_free_bulk(vmb_packet* const* packets, uint32_t count) {
  for (uint32_t done = 0; done < count;) {
    PacketPool* const pool = home_of(packets[done]);
    if (pool != nullptr) [[likely]]
      done += pool->free(packets + done, count - done);
    if (done == count) [[likely]]
      return;
    free_one(packets[done++], "vmb_packet_free_bulk");  // the one that stopped the bulk
  }
}

// ---- what they carry ----

void vmb_packet_set_completion_routine(vmb_packet* packet, vmb_packet_completion_routine routine) {
  if (!may_set_routine(packet, "vmb_packet_set_completion_routine")) return;
  packet->routine.plain = routine;
  packet->store(with_routine(packet->load(), routine != nullptr ? vmb::kRoutinePlain : vmb::kRoutineNone));
}

void vmb_packet_set_completion_routine_ex(vmb_packet* packet, void* callback_context,
                                          vmb_packet_completion_routine_ex routine) {
  if (!may_set_routine(packet, "vmb_packet_set_completion_routine_ex")) return;
  packet->routine.ex = routine;
  packet->context = callback_context;
  packet->store(with_routine(packet->load(), routine != nullptr ? vmb::kRoutineEx : vmb::kRoutineNone));
}

void vmb_packet_set_pointer(vmb_packet* packet, void* pointer) {
  if (!is_live(packet)) return vmb::misuse(nullptr, "vmb_packet_set_pointer", "not a packet, or free");
  packet->pointer = pointer;
  packet->store(with_flag(packet->load(), vmb::kHasPointer, true));
}

void* vmb_packet_get_pointer(const vmb_packet* packet) {
  return is_live(packet) && (raw(packet->load()) & vmb::kHasPointer) != 0 ? packet->pointer : nullptr;
}

vmb_channel* vmb_packet_get_channel(const vmb_packet* packet) { return is_live(packet) ? packet->channel : nullptr; }

void* vmb_packet_get_inline_packet_context_pointer(vmb_packet* packet) {
  if (!is_live(packet) || packet->channel->limits().context_size == 0) return nullptr;
  return packet->at(vmb::kPacketHeaderBytes);
}

// ---- sending ----

vmb_status vmb_packet_send(vmb_packet* packet, const void* buffer, uint32_t buffer_length, vmb_mdl* external_data,
                           uint32_t flags) {
  if (!is_live(packet)) return VMB_STATUS_INVALID_PARAMETER_1;
  const vmb_send_desc desc{packet, buffer, buffer_length, flags, external_data};
  vmb_status refusal = VMB_STATUS_SUCCESS;
  (void)packet->channel->send_burst({&desc, 1}, refusal);
  return refusal;
}

uint32_t vmb_packet_send_burst(vmb_channel* channel, const vmb_send_desc* descs, uint32_t count,
                               vmb_status* first_error) {
  vmb_status refusal = VMB_STATUS_SUCCESS;
  uint32_t sent = 0;
  if (channel == nullptr) {
    refusal = VMB_STATUS_INVALID_PARAMETER_1;
  } else if (descs == nullptr && count > 0) {
    refusal = VMB_STATUS_INVALID_PARAMETER_2;
  } else {
    sent = channel->send_burst({descs, count}, refusal);
  }
  if (first_error != nullptr) *first_error = refusal;
  return sent;
}
