// SPDX-License-Identifier: BSD-3-Clause
// The guest's sending side: frames into sections, many to one; frames too large for that from where they lie.
#include "port/guest.hpp"

#include <algorithm>

#include "port/eal_memory.hpp"
#include "rndis/packet.hpp"

namespace vmbpmd {

using rndis::kPacketHeaderBytes;
using vmb::align_up;

std::uint16_t Guest::tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept {
  Sender out{channel_};
  if (!out || !out_.up) return 0;
  take_returned();
  if (!due_.empty()) acknowledge(out);

  Section section{};
  bool open = false;
  std::uint16_t sent = 0;     // frames whose fate is settled: in a packet in the ring, or refused
  std::uint16_t pending = 0;  // frames in the open section behind them
  std::uint64_t bytes = 0, packets = 0;
  const auto finish_section = [&] {
    if (!open) return true;
    open = false;
    if (!close_section(out, section)) return false;
    free_sent(frames + sent, pending, fast_free_);
    packets += section.frames;
    bytes += section.payload_bytes;
    sent = static_cast<std::uint16_t>(sent + pending);
    pending = 0;
    return true;
  };
  const auto refuse = [&](Counter& counter) {
    if (!finish_section()) return false;
    counter.add();
    rte_pktmbuf_free(frames[sent++]);
    return true;
  };

  while (sent + pending < count) {
    rte_mbuf* const frame = frames[sent + pending];
    const std::uint32_t frame_bytes = frame->pkt_len;
    if (frame_bytes > out_.max_frame || frame_bytes < rndis::kMinFrameBytes) [[unlikely]] {
      if (!refuse(frame_bytes > out_.max_frame ? tx_.too_big : tx_.malformed)) break;
      continue;
    }
    if (frame_bytes > out_.copybreak) {
      if (!finish_section() || !send_direct(out, frame)) break;
      ++packets;
      bytes += frame_bytes;
      ++sent;
      continue;
    }
    if (open && !fits(section, frame_bytes) && !finish_section()) break;
    if (!open) {
      if (!open_section(section)) break;
      open = true;
    }
    // A message is padded with zeros so that the next one is aligned; the padding counts as the message's own.
    const std::uint32_t message_bytes = padded(frame_bytes);
    std::byte* const at =
        send_buffer_.data() + std::size_t{section.slot - kFirstSectionSlot} * out_.section_bytes + section.used;
    constexpr std::uint64_t kZeros = 0;
    std::memcpy(at + message_bytes - sizeof kZeros, &kZeros, sizeof kZeros);
    const wire::RndisPacket header =
        rndis::packet_header(frame_bytes, message_bytes - kPacketHeaderBytes - frame_bytes);
    std::memcpy(at, &header, sizeof header);
    copy_in(at + sizeof header, frame);
    section.used += message_bytes;
    section.payload_bytes += frame_bytes;
    ++section.frames;
    ++pending;
  }
  (void)finish_section();
  if (sent < count) tx_.no_room.add();
  tx_.packets.add(packets);
  tx_.bytes.add(bytes);
  return sent;
}

std::uint32_t Guest::padded(std::uint32_t frame_bytes) const noexcept {
  return align_up(kPacketHeaderBytes + frame_bytes, out_.alignment);
}

bool Guest::fits(const Section& section, std::uint32_t frame_bytes) const noexcept {
  return section.frames < out_.max_packets && section.used + padded(frame_bytes) <= out_.max_bytes;
}

void Guest::take_returned() noexcept {
  for (const std::uint32_t* slot = returned_.front(); slot != nullptr; slot = returned_.front()) {
    (*slot < kFirstSectionSlot ? out_.free_direct : out_.free_sections).push_back(*slot);
    returned_.pop();
  }
}

bool Guest::open_section(Section& section) noexcept {
  if (out_.free_sections.empty()) {
    drain_for_sender();
    take_returned();
    if (out_.free_sections.empty()) return false;
  }
  section = {out_.free_sections.back(), 0, 0, 0};
  out_.free_sections.pop_back();
  return true;
}

bool Guest::close_section(Sender& out, Section& section) noexcept {
  wire::NvspRndisPacket message{};
  message.section_index = section.slot - kFirstSectionSlot;
  message.section_bytes = section.used;
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &message, sizeof message);
  const vmb::TransactionId id = in_flight_.begin(section.slot);
  if (out.in_band(id, true, std::span<const std::byte, wire::kNvspBytes>{payload}) == vmb::Status::ok) {
    tx_.aggregates.add();
    return true;
  }
  if (in_flight_.cancel(id)) out_.free_sections.push_back(section.slot);  // else a guessed completion returned it
  if (out.fault() != vmb::Fault::none) report(out.fault());
  return false;
}

