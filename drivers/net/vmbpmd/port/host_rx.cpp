// SPDX-License-Identifier: BSD-3-Clause
// The host's receiving side: RNDIS messages in sections and guest pages, control messages, completions of what was sent.
#include "port/host.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using vmb::Fault;
using vmb::wire::PacketType;

bool Host::take_packet(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept {
  switch (packet.descriptor.type) {
    case PacketType::in_band:
      if (const auto taken = take_frames(in, packet, reader); taken) return *taken;
      [[fallthrough]];
    case PacketType::gpa_direct: return take_message(in, packet, reader);
    case PacketType::completion: take_completion(in, packet); return true;
    case PacketType::transfer_pages: (void)in.fail(Fault::packet_type); return false;  // only hosts may
  }
  return false;
}

bool Host::take_message(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept {
  if (!may_owe_one_more()) return false;
  std::array<std::byte, 256> payload;
  const std::uint32_t bytes = in.copy_payload(packet, payload);
  const std::uint64_t id = packet.descriptor.transaction_id;
  const auto refuse = [&](Counter& counter) {
    counter.add();
    if (packet.wants_completion()) owe(id, wire::NvspStatus::failure);
    return true;
  };
  if (bytes < sizeof(wire::NvspHeader)) return refuse(rx_.bad_message);
  const auto type = vmb::load<wire::NvspHeader>(payload).type;
  if (type == wire::NvspType::send_rndis_packet) {
    if (bytes < sizeof(wire::NvspRndisPacket) || !packet.wants_completion()) return refuse(rx_.bad_message);
    return take_rndis(in, packet, vmb::load<wire::NvspRndisPacket>(payload), reader);
  }
  if (packet.descriptor.type == PacketType::gpa_direct || type == wire::NvspType::send_rndis_packet_complete) {
    return refuse(rx_.bad_message);
  }
  const auto message = std::span{payload}.first(bytes);
  if (!post(ControlKind::nvsp_message, id, packet.wants_completion(), message) && packet.wants_completion()) {
    owe(id, wire::NvspStatus::failure);
  }
  return true;
}

bool Host::take_rndis(Receiver& in, const vmb::PeekedPacket& packet, const wire::NvspRndisPacket& message,
                      Reader reader) noexcept {
  const std::uint64_t id = packet.descriptor.transaction_id;
  const auto refuse = [&](Counter& counter) {
    staged_.rollback();
    counter.add();
    owe(id, wire::NvspStatus::failure);
    return true;
  };
  const auto broken = [&](Fault fault) {
    staged_.rollback();
    (void)in.fail(fault);
    return false;
  };

  if (!make_room(kMaxPieces, reader)) return false;
  if (message.section_index != wire::kNoSection) {
    if (message.section_index >= section_count_ || message.section_bytes > section_bytes_)
      return refuse(rx_.bad_section);
    staged_.add_piece(send_buffer_.data() + std::size_t{message.section_index} * section_bytes_, message.section_bytes);
  }
  if (packet.descriptor.type == PacketType::gpa_direct) {
    std::array<std::byte, kMaxExtension> extension;
    std::uint32_t range_count = 0;
    const std::uint32_t bytes = in.gpa_extension(packet, extension, range_count);
    if (bytes == 0) return broken(in.fault());
    vmb::GpaWalk walk{std::span{extension}.first(bytes), range_count};
    while (const auto piece = walk.next()) {
      const std::byte* const at = link_->translate(piece->at, piece->bytes);
      if (at == nullptr) return broken(Fault::range_outside);
      if (staged_.added().pieces() == kMaxPieces) return refuse(rx_.bad_rndis);
      staged_.add_piece(at, piece->bytes);
    }
    if (walk.malformed()) return broken(Fault::range_count);
  }
  if (staged_.added_bytes() < sizeof(wire::RndisHeader)) return refuse(rx_.bad_rndis);

  // Data is not touched here, for it is not in this cache yet. Unless nobody may come to read it: then a control message
  // must not wait among frames.
  const bool search = reader != Reader::receiver || message.channel_type != wire::kDataChannel;
  if (search && staged_.added().load<wire::RndisHeader>(0).type != wire::RndisType::packet) {
    const bool taken = take_control(id, staged_.added(), staged_.added_bytes());
    staged_.rollback();
    return taken || refuse(rx_.bad_rndis);
  }
  stage(id, reader);
  return true;
}

bool Host::take_control(std::uint64_t id, const PieceView& view, std::uint64_t bytes) noexcept {
  std::array<std::byte, Inbox::kMaxBytes> message;
  if (bytes > message.size()) return false;
  view.copy(0, message.data(), static_cast<std::uint32_t>(bytes));
  return post(ControlKind::rndis_message, id, true, std::span{message}.first(bytes));
}

void Host::take_completion(Receiver& in, const vmb::PeekedPacket& packet) noexcept {
  const std::uint64_t id = packet.descriptor.transaction_id;
  if (id >= suballoc_count_ || !outstanding_[id].load(std::memory_order_relaxed)) {
    rx_.unknown_completion.add();
    return;
  }
  std::array<std::byte, sizeof(wire::NvspRndisPacketComplete)> payload;
  const bool failed = in.copy_payload(packet, payload) < payload.size() ||
                      vmb::load<wire::NvspRndisPacketComplete>(payload).status != wire::NvspStatus::success;
  if (failed) rx_.peer_failures.add();
  outstanding_[id].store(false, std::memory_order_relaxed);
  if (id >= reserved_) (void)returned_.push(static_cast<std::uint32_t>(id - reserved_) / suballocs_per_chunk_);
}

void Host::acknowledge(Sender& out) noexcept {
  const std::uint32_t bytes =
      dense_ ? sizeof(wire::NvspRndisPacketComplete) : nvsp_answer_bytes_;  // ours reads no more
  for (const Acknowledgement* due = due_.front(); due != nullptr; due = due_.front()) {
    const wire::NvspRndisPacketComplete answer{.status = due->status};
    std::array<std::byte, wire::kNvspBytes> payload{};
    std::memcpy(payload.data(), &answer, sizeof answer);
    const std::span<const std::byte> message = std::span{payload}.first(bytes);
    if (out.completion(vmb::TransactionId{due->id}, message) != vmb::Status::ok) break;
    due_.pop();
  }
  if (out.fault() != vmb::Fault::none) [[unlikely]]
    report(out.fault());
}

}  // namespace vmbpmd
