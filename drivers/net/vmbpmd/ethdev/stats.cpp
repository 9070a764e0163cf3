// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/stats.hpp"

#include <rte_string_fns.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "ethdev/port.hpp"

namespace vmbpmd {
namespace {

using Get = Counter& (*)(End&);

struct Xstat {
  std::string_view name;
  Get counter;
};

// Names follow ethdev's own: direction, what, unit.
constexpr std::array kXstats{
    Xstat{"rx_unpolled_dropped_packets", [](End& end) -> Counter& { return end.rx_counters().missed; }},
    Xstat{"rx_filtered_packets", [](End& end) -> Counter& { return end.rx_counters().filtered; }},
    Xstat{"rx_bad_section_errors", [](End& end) -> Counter& { return end.rx_counters().bad_section; }},
    Xstat{"rx_bad_rndis_errors", [](End& end) -> Counter& { return end.rx_counters().bad_rndis; }},
    Xstat{"rx_bad_message_errors", [](End& end) -> Counter& { return end.rx_counters().bad_message; }},
    Xstat{"rx_unknown_completion_errors", [](End& end) -> Counter& { return end.rx_counters().unknown_completion; }},
    Xstat{"rx_control_overflow_errors", [](End& end) -> Counter& { return end.rx_counters().control_overflow; }},
    Xstat{"tx_peer_failure_errors", [](End& end) -> Counter& { return end.rx_counters().peer_failures; }},
    Xstat{"tx_too_big_dropped_packets", [](End& end) -> Counter& { return end.tx_counters().too_big; }},
    Xstat{"tx_malformed_dropped_packets", [](End& end) -> Counter& { return end.tx_counters().malformed; }},
    Xstat{"tx_filtered_packets", [](End& end) -> Counter& { return end.tx_counters().filtered; }},
    Xstat{"tx_no_room_events", [](End& end) -> Counter& { return end.tx_counters().no_room; }},
    Xstat{"tx_vmbus_packets", [](End& end) -> Counter& { return end.tx_counters().aggregates; }},
    Xstat{"tx_direct_packets", [](End& end) -> Counter& { return end.tx_counters().direct; }},
    Xstat{"tx_in_ring_packets", [](End& end) -> Counter& { return end.tx_counters().in_ring; }},
    Xstat{"link_attaches", [](End& end) -> Counter& { return end.link_counters().attaches; }},
    Xstat{"link_detaches", [](End& end) -> Counter& { return end.link_counters().detaches; }},
    Xstat{"link_attach_failures", [](End& end) -> Counter& { return end.link_counters().attach_failures; }},
    Xstat{"link_lost_packets", [](End& end) -> Counter& { return end.link_counters().lost_in_flight; }},
    Xstat{"link_refused_message_errors", [](End& end) -> Counter& { return end.link_counters().refused_messages; }},
};
constexpr std::size_t kFaults = std::tuple_size_v<decltype(LinkCounters::faults)>;
constexpr std::size_t kXstatCount = kXstats.size() + kFaults - 1;  // Fault::none is none

Counter& counter_at(End& end, std::size_t i) noexcept {
  return i < kXstats.size() ? kXstats[i].counter(end) : end.link_counters().faults[i - kXstats.size() + 1];
}

std::string name_at(std::size_t i) {
  if (i < kXstats.size()) return std::string{kXstats[i].name};
  return "ring_fault_" + std::string{to_string(static_cast<vmb::Fault>(i - kXstats.size() + 1))} + "_errors";
}

}  // namespace

int stats_get(rte_eth_dev* dev, rte_eth_stats* stats) {
  End& end = port_of(dev).end();
  const RxCounters& rx = end.rx_counters();
  const TxCounters& tx = end.tx_counters();
  stats->ipackets = stats->q_ipackets[0] = rx.packets.value();
  stats->ibytes = stats->q_ibytes[0] = rx.bytes.value();
  stats->opackets = stats->q_opackets[0] = tx.packets.value();
  stats->obytes = stats->q_obytes[0] = tx.bytes.value();
  stats->imissed = rx.missed.value();
  stats->ierrors = rx.bad_section.value() + rx.bad_rndis.value() + rx.bad_message.value();
  stats->rx_nombuf = rx.no_mbuf.value();
  stats->oerrors = tx.too_big.value() + tx.malformed.value() + rx.peer_failures.value();
  return 0;
}

int stats_reset(rte_eth_dev* dev) {
  End& end = port_of(dev).end();
  for (Counter* counter : {&end.rx_counters().packets, &end.rx_counters().bytes, &end.rx_counters().no_mbuf,
                           &end.tx_counters().packets, &end.tx_counters().bytes}) {
    counter->reset();
  }
  for (std::size_t i = 0; i < kXstatCount; ++i) counter_at(end, i).reset();
  return 0;
}

int xstats_get(rte_eth_dev* dev, rte_eth_xstat* xstats, unsigned n) {
  if (xstats == nullptr || n < kXstatCount) return static_cast<int>(kXstatCount);
  End& end = port_of(dev).end();
  for (std::size_t i = 0; i < kXstatCount; ++i) xstats[i] = {i, counter_at(end, i).value()};
  return static_cast<int>(kXstatCount);
}

int xstats_get_names(rte_eth_dev* /*dev*/, rte_eth_xstat_name* names, unsigned n) {
  for (std::size_t i = 0; names != nullptr && i < std::min<std::size_t>(n, kXstatCount); ++i) {
    rte_strscpy(names[i].name, name_at(i).c_str(), sizeof names[i].name);
  }
  return static_cast<int>(kXstatCount);
}

}  // namespace vmbpmd