bool Guest::send_direct(Sender& out, rte_mbuf* frame) noexcept {
  if (out_.free_direct.empty()) {
    drain_for_sender();
    take_returned();
    if (out_.free_direct.empty()) return false;
  }
  const std::uint32_t slot = out_.free_direct.back();
  const std::uint32_t index = slot - kFirstDirectSlot;
  std::byte* const header_at = headers_.data() + std::size_t{index} * kHeaderBytes;
  const wire::RndisPacket header = rndis::packet_header(frame->pkt_len);
  std::memcpy(header_at, &header, sizeof header);

  // In one process a guest-physical address is the virtual one. Memory that EAL does not know is copied first.
  vmb::GpaList list;
  const auto gpa = [](const void* at) { return vmb::Gpa{reinterpret_cast<std::uint64_t>(at)}; };
  bool reachable = list.add(gpa(header_at), sizeof header);
  for (const rte_mbuf* segment = frame; segment != nullptr && reachable; segment = segment->next) {
    if (segment->data_len == 0) continue;
    const void* const data = rte_pktmbuf_mtod(segment, const void*);
    reachable = EalMemory::instance().holds(reinterpret_cast<std::uint64_t>(data), segment->data_len) &&
                list.add(gpa(data), segment->data_len);
  }
  const bool bounce = !reachable;
  if (bounce) {
    if (index >= kBounceSlots) {
      // Only the first slots have room for a frame: look for one of them.
      const auto with_room =
          std::ranges::find_if(out_.free_direct, [](std::uint32_t s) { return s - kFirstDirectSlot < kBounceSlots; });
      if (with_room == out_.free_direct.end()) {
        drain_for_sender();
        return false;
      }
      std::swap(*with_room, out_.free_direct.back());
      return send_direct(out, frame);
    }
    std::byte* const data = bounce_.data() + std::size_t{index} * out_.bounce_bytes;
    copy_in(data, frame);
    list = {};
    (void)list.add(gpa(header_at), sizeof header);
    if (!list.add(gpa(data), frame->pkt_len)) return false;
  }

  const wire::NvspRndisPacket message{};
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &message, sizeof message);
  const vmb::TransactionId id = in_flight_.begin(slot);
  direct_frames_[index].store(bounce ? nullptr : frame, std::memory_order_relaxed);
  const vmb::Status status =
      out.gpa_direct(id, list.count(), list.bytes(), std::span<const std::byte, wire::kNvspBytes>{payload});
  if (status != vmb::Status::ok) {
    if (out.fault() != vmb::Fault::none) report(out.fault());
    if (in_flight_.cancel(id)) {
      direct_frames_[index].store(nullptr, std::memory_order_relaxed);
      return false;
    }
    // A host guessed the id: the receiving side returns the slot and frees the frame, which counts as sent and is lost.
    out_.free_direct.pop_back();
    if (bounce) rte_pktmbuf_free(frame);
    return true;
  }
  out_.free_direct.pop_back();
  if (bounce) rte_pktmbuf_free(frame);
  tx_.aggregates.add();
  tx_.direct.add();
  return true;
}

}  // namespace vmbpmd
