// SPDX-License-Identifier: BSD-3-Clause
// The host's receiving side: RNDIS messages in sections and guest pages, control messages, completions of what was sent.
#include "port/host.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using vmb::Fault;
using vmb::wire::PacketType;

namespace {

/// One RNDIS message sequence as the guest laid it out: a section, then guest pages, as contiguous pieces.
class Gathered {
 public:
  bool add(const std::byte* at, std::uint32_t bytes) noexcept {
    if (count_ == pieces_.size()) return false;
    pieces_[count_++] = {at, bytes, false};
    total_ += bytes;
    return true;
  }

  std::uint64_t total() const noexcept { return total_; }

  /// A copy of the T at `offset`; it lies inside.
  template <class T> T load(std::uint64_t offset) const noexcept {
    T object;
    if (offset + sizeof object <= pieces_[0].bytes) [[likely]] {
      std::memcpy(static_cast<void*>(&object), pieces_[0].at + offset, sizeof object);
    } else {
      copy(offset, &object, sizeof object);
    }
    return object;
  }

  /// Copy [offset, offset + bytes) out; it lies inside.
  void copy(std::uint64_t offset, void* to, std::uint32_t bytes) const noexcept {
    auto* out = static_cast<std::byte*>(to);
    for_each(offset, bytes, [&out](const std::byte* at, std::uint32_t n, bool /*last*/) {
      std::memcpy(out, at, n);
      out += n;
    });
  }

  /// Call visit(at, bytes, last) for each contiguous part of [offset, offset + bytes); it lies inside.
  template <class Visit> void for_each(std::uint64_t offset, std::uint32_t bytes, Visit visit) const noexcept {
    if (offset + bytes <= pieces_[0].bytes) [[likely]] {
      visit(pieces_[0].at + offset, bytes, true);
      return;
    }
    for (std::uint32_t i = 0; bytes > 0; ++i) {
      if (offset >= pieces_[i].bytes) {
        offset -= pieces_[i].bytes;
        continue;
      }
      const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, pieces_[i].bytes - offset));
      bytes -= n;
      visit(pieces_[i].at + offset, n, bytes == 0);
      offset = 0;
    }
  }

  std::uint32_t pieces() const noexcept { return count_; }

 private:
  std::array<Piece, 64> pieces_;  // pieces_[0, count_) are written
  std::uint32_t count_{};
  std::uint64_t total_{};
};

}  // namespace

bool Host::take_packet(Receiver& in, const vmb::PeekedPacket& packet, Overflow overflow) noexcept {
  switch (packet.descriptor.type) {
    case PacketType::in_band:
    case PacketType::gpa_direct: return take_message(in, packet, overflow);
    case PacketType::completion: take_completion(in, packet); return true;
    case PacketType::transfer_pages: (void)in.fail(Fault::packet_type); return false;  // only hosts may
  }
  return false;
}

bool Host::take_message(Receiver& in, const vmb::PeekedPacket& packet, Overflow overflow) noexcept {
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
    return take_rndis(in, packet, vmb::load<wire::NvspRndisPacket>(payload), overflow);
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
                      Overflow overflow) noexcept {
  const std::uint64_t id = packet.descriptor.transaction_id;
  const auto refuse = [&](Counter& counter) {
    staged_.rollback();
    counter.add();
    owe(id, wire::NvspStatus::failure);
    return true;
  };

  Gathered guest_bytes;
  if (message.section_index != wire::kNoSection) {
    if (message.section_index >= section_count_ || message.section_bytes > section_bytes_)
      return refuse(rx_.bad_section);
    (void)guest_bytes.add(send_buffer_.data() + std::size_t{message.section_index} * section_bytes_,
                          message.section_bytes);
  }
  if (packet.descriptor.type == PacketType::gpa_direct) {
    std::array<std::byte, kMaxExtension> extension;
    std::uint32_t range_count = 0;
    const std::uint32_t bytes = in.gpa_extension(packet, extension, range_count);
    if (bytes == 0) return false;
    vmb::GpaWalk walk{std::span{extension}.first(bytes), range_count};
    while (const auto piece = walk.next()) {
      const std::byte* const at = link_->translate(piece->at, piece->bytes);
      if (at == nullptr) {
        (void)in.fail(Fault::range_outside);
        return false;
      }
      if (!guest_bytes.add(at, piece->bytes)) return refuse(rx_.bad_rndis);
    }
    if (walk.malformed()) {
      (void)in.fail(Fault::range_count);
      return false;
    }
  }
  if (guest_bytes.total() < sizeof(wire::RndisHeader)) return refuse(rx_.bad_rndis);

  if (guest_bytes.load<wire::RndisHeader>(0).type != wire::RndisType::packet) {
    std::array<std::byte, Inbox::kMaxBytes> control;
    if (guest_bytes.total() > control.size()) return refuse(rx_.control_overflow);
    const auto bytes = static_cast<std::uint32_t>(guest_bytes.total());
    guest_bytes.copy(0, control.data(), bytes);
    if (!post(ControlKind::rndis_message, id, true, std::span{control}.first(bytes))) {
      owe(id, wire::NvspStatus::failure);
    }
    return true;
  }

  const Verdict verdict = judge_room(config_.max_packets * guest_bytes.pieces(), overflow);
  if (verdict == Verdict::leave_in_ring) return false;
  const bool keep = verdict == Verdict::keep;
  std::uint32_t frames = 0, filtered = 0, messages = 0;
  for (std::uint64_t at = 0; at < guest_bytes.total();) {
    const std::uint64_t left = guest_bytes.total() - at;
    if (left < rndis::kPacketHeaderBytes) return refuse(rx_.bad_rndis);
    const auto header = guest_bytes.load<wire::RndisPacket>(at);
    rndis::PacketLayout layout;
    if (!rndis::judge(header, left, layout) || layout.data_bytes > rx_policy_.max_frame) return refuse(rx_.bad_rndis);
    if (++messages > config_.max_packets) return refuse(rx_.bad_rndis);
    if (!rx_policy_.promiscuous && !for_us(guest_bytes.load<wire::MacAddress>(at + layout.data_at))) {
      ++filtered;
    } else {
      ++frames;
      if (keep) {
        guest_bytes.for_each(
            at + layout.data_at, layout.data_bytes,
            [this](const std::byte* data, std::uint32_t n, bool last) { staged_.add_piece(data, n, last); });
      }
    }
    at += layout.message_bytes;
  }
  if (filtered > 0) rx_.filtered.add(filtered);
  settle(id, keep, frames, 0);
  return true;
}

bool Host::for_us(const wire::MacAddress& destination) const noexcept {
  if ((destination[0] & 1) == 0) return destination == rx_policy_.mac;
  constexpr wire::MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  return rx_policy_.all_multicast || destination == kBroadcast;
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
  const std::uint32_t bytes = nvsp_answer_bytes_;
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
