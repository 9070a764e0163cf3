// SPDX-License-Identifier: BSD-3-Clause
// What both ends' sending sides share: a few small frames go to our own peer in the ring itself.
//
// Nothing has to come back for them but room in the ring: no section, no completion, and fewer lines that both cores touch
// than with a descriptor here and the frame there. They use half of the ring at most, so that completions and
// control messages always find room.
#include "port/end.hpp"

#include "rndis/packet.hpp"

namespace vmbpmd {

std::optional<std::uint16_t> End::send_in_ring(Sender& out, rte_mbuf** frames, std::uint16_t count,
                                               std::uint32_t max_frame) noexcept {
  const std::uint32_t first = rndis::kPacketHeaderBytes + frames[0]->pkt_len;
  if (frames[0]->pkt_len > max_frame || first * std::uint64_t{count} > kMaxInRing) return std::nullopt;
  const std::uint32_t half = out.ring().memory().size() / 2;
  if (out.ring().room() < half && out.ring().refreshed_room() < half) {
    if (rx_abandoned_.load(std::memory_order_relaxed)) drain_for_sender();  // a peer that does the same waits for us
    return 0;
  }
  wire::NvspRndisPacket envelope{};
  const std::span<std::byte> payload = out.reserve_in_band();
  if (payload.size() < sizeof envelope + first) return std::nullopt;
  const auto room = static_cast<std::uint32_t>(std::min<std::size_t>(payload.size() - sizeof envelope, kMaxInRing));
  const Packed packed = loops_->pack(payload.data() + sizeof envelope, room, frames, count, {max_frame, 8});
  if (packed.frames == 0) return std::nullopt;
  envelope.section_bytes = packed.bytes;
  std::memcpy(payload.data(), &envelope, sizeof envelope);
  out.commit_in_band(vmb::TransactionId::none, sizeof envelope + packed.bytes);
  free_sent(frames, packed.frames, fast_free_);
  tx_.in_ring.add(packed.frames);
  tx_.aggregates.add();
  tx_.packets.add(packed.frames);
  tx_.bytes.add(packed.payload);
  return packed.frames;
}

}  // namespace vmbpmd
