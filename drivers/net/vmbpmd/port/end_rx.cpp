// SPDX-License-Identifier: BSD-3-Clause
// An end's receiving side: staged transactions become frames in mbufs.
//
// Bytes in shared memory may change while they are read. The plain loops (frame_loops.hpp) and read_message() copy a
// header once and use nothing but that copy; a frame is copied once, and its destination address judged in the mbuf.
#include "port/end.hpp"

#include <algorithm>

#include "rndis/packet.hpp"

namespace vmbpmd {

namespace {

constexpr std::uint32_t kSmallestMessage = rndis::kPacketHeaderBytes + rndis::kMinFrameBytes;

/// How many mbufs the messages of a piece will want, by the length of the first: a guess, for the peer may change it.
std::uint32_t expected_messages(const Piece& piece) noexcept {
  std::uint32_t length;
  std::memcpy(&length, piece.at + offsetof(wire::RndisPacket, length), sizeof length);
  return length < kSmallestMessage ? 1 : (piece.bytes + length - 1) / length;
}

wire::MacAddress destination_of(const rte_mbuf* frame) noexcept {
  wire::MacAddress address;
  std::memcpy(address.data(), rte_pktmbuf_mtod(frame, const void*), address.size());
  return address;
}

}  // namespace

bool End::make_room(std::uint32_t pieces, Reader reader) noexcept {
  if (!may_owe_one_more()) return false;
  while (!staged_.room_for(pieces)) {
    if (reader != Reader::for_nobody) return false;
    drop_oldest(rx_.missed);
  }
  return true;
}

void End::stage(std::uint64_t id, Reader reader) noexcept {
  if (reader == Reader::receiver) staged_.prefetch_added();  // no other core will read it
  staged_.commit(id);
  if (!rx_started_) drop_oldest(rx_.missed);  // it is the only one
}

Piece End::frames_in(const Receiver& in, const vmb::PeekedPacket& packet) const noexcept {
  wire::NvspRndisPacket first;
  std::array<std::byte, sizeof first> copy;
  if (!rx_rules_.frames_in_ring || packet.descriptor.type != vmb::wire::PacketType::in_band ||
      packet.wants_completion() || in.copy_payload(packet, copy) < copy.size()) {
    return {};
  }
  first = vmb::load<wire::NvspRndisPacket>(copy);
  if (first.type != wire::NvspType::send_rndis_packet || first.section_index != wire::kNoSection) return {};
  const bool inside =
      first.section_bytes >= sizeof(wire::RndisHeader) && first.section_bytes <= packet.payload_bytes() - sizeof first;
  if (!inside) return {nullptr, 1};
  return {in.payload_in_place(packet, sizeof first, first.section_bytes), first.section_bytes};
}

/// The plainest case, without a stop in between: nothing is staged, and the next packet holds plain messages itself.
/// @return 0: it is not so.
std::uint16_t End::deliver_in_ring(Receiver& in, rte_mbuf** frames, std::uint16_t count) noexcept {
  vmb::PeekedPacket packet;
  if (!staged_.empty() || !rx_rules_.frames_in_ring || !filler_.ready() || in.peek(packet) != vmb::Status::ok) return 0;
  const Piece messages = frames_in(in, packet);
  if (messages.at == nullptr || messages.bytes < kSmallestMessage) return 0;
  const std::uint32_t most = std::min<std::uint32_t>(count, rx_rules_.max_messages);
  const std::uint32_t expected = expected_messages(messages);
  const auto wanted = static_cast<std::uint16_t>(expected);
  if (expected > most || !filler_.take(frames, wanted)) return 0;
  const Unpacked got = loops_->unpack(messages.at, messages.bytes, frames, wanted, unpack_rules_);
  if (got.bytes != messages.bytes) {  // one is not plain
    filler_.give_back(frames, wanted);
    return 0;
  }
  filler_.give_back(frames + got.frames, static_cast<std::uint16_t>(wanted - got.frames));
  in.take(packet);
  std::uint64_t bytes = got.payload;
  const std::uint16_t kept = rx_rules_.filters ? keep_ours(frames, got.frames, bytes) : got.frames;
  rx_.packets.add(kept);
  rx_.bytes.add(bytes);
  return kept;
}

std::optional<bool> End::take_frames(Receiver& in, const vmb::PeekedPacket& packet, Reader reader) noexcept {
  const Piece messages = frames_in(in, packet);
  if (messages.bytes == 0) return std::nullopt;
  if (!make_room(1, reader)) return false;
  if (messages.at == nullptr) {  // it says more than there is, or wraps, as ours never does
    rx_.bad_message.add();
    return true;
  }
  staged_.add_piece(messages.at, messages.bytes);
  if (reader == Reader::receiver) staged_.prefetch_added();
  staged_.commit_in_ring(packet.at, in.ring().end_of(packet));
  if (!rx_started_) drop_oldest(rx_.missed);  // it is the only one
  return true;
}

std::uint32_t End::read_ahead(Receiver& in) noexcept {
  std::uint32_t packets = 0;
  vmb::PeekedPacket packet;
  // One for now, and one more only if that costs no look at the peer's index.
  while (packets < kMaxPacketsPerRead && (staged_.empty() || (staged_.size() < 2 && in.has_seen_more()))) {
    if (in.peek(packet) != vmb::Status::ok || !take_packet(in, packet, Reader::receiver)) break;
    in.take(packet);
    ++packets;
  }
  if (in.fault() != vmb::Fault::none) [[unlikely]]
    report(in.fault());
  return packets;
}

std::uint16_t End::deliver(rte_mbuf** frames, std::uint16_t count) noexcept {
  std::uint16_t done = 0;
  std::uint64_t bytes = 0;
  while (done < count && !staged_.empty() && filler_.ready()) {
    if (deliver_plain(frames, count, done, bytes)) continue;
    const Found found = read_message(frames + done);
    if (found == Found::no_mbuf) [[unlikely]] {
      rx_.no_mbuf.add();
      break;
    }
    if (found == Found::frame) bytes += frames[done++]->pkt_len;
  }
  rx_.packets.add(done);
  rx_.bytes.add(bytes);
  return done;
}

/// @return false: the next message is not plain, or the pool is short.
bool End::deliver_plain(rte_mbuf** frames, std::uint16_t count, std::uint16_t& done, std::uint64_t& bytes) noexcept {
  const Transaction& transaction = staged_.front();
  const Piece piece = staged_.piece();
  if (piece.bytes == rndis::kPacketHeaderBytes) return deliver_split(frames, count, done, bytes);
  if (piece.bytes < kSmallestMessage) return false;
  const std::uint32_t limit = rx_rules_.one_message_a_piece ? 1 : rx_rules_.max_messages - transaction.messages;
  const auto wanted =
      static_cast<std::uint16_t>(std::min({limit, expected_messages(piece), static_cast<std::uint32_t>(count - done)}));
  rte_mbuf** const at = frames + done;
  if (wanted == 0 || !filler_.take(at, wanted)) return false;
  const Unpacked got = loops_->unpack(piece.at, piece.bytes, at, wanted, unpack_rules_);
  filler_.give_back(at + got.frames, static_cast<std::uint16_t>(wanted - got.frames));
  if (got.frames == 0) return false;
  bytes += got.payload;
  done = static_cast<std::uint16_t>(done + (rx_rules_.filters ? keep_ours(at, got.frames, bytes) : got.frames));
  took(got.frames, got.bytes);
  return true;
}

/// Messages of two pieces, header and frame: what a guest sends from where it lies.
/// @return false: the next message is none, or the pool is short.
bool End::deliver_split(rte_mbuf** frames, std::uint16_t count, std::uint16_t& done, std::uint64_t& bytes) noexcept {
  const Transaction& transaction = staged_.front();
  const PieceView view = staged_.rest();
  const std::uint32_t limit = std::min(transaction.pieces / 2, rx_rules_.max_messages - transaction.messages);
  const auto wanted = static_cast<std::uint16_t>(std::min<std::uint32_t>(limit, count - done));
  rte_mbuf** const at = frames + done;
  if (rx_rules_.pieces_stand_alone || wanted == 0 || !filler_.take(at, wanted)) return false;
  std::uint16_t got = 0;
  std::uint32_t payload = 0;
  for (; got < wanted; ++got) {
    const Piece& data = view.piece(2u * got + 1);
    const Piece& header = view.piece(2u * got);
    const wire::RndisPacket expected = rndis::packet_header(data.bytes);
    if (header.bytes != sizeof expected || std::memcmp(header.at, &expected, sizeof expected) != 0 ||
        data.bytes < rndis::kMinFrameBytes || data.bytes > unpack_rules_.max_frame) {
      break;
    }
    filler_.fill_plain(at[got], data);
    payload += data.bytes;
  }
  filler_.give_back(at + got, static_cast<std::uint16_t>(wanted - got));
  if (got == 0) return false;
  bytes += payload;
  done = static_cast<std::uint16_t>(done + (rx_rules_.filters ? keep_ours(at, got, bytes) : got));
  took(got, got * rndis::kPacketHeaderBytes + payload);
  return true;
}

End::Found End::read_message(rte_mbuf** frame) noexcept {
  const Transaction& transaction = staged_.front();
  const PieceView view = staged_.rest();  // a piece that stands alone is its first
  const std::uint64_t available = rx_rules_.pieces_stand_alone ? staged_.piece().bytes : transaction.bytes;
  if (available < sizeof(wire::RndisHeader)) return bad_message();
  if (view.load<wire::RndisHeader>(0).type != wire::RndisType::packet) {
    if (transaction.in_ring) return bad_message();  // control messages want to be completed
    if (!rx_rules_.pieces_stand_alone && transaction.messages > 0) return bad_message();
    if (!take_control(transaction.id, view, available)) return bad_message();
    if (!rx_rules_.pieces_stand_alone) {
      staged_.pop();  // the control plane completes it
    } else {
      staged_.next_piece();
      if (transaction.pieces == 0) finish_oldest();
    }
    return Found::no_frame;
  }
  if (available < rndis::kPacketHeaderBytes) return bad_message();
  rndis::PacketLayout layout;
  if (!rndis::judge(view.load<wire::RndisPacket>(0), available, layout) || layout.data_bytes > rx_rules_.max_frame ||
      transaction.messages == rx_rules_.max_messages) {
    return bad_message();
  }
  bool ours = true;
  if (frame == nullptr) {
    ours = !rx_rules_.filters || for_us(view.load<wire::MacAddress>(layout.data_at));
  } else {
    rte_mbuf* const filled = filler_.fill(view, layout.data_at, layout.data_bytes);
    if (filled == nullptr) return Found::no_mbuf;
    ours = !rx_rules_.filters || for_us(destination_of(filled));
    *frame = filled;
    if (!ours) rte_pktmbuf_free(filled);
  }
  if (!ours) rx_.filtered.add();
  took(1, layout.message_bytes);
  return ours ? Found::frame : Found::no_frame;
}

/// `messages` of the oldest transaction, together `bytes`, hold and are read.
void End::took(std::uint32_t messages, std::uint32_t bytes) noexcept {
  Transaction& transaction = staged_.front();
  transaction.any_good = true;
  transaction.messages += messages;
  if (rx_rules_.one_message_a_piece) {
    staged_.next_piece();
  } else {
    staged_.consume(bytes);
  }
  if (transaction.pieces == 0) finish_oldest();
}

/// What follows it in a sequence has no beginning; another piece may still hold.
End::Found End::bad_message() noexcept {
  rx_.bad_rndis.add();
  staged_.front().any_bad = true;
  if (rx_rules_.pieces_stand_alone) staged_.next_piece();
  if (!rx_rules_.pieces_stand_alone || staged_.front().pieces == 0) finish_oldest();
  return Found::no_frame;
}

void End::finish_oldest() noexcept {
  const Transaction& oldest = staged_.front();
  const bool good =
      !oldest.any_bad || (rx_rules_.pieces_stand_alone && oldest.any_good);  // one range that holds is enough
  if (!oldest.in_ring) owe(oldest.id, good ? wire::NvspStatus::success : wire::NvspStatus::failure);
  staged_.pop();
}

/// Keep the leading frames that are for us, free the others. @return how many are left.
std::uint16_t End::keep_ours(rte_mbuf** frames, std::uint16_t count, std::uint64_t& bytes) noexcept {
  std::uint16_t kept = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    rte_mbuf* const frame = frames[i];
    if (for_us(destination_of(frame))) {
      frames[kept++] = frame;
    } else {
      bytes -= frame->pkt_len;
      filler_.give_back(&frames[i], 1);
    }
  }
  if (kept < count) rx_.filtered.add(static_cast<std::uint64_t>(count - kept));
  return kept;
}

bool End::for_us(const wire::MacAddress& destination) const noexcept {
  if ((destination[0] & 1) == 0) return destination == rx_rules_.mac;
  constexpr wire::MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  return rx_rules_.all_multicast || destination == kBroadcast;
}

void End::drop_oldest(Counter& frames) noexcept {
  const std::uint32_t left = staged_.size() - 1;
  while (staged_.size() > left) {
    if (read_message(nullptr) == Found::frame) frames.add();
  }
}

}  // namespace vmbpmd
