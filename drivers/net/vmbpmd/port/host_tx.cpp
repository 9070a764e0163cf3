// SPDX-License-Identifier: BSD-3-Clause
// The host's sending side: frames into the receive buffer, many ranges to one transfer-pages packet.
//
// Memory is handed out in chunks of a few suballocs. A guest that said it is ours gets many frames to a chunk, close
// together; any other guest one frame to a suballoc. A packet's transaction id is the first suballoc of its first chunk
// (guests use it as an index, netvsc.md 5.3); its chunks are linked, and come back together.
#include "port/host.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

using rndis::kPacketHeaderBytes;

namespace {
constexpr std::uint32_t kNoChunk = ~0u;
}  // namespace

/// The packet being filled.
class Host::Burst {
 public:
  Burst(Host& host, Sender& out) noexcept : host_(host), out_(out) {}

  /// Copy leading frames into the receive buffer. @return how many; 0: no memory or ranges left for the first.
  std::uint16_t add(rte_mbuf** frames, std::uint16_t count) noexcept {
    const std::uint32_t bytes = vmb::align_up(kPacketHeaderBytes + (*frames)->pkt_len, kAlignment);
    if (room_left_ < bytes && !open_chunk()) return 0;
    std::byte* const at = host_.receive_buffer_.data() + next_offset_;
    const std::uint16_t most = host_.dense_ ? count : 1;
    Packed packed = host_.loops_->pack(at, room_left_, frames, most, {host_.out_.max_frame, kAlignment});
    if (packed.frames == 0) packed = pack_chain(at, *frames, kAlignment);
    ranges_[range_count_ - 1].byte_count += packed.bytes;
    next_offset_ += packed.bytes;
    room_left_ = host_.dense_ ? room_left_ - packed.bytes : 0;
    return packed.frames;
  }

  bool empty() const noexcept { return range_count_ == 0; }

  /// Hand the packet to the ring. @return false: no ring room; the packet's memory is free again.
  bool send() noexcept {
    if (empty()) return true;
    const std::uint32_t id = host_.first_suballoc(first_chunk_);
    host_.out_.last_used = ranges_[range_count_ - 1].byte_count;
    host_.outstanding_[id].store(true, std::memory_order_relaxed);
    std::array<std::byte, wire::kNvspBytes> payload{};
    const wire::NvspRndisPacket message{};
    std::memcpy(payload.data(), &message, sizeof message);
    const vmb::Status status =
        out_.transfer_pages(vmb::TransactionId{id}, host_.receive_buffer_id_, std::span{ranges_}.first(range_count_),
                            std::span<const std::byte>{payload}.first(host_.nvsp_answer_bytes_));
    if (status != vmb::Status::ok) {
      host_.outstanding_[id].store(false, std::memory_order_relaxed);
      host_.give_back(first_chunk_);
      if (out_.fault() != vmb::Fault::none) host_.report(out_.fault());
    }
    first_chunk_ = kNoChunk;
    range_count_ = 0;
    room_left_ = 0;
    return status == vmb::Status::ok;
  }

 private:
  static constexpr std::uint32_t kAlignment = 8;

  /// A chunk is a range of the packet.
  bool open_chunk() noexcept {
    if (range_count_ == ranges_.size()) return false;
    if (host_.out_.free_chunks.empty()) {
      host_.drain_for_sender();
      host_.take_returned();
      if (host_.out_.free_chunks.empty()) return false;
    }
    const std::uint32_t chunk = host_.out_.free_chunks.take(host_.out_.last_used);
    host_.out_.next_chunk[chunk] = kNoChunk;
    if (first_chunk_ == kNoChunk) {
      first_chunk_ = chunk;
    } else {
      host_.out_.next_chunk[last_chunk_] = chunk;
    }
    last_chunk_ = chunk;
    next_offset_ = host_.first_suballoc(chunk) * host_.suballoc_bytes_;
    room_left_ = host_.suballocs_per_chunk_ * host_.suballoc_bytes_;
    ranges_[range_count_++] = {0, next_offset_};
    if (!host_.out_.free_chunks.empty()) {
      // The next one's lines, which the guest's core has, while this one is filled.
      const std::uint32_t next = host_.first_suballoc(host_.out_.free_chunks.next(host_.out_.last_used));
      vmb::prefetch_for_write(host_.receive_buffer_.data() + std::size_t{next} * host_.suballoc_bytes_,
                              host_.out_.last_used);
    }
    return true;
  }

  Host& host_;
  Sender& out_;
  std::array<vmb::wire::TransferRange, kMaxRangesSent> ranges_;  // [0, range_count_) are written
  std::uint32_t range_count_{};
  std::uint32_t first_chunk_{kNoChunk}, last_chunk_{kNoChunk};
  std::uint32_t next_offset_{}, room_left_{};
};

