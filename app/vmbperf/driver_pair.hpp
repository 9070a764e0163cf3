// SPDX-License-Identifier: BSD-3-Clause
// How each driver makes two ports that are each other's peer in one process. A driver is added by a line in recipes().
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vmbperf {

struct Recipe {
  struct Vdev {
    std::string name;
    std::string arguments;
  };

  std::string driver;
  std::string variant;              // empty where there is one only
  std::vector<Vdev> vdevs;          // two peers; or one, that is its own peer
  std::vector<std::string> ends{};  // what to call the peers

  [[nodiscard]] std::string name() const { return variant.empty() ? driver : driver + " " + variant; }
};

/// Every driver vmbperf knows, baseline first. Names and sockets carry the process id.
std::vector<Recipe> recipes();

/// A port that swallows what it is sent: what the sender's own loop costs.
Recipe null_recipe();

class DriverPair {
 public:
  /// Create, configure and start the ports, and wait for their links (5 s at most).
  /// @param why_not  set to one line when nothing is returned.
  static std::unique_ptr<DriverPair> open(const Recipe& recipe, rte_mempool* rx_pool, std::string& why_not);
  ~DriverPair();
  DriverPair(const DriverPair&) = delete;
  DriverPair& operator=(const DriverPair&) = delete;

  [[nodiscard]] const Recipe& recipe() const { return recipe_; }
  [[nodiscard]] std::uint16_t first() const { return ports_.front(); }
  [[nodiscard]] std::uint16_t second() const { return ports_.back(); }

  /// EAL memory that the ports took; pools come on top.
  [[nodiscard]] std::size_t eal_bytes() const { return eal_bytes_; }

 private:
  explicit DriverPair(Recipe recipe) : recipe_{std::move(recipe)} {}
  int create();
  int start(rte_mempool* rx_pool);
  [[nodiscard]] bool wait_for_links() const;

  Recipe recipe_;
  std::vector<std::uint16_t> ports_;
  std::size_t created_ = 0;  // of the vdevs
  std::size_t eal_bytes_ = 0;
};

}  // namespace vmbperf
