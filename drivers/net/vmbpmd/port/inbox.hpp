// SPDX-License-Identifier: BSD-3-Clause
// Control messages on their way from a burst, which found them between data, to the control thread, which handles them.
//
// A burst copies the message out of the peer's memory and goes on; nothing of the control plane runs on an lcore.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "port/spsc.hpp"

namespace vmbpmd {

enum class ControlKind : std::uint8_t {
  nvsp_message,     // in-band, neither 107 nor 108; wants_completion says whether it must be answered
  nvsp_completion,  // of our own NVSP request
  rndis_message,    // any RNDIS message but PACKET; its transaction has still to be completed
  rndis_sent,       // completion of our own RNDIS message: its buffer is free again
  refused,          // a message that cannot be understood or held, to be completed with a failure
};

class Inbox {
 public:
  static constexpr std::uint32_t kMessages = 32;
  static constexpr std::uint32_t kMaxBytes = 4096;  // the largest known is RSS parameters: 1132 (netvsc.md 2.1)

  struct Message {
    ControlKind kind{};
    bool wants_completion{};
    std::uint32_t bytes{};
    std::uint64_t id{};  // transaction to complete, or slot of our own
    std::array<std::byte, kMaxBytes> data{};

    std::span<const std::byte> payload() const noexcept { return std::span{data}.first(bytes); }
  };

  /// Control plane, nobody inside.
  [[nodiscard]] bool reset() noexcept {
    if (!messages_) messages_.reset(new (std::nothrow) Message[kMessages]);
    free_next_ = 0;
    return messages_ && queue_.reset(kMessages);
  }

  /// Burst side: the next free message to fill, or null when the control thread is behind. Filled by the caller, then
  /// handed over by post().
  Message* prepare() noexcept { return queue_.room() > 0 ? &messages_[free_next_ % kMessages] : nullptr; }
  void post() noexcept { (void)queue_.push(free_next_++ % kMessages); }

  /// Control side.
  const Message* front() const noexcept {
    const std::uint32_t* const index = queue_.front();
    return index == nullptr ? nullptr : &messages_[*index];
  }
  void pop() noexcept { queue_.pop(); }

 private:
  std::unique_ptr<Message[]> messages_;
  Spsc<std::uint32_t> queue_;
  std::uint32_t free_next_{};
};

}  // namespace vmbpmd
