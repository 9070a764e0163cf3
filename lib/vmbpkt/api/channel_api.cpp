// SPDX-License-Identifier: BSD-3-Clause
// vmb_channel_*: handles and arguments checked, then Endpoint.
#include <cstring>

#include "api/endpoint.hpp"
#include "api/misuse.hpp"

using vmb::Endpoint;
using vmb::Registry;
using vmb::Settings;

namespace {

Settings* settings_of(vmb_channel* channel) noexcept { return channel != nullptr ? channel->settings() : nullptr; }
Settings* sizes_of(vmb_channel* channel) noexcept { return channel != nullptr ? channel->sizes() : nullptr; }

}  // namespace

// ---- making, unmaking ----

vmb_status vmb_channel_allocate(void* parent, bool is_server, vmb_channel** channel) {
  if (channel == nullptr) return VMB_STATUS_INVALID_PARAMETER_3;
  *channel = Registry::instance().make(parent, is_server);
  return *channel != nullptr ? VMB_STATUS_SUCCESS : VMB_STATUS_INSUFFICIENT_RESOURCES;
}

void vmb_channel_cleanup(vmb_channel* channel) {
  if (channel == nullptr) return;
  if (Endpoint::in_user_code()) return vmb::misuse(channel, "vmb_channel_cleanup", "called from a packet callback");
  if (channel->state() != Endpoint::State::disabled) {
    return vmb::misuse(channel, "vmb_channel_cleanup", "the channel is not disabled");
  }
  if (channel->retire()) {
    delete channel;
  } else {
    vmb::misuse(channel, "vmb_channel_cleanup", "allocated packets were not freed");
  }
}

void vmb_channel_set_pointer(vmb_channel* channel, void* pointer) {
  if (channel != nullptr) channel->user_pointer.store(pointer, std::memory_order_release);
}

void* vmb_channel_get_pointer(const vmb_channel* channel) {
  return channel != nullptr ? channel->user_pointer.load(std::memory_order_acquire) : nullptr;
}

void* vmb_channel_get_parent(const vmb_channel* channel) { return channel != nullptr ? channel->parent() : nullptr; }

// ---- settings ----

