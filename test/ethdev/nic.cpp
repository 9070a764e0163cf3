// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/nic.hpp"

#include <bus_vdev_driver.h>
#include <rte_memzone.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

namespace vmbpmd::test {

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kSlower = 4;
#else
  constexpr int kSlower = 1;
#endif
  const auto deadline = std::chrono::steady_clock::now() + limit * kSlower;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return holds();
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::string fresh_link() {
  static unsigned number = 0;
  return "link" + std::to_string(number++);
}

int probe(const std::string& name, const std::string& devargs) { return rte_vdev_init(name.c_str(), devargs.c_str()); }
void unplug(const std::string& name) { EXPECT_EQ(rte_vdev_uninit(name.c_str()), 0); }
unsigned ports() { return rte_eth_dev_count_avail(); }

Nic::Nic(const std::string& devargs, const Options& options) : pool_(options.mbufs, options.data_room) {
  static unsigned number = 0;
  name_ = "net_vmbpmd_nic" + std::to_string(number++);
  EXPECT_EQ(probe(name_, devargs), 0) << devargs;
  if (rte_eth_dev_get_port_by_name(name_.c_str(), &id_) != 0) {
    std::fprintf(stderr, "no port from %s\n", devargs.c_str());
    std::abort();  // nothing of the test makes sense without it
  }
  rte_eth_conf conf{};
  conf.rxmode.mtu = options.mtu;
  conf.rxmode.offloads = options.rx_offloads;
  conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  conf.intr_conf.lsc = options.lsc ? 1 : 0;
  EXPECT_EQ(rte_eth_dev_configure(id_, options.has_rx ? 1 : 0, 1, &conf), 0);
  if (options.has_rx) { EXPECT_EQ(rte_eth_rx_queue_setup(id_, 0, 512, SOCKET_ID_ANY, nullptr, pool_.get()), 0); }
  EXPECT_EQ(rte_eth_tx_queue_setup(id_, 0, 512, SOCKET_ID_ANY, nullptr), 0);
  if (options.promiscuous) { EXPECT_EQ(rte_eth_promiscuous_enable(id_), 0); }
}

Nic::~Nic() {
  if (started_) (void)rte_eth_dev_stop(id_);
  unplug(name_);
}

void Nic::start() {
  ASSERT_EQ(rte_eth_dev_start(id_), 0);
  started_ = true;
}

void Nic::stop() {
  ASSERT_EQ(rte_eth_dev_stop(id_), 0);
  started_ = false;
}

bool Nic::link_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

std::uint32_t Nic::link_speed() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 ? link.link_speed : 0;
}

std::uint16_t Nic::tx(std::span<rte_mbuf*> frames) const {
  return rte_eth_tx_burst(id_, 0, frames.data(), static_cast<std::uint16_t>(frames.size()));
}

std::uint16_t Nic::rx(std::span<rte_mbuf*> frames) const {
  return rte_eth_rx_burst(id_, 0, frames.data(), static_cast<std::uint16_t>(frames.size()));
}

std::uint32_t Nic::drop_received() const {
  std::array<rte_mbuf*, 64> frames;
  std::uint32_t all = 0;
  while (const std::uint16_t n = rx(frames)) {
    rte_pktmbuf_free_bulk(frames.data(), n);
    all += n;
  }
  return all;
}

rte_eth_stats Nic::stats() const {
  rte_eth_stats stats{};
  EXPECT_EQ(rte_eth_stats_get(id_, &stats), 0);
  return stats;
}

std::map<std::string, std::uint64_t> Nic::xstats() const {
  const int count = rte_eth_xstats_get_names(id_, nullptr, 0);
  EXPECT_GT(count, 0);
  std::vector<rte_eth_xstat_name> names(static_cast<std::size_t>(count));
  std::vector<rte_eth_xstat> values(names.size());
  EXPECT_EQ(rte_eth_xstats_get_names(id_, names.data(), static_cast<unsigned>(count)), count);
  EXPECT_EQ(rte_eth_xstats_get(id_, values.data(), static_cast<unsigned>(count)), count);
  std::map<std::string, std::uint64_t> all;
  for (const rte_eth_xstat& value : values) all[names[value.id].name] = value.value;
  EXPECT_EQ(all.size(), names.size()) << "names are not unique";
  return all;
}

std::uint64_t Nic::xstat(const std::string& name) const {
  const auto all = xstats();
  const auto found = all.find(name);
  EXPECT_TRUE(found != all.end()) << "no such statistic: " << name;
  return found == all.end() ? ~std::uint64_t{0} : found->second;
}

rte_ether_addr Nic::mac() const {
  rte_ether_addr address{};
  EXPECT_EQ(rte_eth_macaddr_get(id_, &address), 0);
  return address;
}

void Pair::start() {
  if (!host.is_started()) host.start();
  if (!guest.is_started()) guest.start();
  ASSERT_TRUE(eventually([this] { return both_up(); }));
}

void expect_no_errors(const Nic& nic) {
  const rte_eth_stats stats = nic.stats();
  EXPECT_EQ(stats.imissed, 0u);
  EXPECT_EQ(stats.ierrors, 0u);
  EXPECT_EQ(stats.oerrors, 0u);
  EXPECT_EQ(stats.rx_nombuf, 0u);
  for (const auto& [name, value] : nic.xstats()) {
    const bool bad = name.ends_with("_errors") || name.ends_with("_dropped_packets") ||
                     name.ends_with("_filtered_packets") || name.ends_with("_failures") || name == "link_lost_packets";
    if (bad) { EXPECT_EQ(value, 0u) << nic.name() << ": " << name; }
  }
}

std::size_t count_memzones() {
  static std::size_t count;
  count = 0;
  rte_memzone_walk(
      [](const rte_memzone* zone, void*) {
        if (std::string_view{zone->name} != "rte_eth_dev_data") ++count;  // ethdev's own, made with the first port
      },
      nullptr);
  return count;
}

PortsTest::PortsTest() : zones_(count_memzones()) {}

PortsTest::~PortsTest() {
  EXPECT_EQ(ports(), 0u);
  if (!HasFailure()) { EXPECT_EQ(count_memzones(), zones_); }
}

}  // namespace vmbpmd::test
