// SPDX-License-Identifier: BSD-3-Clause
#include "port/end.hpp"

#include <algorithm>
#include <utility>

namespace vmbpmd {

std::uint16_t End::rx_burst(rte_mbuf** frames, std::uint16_t count) noexcept {
  polls_.store(polls_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (rx_abandoned_.load(std::memory_order_relaxed)) [[unlikely]]
    rx_abandoned_.store(false, std::memory_order_relaxed);
  std::uint16_t delivered = 0;
  {
    Receiver in{*this};
    if (!in) return 0;
    std::uint32_t packets = 0;
    do {  // again only if that costs no look at the peer's index
      if (const auto plain = deliver_in_ring(in, frames + delivered, static_cast<std::uint16_t>(count - delivered))) {
        delivered = static_cast<std::uint16_t>(delivered + plain);
        ++packets;
        continue;
      }
      const std::uint32_t read = read_ahead(in);
      const std::uint16_t more = deliver(frames + delivered, static_cast<std::uint16_t>(count - delivered));
      if (read == 0 && more == 0) break;
      packets += read;
      delivered = static_cast<std::uint16_t>(delivered + more);
    } while (delivered < count && packets < kMaxPacketsPerRead && (!staged_.empty() || in.has_seen_more()));
  }
  if (!due_.empty()) {
    Sender out{channel_};
    if (out) acknowledge(out);
  }
  return delivered;
}

void End::read_inbound(Receiver& in, Reader reader) noexcept {
  vmb::PeekedPacket packet;
  for (std::uint32_t packets = 0; packets < kMaxPacketsPerRead; ++packets) {
    if (in.peek(packet) != vmb::Status::ok) break;
    if (!take_packet(in, packet, reader)) break;
    in.take(packet);
  }
  if (in.fault() != vmb::Fault::none) [[unlikely]]
    report(in.fault());
}

void End::drain_for_sender() noexcept {
  Receiver in{*this};
  if (!in) return;
  const bool abandoned = rx_abandoned_.load(std::memory_order_relaxed);
  read_inbound(in, abandoned ? Reader::for_nobody : Reader::other);
}

bool End::post(ControlKind kind, std::uint64_t id, bool wants_completion, std::span<const std::byte> bytes) noexcept {
  Inbox::Message* const message = bytes.size() <= Inbox::kMaxBytes ? inbox_.prepare() : nullptr;
  if (message == nullptr) {
    rx_.control_overflow.add();
    return false;
  }
  message->kind = kind;
  message->id = id;
  message->wants_completion = wants_completion;
  message->bytes = static_cast<std::uint32_t>(bytes.size());
  std::ranges::copy(bytes, message->data.begin());
  inbox_.post();
  return true;
}

bool End::only_sends(Clock::time_point now) noexcept {
  unpolled_for_ += std::min<Clock::duration>(now - looked_at_, kLongestLook);
  looked_at_ = now;
  const std::uint64_t sends = all_sends();
  const bool never_began = polls_seen_ == polls_at_start_ && sends - sends_at_poll_ >= kManySends;
  if (unpolled_for_ > (never_began ? kNeverPolledAfter : kAbandonedAfter)) {
    rx_abandoned_.store(true, std::memory_order_relaxed);
  }
  const bool has_sent = std::exchange(sends_seen_, sends) != sends;
  return has_sent && rx_abandoned_.load(std::memory_order_relaxed);
}

void End::service_unpolled(Clock::time_point now) noexcept {
  const std::uint32_t polls = polls_.load(std::memory_order_relaxed);
  if (polls != polls_seen_) {
    polls_seen_ = polls;
    sends_at_poll_ = sends_seen_ = all_sends();
    looked_at_ = now;
    unpolled_for_ = {};
    return;
  }
  const bool drops = only_sends(now);  // what waits for its rx_burst would stop its peer
  if (Receiver in{*this}; in) {
    read_inbound(in, Reader::other);
    while (drops && !staged_.empty()) drop_oldest(rx_.missed);
  }
  if (due_.empty()) return;
  if (Sender out{channel_}; out) acknowledge(out);
}

void End::start_rx(const MbufFiller& filler) noexcept {
  const Receiver side{*this, Sender::Wait::yes};
  filler_ = filler;
  rx_started_ = true;
  set_unpack_rules();
  polls_seen_ = polls_at_start_ = polls_.load(std::memory_order_relaxed);
  sends_at_poll_ = sends_seen_ = all_sends();
  unpolled_for_ = {};
  rx_abandoned_.store(false, std::memory_order_relaxed);
}

void End::stop_rx() noexcept {
  const Receiver side{*this, Sender::Wait::yes};
  rx_started_ = false;
  filler_ = {};
  while (!staged_.empty()) drop_oldest(rx_.missed);
}

void End::set_rx_rules(const RxRules& rules) noexcept {
  rx_rules_ = rules;
  set_unpack_rules();
}

void End::set_unpack_rules() noexcept {
  unpack_rules_ = {filler_.rearm(), std::min<std::uint32_t>(filler_.room(), rx_rules_.max_frame)};
}

void End::set_fast_free(bool fast) noexcept {
  const Sender side{channel_, Sender::Wait::yes};
  fast_free_ = fast;
}

bool End::reset_sides() noexcept {
  staged_.clear();
  fault_.store(vmb::Fault::none, std::memory_order_relaxed);
  return due_.reset(kMaxDue) && inbox_.reset();
}

void End::close_data() noexcept {
  if (Receiver in{*this, Sender::Wait::yes}; in && in.fault() == vmb::Fault::none) {
    std::uint32_t reads = 0;
    do { read_inbound(in, Reader::other); } while (in.has_seen_more() && ++reads < kMaxReadsAtClose);
  }
  channel_.close();
  (void)take_fault();  // the channel is closed anyway
  while (!staged_.empty()) drop_oldest(links_.lost_in_flight);
}

}  // namespace vmbpmd
