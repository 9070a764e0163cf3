// SPDX-License-Identifier: BSD-3-Clause
// The guest's sending side: frames into sections, many to one; frames too large for that from where they lie.
#include "port/guest.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using rndis::kPacketHeaderBytes;
using vmb::align_up;

std::uint16_t Guest::tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept {
  Sender out{channel_};
  if (!out || !out_.up) return 0;
  take_returned();
  if (!due_.empty()) acknowledge(out);
  std::uint16_t sent = 0;
  if (out_.in_ring && count > 0) {
    const auto in_ring = send_in_ring(out, frames, count, out_.copybreak);
    sent = in_ring.value_or(0);
    if (sent == count) return count;
    if (in_ring == 0) {
      tx_.no_room.add();
      return 0;
    }
  }
  sent =
      static_cast<std::uint16_t>(sent + send_elsewhere(out, frames + sent, static_cast<std::uint16_t>(count - sent)));
  if (sent < count) tx_.no_room.add();
  return sent;
}

/// In sections, or from where they lie.
std::uint16_t Guest::send_elsewhere(Sender& out, rte_mbuf** frames, std::uint16_t count) noexcept {
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
    rte_mbuf** const next = frames + sent + pending;
    const std::uint32_t frame_bytes = (*next)->pkt_len;
    if (frame_bytes > out_.max_frame || frame_bytes < rndis::kMinFrameBytes) [[unlikely]] {
      if (!refuse(frame_bytes > out_.max_frame ? tx_.too_big : tx_.malformed)) break;
      continue;
    }
    if (frame_bytes > out_.copybreak) {
      const std::uint16_t direct =
          finish_section() ? send_direct(out, frames + sent, static_cast<std::uint16_t>(count - sent), bytes)
                           : std::uint16_t{0};
      if (direct == 0) break;
      packets += direct;
      sent = static_cast<std::uint16_t>(sent + direct);
      continue;
    }
    if (open && !fits(section, frame_bytes) && !finish_section()) break;
    if (!open) {
      if (!open_section(section)) break;
      open = true;
    }
    const std::uint32_t most = std::min<std::uint32_t>(count - sent - pending, out_.max_packets - section.frames);
    pending = static_cast<std::uint16_t>(pending + fill(section, next, static_cast<std::uint16_t>(most)));
  }
  (void)finish_section();
  tx_.packets.add(packets);
  tx_.bytes.add(bytes);
  return sent;
}

std::byte* Guest::section_at(std::uint32_t slot) const noexcept {
  return send_buffer_.data() + std::size_t{slot - kFirstSectionSlot} * out_.section_bytes;
}

std::uint32_t Guest::padded(std::uint32_t frame_bytes) const noexcept {
  return align_up(kPacketHeaderBytes + frame_bytes, out_.alignment);
}

/// @return  how many of the frames are in the section now: one or more, for the first fits.
std::uint16_t Guest::fill(Section& section, rte_mbuf** frames, std::uint16_t count) noexcept {
  std::byte* const at = section_at(section.slot) + section.used;
  Packed packed = loops_->pack(at, out_.max_bytes - section.used, frames, count, {out_.copybreak, out_.alignment});
  if (packed.frames == 0) packed = pack_chain(at, *frames, out_.alignment);
  section.used += packed.bytes;
  section.frames += packed.frames;
  section.payload_bytes += packed.payload;
  return packed.frames;
}

bool Guest::fits(const Section& section, std::uint32_t frame_bytes) const noexcept {
  return section.frames < out_.max_packets && section.used + padded(frame_bytes) <= out_.max_bytes;
}

void Guest::take_returned() noexcept {
  for (const std::uint32_t* slot = returned_.front(); slot != nullptr; slot = returned_.front()) {
    if (*slot < kFirstSectionSlot) {
      free_direct(*slot);
    } else {
      out_.free_sections.push(*slot);
    }
    returned_.pop();
  }
}

bool Guest::open_section(Section& section) noexcept {
  if (out_.free_sections.empty()) {
    drain_for_sender();
    take_returned();
    if (out_.free_sections.empty()) return false;
  }
  section = {out_.free_sections.take(out_.last_used), 0, 0, 0};
  if (!out_.free_sections.empty()) {  // the next one's lines, which the host's core has, while this one is filled
    vmb::prefetch_for_write(section_at(out_.free_sections.next(out_.last_used)), out_.last_used);
  }
  return true;
}

bool Guest::close_section(Sender& out, Section& section) noexcept {
  wire::NvspRndisPacket message{};
  message.section_index = section.slot - kFirstSectionSlot;
  message.section_bytes = section.used;
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &message, sizeof message);
  out_.last_used = section.used;
  const vmb::TransactionId id = in_flight_.begin(section.slot);
  if (out.in_band(id, true, std::span<const std::byte, wire::kNvspBytes>{payload}) == vmb::Status::ok) {
    tx_.aggregates.add();
    return true;
  }
  if (in_flight_.cancel(id)) out_.free_sections.push(section.slot);  // else a guessed completion returned it
  if (out.fault() != vmb::Fault::none) report(out.fault());
  return false;
}

}  // namespace vmbpmd
