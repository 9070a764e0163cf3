// SPDX-License-Identifier: BSD-3-Clause
// What a packet of libvmbpkt costs beside the mempool object that it is: 32 of them taken and given back, on one lcore.
// test/bench/packet_bench takes a closer look.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "statistics.hpp"

struct rte_mempool;
struct vmb_channel;

namespace vmbperf {

/// Nanoseconds per object, one value a round.
struct PacketCost {
  std::vector<double> raw_ns{};      // mempool get and put in bulk
  std::vector<double> marked_ns{};   // and one word of each object written at get, checked at put
  std::vector<double> packets_ns{};  // packets allocated and freed in bulk

  [[nodiscard]] Spread raw() const { return spread_of(raw_ns); }
  [[nodiscard]] Spread marked() const { return spread_of(marked_ns); }
  [[nodiscard]] Spread packets() const { return spread_of(packets_ns); }
};

class PacketBench {
 public:
  /// @param why_not  set to one line when nothing is returned.
  static std::unique_ptr<PacketBench> make(std::string& why_not);
  ~PacketBench();
  PacketBench(const PacketBench&) = delete;
  PacketBench& operator=(const PacketBench&) = delete;

  /// A round: some milliseconds of each of the three, in turn. On a lcore.
  void measure();
  [[nodiscard]] const PacketCost& cost() const { return cost_; }

 private:
  PacketBench() = default;

  vmb_channel* channel_ = nullptr;
  rte_mempool* mempool_ = nullptr;
  PacketCost cost_;
};

}  // namespace vmbperf
