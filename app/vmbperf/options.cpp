// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <sstream>

namespace vmbperf {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  std::stringstream stream{list};
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  if (list.empty() || list.back() == ',') items.emplace_back();
  return items;
}

std::string joined(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text.append(text.empty() ? "" : ", ").append(word);
  return text;
}

template <class Number> bool parse(const std::string& text, Number least, Number most, Number& value) {
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, value);
  return code == std::errc{} && rest == end && value >= least && value <= most;
}

/// One of `names`, whose position is its value.
template <class Enum> bool parse_name(const std::string& text, std::span<const Enum> all, Enum& value) {
  const auto found = std::find_if(all.begin(), all.end(), [&](Enum one) { return text == name_of(one); });
  if (found == all.end()) return false;
  value = *found;
  return true;
}

/// @param parse_one  (text, value) -> whether it is one.
template <class Value, class ParseOne>
bool parse_list(const std::string& list, std::vector<Value>& values, ParseOne parse_one) {
  values.clear();
  for (const std::string& item : split(list)) {
    Value value{};
    if (!parse_one(item, value)) return false;
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  return true;
}

constexpr Mode kModes[] = {Mode::one_way, Mode::both_ways, Mode::one_lcore, Mode::latency};
constexpr Touch kTouches[] = {Touch::none, Touch::header, Touch::all};

bool parse_mode(const std::string& text, Mode& mode) { return parse_name<Mode>(text, kModes, mode); }
bool parse_touch(const std::string& text, Touch& touch) { return parse_name<Touch>(text, kTouches, touch); }

bool parse_size(const std::string& text, FrameSize& size) {
  if (text == "imix") {
    size = {.bytes = 0};
    return true;
  }
  return parse(text, kMinFrame, kMaxFrame, size.bytes);
}

bool parse_burst(const std::string& text, std::uint16_t& burst) {
  return parse(text, std::uint16_t{1}, kMaxBurst, burst);
}

bool parse_queues(const std::string& text, std::uint16_t& queues) {
  return parse(text, std::uint16_t{1}, kMaxQueues, queues);
}

std::string complaint(const std::string& option, const std::string& value, const std::string& allowed) {
  return "--" + option + ": '" + value + "' is not " + allowed;
}

bool all_known(const std::vector<std::string>& names, std::span<const std::string> known) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  });
}

constexpr double kQuickWaiting = 0.05;  // --quick has time to measure again
constexpr unsigned kQuickRounds = 9;    // short ones: a machine's moods come and go in seconds

// --quick measures fixed cases: these would change them.
constexpr const char* kNotWithQuick[] = {"mode", "size", "burst", "queues", "touch", "verify", "seconds"};

