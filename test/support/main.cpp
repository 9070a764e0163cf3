// SPDX-License-Identifier: BSD-3-Clause
// main() of the test programs: GoogleTest's, plus --seed=N and a line that says how to have a failure again.
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

#include "support/random.hpp"

namespace {

std::uint64_t chosen_seed(int argc, char** argv) {
  static constexpr char kOption[] = "--seed=";
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], kOption, sizeof kOption - 1) == 0) {
      return std::strtoull(argv[i] + sizeof kOption - 1, nullptr, 0);
    }
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
  vmb::test::seed() = chosen_seed(argc, argv);
  std::printf("seed %" PRIu64 "\n",
              vmb::test::seed());  // up here too: a sanitizer ends the program without a word from us
  std::fflush(stdout);
  testing::UnitTest::GetInstance()->listeners().Append(new SeedPrinter);
  return RUN_ALL_TESTS();
}
