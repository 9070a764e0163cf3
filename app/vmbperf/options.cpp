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

template <class Number> bool parse_number(const std::string& text, Number least, Number most, Number& value) {
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, value);
  return code == std::errc{} && rest == end && value >= least && value <= most;
}

template <class Number>
bool parse_numbers(const std::string& list, Number least, Number most, std::vector<Number>& values) {
  values.clear();
  for (const std::string& item : split(list)) {
    if (Number value{}; parse_number(item, least, most, value)) {
      values.push_back(value);
    } else {
      return false;
    }
  }
  return true;
}

std::string complaint(const std::string& option, const std::string& value, const std::string& allowed) {
  return "--" + option + ": '" + value + "' is not " + allowed;
}

bool all_known(const std::vector<std::string>& names, std::span<const std::string> known) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(known.begin(), known.end(), name) != known.end();
  });
}

}  // namespace

bool Options::wants(const std::string& driver) const {
  return drivers.empty() || std::find(drivers.begin(), drivers.end(), driver) != drivers.end();
}

Options parse_options(std::span<char* const> arguments, std::span<const std::string> drivers, std::string& error) {
  static char program[] = "vmbperf";
  static char leading[] = ":";  // getopt_long: tell a missing value from an unknown option
  static const option kLong[] = {
      {"size", required_argument, nullptr, 's'},
      {"burst", required_argument, nullptr, 'b'},
      {"rounds", required_argument, nullptr, 'r'},
      {"seconds", required_argument, nullptr, 't'},
      {"drivers", required_argument, nullptr, 'd'},
      {"json", required_argument, nullptr, 'j'},
      {"max-waiting", required_argument, nullptr, 'w'},
      {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0},
  };
  std::vector<char*> argv{program};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);

  Options options;
  opterr = 0;
  optind = 0;
  int chosen = 0;
  for (int key; error.empty() && (key = getopt_long(argc, argv.data(), leading, kLong, &chosen)) != -1;) {
    const std::string value = optarg != nullptr ? optarg : "";
    bool good = true;
    std::string allowed;
    switch (key) {
      case 's':
        good = parse_numbers(value, kMinFrame, kMaxFrame, options.frame_bytes);
        allowed = "a list of frame lengths, each " + std::to_string(kMinFrame) + " to " + std::to_string(kMaxFrame);
        break;
      case 'b':
        good = parse_numbers(value, std::uint16_t{1}, kMaxBurst, options.bursts);
        allowed = "a list of burst sizes, each 1 to " + std::to_string(kMaxBurst);
        break;
      case 'r':
        good = parse_number(value, 1u, 1000u, options.rounds);
        allowed = "a number of rounds, 1 to 1000";
        break;
      case 't':
        good = parse_number(value, 0.01, 3600.0, options.seconds);
        allowed = "a number of seconds, 0.01 to 3600";
        break;
      case 'w':
        good = parse_number(value, 0.0, 100.0, options.max_waiting);
        options.max_waiting /= 100;
        allowed = "a percentage";
        break;
      case 'd':
        options.drivers = split(value);
        good = all_known(options.drivers, drivers);
        allowed = "a list of drivers out of " + joined(drivers);
        break;
      case 'j':
        options.json_file = value;
        good = !value.empty();
        allowed = "a file name";
        break;
      case 'h': options.help = true; break;
      case ':': error = std::string{argv[static_cast<std::size_t>(optind - 1)]} + " wants a value: see --help"; break;
      default:
        error = "unknown option '" + std::string{argv[static_cast<std::size_t>(optind - 1)]} + "': see --help";
        break;
    }
    if (!good) error = complaint(kLong[chosen].name, value, allowed);
  }
  if (error.empty() && optind < argc) {
    error = "unknown argument '" + std::string{argv[static_cast<std::size_t>(optind)]} + "': see --help";
  }
  return options;
}

std::string usage(std::span<const std::string> drivers) {
  return "usage: vmbperf [EAL arguments] -- [options]\n"
         "Frames one way, from a port on one lcore to its peer on another, for each driver by the same loop.\n"
         "scripts/bench.sh gives the EAL arguments: two lcores on CPUs of their own, memory, the plugin (-d).\n"
         "\n"
         "  --size BYTES,...    frame lengths, without FCS (64,1518)\n"
         "  --burst N,...       frames per call (32)\n"
         "  --rounds N          each round measures every driver once; medians are over rounds (5)\n"
         "  --seconds S         length of one measurement, after 0.1 s of warm-up (1)\n"
         "  --drivers NAME,...  only these: " +
         joined(drivers) +
         " (all)\n"
         "  --max-waiting PCT   for a busy machine: measure again, 9 times at most, when a CPU was away for more of the time\n"
         "  --json FILE         the results, machine-readable\n"
         "  --help              this\n";
}

}  // namespace vmbperf