const option kLong[] = {
    {"quick", no_argument, nullptr, 'q'},
    {"mode", required_argument, nullptr, 'm'},
    {"size", required_argument, nullptr, 's'},
    {"burst", required_argument, nullptr, 'b'},
    {"queues", required_argument, nullptr, 'n'},
    {"touch", required_argument, nullptr, 'T'},
    {"verify", no_argument, nullptr, 'v'},
    {"rounds", required_argument, nullptr, 'r'},
    {"seconds", required_argument, nullptr, 't'},
    {"drivers", required_argument, nullptr, 'd'},
    {"json", required_argument, nullptr, 'j'},
    {"report", required_argument, nullptr, 'R'},
    {"max-waiting", required_argument, nullptr, 'w'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

/// @return  empty; else what is allowed, the value being something else.
std::string take(int key, const std::string& value, std::span<const std::string> drivers, Options& options) {
  const auto unless = [](bool good, const std::string& allowed) { return good ? std::string{} : allowed; };
  switch (key) {
    case 'q': options.quick = true; return {};
    case 'v': options.verify = true; return {};
    case 'h': options.help = true; return {};
    case 'm':
      return unless(parse_list(value, options.modes, parse_mode),
                    "a list out of one-way, both-ways, one-lcore, latency");
    case 's':
      return unless(parse_list(value, options.sizes, parse_size), "a list of frame lengths, each " +
                                                                      std::to_string(kMinFrame) + " to " +
                                                                      std::to_string(kMaxFrame) + " or imix");
    case 'b':
      return unless(parse_list(value, options.bursts, parse_burst),
                    "a list of burst sizes, each 1 to " + std::to_string(kMaxBurst));
    case 'n':
      return unless(parse_list(value, options.queues, parse_queues),
                    "a list of queue counts, each 1 to " + std::to_string(kMaxQueues));
    case 'T': return unless(parse_list(value, options.touches, parse_touch), "a list out of none, header, all");
    case 'r': return unless(parse(value, 1u, 1000u, options.rounds), "a number of rounds, 1 to 1000");
    case 't': return unless(parse(value, 0.01, 3600.0, options.seconds), "a number of seconds, 0.01 to 3600");
    case 'w': {
      const bool good = parse(value, 0.0, 100.0, options.max_waiting);
      options.max_waiting /= 100;
      return unless(good, "a percentage, 0 to 100");
    }
    case 'd':
      options.drivers = split(value);
      return unless(all_known(options.drivers, drivers), "a list of drivers out of " + joined(drivers));
    case 'j': options.json_file = value; return unless(!value.empty(), "a file name");
    default: options.report_file = value; return unless(!value.empty(), "a file name");
  }
}

}  // namespace

bool Options::wants(const std::string& driver) const {
  return drivers.empty() || std::find(drivers.begin(), drivers.end(), driver) != drivers.end();
}

std::uint32_t Options::longest_frame() const {
  std::uint32_t longest = kMinFrame;
  for (const FrameSize& size : sizes) longest = std::max(longest, size.longest());
  return longest;
}

std::uint16_t Options::most_queues() const { return *std::max_element(queues.begin(), queues.end()); }

bool Options::one_lcore_will_do() const {
  return !quick && std::all_of(modes.begin(), modes.end(), [](Mode mode) { return mode == Mode::one_lcore; });
}

Options parse_options(std::span<char* const> arguments, std::span<const std::string> drivers, std::string& error) {
  static char program[] = "vmbperf";
  static char leading[] = ":";  // getopt_long: tell a missing value from an unknown option
  std::vector<char*> argv{program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);

  Options options;
  std::vector<std::string> given;
  opterr = 0;
  optind = 0;
  int chosen = 0;
  for (int key; error.empty() && (key = getopt_long(argc, argv.data(), leading, kLong, &chosen)) != -1;) {
    const std::string value = optarg != nullptr ? optarg : "";
    const std::string word = argv[static_cast<std::size_t>(optind - 1)];
    if (key == ':') {
      error = word + " wants a value: see --help";
    } else if (key == '?') {
      error = "unknown option '" + word + "': see --help";
    } else if (const std::string allowed = take(key, value, drivers, options); !allowed.empty()) {
      error = complaint(kLong[chosen].name, value, allowed);
    } else {
      given.emplace_back(kLong[chosen].name);
    }
  }
  if (error.empty() && optind < argc) {
    error = "unknown argument '" + std::string{argv[static_cast<std::size_t>(optind)]} + "': see --help";
  }
  const auto was_given = [&given](const char* name) {
    return std::find(given.begin(), given.end(), name) != given.end();
  };
  for (const char* const name : kNotWithQuick) {
    if (error.empty() && options.quick && was_given(name))
      error = std::string{"--"} + name + " does not go with --quick, which measures the cases of its targets";
  }
  if (options.quick && !was_given("max-waiting")) options.max_waiting = kQuickWaiting;
  if (options.quick && !was_given("rounds")) options.rounds = kQuickRounds;
  return options;
}

std::string usage(std::span<const std::string> drivers) {
  return "usage: vmbperf [EAL arguments] -- [options]\n"
         "How fast is this port, next to the others, on this machine: each driver by the same loop, in turn, in one run.\n"
         "scripts/bench.sh gives the EAL arguments: two lcores on CPUs of their own, memory, the plugin (-d).\n"
         "\n"
         "  --quick             the table of targets, each ratio beside its target, in under two minutes\n"
         "  --mode MODE,...     one-way: one lcore sends, one receives; both-ways: each does both; one-lcore: a single\n"
         "                      lcore does both, in turn; latency: one frame there and back, not the imix\n"
         "                      (one-way)\n"
         "  --size BYTES,...    frame lengths, without FCS, or imix: 7 of 64, 4 of 594, 1 of 1518 (64,1518)\n"
         "  --burst N,...       frames per call (32); not for latency\n"
         "  --queues N,...      queues of each port, which each lcore serves in turn (1); not for latency\n"
         "  --touch WHAT,...    of each frame is written and read: none, but for a number now and then; header: eight\n"
         "                      bytes; all: every byte (none)\n"
         "  --verify            number and checksum in every frame, checked: loss, reordering and changes fail the run\n"
         "  --rounds N          each round measures everything once; medians are over rounds (5; --quick 9)\n"
         "  --seconds S         length of one measurement, after 0.1 s of warm-up (1)\n"
         "  --drivers NAME,...  only these: " +
         joined(drivers) +
         " (all)\n"
         "  --max-waiting PCT   for a busy machine: measure again, 9 times at most, when a CPU was away for more of the time\n"
         "                      (100; with --quick 5, while its time lasts)\n"
         "  --json FILE         the results, machine-readable\n"
         "  --report FILE       the results as one HTML page with plots (needs gnuplot-nox)\n"
         "  --help              this\n";
}

}  // namespace vmbperf
