// SPDX-License-Identifier: BSD-3-Clause
// The guest's receiving side: transfer pages with frames or control messages, completions of what was sent.
#include "port/guest.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using vmb::Fault;
using vmb::wire::PacketType;

bool Guest::take_packet(Receiver& in, const vmb::PeekedPacket& packet, Overflow overflow) noexcept {
  switch (packet.descriptor.type) {
    case PacketType::transfer_pages: return take_transfer(in, packet, overflow);
    case PacketType::completion: take_completion(in, packet); return true;
    case PacketType::in_band: {
      std::array<std::byte, 256> message;
      const std::uint32_t bytes = in.copy_payload(packet, message);
      const bool posted = post(ControlKind::nvsp_message, packet.descriptor.transaction_id, packet.wants_completion(),
                               std::span{message}.first(bytes));
      if (!posted && packet.wants_completion()) owe(packet.descriptor.transaction_id, wire::NvspStatus::failure);
      return true;
    }
    case PacketType::gpa_direct: (void)in.fail(Fault::packet_type); return false;  // only guests may
  }
  return false;
}

bool Guest::take_transfer(Receiver& in, const vmb::PeekedPacket& packet, Overflow overflow) noexcept {
  const std::uint32_t count = in.transfer_ranges(packet, wire::kReceiveBufferId, receive_buffer_.size(), ranges_);
  if (count == 0) return false;
  const Verdict verdict = judge_room(count, overflow);
  if (verdict == Verdict::leave_in_ring) return false;
  const std::uint64_t id = packet.descriptor.transaction_id;
  std::uint32_t frames = 0, bad = 0;
  for (const auto& range : std::span{ranges_}.first(count)) {
    const std::span<const std::byte> bytes = receive_buffer_.subspan(range.byte_offset, range.byte_count);
    // One read of memory that the host may change: type and all lengths come from this copy.
    wire::RndisPacket header{};
    if (bytes.size() >= sizeof header) [[likely]] {
      header = vmb::load<wire::RndisPacket>(bytes);
    } else if (bytes.size() >= sizeof(wire::RndisHeader)) {
      header.type = vmb::load<wire::RndisHeader>(bytes).type;
    }
    if (header.type != wire::RndisType::packet) [[unlikely]] {
      if (bytes.size() < sizeof(wire::RndisHeader) || !post(ControlKind::rndis_message, 0, false, bytes)) ++bad;
      continue;
    }
    rndis::PacketLayout layout;
    if (!rndis::judge(header, bytes.size(), layout) || layout.data_bytes > rx_max_frame_) {
      ++bad;
      continue;
    }
    ++frames;
    if (verdict == Verdict::keep) staged_.add_piece(bytes.data() + layout.data_at, layout.data_bytes, true);
  }
  if (bad > 0) rx_.bad_rndis.add(bad);
  settle(id, verdict == Verdict::keep, frames, bad);
  return true;
}

void Guest::take_completion(Receiver& in, const vmb::PeekedPacket& packet) noexcept {
  std::array<std::byte, wire::kNvspBytes> payload;
  const std::uint32_t bytes = in.copy_payload(packet, payload);
  const auto slot = in_flight_.retire(vmb::TransactionId{packet.descriptor.transaction_id});
  if (!slot) {
    rx_.unknown_completion.add();
    return;
  }
  if (*slot == kNvspSlot) {
    (void)post(ControlKind::nvsp_completion, *slot, false, std::span{payload}.first(bytes));
    return;
  }
  if (*slot < kFirstDirectSlot) {
    (void)post(ControlKind::rndis_sent, *slot, false, {});
    return;
  }
  const bool failed = bytes < sizeof(wire::NvspRndisPacketComplete) ||
                      vmb::load<wire::NvspRndisPacketComplete>(payload).status != wire::NvspStatus::success;
  if (failed) rx_.peer_failures.add();
  if (*slot < kFirstSectionSlot) {
    rte_pktmbuf_free(direct_frames_[*slot - kFirstDirectSlot].exchange(nullptr, std::memory_order_relaxed));
  }
  (void)returned_.push(*slot);
}

void Guest::acknowledge(Sender& out) noexcept {
  for (const Acknowledgement* due = due_.front(); due != nullptr; due = due_.front()) {
    // Eight bytes are all that a host needs (Linux sends no more), and half the ring space of a whole message.
    const wire::NvspRndisPacketComplete answer{.status = due->status};
    if (out.completion(vmb::TransactionId{due->id}, vmb::bytes_of(answer)) != vmb::Status::ok) break;
    due_.pop();
  }
  if (out.fault() != vmb::Fault::none) [[unlikely]]
    report(out.fault());
}

}  // namespace vmbpmd