std::uint16_t Host::tx_burst(rte_mbuf** frames, std::uint16_t count) noexcept {
  Sender out{channel_};
  if (!out || !out_.up) return 0;
  take_returned();
  if (!due_.empty()) acknowledge(out);
  std::uint16_t sent = 0;
  if (const std::uint16_t wanted = out_.in_ring ? leading_wanted(frames, count) : std::uint16_t{0}; wanted > 0) {
    const auto in_ring = send_in_ring(out, frames, wanted, out_.max_frame);
    sent = in_ring.value_or(0);
    if (sent == count) return count;
    if (in_ring == 0) {
      tx_.no_room.add();
      return 0;
    }
  }
  sent =
      static_cast<std::uint16_t>(sent + send_in_chunks(out, frames + sent, static_cast<std::uint16_t>(count - sent)));
  if (sent < count) tx_.no_room.add();
  return sent;
}

std::uint16_t Host::send_in_chunks(Sender& out, rte_mbuf** frames, std::uint16_t count) noexcept {
  Burst burst{*this, out};
  std::uint16_t sent = 0;     // frames whose fate is settled
  std::uint16_t pending = 0;  // frames in the packet being filled, behind them
  std::uint64_t bytes = 0, packets = 0, pending_bytes = 0;
  const auto finish_packet = [&] {
    const bool had = !burst.empty();
    if (!burst.send()) {
      pending = 0;  // not sent, and the caller's
      pending_bytes = 0;
      return false;
    }
    free_sent(frames + sent, pending, fast_free_);
    packets += pending;
    bytes += pending_bytes;
    sent = static_cast<std::uint16_t>(sent + pending);
    pending = 0;
    pending_bytes = 0;
    if (had) tx_.aggregates.add();
    return true;
  };
  const auto refuse = [&](Counter& counter) {
    if (!finish_packet()) return false;
    counter.add();
    rte_pktmbuf_free(frames[sent++]);
    return true;
  };

  bool room = true;
  while (room && sent + pending < count) {
    rte_mbuf** const next = frames + sent + pending;
    const std::uint32_t frame_bytes = (*next)->pkt_len;
    if (frame_bytes > out_.max_frame) [[unlikely]] {
      room = refuse(tx_.too_big);
    } else if (frame_bytes < rndis::kMinFrameBytes) [[unlikely]] {
      room = refuse(tx_.malformed);
    } else if (!wanted_by_guest(*next)) {
      room = refuse(tx_.filtered);
    } else {
      const std::uint16_t wanted = leading_wanted(next, static_cast<std::uint16_t>(count - sent - pending));
      std::uint16_t added = burst.add(next, wanted);
      if (added == 0) {  // ranges or memory: send what there is, and try once more
        room = !burst.empty() && finish_packet();
        added = room ? burst.add(frames + sent, wanted) : std::uint16_t{0};
        room = added > 0;
      }
      for (std::uint16_t i = 0; i < added; ++i) pending_bytes += frames[sent + pending + i]->pkt_len;
      pending = static_cast<std::uint16_t>(pending + added);
    }
  }
  (void)finish_packet();
  tx_.packets.add(packets);
  tx_.bytes.add(bytes);
  return sent;
}

/// @return how many of the leading frames are none that the guest does not want.
std::uint16_t Host::leading_wanted(rte_mbuf** frames, std::uint16_t count) const noexcept {
  if (takes_all()) return count;
  std::uint16_t wanted = 0;
  while (wanted < count && frames[wanted]->pkt_len >= rndis::kMinFrameBytes && wanted_by_guest(frames[wanted])) {
    ++wanted;
  }
  return wanted;
}

bool Host::takes_all() const noexcept {
  return config_.unfiltered || (out_.filter & wire::packet_filter::kPromiscuous) != 0;
}

bool Host::wanted_by_guest(const rte_mbuf* frame) const noexcept {
  namespace filter = wire::packet_filter;
  if (takes_all()) return true;
  wire::MacAddress copy;
  const auto* const data = static_cast<const std::byte*>(rte_pktmbuf_read(frame, 0, sizeof copy, copy.data()));
  const auto destination = vmb::load<wire::MacAddress>({data, sizeof copy});
  if ((destination[0] & 1) == 0) return (out_.filter & filter::kDirected) != 0 && destination == out_.guest_mac;
  constexpr wire::MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  if (destination == kBroadcast) return (out_.filter & filter::kBroadcast) != 0;
  if ((out_.filter & filter::kAllMulticast) != 0) return true;
  return (out_.filter & filter::kMulticast) != 0 &&
         std::ranges::find(out_.multicast, destination) != out_.multicast.end();
}

void Host::give_back(std::uint32_t first_chunk) noexcept {
  for (std::uint32_t chunk = first_chunk; chunk != kNoChunk; chunk = out_.next_chunk[chunk]) {
    out_.free_chunks.push(chunk);
  }
}

void Host::take_returned() noexcept {
  for (const std::uint32_t* chunk = returned_.front(); chunk != nullptr; chunk = returned_.front()) {
    give_back(*chunk);
    returned_.pop();
  }
}

}  // namespace vmbpmd
