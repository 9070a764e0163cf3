// SPDX-License-Identifier: BSD-3-Clause
#include "port/end.hpp"

#include <algorithm>

namespace vmbpmd {

std::uint16_t End::rx_burst(rte_mbuf** frames, std::uint16_t count) noexcept {
  polls_.store(polls_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (rx_abandoned_.load(std::memory_order_relaxed)) [[unlikely]]
    rx_abandoned_.store(false, std::memory_order_relaxed);
  std::uint16_t delivered = 0;
  {
    Receiver in{channel_};
    if (!in) return 0;
    if (staged_.frames() < count) read_inbound(in, count, Overflow::wait);
    delivered = deliver(frames, count);
  }
  if (!due_.empty()) {
    Sender out{channel_};
    if (out) acknowledge(out);
  }
  return delivered;
}

std::uint16_t End::deliver(rte_mbuf** frames, std::uint16_t count) noexcept {
  const auto ready = static_cast<std::uint16_t>(std::min<std::uint32_t>(count, staged_.frames()));
  if (ready == 0 || !filler_.ready()) return 0;
  if (!filler_.take(frames, ready)) [[unlikely]] {
    rx_.no_mbuf.add(ready);
    return 0;
  }
  std::uint64_t bytes = 0;
  std::uint32_t pieces = 0;
  std::uint16_t done = 0;
  for (; done < ready; ++done) {
    const std::uint32_t used = filler_.fill(frames[done], staged_, pieces);
    if (used == 0) [[unlikely]] {
      rx_.no_mbuf.add(1);
      filler_.give_back(frames + done, static_cast<std::uint16_t>(ready - done));
      break;
    }
    pieces += used;
    bytes += frames[done]->pkt_len;
  }
  staged_.pop(done, pieces, [this](std::uint64_t id) { owe(id, wire::NvspStatus::success); });
  rx_.packets.add(done);
  rx_.bytes.add(bytes);
  return done;
}

void End::read_inbound(Receiver& in, std::uint32_t frames, Overflow overflow) noexcept {
  vmb::PeekedPacket packet;
  for (std::uint32_t packets = 0; packets < kMaxPacketsPerRead && staged_.frames() < frames; ++packets) {
    if (in.peek(packet) != vmb::Status::ok) break;
    if (!take_packet(in, packet, overflow)) break;
    in.take(packet);
  }
  if (in.fault() != vmb::Fault::none) [[unlikely]]
    report(in.fault());
}

void End::drain_for_sender() noexcept {
  Receiver in{channel_};
  if (!in) return;
  const bool abandoned = rx_abandoned_.load(std::memory_order_relaxed);
  read_inbound(in, ~0u, abandoned ? Overflow::discard : Overflow::wait);
}

End::Verdict End::judge_room(std::uint32_t pieces, Overflow overflow) const noexcept {
  if (!may_owe_one_more()) return Verdict::leave_in_ring;
  if (rx_started_ && staged_.room_for(pieces)) return Verdict::keep;
  return rx_started_ && overflow == Overflow::wait ? Verdict::leave_in_ring : Verdict::discard;
}

void End::settle(std::uint64_t id, bool keep, std::uint32_t frames, std::uint32_t bad) noexcept {
  if (keep && frames > 0) {
    staged_.commit(id, frames);
    return;
  }
  staged_.rollback();
  rx_.missed.add(frames);
  owe(id, frames == 0 && bad > 0 ? wire::NvspStatus::failure : wire::NvspStatus::success);
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

void End::service_unpolled(Clock::time_point now) noexcept {
  const std::uint32_t polls = polls_.load(std::memory_order_relaxed);
  if (polls != polls_seen_) {
    polls_seen_ = polls;
    polled_at_ = now;
    return;
  }
  const bool polled_before = polls != polls_at_start_;
  if (now - polled_at_ > (polled_before ? kAbandonedAfter : kNeverPolledAfter)) {
    rx_abandoned_.store(true, std::memory_order_relaxed);
  }
  // An application that sends and never receives: what waits for it would stop its peer.
  const std::uint64_t sends = tx_.packets.value() + tx_.no_room.value();
  const bool tx_only = rx_abandoned_.load(std::memory_order_relaxed) && sends != sends_seen_;
  sends_seen_ = sends;
  if (Receiver in{channel_}; in) {
    read_inbound(in, ~0u, Overflow::wait);
    if (tx_only) discard_staged();
  }
  if (due_.empty()) return;
  if (Sender out{channel_}; out) acknowledge(out);
}

void End::start_rx(const MbufFiller& filler) noexcept {
  const Receiver side{channel_, Sender::Wait::yes};
  filler_ = filler;
  rx_started_ = true;
  polls_at_start_ = polls_.load(std::memory_order_relaxed);
  polled_at_ = Clock::now();
  rx_abandoned_.store(false, std::memory_order_relaxed);
}

void End::stop_rx() noexcept {
  const Receiver side{channel_, Sender::Wait::yes};
  rx_started_ = false;
  filler_ = {};
  discard_staged();
}

void End::discard_staged() noexcept {
  std::uint32_t pieces = 0;
  for (std::uint32_t frame = 0; frame < staged_.frames(); ++frame) {
    while (!staged_.piece(pieces++).last_of_frame) continue;
  }
  rx_.missed.add(staged_.frames());
  staged_.pop(staged_.frames(), pieces, [this](std::uint64_t id) { owe(id, wire::NvspStatus::success); });
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

void End::lose_staged() noexcept {
  links_.lost_in_flight.add(staged_.frames());
  staged_.clear();
}

}  // namespace vmbpmd
