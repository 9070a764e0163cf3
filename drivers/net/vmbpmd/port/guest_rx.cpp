// SPDX-License-Identifier: BSD-3-Clause
// The guest's receiving side: transfer pages with frames or control messages, completions of what was sent.
#include "port/guest.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using vmb::Fault;
using vmb::wire::PacketType;

bool Guest::take_packet(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept {
  switch (packet.descriptor.type) {
    case PacketType::transfer_pages: return take_transfer(in, packet, reader);
    case PacketType::completion: take_completion(in, packet); return true;
    case PacketType::in_band: {
      if (const auto taken = take_frames(in, packet, reader); taken) return *taken;
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

bool Guest::take_transfer(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept {
  const std::uint32_t count = in.transfer_ranges(packet, wire::kReceiveBufferId, receive_buffer_.size(), ranges_);
  if (count == 0) return false;
  if (!make_room(count, reader)) return false;
  wire::NvspRndisPacket envelope{};
  std::array<std::byte, sizeof envelope> payload;
  if (in.copy_payload(packet, payload) == payload.size()) envelope = vmb::load<wire::NvspRndisPacket>(payload);
  // Data is not touched here, for it is not in this cache yet. Unless nobody may come to read it: then a control message
  // must not wait among frames.
  const bool search = reader != Reader::receiver || envelope.channel_type != wire::kDataChannel;
  bool refused = false;
  for (const auto& range : std::span{ranges_}.first(count)) {
    const std::span<const std::byte> bytes = receive_buffer_.subspan(range.byte_offset, range.byte_count);
    const bool is_control = search && bytes.size() >= sizeof(wire::RndisHeader) &&
                            vmb::load<wire::RndisHeader>(bytes).type != wire::RndisType::packet;
    if (!is_control) {
      staged_.add_piece(bytes.data(), range.byte_count);
    } else if (!post(ControlKind::rndis_message, 0, false, bytes)) {
      rx_.bad_rndis.add();
      refused = true;
    }
  }
  const std::uint64_t id = packet.descriptor.transaction_id;
  if (staged_.added().pieces() > 0) {
    stage(id, reader);
  } else {
    owe(id, refused ? wire::NvspStatus::failure : wire::NvspStatus::success);
  }
  return true;
}

bool Guest::take_control(std::uint64_t /*id*/, const PieceView& view, std::uint64_t bytes) noexcept {
  return post(ControlKind::rndis_message, 0, false, {view.piece(0).at, static_cast<std::size_t>(bytes)});
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
  if (*slot < kFirstSectionSlot) free_direct_frames(*slot);
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
