// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/pool.hpp"

#include <rte_errno.h>
#include <rte_mempool.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace vmbpmd::test {
namespace {

constexpr char kOperations[] = "vmb_noticing";

struct Stack {
  std::mutex mutex;
  std::vector<void*> objects;
  std::unordered_set<const void*> inside;
};

Stack& stack_of(const rte_mempool* pool) { return *static_cast<Stack*>(pool->pool_data); }

int make(rte_mempool* pool) {
  pool->pool_data = new Stack;
  return 0;
}

void destroy(rte_mempool* pool) { delete static_cast<Stack*>(pool->pool_data); }

int put(rte_mempool* pool, void* const* objects, unsigned count) {
  Stack& stack = stack_of(pool);
  const std::scoped_lock lock{stack.mutex};
  for (unsigned i = 0; i < count; ++i) {
    if (!stack.inside.insert(objects[i]).second) {
      std::fprintf(stderr, "%s: an mbuf was freed twice\n", pool->name);
      std::abort();
    }
    stack.objects.push_back(objects[i]);
  }
  return 0;
}

int get(rte_mempool* pool, void** objects, unsigned count) {
  Stack& stack = stack_of(pool);
  const std::scoped_lock lock{stack.mutex};
  if (stack.objects.size() < count) return -ENOBUFS;
  for (unsigned i = 0; i < count; ++i) {
    objects[i] = stack.objects.back();
    stack.objects.pop_back();
    stack.inside.erase(objects[i]);
  }
  return 0;
}

unsigned count(const rte_mempool* pool) {
  Stack& stack = stack_of(pool);
  const std::scoped_lock lock{stack.mutex};
  return static_cast<unsigned>(stack.objects.size());
}

void register_operations() {
  rte_mempool_ops operations{};
  (void)std::snprintf(operations.name, sizeof operations.name, "%s", kOperations);
  operations.alloc = make;
  operations.free = destroy;
  operations.enqueue = put;
  operations.dequeue = get;
  operations.get_count = count;
  static const int registered = rte_mempool_register_ops(&operations);
  if (registered < 0) std::abort();
}

}  // namespace

Pool::Pool(std::uint32_t mbufs, std::uint16_t data_room) : size_(mbufs) {
  register_operations();
  static unsigned number = 0;
  const std::string name = "test_pool_" + std::to_string(number++);
  pool_ = rte_pktmbuf_pool_create_by_ops(name.c_str(), mbufs, 0, 0, data_room, SOCKET_ID_ANY, kOperations);
  if (pool_ == nullptr) {
    std::fprintf(stderr, "no pool of %u mbufs: %s\n", mbufs, rte_strerror(rte_errno));
    std::abort();
  }
}

Pool::~Pool() {
  EXPECT_EQ(missing(), 0u) << "mbufs of " << pool_->name << " were not given back";
  if (missing() == 0) rte_mempool_free(pool_);  // else somebody may still write to one
}

}  // namespace vmbpmd::test
