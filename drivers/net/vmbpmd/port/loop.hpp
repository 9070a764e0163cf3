// SPDX-License-Identifier: BSD-3-Clause
// The port without arguments: a host of its own behind the guest, which returns each frame.
//
// It has no thread: the guest's bursts step it, and the frames go through both rings and both buffers like any other
// host's. Its mbufs come from the guest's receive pool.
#pragma once

#include <array>

#include "base/try_lock.hpp"
#include "port/host.hpp"

namespace vmbpmd {

class Loop {
 public:
  explicit Loop(const Host::Config& config) noexcept : host_(config) {}
  ~Loop() { drop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Host& host() noexcept { return host_; }

  /// Take what the guest sent, send it back; what finds no room goes first the next time. Any lcore, never waits.
  void turn() noexcept {
    if (!lock_.try_lock()) return;
    if (held_ == 0) {
      first_ = 0;
      held_ = host_.rx_burst(frames_.data(), static_cast<std::uint16_t>(frames_.size()));
    } else {
      (void)host_.rx_burst(nullptr, 0);  // it has a receiver, however long what is held has to wait
    }
    if (held_ > 0) {
      const std::uint16_t sent = host_.tx_burst(frames_.data() + first_, held_);
      first_ = static_cast<std::uint16_t>(first_ + sent);
      held_ = static_cast<std::uint16_t>(held_ - sent);
    }
    lock_.unlock();
  }

  /// Control plane: free what is held.
  void drop() noexcept {
    lock_.lock();
    rte_pktmbuf_free_bulk(frames_.data() + first_, held_);
    held_ = 0;
    lock_.unlock();
  }

 private:
  Host host_;
  vmb::TryLock lock_;
  std::array<rte_mbuf*, 64> frames_{};
  std::uint16_t first_{}, held_{};
};

}  // namespace vmbpmd
