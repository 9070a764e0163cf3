// SPDX-License-Identifier: BSD-3-Clause
#include "channel/channel.hpp"

#include <mutex>

namespace vmb {

// One lock after the other, never both: a control thread that owns one direction and waits for the other comes through.

void Channel::open(const ChannelParts& parts) noexcept {
  {
    const std::scoped_lock lock{out_.lock};
    out_.ring = Producer{parts.outbound};
    out_.bell = parts.bell;
    out_.open = true;
  }
  const std::scoped_lock lock{in_.lock};
  in_.ring = Consumer{parts.inbound, parts.max_packet_bytes};
  in_.bell = parts.bell;
  in_.open = true;
  in_.ring.disarm();
}

void Channel::close() noexcept {
  {
    const std::scoped_lock lock{out_.lock};
    out_.open = false;
    out_.ring = Producer{};
  }
  const std::scoped_lock lock{in_.lock};
  in_.open = false;
  in_.ring = Consumer{};
}

std::uint32_t Channel::Receiver::transfer_ranges(const PeekedPacket& packet, std::uint16_t set_id,
                                                 std::uint64_t buffer_bytes,
                                                 std::span<wire::TransferRange> ranges) noexcept {
  wire::TransferHeader head;
  in_->ring.copy(packet, sizeof packet.descriptor, &head, sizeof head);
  const std::size_t most = (packet.header_bytes() - 24) / sizeof(wire::TransferRange);
  if (head.set_id != set_id) {
    (void)fail(Fault::transfer_set);
    return 0;
  }
  if (head.range_count == 0 || head.range_count > most || head.range_count > ranges.size()) {
    (void)fail(Fault::range_count);
    return 0;
  }
  in_->ring.copy(packet, 24, ranges.data(), static_cast<std::uint32_t>(head.range_count * sizeof ranges[0]));
  for (const wire::TransferRange& range : ranges.first(head.range_count)) {
    if (range.byte_offset > buffer_bytes || range.byte_count > buffer_bytes - range.byte_offset) {
      (void)fail(Fault::range_outside);
      return 0;
    }
  }
  return head.range_count;
}

std::uint32_t Channel::Receiver::gpa_extension(const PeekedPacket& packet, std::span<std::byte> to,
                                               std::uint32_t& range_count) noexcept {
  wire::GpaHeader head;
  in_->ring.copy(packet, sizeof packet.descriptor, &head, sizeof head);
  const std::uint32_t bytes = packet.header_bytes() - 24;
  if (head.range_count == 0 || head.range_count > bytes / 16 || bytes > to.size()) {  // 16: a range of one page
    (void)fail(Fault::range_count);
    return 0;
  }
  in_->ring.copy(packet, 24, to.data(), bytes);
  range_count = head.range_count;
  return bytes;
}

}  // namespace vmb
