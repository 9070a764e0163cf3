// SPDX-License-Identifier: BSD-3-Clause
#include "transport/memory.hpp"

#include <rte_log.h>
#include <rte_memory.h>
#include <rte_memzone.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/bits.hpp"

namespace vmb {
namespace {

using ZoneName = std::array<char, RTE_MEMZONE_NAMESIZE>;

/// "vmb_<purpose>_<process>_<number>": zones are shared by the processes of one EAL, so the process is in the name.
ZoneName unique_name(std::string_view purpose) noexcept {
  static std::atomic<unsigned> number{0};
  ZoneName name;
  const auto shown = static_cast<int>(std::min<std::size_t>(purpose.size(), 9));
  (void)std::snprintf(name.data(), name.size(), "vmb_%.*s_%x_%x", shown, purpose.data(),
                      static_cast<unsigned>(getpid()), number.fetch_add(1, std::memory_order_relaxed));
  return name;
}

const rte_memzone* reserve_zone(std::string_view purpose, std::size_t bytes, int node) noexcept {
  const ZoneName name = unique_name(purpose);
  const rte_memzone* zone = rte_memzone_reserve_aligned(name.data(), bytes, node, 0, kPageSize);
  if (zone != nullptr || node == SharedMemory::kAnyNode) return zone;
  zone = rte_memzone_reserve_aligned(name.data(), bytes, SharedMemory::kAnyNode, 0, kPageSize);
  if (zone != nullptr) {
    RTE_LOG(WARNING, EAL, "vmbpkt: no room on node %d for %zu bytes (%s): placed on node %d\n", node, bytes,
            name.data(), zone->socket_id);
  }
  return zone;
}

std::byte* ordinary_memory(std::size_t bytes) noexcept {
  static std::atomic<bool> said{false};
  if (!said.exchange(true, std::memory_order_relaxed)) {
    RTE_LOG(WARNING, EAL, "vmbpkt: no EAL is running: rings live in ordinary memory, not in hugepages\n");
  }
  return static_cast<std::byte*>(std::aligned_alloc(kPageSize, bytes));
}

}  // namespace

bool eal_is_running() noexcept {
  const auto found = [](const rte_memseg_list*, void*) { return 1; };  // EAL's memory is there, in whatever form
  return rte_memseg_list_walk(found, nullptr) == 1;
}

std::optional<SharedMemory> SharedMemory::reserve(std::string_view purpose, std::size_t bytes, int numa_node) noexcept {
  const std::size_t rounded = align_up(bytes, std::size_t{kPageSize});
  const rte_memzone* zone = nullptr;
  std::byte* memory = nullptr;
  if (rounded >= bytes && bytes > 0) {
    if (eal_is_running()) {
      zone = reserve_zone(purpose, rounded, numa_node);
      if (zone != nullptr) memory = static_cast<std::byte*>(zone->addr);
    } else {
      memory = ordinary_memory(rounded);
    }
  }
  if (memory == nullptr) {
    RTE_LOG(ERR, EAL, "vmbpkt: no memory: %zu bytes for '%.*s' on node %d\n", bytes, static_cast<int>(purpose.size()),
            purpose.data(), numa_node);
    return std::nullopt;
  }
  std::memset(memory, 0, rounded);
  return SharedMemory{zone, {memory, rounded}};
}

SharedMemory::~SharedMemory() {
  if (zone_ != nullptr) {
    (void)rte_memzone_free(zone_);
  } else {
    std::free(bytes_.data());
  }
}

}  // namespace vmb
