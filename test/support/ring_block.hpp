// SPDX-License-Identifier: BSD-3-Clause
// The memory of one ring from malloc, so that AddressSanitizer sees each access behind it; in its build the unused
// part of the control page is poisoned as well, so that it sees accesses before the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ring/memory.hpp"

#if defined(__SANITIZE_ADDRESS__)
#  define VMB_TEST_ASAN 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define VMB_TEST_ASAN 1
#  endif
#endif
#ifdef VMB_TEST_ASAN
#  include <sanitizer/asan_interface.h>
#endif

namespace vmb::test {

class RingBlock {
 public:
  /// @param data_bytes  4096 is the smallest that the protocol allows; tests of a race may want fewer.
  explicit RingBlock(std::uint32_t data_bytes = kPageSize) : bytes_(kPageSize + data_bytes), block_(allocate(bytes_)) {
    std::memset(block_.get(), 0xee, bytes_);  // a ring's bytes are anything before they are written
    format();
  }
  RingBlock(const RingBlock&) = delete;
  RingBlock& operator=(const RingBlock&) = delete;
  ~RingBlock() { poison(false); }

  /// What a guest does before it opens a channel.
  void format() const {
    poison(false);
    memory().format();
    poison(true);
  }

  RingMemory memory() const { return {block_.get(), static_cast<std::uint32_t>(bytes_ - kPageSize)}; }
  std::span<std::byte> data() const { return {block_.get() + kPageSize, bytes_ - kPageSize}; }

  /// `bytes` of the data from `at` on, which may wrap.
  std::vector<std::byte> slice(std::uint32_t at, std::size_t bytes) const {
    std::vector<std::byte> out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) out[i] = data()[(at + i) % data().size()];
    return out;
  }

  /// What the peer would do to the data.
  void overwrite(std::uint32_t at, std::span<const std::byte> bytes) const {
    for (std::size_t i = 0; i < bytes.size(); ++i) data()[(at + i) % data().size()] = bytes[i];
  }

  std::uint32_t write_index() const { return memory().write_index().load(); }
  std::uint32_t read_index() const { return memory().read_index().load(); }
  std::uint32_t mask() const { return memory().interrupt_mask().load(); }
  std::uint32_t pending() const { return memory().pending_send_size().load(); }
  void set_write_index(std::uint32_t v) const { memory().write_index().store(v); }
  void set_read_index(std::uint32_t v) const { memory().read_index().store(v); }
  void set_mask(std::uint32_t v) const { memory().interrupt_mask().store(v); }
  void set_pending(std::uint32_t v) const { memory().pending_send_size().store(v); }

 private:
  struct Free {
    void operator()(std::byte* block) const { std::free(block); }
  };

  static std::byte* allocate(std::size_t bytes) {
    void* block = nullptr;
    if (posix_memalign(&block, kPageSize, bytes) != 0) std::abort();
    return static_cast<std::byte*>(block);
  }

  void poison([[maybe_unused]] bool on) const {
#ifdef VMB_TEST_ASAN
    std::byte* const unused = block_.get() + 128;
    if (on) {
      ASAN_POISON_MEMORY_REGION(unused, kPageSize - 128);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(unused, kPageSize - 128);
    }
#endif
  }

  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> block_;
};

}  // namespace vmb::test
