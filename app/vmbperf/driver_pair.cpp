// SPDX-License-Identifier: BSD-3-Clause
#include "driver_pair.hpp"

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace vmbperf {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kLinkTries = 500;  // 10 ms apart

/// While it lives, what DPDK logs goes here in place of the terminal.
class LogCapture {
 public:
  LogCapture() : stream_{open_memstream(&text_, &length_)} {
    if (stream_ != nullptr) (void)rte_openlog_stream(stream_);
  }
  ~LogCapture() {
    (void)rte_openlog_stream(nullptr);
    if (stream_ != nullptr) (void)fclose(stream_);
    std::free(text_);
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  /// The line that says most about a failure: the driver's last one, else EAL's first.
  [[nodiscard]] std::string reason() {
    if (stream_ == nullptr || fflush(stream_) != 0) return {};
    std::istringstream lines{text_};
    std::string from_eal, from_driver;
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("EAL:")) from_driver = line;
      if (line.starts_with("EAL:") && from_eal.empty()) from_eal = line;
    }
    if (from_eal.find("failed to parse device") != std::string::npos)
      return "no driver of that name: load its plugin with -d";
    return from_driver.empty() ? from_eal : from_driver;
  }

 private:
  char* text_ = nullptr;
  std::size_t length_ = 0;
  FILE* stream_;
};

std::size_t eal_bytes_in_use() {
  std::size_t bytes = 0;
  for (unsigned i = 0; i < rte_socket_count(); ++i) {
    rte_malloc_socket_stats stats{};
    if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0) bytes += stats.heap_allocsz_bytes;
  }
  return bytes;
}

int start_port(std::uint16_t port, rte_mempool* rx_pool) {
  rte_eth_dev_info info{};
  int error = rte_eth_dev_info_get(port, &info);
  if (error != 0) return error;
  rte_eth_conf conf{};
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;  // one pool, nothing shared: allowed
  if ((error = rte_eth_dev_configure(port, 1, 1, &conf)) != 0) return error;
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  if ((error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx)) != 0) return error;
  const auto node = static_cast<unsigned>(rte_eth_dev_socket_id(port));
  if ((error = rte_eth_rx_queue_setup(port, 0, rx, node, nullptr, rx_pool)) != 0) return error;
  if ((error = rte_eth_tx_queue_setup(port, 0, tx, node, nullptr)) != 0) return error;
  if ((error = rte_eth_dev_start(port)) != 0) return error;
  error = rte_eth_promiscuous_enable(port);  // frames are addressed to nobody in particular
  return error == -ENOTSUP ? 0 : error;
}

bool link_is_up(std::uint16_t port) {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

Recipe memif(const std::string& variant, const std::string& client_arguments) {
  const std::string socket = ",id=0,socket=vmbperf-" + variant + "-" + std::to_string(getpid());  // abstract: no file
  return {.driver = "memif",
          .variant = variant,
          .vdevs = {{"net_memif_server_" + variant, "role=server" + socket},
                    {"net_memif_client_" + variant, "role=client" + socket + client_arguments}},
          .ends = {"server", "client"}};
}

}  // namespace

std::vector<Recipe> recipes() {
  return {
      memif("copy", ""),
      {.driver = "vmbpmd",
       .variant = "",
       .vdevs = {{"net_vmbpmd_host", "role=host,link=vmbperf"}, {"net_vmbpmd_guest", "role=guest,link=vmbperf"}},
       .ends = {"host", "guest"}},
      {.driver = "ring", .variant = "", .vdevs = {{"net_ring_vmbperf", ""}}},
      // Last: with DPDK 22.11 EAL's memory cannot grow once its zero-copy client has connected (it closes EAL's files).
      memif("zero-copy", ",zero-copy=yes"),
  };
}

Recipe null_recipe() { return {.driver = "null", .variant = "", .vdevs = {{"net_null_vmbperf", ""}}}; }

std::unique_ptr<DriverPair> DriverPair::open(const Recipe& recipe, rte_mempool* rx_pool, std::string& why_not) {
  LogCapture log;
  const std::size_t before = eal_bytes_in_use();
  std::unique_ptr<DriverPair> pair{new DriverPair{recipe}};
  int error = pair->create();
  if (error == 0) error = pair->start(rx_pool);
  if (error == 0 && pair->wait_for_links()) {
    const std::size_t after = eal_bytes_in_use();
    pair->eal_bytes_ = after - std::min(before, after);
    return pair;
  }
  why_not = log.reason();
  if (error == 0) why_not = "the link did not come up" + (why_not.empty() ? "" : ": " + why_not);
  if (why_not.empty()) why_not = rte_strerror(-error);
  return nullptr;
}

int DriverPair::create() {
  for (const Recipe::Vdev& vdev : recipe_.vdevs) {
    if (const int error = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str()); error != 0)
      return error;
    ++created_;
    std::uint16_t port = 0;
    if (const int error = rte_eth_dev_get_port_by_name(vdev.name.c_str(), &port); error != 0) return error;
    ports_.push_back(port);
  }
  return 0;
}

int DriverPair::start(rte_mempool* rx_pool) {
  for (const std::uint16_t port : ports_) {
    if (const int error = start_port(port, rx_pool); error != 0) return error;
  }
  return 0;
}

bool DriverPair::wait_for_links() const {
  for (unsigned tries = 0; tries < kLinkTries; ++tries) {
    if (std::all_of(ports_.begin(), ports_.end(), link_is_up)) return true;
    rte_delay_us_sleep(10'000);
  }
  return false;
}

DriverPair::~DriverPair() {
  for (const std::uint16_t port : ports_) (void)rte_eth_dev_stop(port);
  for (const std::uint16_t port : ports_) (void)rte_eth_dev_close(port);
  while (created_ > 0) (void)rte_eal_hotplug_remove("vdev", recipe_.vdevs[--created_].name.c_str());
}

}  // namespace vmbperf
