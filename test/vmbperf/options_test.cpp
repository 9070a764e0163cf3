// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmbperf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::vector<std::string> kDrivers{"memif", "vmbpmd"};

struct Parsed {
  Options options;
  std::string error;
};

Parsed parse(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Parsed parsed;
  parsed.options = parse_options(arguments, kDrivers, parsed.error);
  return parsed;
}

TEST(Options, HaveDefaults) {
  const auto [options, error] = parse({});
  EXPECT_EQ(error, "");
  EXPECT_THAT(options.sizes, ElementsAre(FrameSize{64}, FrameSize{1518}));
  EXPECT_THAT(options.modes, ElementsAre(Mode::one_way));
  EXPECT_EQ(options.rounds, 5u);
  EXPECT_TRUE(options.wants("memif"));
  EXPECT_FALSE(options.one_lcore_will_do());
}

TEST(Options, TakeLists) {
  const auto [options, error] =
      parse({"--size", "64,imix,9014", "--burst=1,512", "--queues", "1,16", "--touch", "none,header,all", "--mode",
             "one-way,both-ways,one-lcore,latency", "--drivers", "vmbpmd"});
  EXPECT_EQ(error, "");
  EXPECT_THAT(options.sizes, ElementsAre(FrameSize{64}, FrameSize{0}, FrameSize{9014}));
  EXPECT_THAT(options.bursts, ElementsAre(1, 512));
  EXPECT_THAT(options.touches, ElementsAre(Touch::none, Touch::header, Touch::all));
  EXPECT_THAT(options.modes, ElementsAre(Mode::one_way, Mode::both_ways, Mode::one_lcore, Mode::latency));
  EXPECT_EQ(options.longest_frame(), 9014u);
  EXPECT_EQ(options.most_queues(), 16u);
  EXPECT_FALSE(options.wants("memif"));
}

TEST(Options, TakeWhatIsNamedTwiceOnce) { EXPECT_THAT(parse({"--burst", "8,8"}).options.bursts, ElementsAre(8)); }

TEST(Options, KnowWhatOneLcoreCanDo) {
  EXPECT_TRUE(parse({"--mode", "one-lcore"}).options.one_lcore_will_do());
  EXPECT_FALSE(parse({"--mode", "one-lcore,latency"}).options.one_lcore_will_do());
  EXPECT_FALSE(parse({"--quick"}).options.one_lcore_will_do());
}

TEST(Options, NameTheBadOneItsValueAndWhatIsAllowed) {
  for (const auto& [option, value, allowed] : std::vector<std::array<std::string, 3>>{
           {"size", "63", "64 to 9014"},
           {"size", "9015", "64 to 9014"},
           {"size", "64,", "64 to 9014"},
           {"size", "64x", "imix"},
           {"burst", "0", "1 to 512"},
           {"burst", "513", "1 to 512"},
           {"queues", "17", "1 to 16"},
           {"mode", "sideways", "one-way, both-ways, one-lcore, latency"},
           {"touch", "some", "none, header, all"},
           {"rounds", "0", "1 to 1000"},
           {"rounds", "-1", "1 to 1000"},
           {"seconds", "nan", "0.01 to 3600"},
           {"seconds", "0", "0.01 to 3600"},
           {"drivers", "e1000", "memif, vmbpmd"},
           {"max-waiting", "101", "0 to 100"},
           {"json", "", "a file name"},
           {"report", "", "a file name"},
       }) {
    const std::string error = parse({"--" + option, value}).error;
    EXPECT_THAT(error, AllOf(HasSubstr("--" + option), HasSubstr("'" + value + "'"), HasSubstr(allowed)));
    EXPECT_THAT(error, Not(HasSubstr("\n")));
  }
}

TEST(Options, NameWhatIsUnknownOrIncomplete) {
  EXPECT_THAT(parse({"--sise", "64"}).error, HasSubstr("--sise"));
  EXPECT_THAT(parse({"--size"}).error, AllOf(HasSubstr("--size"), HasSubstr("wants a value")));
  EXPECT_THAT(parse({"64"}).error, HasSubstr("'64'"));
}

TEST(Options, QuickMeasuresItsOwnCases) {
  EXPECT_THAT(parse({"--quick", "--rounds", "7", "--drivers", "memif"}).error, IsEmpty());
  for (const std::string option :
       {"--size=64", "--mode=latency", "--burst=1", "--queues=2", "--touch=all", "--verify"}) {
    const std::string error = parse({"--quick", option}).error;
    EXPECT_THAT(error, AllOf(HasSubstr(option.substr(0, option.find('='))), HasSubstr("--quick")));
  }
}

TEST(Options, QuickTakesMoreAndQuieterRoundsUnlessToldOtherwise) {
  EXPECT_GE(parse({"--quick"}).options.rounds, 5u);
  EXPECT_LT(parse({"--quick"}).options.max_waiting, 0.1);
  EXPECT_EQ(parse({"--quick", "--rounds", "2"}).options.rounds, 2u);
  EXPECT_EQ(parse({"--max-waiting", "100", "--quick"}).options.max_waiting, 1.0);
}

TEST(Options, AreAllInTheHelp) {
  const std::string help = usage(kDrivers);
  for (const char* const option :
       {"--quick", "--mode", "--size", "--burst", "--queues", "--touch", "--verify", "--rounds", "--seconds",
        "--drivers", "--max-waiting", "--json", "--report", "--help"})
    EXPECT_THAT(help, HasSubstr(option));
}

}  // namespace
}  // namespace vmbperf
