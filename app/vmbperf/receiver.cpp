// SPDX-License-Identifier: BSD-3-Clause
#include "receiver.hpp"

#include <cstring>

namespace vmbperf {
namespace {

std::uint64_t sum_of_words(const rte_mbuf* frame) noexcept {
  std::uint64_t sum = 0;
  for (; frame != nullptr; frame = frame->next) {
    const auto* const bytes = rte_pktmbuf_mtod(frame, const std::byte*);
    std::size_t at = 0;
    for (std::uint64_t word; at + sizeof word <= frame->data_len; at += sizeof word) {
      std::memcpy(&word, bytes + at, sizeof word);
      sum += word;
    }
    for (; at < frame->data_len; ++at) sum += static_cast<std::uint64_t>(bytes[at]);
  }
  return sum;
}

}  // namespace

void Receiver::read_contents(std::uint16_t count) noexcept {
  std::uint64_t read = read_;
  for (std::uint16_t i = 0; i < count; ++i) {
    const rte_mbuf& frame = *frames_[i];
    bytes_ += frame.pkt_len;
    if (flow_.verify) {
      verify(frame);
    } else if (flow_.touch == Touch::header) {
      read += *rte_pktmbuf_mtod_offset(&frame, const std::uint64_t*, kWordOffset);
    } else if (flow_.touch == Touch::all) {
      read += sum_of_words(&frame);
    }
  }
  *const_cast<volatile std::uint64_t*>(&read_) = read;
}

void Receiver::verify(const rte_mbuf& frame) noexcept {
  static thread_local std::byte whole[kMaxFrame];
  const std::uint32_t length = std::min(frame.pkt_len, kMaxFrame);
  const void* const bytes = rte_pktmbuf_read(&frame, 0, length, whole);
  checker_.check({static_cast<const std::byte*>(bytes), length}, flow_.size.bytes);
}

}  // namespace vmbperf
