// SPDX-License-Identifier: BSD-3-Clause
// The control page of one VMBus ring. Source: vmbus.md 1.2, 1.3 (Linux, DPDK, OpenVMM, QEMU, FreeBSD agree).
//
// A channel's memory is two rings back to back, guest-to-host first, each a control page and whole data pages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.hpp"

namespace vmb::wire {

/// Shared words are plain integers here; code touches them only through std::atomic_ref (ring/memory.hpp).
struct RingPage {
  std::uint32_t write_index;        // bytes into the data of the next write; producer writes; [0, size), multiple of 8
  std::uint32_t read_index;         // bytes into the data of the next read; consumer writes; same range
  std::uint32_t interrupt_mask;     // consumer writes; not 0: no signal for new data, please
  std::uint32_t pending_send_size;  // producer writes; bytes it waits for, 0: it does not wait
  std::uint32_t reserved[12];       // zero
  std::uint32_t feature_bits;       // producer writes; unknown bits are ignored
  std::uint8_t reserved_tail[kPageSize - 68];
};
static_assert(sizeof(RingPage) == kPageSize);
static_assert(offsetof(RingPage, write_index) == 0 && offsetof(RingPage, read_index) == 4);
static_assert(offsetof(RingPage, interrupt_mask) == 8 && offsetof(RingPage, pending_send_size) == 12);
static_assert(offsetof(RingPage, feature_bits) == 64);

inline constexpr std::uint32_t kFeaturePendingSendSize = 1u << 0;

}  // namespace vmb::wire
