// SPDX-License-Identifier: BSD-3-Clause
// main() of the packet tests: an EAL that asks for nothing (no hugepages, no devices, no privileges), then GoogleTest.
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "support/random.hpp"

namespace {

std::string lcore_on_first_allowed_cpu() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  (void)sched_getaffinity(0, sizeof allowed, &allowed);
  int cpu = 0;
  while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &allowed)) ++cpu;
  return "--lcores=0@" + std::to_string(cpu);
}

bool start_eal() {
  std::vector<std::string> arguments{"packet_test",
                                     "--no-huge",
                                     "-m",
                                     "256",
                                     "--no-pci",
                                     "--no-telemetry",
                                     "--no-shconf",
                                     "--file-prefix=vmbpkt" + std::to_string(getpid()),
                                     "--log-level=lib.eal:error",
                                     lcore_on_first_allowed_cpu()};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0;
}

std::uint64_t chosen_seed(int argc, char** argv) {
  constexpr std::string_view kOption = "--seed=";
  for (int i = 1; i < argc; ++i) {
    if (std::string_view{argv[i]}.starts_with(kOption)) return std::strtoull(argv[i] + kOption.size(), nullptr, 0);
  }
  if (const char* const text = std::getenv("VMB_TEST_SEED"); text != nullptr) return std::strtoull(text, nullptr, 0);
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) % 1'000'000'007u;
}

class SeedPrinter : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Failed()) return;
    std::printf("replay with: --seed=%" PRIu64 " --gtest_filter=%s.%s\n", vmb::test::seed(), test.test_suite_name(),
                test.name());
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // EAL's memory is shared with a forked child, even --no-huge
  vmb::test::seed() = chosen_seed(argc, argv);
  std::printf("seed %" PRIu64 "\n", vmb::test::seed());
  std::fflush(stdout);
  if (!start_eal()) {
    std::printf("no EAL: %s\n", rte_strerror(rte_errno));
    return EXIT_FAILURE;
  }
  testing::UnitTest::GetInstance()->listeners().Append(new SeedPrinter);
  const int result = RUN_ALL_TESTS();
  (void)rte_eal_cleanup();
  return result;
}
