// SPDX-License-Identifier: BSD-3-Clause
// One end of a channel: a ring out, a ring in, a doorbell, and who may touch which when.
//
// A channel's two rings each carry data one way and completions for the other, so the sending and the receiving side
// of its owner meet in both. Each direction therefore has a try-lock, held for a burst: `Sender` owns the outbound
// ring, `Receiver` the inbound one. A burst that does not get it has nothing to do, now. Several packets sent by one
// Sender are published by one index store and at most one kick; so is the room given back by one Receiver.
//
// What the packets mean is the owner's business; which ones a peer may write at all is checked here.
#pragma once

#include <array>
#include <span>

#include "base/status.hpp"
#include "base/try_lock.hpp"
#include "packet/in_flight.hpp"
#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "wire/packet.hpp"

namespace vmb {

/// Wakes the peer. No function: the peer polls, or its control thread looks often enough.
struct Doorbell {
  void (*kick)(void* self) noexcept {};
  void* self{};
};

/// What a transport hands over when a channel opens; the memory stays mapped until close() has returned.
struct ChannelParts {
  RingMemory outbound, inbound;                           // as seen from this end
  Doorbell bell;                                          // rings at the peer
  std::uint32_t max_packet_bytes{wire::kMaxPacketBytes};  // the largest packet this end takes
};

class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Control plane: waits until no burst is inside, then lets bursts in.
  void open(const ChannelParts& parts) noexcept;

  /// Control plane: on return no burst is inside, and none will enter. Idempotent.
  void close() noexcept;

  class Sender;
  class Receiver;

 private:
  struct alignas(kCacheLine) Outbound {
    TryLock lock;
    bool open{};
    Producer ring;
    Doorbell bell;
  };
  struct alignas(kCacheLine) Inbound {
    TryLock lock;
    bool open{};
    Consumer ring;
    Doorbell bell;  // a producer that waits for room is woken by the same bell
  };

  Outbound out_;
  Inbound in_;
};

/// The outbound ring, owned for one burst. What was sent is published when it goes out of scope, or by flush().
class Channel::Sender {
 public:
  enum class Wait : bool { no, yes };