vmb_status vmb_channel_init_set_maximum_packet_size(vmb_channel* channel, uint32_t packet_size) {
  Settings* const settings = sizes_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (packet_size == 0 || packet_size > VMB_LARGEST_PACKET_SIZE) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->limits.packet_size = packet_size;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_maximum_external_data(vmb_channel* channel, uint32_t data_size, uint32_t chain_length) {
  Settings* const settings = sizes_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  vmb::PacketLimits bytes_only{};
  bytes_only.external_bytes = data_size;
  vmb::PacketLimits pieces_only{};
  pieces_only.external_pieces = chain_length;
  const auto fits = [](const vmb::PacketLimits& limits) {
    return external_descriptor_bytes(limits) < vmb::kSendBytesLimit;
  };
  if (data_size == 0 || !fits(bytes_only)) return VMB_STATUS_INVALID_PARAMETER_2;
  if (chain_length == 0 || !fits(pieces_only)) return VMB_STATUS_INVALID_PARAMETER_3;
  settings->limits.external_bytes = data_size;
  settings->limits.external_pieces = chain_length;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_maximum_packet_count(vmb_channel* channel, uint32_t packet_count) {
  Settings* const settings = sizes_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (packet_count == 0 || packet_count > VMB_LARGEST_PACKET_COUNT) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->limits.packet_count = packet_count;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_inline_packet_context_size(vmb_channel* channel, uint32_t context_size) {
  Settings* const settings = sizes_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (context_size > VMB_LARGEST_INLINE_PACKET_CONTEXT_SIZE) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->limits.context_size = context_size;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_client_channel_init_set_ring_buffer_page_count(vmb_channel* channel, uint32_t incoming_page_count,
                                                              uint32_t outgoing_page_count) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (channel->is_server()) return VMB_STATUS_NOT_SUPPORTED;
  const auto is_legal = [](uint32_t pages) { return pages >= 2 && pages <= VMB_LARGEST_RING_PAGES; };
  if (!is_legal(incoming_page_count)) return VMB_STATUS_INVALID_PARAMETER_2;
  if (!is_legal(outgoing_page_count)) return VMB_STATUS_INVALID_PARAMETER_3;
  settings->incoming_pages = incoming_page_count;
  settings->outgoing_pages = outgoing_page_count;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_socket(vmb_channel* channel, int numa_node) {
  Settings* const settings = sizes_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (numa_node < VMB_ANY_NODE) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->numa_node = numa_node;
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_link(vmb_channel* channel, const char* name) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  const std::size_t length = name != nullptr ? strnlen(name, VMB_LONGEST_LINK_NAME + 1) : 0;
  if (length == 0 || length > VMB_LONGEST_LINK_NAME) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->link.assign(name, length);
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_process_packet_callbacks(vmb_channel* channel, vmb_process_packet process_packet,
                                                         vmb_processing_complete processing_complete) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (process_packet == nullptr) return VMB_STATUS_INVALID_PARAMETER_2;
  settings->delivery = {.process_packet = process_packet, .processing_complete = processing_complete};
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_process_packet_callbacks_ex(vmb_channel* channel, void* callback_context,
                                                            vmb_process_packet_ex process_packet,
                                                            vmb_processing_complete_ex processing_complete) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  if (process_packet == nullptr) return VMB_STATUS_INVALID_PARAMETER_3;
  settings->delivery = {.process_packet_ex = process_packet,
                        .processing_complete_ex = processing_complete,
                        .callback_context = callback_context};
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_pull_mode(vmb_channel* channel) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  settings->delivery = {.pull = true};
  return VMB_STATUS_SUCCESS;
}

vmb_status vmb_channel_init_set_deferred_completion(vmb_channel* channel, bool deferred) {
  Settings* const settings = settings_of(channel);
  if (settings == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  settings->deferred_completion = deferred;
  return VMB_STATUS_SUCCESS;
}

// ---- life ----

vmb_status vmb_channel_enable(vmb_channel* channel) {
  return channel != nullptr ? channel->enable() : VMB_STATUS_INVALID_PARAMETER_1;
}

void vmb_channel_disable(vmb_channel* channel) {
  if (channel != nullptr) channel->disable();
}

void vmb_channel_set_transaction_quota(vmb_channel* channel, uint32_t quota) {
  if (channel == nullptr) return;
  if (quota == 0) return vmb::misuse(channel, "vmb_channel_set_transaction_quota", "a quota of 0");
  channel->set_quota(quota);
}

bool vmb_channel_is_open(const vmb_channel* channel) { return channel != nullptr && channel->is_open(); }

uint32_t vmb_channel_poll(vmb_channel* channel, uint32_t budget) {
  return channel != nullptr ? channel->poll(budget, nullptr) : 0;
}

uint32_t vmb_channel_receive_burst(vmb_channel* channel, vmb_recv_desc* descs, uint32_t max) {
  return channel != nullptr && descs != nullptr ? channel->poll(max, descs) : 0;
}

vmb_status vmb_channel_get_stats(const vmb_channel* channel, struct vmb_channel_stats* stats) {
  if (channel == nullptr) return VMB_STATUS_INVALID_PARAMETER_1;
  const std::size_t least = offsetof(vmb_channel_stats, queued);
  if (stats == nullptr || stats->size < least) return VMB_STATUS_INVALID_PARAMETER_2;
  vmb_channel_stats all{};
  channel->read_stats(all);
  all.size = stats->size;
  std::memcpy(stats, &all, std::min<std::size_t>(stats->size, sizeof all));
  return VMB_STATUS_SUCCESS;
}

uint64_t vmb_channel_misuse_count(const vmb_channel* channel) {
  return vmb::misuses_of(channel).load(std::memory_order_relaxed);
}

// ---- completing ----

namespace {

/// The channel that a token names; null, and misuse, if there is none.
vmb_channel* channel_of(const vmb_packet_completion* packet, const char* call) noexcept {
  vmb_channel* const channel = Registry::instance().at(vmb::Token::of(packet).channel);
  if (channel == nullptr) vmb::misuse(nullptr, call, "not a received packet");
  return channel;
}

}  // namespace

void vmb_channel_packet_complete(vmb_packet_completion* packet, const void* buffer, uint32_t buffer_length) {
  const vmb_complete_desc desc{packet, buffer, buffer_length};
  vmb_channel* const channel = channel_of(packet, "vmb_channel_packet_complete");
  if (channel != nullptr) channel->complete({&desc, 1}, "vmb_channel_packet_complete");
}

void vmb_channel_packet_complete_bulk(const vmb_complete_desc* descs, uint32_t count) {
  constexpr const char* kCall = "vmb_channel_packet_complete_bulk";
  for (uint32_t done = 0; done < count;) {
    const uint32_t number = vmb::Token::of(descs[done].packet).channel;
    uint32_t run = 1;
    while (done + run < count && vmb::Token::of(descs[done + run].packet).channel == number) ++run;
    vmb_channel* const channel = channel_of(descs[done].packet, kCall);
    if (channel != nullptr) channel->complete({descs + done, run}, kCall);
    done += run;
  }
}
