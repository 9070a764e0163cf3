// SPDX-License-Identifier: BSD-3-Clause
// Which virtual addresses are EAL's memory right now: the part of a process that two ends in it share by nature.
//
// A frame in it can be named to the other end instead of being copied; an address outside of it, or a page EAL has given
// back, is never touched on a peer's word. EAL says by callback what it adds and frees; look-ups take no lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "transport/inproc.hpp"

namespace vmbpmd {

class EalMemory {
 public:
  static EalMemory& instance() noexcept;

  /// Control plane: begin to follow EAL's memory. @return false: EAL refused, or no memory.
  [[nodiscard]] bool start() noexcept;
  void stop() noexcept;

  /// Whether all of [address, address + bytes) is memory in use. Any thread.
  bool holds(std::uint64_t address, std::uint32_t bytes) const noexcept;

  vmb::AddressSpace address_space() const noexcept;

  /// Called for EAL's memory events.
  void set_used(std::uint64_t address, std::size_t bytes, bool used) noexcept;

 private:
  /// One of EAL's segment lists: a fixed range of addresses, and which of its pages are in use.
  struct List {
    std::uint64_t base{}, bytes{};
    std::uint32_t page_shift{};
    std::unique_ptr<std::atomic<std::uint64_t>[]> used;  // bit per page
    std::size_t words{};

    bool page_used(std::uint64_t page) const noexcept {
      return (used[page / 64].load(std::memory_order_relaxed) >> (page % 64) & 1) != 0;
    }
  };
  static constexpr std::size_t kMaxLists = 128;

  List* find(std::uint64_t address) noexcept;
  List* add_list(std::uint64_t address) noexcept;

  std::mutex change_;
  std::unique_ptr<List[]> lists_;
  std::atomic<std::size_t> count_{};  // lists are only added: a reader sees whole ones
  unsigned users_{};
};

}  // namespace vmbpmd