  /// False afterwards (operator bool): somebody else is inside, or the channel is closed. Wait::yes is for control
  /// threads: it waits for the burst inside.
  explicit Sender(Channel& channel, Wait wait = Wait::no) noexcept {
    if (wait == Wait::yes) {
      channel.out_.lock.lock();
    } else if (!channel.out_.lock.try_lock()) {
      return;
    }
    if (channel.out_.open) {
      out_ = &channel.out_;
    } else {
      channel.out_.lock.unlock();
    }
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() {
    if (out_ == nullptr) return;
    flush();
    out_->lock.unlock();
  }

  explicit operator bool() const noexcept { return out_ != nullptr; }

  /// Each send: ok, or nothing happened. full: retry after the peer has read. too_big: caller's mistake.
  /// corrupt: the peer wrote a bad read_index; see fault().
  template <std::size_t N>
  Status in_band(TransactionId id, bool wants_completion, std::span<const std::byte, N> payload) noexcept {
    return append(wire::PacketType::in_band, id, wants_completion, payload);
  }

  /// Room for the payload of an in-band packet that is written in place; empty: there is none in one piece.
  std::span<std::byte> reserve_in_band() const noexcept { return out_->ring.reserve(sizeof(wire::PacketDescriptor)); }

  /// The packet written there: no completion is wanted. `payload_bytes` is a multiple of 8, and at most what
  /// wire::kMaxPacketBytes leaves.
  void commit_in_band(TransactionId id, std::uint32_t payload_bytes) noexcept {
    const auto desc = descriptor(wire::PacketType::in_band, id, false, sizeof(wire::PacketDescriptor), payload_bytes);
    out_->ring.commit(std::span<const std::byte, sizeof desc>{bytes_of(desc)}, payload_bytes);
  }

  template <std::size_t N> Status completion(TransactionId id, std::span<const std::byte, N> payload) noexcept {
    return append(wire::PacketType::completion, id, false, payload);
  }

  /// @param ranges  1 or more, in the buffer that `set_id` names. Always asks for a completion.
  template <std::size_t N>
  Status transfer_pages(TransactionId id, std::uint16_t set_id, std::span<const wire::TransferRange> ranges,
                        std::span<const std::byte, N> payload) noexcept;

  /// @param ranges  GpaList::bytes(), 1 or more ranges. Always asks for a completion.
  template <std::size_t N>
  Status gpa_direct(TransactionId id, std::uint32_t range_count, std::span<const std::byte> ranges,
                    std::span<const std::byte, N> payload) noexcept;

  void flush() noexcept {
    if (out_->bell.kick == nullptr) {
      out_->ring.publish_to_poller();
    } else if (out_->ring.publish() == Kick::yes) {
      out_->bell.kick(out_->bell.self);
    }
  }

  /// Forget what was sent since the last flush().
  void revert() noexcept { out_->ring.revert(); }

  Producer& ring() noexcept { return out_->ring; }
  Fault fault() const noexcept { return out_->ring.fault(); }

 private:
  static constexpr std::size_t kMaxRanges = 512;  // per packet sent: 248 fit net_netvsc's first buffer (netvsc.md 5.3)

  template <std::size_t N>
  Status append(wire::PacketType type, TransactionId id, bool wants_completion,
                std::span<const std::byte, N> payload) noexcept {
    const wire::PacketDescriptor desc = descriptor(type, id, wants_completion, sizeof desc, payload.size());
    return out_->ring.append(std::span<const std::byte, sizeof desc>{bytes_of(desc)}, payload);
  }

  static wire::PacketDescriptor descriptor(wire::PacketType type, TransactionId id, bool wants_completion,
                                           std::size_t header_bytes, std::size_t payload_bytes) noexcept {
    return {type, static_cast<std::uint16_t>(header_bytes / 8),
            static_cast<std::uint16_t>((header_bytes + align_up(payload_bytes, 8)) / 8),
            static_cast<std::uint16_t>(wants_completion ? wire::kFlagCompletionRequested : 0),
            static_cast<std::uint64_t>(id)};
  }

  template <std::size_t N>
  Status append_extended(const wire::PacketDescriptor& desc, std::uint64_t extension, std::span<const std::byte> ranges,
                         std::span<const std::byte, N> payload) noexcept {
    std::array<std::byte, 24 + kMaxRanges * 16> header;  // not cleared: 24 + ranges bytes are written and used
    if (ranges.size() > header.size() - 24) return Status::too_big;
    std::memcpy(header.data(), &desc, sizeof desc);
    std::memcpy(header.data() + 16, &extension, sizeof extension);
    std::memcpy(header.data() + 24, ranges.data(), ranges.size());
    return out_->ring.append(std::span<const std::byte>{header.data(), 24 + ranges.size()}, payload);
  }

  Outbound* out_{};
};

template <std::size_t N>
Status Channel::Sender::transfer_pages(TransactionId id, std::uint16_t set_id,
                                       std::span<const wire::TransferRange> ranges,
                                       std::span<const std::byte, N> payload) noexcept {
  if (ranges.empty()) return Status::invalid;
  const auto desc = descriptor(wire::PacketType::transfer_pages, id, true, 24 + ranges.size_bytes(), payload.size());
  const wire::TransferHeader head{set_id, 0, static_cast<std::uint32_t>(ranges.size())};
  return append_extended(desc, std::bit_cast<std::uint64_t>(head), std::as_bytes(ranges), payload);
}

template <std::size_t N>
Status Channel::Sender::gpa_direct(TransactionId id, std::uint32_t range_count, std::span<const std::byte> ranges,
                                   std::span<const std::byte, N> payload) noexcept {
  if (range_count == 0 || ranges.size() % 8 != 0 || ranges.size() / 16 < range_count) return Status::invalid;
  const auto desc = descriptor(wire::PacketType::gpa_direct, id, true, 24 + ranges.size(), payload.size());
  const wire::GpaHeader head{0, range_count};
  return append_extended(desc, std::bit_cast<std::uint64_t>(head), ranges, payload);
}

/// The inbound ring, owned for one burst. What was taken is given back when it goes out of scope.
class Channel::Receiver {
 public:
  explicit Receiver(Channel& channel, Sender::Wait wait = Sender::Wait::no) noexcept {
    if (wait == Sender::Wait::yes) {
      channel.in_.lock.lock();
    } else if (!channel.in_.lock.try_lock()) {
      return;
    }
    if (channel.in_.open) {
      in_ = &channel.in_;
    } else {
      channel.in_.lock.unlock();
    }
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  ~Receiver() {
    if (in_ == nullptr) return;
    if (in_->bell.kick == nullptr) {
      in_->ring.advance_for_poller(worth_giving_back_);
    } else if (in_->ring.advance() == Kick::yes) {
      in_->bell.kick(in_->bell.self);
    }
    in_->lock.unlock();
  }

  explicit operator bool() const noexcept { return in_ != nullptr; }

  /// Look at the next packet: ok, empty, or corrupt (see fault()). It stays the next until take().
  Status peek(PeekedPacket& packet) noexcept { return in_->ring.peek(packet); }
  void take(const PeekedPacket& packet) noexcept { in_->ring.take(packet); }

  /// See Consumer::advance_for_poller(); for a peer that polls.
  void give_back_late(std::uint32_t worth) noexcept { worth_giving_back_ = worth; }

  /// More was published when the peer's index was last read: peek() does not read it again.
  bool has_seen_more() const noexcept { return in_->ring.has_seen_more(); }

  /// Copy the payload's first bytes out. @return how many: the smaller of both sizes.
  std::uint32_t copy_payload(const PeekedPacket& packet, std::span<std::byte> to) const noexcept {
    const auto bytes = std::min(packet.payload_bytes(), static_cast<std::uint32_t>(to.size()));
    in_->ring.copy(packet, packet.header_bytes(), to.data(), bytes);
    return bytes;
  }

  /// `bytes` of the payload from `from` on, where they lie; null: the ring wraps within. The peer may change them.
  const std::byte* payload_in_place(const PeekedPacket& packet, std::uint32_t from,
                                    std::uint32_t bytes) const noexcept {
    return in_->ring.in_place(packet, packet.header_bytes() + from, bytes);
  }

  /// The ranges of a transfer-pages packet, copied out and judged: set id, count, each within `buffer_bytes`.
  /// @param ranges  room for all that this end takes in one packet; more is a fault.
  /// @return        how many; 0: corrupt, see fault().
  std::uint32_t transfer_ranges(const PeekedPacket& packet, std::uint16_t set_id, std::uint64_t buffer_bytes,
                                std::span<wire::TransferRange> ranges) noexcept;

  /// The extension of a GPA-direct packet, copied out: ranges and page numbers, to be walked by GpaWalk.
  /// @return  bytes copied; 0: corrupt (more than `to` holds), see fault().
  std::uint32_t gpa_extension(const PeekedPacket& packet, std::span<std::byte> to, std::uint32_t& range_count) noexcept;

  /// A peer's mistake found behind the descriptor: the channel is dead.
  Status fail(Fault fault) noexcept { return in_->ring.fail(fault); }

  Consumer& ring() noexcept { return in_->ring; }
  Fault fault() const noexcept { return in_->ring.fault(); }

 private:
  Inbound* in_{};
  std::uint32_t worth_giving_back_{};
};

}  // namespace vmb
