// SPDX-License-Identifier: BSD-3-Clause
#include "sender.hpp"

#include <cstring>

namespace vmbperf {
namespace {

std::uint64_t* word_of(rte_mbuf* frame) noexcept { return rte_pktmbuf_mtod_offset(frame, std::uint64_t*, kWordOffset); }

std::span<std::byte> bytes_of(rte_mbuf* frame) noexcept {
  return {rte_pktmbuf_mtod(frame, std::byte*), frame->data_len};
}

}  // namespace

/// @return  false: all mbufs are on their way, try again.
bool Sender::fill() noexcept {
  sent_ = filled_ = 0;
  if (rte_mempool_get_bulk(flow_.pool, reinterpret_cast<void**>(frames_.data()), flow_.burst) != 0) return false;
  filled_ = flow_.burst;
  const std::uint64_t first = next_[queue_];
  next_[queue_] += filled_;
  if (flow_.size.is_imix()) {
    for (std::uint16_t i = 0; i < filled_; ++i) make_ready(*frames_[i], kImix[(first + i) % kImix.size()]);
  } else {
    for (std::uint16_t i = 0; i < filled_; ++i) make_ready(*frames_[i], flow_.size.bytes);
  }
  if (flow_.verify || flow_.touch != Touch::none) {
    write_contents();
  } else if (flow_.queues == 1 && next_probe_ < first + filled_) {
    *word_of(frames_[next_probe_ - first]) = sequence_number(measurement_, 0, next_probe_);
    next_probe_ += kProbe;
  }
  return true;
}

void Sender::write_contents() noexcept {
  std::uint64_t number = sequence_number(measurement_, queue_, next_[queue_] - filled_);
  for (std::uint16_t i = 0; i < filled_; ++i, ++number) {
    if (flow_.verify) {
      write_numbered(bytes_of(frames_[i]), number);
    } else if (flow_.touch == Touch::header) {
      *word_of(frames_[i]) = number;
    } else {
      const std::span<std::byte> bytes = bytes_of(frames_[i]).subspan(kWordOffset);
      std::memset(bytes.data(), static_cast<int>(number & 0xFF), bytes.size());
    }
  }
}

}  // namespace vmbperf
