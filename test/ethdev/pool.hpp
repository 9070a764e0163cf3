// SPDX-License-Identifier: BSD-3-Clause
// Mbuf pools that notice: an mbuf freed twice ends the program, and one that is missing when the pool goes fails the
// test.
//
// Their mbufs live behind mempool operations of our own, a stack under a mutex. ThreadSanitizer sees that mutex, where
// it cannot see into DPDK's uninstrumented rings: an mbuf may wander between threads without a false report.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace vmbpmd::test {

class Pool {
 public:
  /// @param data_room  of an mbuf, headroom included.
  explicit Pool(std::uint32_t mbufs = 2048, std::uint16_t data_room = RTE_MBUF_DEFAULT_BUF_SIZE);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// Every mbuf must be back.
  ~Pool();

  rte_mempool* get() const { return pool_; }
  std::uint32_t free_count() const { return rte_mempool_avail_count(pool_); }
  std::uint32_t size() const { return size_; }
  std::uint32_t missing() const { return size_ - free_count(); }

 private:
  rte_mempool* pool_;
  std::uint32_t size_;
};

}  // namespace vmbpmd::test
