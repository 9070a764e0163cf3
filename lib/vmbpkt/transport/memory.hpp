// SPDX-License-Identifier: BSD-3-Clause
// Memory for rings and buffers inside one process: whole pages, zeroed, on a NUMA node, given back when the owner goes.
//
// Where an EAL runs it is a memzone: hugepage memory on the node asked for (with --no-huge, EAL's ordinary pages).
// Where none runs, it is ordinary memory of no particular node, and one line on the log says so, once: tools and tests
// that never start an EAL work, only slower. What lies in the memory, and who may touch it when, is the owner's
// business; memory that another process maps comes from elsewhere.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

struct rte_memzone;

namespace vmb {

/// True between a successful rte_eal_init() and rte_eal_cleanup(): memzones and mempools can be made.
[[nodiscard]] bool eal_is_running() noexcept;

class SharedMemory {
 public:
  static constexpr int kAnyNode = -1;

  /// Reserve zeroed memory. A node without room is not an error: it comes from another one, with a line on the log.
  /// @param purpose    at most 9 characters that a person recognises in a list of memzones; more are cut off. The
  ///                   name is made unique here.
  /// @param bytes      > 0; rounded up to whole pages of 4096.
  /// @param numa_node  node number, or kAnyNode.
  /// @return           nothing: no memory on any node (a line on the log says what was asked for).
  /// Threads  any; control plane only.
  [[nodiscard]] static std::optional<SharedMemory> reserve(std::string_view purpose, std::size_t bytes,
                                                           int numa_node) noexcept;

  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept
      : zone_(std::exchange(other.zone_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    std::swap(zone_, other.zone_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  /// Gives the memory back: nobody uses it any more, and an EAL that supplied it is still running.
  ~SharedMemory();

  /// Page-aligned; empty for a default-constructed object. Borrowed for the life of this object.
  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  SharedMemory(const rte_memzone* zone, std::span<std::byte> bytes) noexcept : zone_(zone), bytes_(bytes) {}

  const rte_memzone* zone_{};  // null: ordinary memory
  std::span<std::byte> bytes_;
};

}  // namespace vmb
