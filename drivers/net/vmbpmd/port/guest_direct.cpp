// SPDX-License-Identifier: BSD-3-Clause
// The guest's sending side: frames that the host reads from where they lie, or from a bounce slot.
//
// A direct slot is room for one RNDIS header and the mbuf behind it. A host that said it is ours takes many frames in a
// packet: their slots are linked, the first names the transaction, and all come back with its completion.
#include "port/guest.hpp"

#include <algorithm>

#include "port/eal_memory.hpp"
#include "rndis/packet.hpp"

namespace vmbpmd {

namespace {

// In one process a guest-physical address is the virtual one.
vmb::Gpa gpa_of(const void* at) noexcept { return vmb::Gpa{reinterpret_cast<std::uint64_t>(at)}; }

/// Add all segments of a frame. @return false: the list is full, or the host cannot reach the memory.
bool add_segments(vmb::GpaList& list, const rte_mbuf* frame) noexcept {
  for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
    if (segment->data_len == 0) continue;
    const void* const data = rte_pktmbuf_mtod(segment, const void*);
    if (!EalMemory::instance().holds(reinterpret_cast<std::uint64_t>(data), segment->data_len) ||
        !list.add(gpa_of(data), segment->data_len)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::uint16_t Guest::send_direct(Sender& out, rte_mbuf** frames, std::uint16_t count, std::uint64_t& bytes) noexcept {
  if (out_.free_direct.empty()) {
    drain_for_sender();
    take_returned();
  }
  vmb::GpaList list{out_.direct_batch > 1 ? 2 * kMaxDirectBatch : vmb::GpaList::kMaxRanges};
  std::array<std::uint32_t, kMaxDirectBatch> slots;
  std::uint16_t taken = 0;
  std::uint64_t payload = 0;
  const std::uint32_t most = std::min<std::uint32_t>(count, out_.direct_batch);
  while (taken < most && !out_.free_direct.empty()) {
    rte_mbuf* const frame = frames[taken];
    if (frame->pkt_len <= out_.copybreak || frame->pkt_len > out_.max_frame) break;
    if (frame->pkt_len < rndis::kMinFrameBytes) break;  // the host would refuse the whole packet
    const std::uint32_t slot = out_.free_direct.back();
    const vmb::GpaList::Mark before = list.mark();
    if (!list.add(gpa_of(write_header(slot, frame)), rndis::kPacketHeaderBytes) || !add_segments(list, frame)) {
      list.back_to(before);
      break;
    }
    out_.free_direct.pop_back();
    slots[taken++] = slot;
    payload += frame->pkt_len;
  }
  if (taken == 0) {
    if (out_.free_direct.empty() || !send_bounced(out, *frames)) return 0;
    bytes += (*frames)->pkt_len;
    rte_pktmbuf_free(*frames);
    return 1;
  }
  for (std::uint16_t i = 0; i < taken; ++i) {
    const std::uint32_t next = i + 1 < taken ? slots[i + 1] : kNoSlot;
    direct_[slots[i] - kFirstDirectSlot].next.store(next, std::memory_order_relaxed);
    direct_[slots[i] - kFirstDirectSlot].frame.store(frames[i], std::memory_order_relaxed);
  }
  if (!send_list(out, slots[0], list)) return 0;
  tx_.direct.add(taken);
  bytes += payload;
  return taken;
}

std::byte* Guest::write_header(std::uint32_t slot, const rte_mbuf* frame) noexcept {
  const std::uint32_t index = slot - kFirstDirectSlot;
  std::byte* const at = headers_.data() + std::size_t{index} * kHeaderBytes;
  if (direct_[index].header_for != frame->pkt_len) {  // else it stands there, and both cores may keep the line
    direct_[index].header_for = frame->pkt_len;
    const wire::RndisPacket header = rndis::packet_header(frame->pkt_len);
    std::memcpy(at, &header, sizeof header);
  }
  return at;
}

/// The caller frees the frame when it is sent: the slot holds none.
bool Guest::send_bounced(Sender& out, const rte_mbuf* frame) noexcept {
  // Only the first slots have room for a frame.
  const auto with_room =
      std::ranges::find_if(out_.free_direct, [](std::uint32_t slot) { return slot - kFirstDirectSlot < kBounceSlots; });
  if (with_room == out_.free_direct.end()) {
    drain_for_sender();
    return false;
  }
  std::swap(*with_room, out_.free_direct.back());
  const std::uint32_t slot = out_.free_direct.back();
  std::byte* const data = bounce_.data() + std::size_t{slot - kFirstDirectSlot} * out_.bounce_bytes;
  copy_in(data, frame);
  vmb::GpaList list;
  if (!list.add(gpa_of(write_header(slot, frame)), rndis::kPacketHeaderBytes) ||
      !list.add(gpa_of(data), frame->pkt_len)) {
    return false;
  }
  out_.free_direct.pop_back();
  direct_[slot - kFirstDirectSlot].next.store(kNoSlot, std::memory_order_relaxed);
  direct_[slot - kFirstDirectSlot].frame.store(nullptr, std::memory_order_relaxed);
  if (!send_list(out, slot, list)) return false;
  tx_.direct.add();
  return true;
}

/// @return false: nothing was sent, and the slots are free again.
bool Guest::send_list(Sender& out, std::uint32_t first_slot, const vmb::GpaList& list) noexcept {
  const wire::NvspRndisPacket message{};
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &message, sizeof message);
  const vmb::TransactionId id = in_flight_.begin(first_slot);
  if (out.gpa_direct(id, list.count(), list.bytes(), std::span<const std::byte, wire::kNvspBytes>{payload}) ==
      vmb::Status::ok) {
    tx_.aggregates.add();
    return true;
  }
  if (out.fault() != vmb::Fault::none) report(out.fault());
  // A host that guessed the id has completed it: the receiving side frees the frames, which count as sent and are lost.
  if (!in_flight_.cancel(id)) return true;
  for (std::uint32_t slot = first_slot; slot != kNoSlot;) {
    DirectSlot& direct = direct_[slot - kFirstDirectSlot];
    direct.frame.store(nullptr, std::memory_order_relaxed);
    slot = direct.next.load(std::memory_order_relaxed);
  }
  free_direct(first_slot);
  return false;
}

/// The host has read them. Receiving side; the slots go back to the sending side by take_returned().
void Guest::free_direct_frames(std::uint32_t first_slot) noexcept {
  std::array<rte_mbuf*, kMaxDirectBatch> frames;
  std::uint32_t count = 0;
  for (std::uint32_t slot = first_slot; slot != kNoSlot && count < frames.size();) {
    DirectSlot& direct = direct_[slot - kFirstDirectSlot];
    rte_mbuf* const frame = direct.frame.exchange(nullptr, std::memory_order_relaxed);
    if (frame != nullptr) frames[count++] = frame;
    slot = direct.next.load(std::memory_order_relaxed);
  }
  rte_pktmbuf_free_bulk(frames.data(), count);
}

void Guest::free_direct(std::uint32_t first_slot) noexcept {
  for (std::uint32_t slot = first_slot; slot != kNoSlot;) {
    out_.free_direct.push_back(slot);
    slot = direct_[slot - kFirstDirectSlot].next.load(std::memory_order_relaxed);
  }
}

}  // namespace vmbpmd
