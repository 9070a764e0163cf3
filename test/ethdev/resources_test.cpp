// SPDX-License-Identifier: BSD-3-Clause
// Nothing is left over, however often.
#include <malloc.h>
#include <rte_memzone.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/log_capture.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

struct Resources {
  std::ptrdiff_t zones, fds, threads, mappings;
};

std::ptrdiff_t entries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator{folder}, std::filesystem::directory_iterator{});
}

Resources in_use() {
  std::ifstream maps{"/proc/self/maps"};
  std::ptrdiff_t lines = 0;
  for (std::string line; std::getline(maps, line);) ++lines;
  return {static_cast<std::ptrdiff_t>(count_memzones()), entries("/proc/self/fd"), entries("/proc/self/task"), lines};
}

class ResourcesLeft : public PortsTest {
 protected:
  /// The first rounds may allocate for good (the heap's, a sanitizer's); a hundred more may not.
  static void expect_none(const std::function<void()>& round) {
    for (int i = 0; i < 5; ++i) round();
    const Resources before = in_use();
    for (int i = 0; i < 100 && !HasFailure(); ++i) round();
    const Resources after = in_use();
    EXPECT_EQ(after.zones, before.zones);
    EXPECT_EQ(after.fds, before.fds);
    EXPECT_EQ(after.threads, before.threads);
    EXPECT_LT(after.mappings, before.mappings + 50);  // one a round would be a hundred; sanitizers keep some
  }
};

TEST_F(ResourcesLeft, ByAPairMadeStartedStoppedAndClosedAreNone) {
  Pool pool;
  expect_none([&] {
    Pair pair;
    pair.start();
    expect_traffic(pair.guest, pair.host, pool, 50);
    pair.guest.stop();
    pair.host.stop();
  });
}

TEST_F(ResourcesLeft, ByALoopMadeAndClosedAreNone) {
  Pool pool;
  expect_none([&] {
    Nic nic{""};
    nic.start();
    ASSERT_TRUE(eventually([&] { return nic.link_up(); }));
    expect_traffic(nic, nic, pool, 50);
  });
}

TEST_F(ResourcesLeft, ByAPairStartedAndStoppedAreNone) {
  Pool pool;
  Pair pair;
  expect_none([&] {
    pair.start();
    expect_traffic(pair, pool);
    pair.host.stop();
    pair.guest.stop();
  });
  EXPECT_EQ(pair.guest.xstat("link_attaches"), 1u);
  EXPECT_EQ(pool.missing(), 0u);
}

/// Memzones but for those of mempools, and what malloc() has out, in bytes.
std::size_t memory_of_ports() {
  static std::size_t zones;
  zones = 0;
  rte_memzone_walk(
      [](const rte_memzone* zone, void*) {
        if (std::string_view{zone->name}.starts_with("vmb_")) zones += zone->len;
      },
      nullptr);
  const struct mallinfo2 heap = mallinfo2();
  return zones + heap.uordblks + heap.hblkhd;
}

using Memory = PortsTest;

TEST_F(Memory, OfADefaultPairIsWhatTheReadmeSays) {  // beside its mbuf pools
  const std::size_t before = memory_of_ports();
  Pair pair;
  pair.start();
  const std::size_t taken = memory_of_ports() - before;
  EXPECT_GT(taken, std::size_t{6} << 20);
  EXPECT_LT(taken, std::size_t{9} << 20);
  pair.guest.stop();
  pair.host.stop();
}

TEST_F(ResourcesLeft, ByProbesThatFailAreNone) {
  LogCapture log;
  expect_none([] { EXPECT_NE(probe("net_vmbpmd_wrong", "role=host"), 0); });
  Pair pair;
  expect_none([&] { EXPECT_NE(probe("net_vmbpmd_wrong", "role=guest,link=" + pair.link), 0); });
}

}  // namespace
}  // namespace vmbpmd::test
