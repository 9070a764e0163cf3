// SPDX-License-Identifier: BSD-3-Clause
#include "pair.hpp"

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include <algorithm>

#include "floor.hpp"
#include "log_capture.hpp"

namespace vmbperf {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr unsigned kLinkTries = 500;  // 10 ms apart
constexpr std::uint32_t kHeader = 14;

std::size_t eal_bytes_in_use() {
  std::size_t bytes = 0;
  for (unsigned i = 0; i < rte_socket_count(); ++i) {
    rte_malloc_socket_stats stats{};
    if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0) bytes += stats.heap_allocsz_bytes;
  }
  return bytes;
}

bool link_is_up(std::uint16_t port) {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/// The ports of a recipe.
class Ports {
 public:
  explicit Ports(const Recipe& recipe) : recipe_{recipe} {}
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  /// Each port is started before the next one is created. @return  0 or -errno.
  int open(const Setup& setup);
  [[nodiscard]] bool wait_for_links() const;
  [[nodiscard]] std::uint16_t queues() const { return queues_; }
  [[nodiscard]] Endpoint first() const { return endpoint_of_port(ports_.front()); }
  [[nodiscard]] Endpoint second() const { return endpoint_of_port(ports_.back()); }

 private:
  int start(std::uint16_t port, const Setup& setup);

  Recipe recipe_;
  std::vector<std::uint16_t> ports_;
  std::size_t created_ = 0;  // of the vdevs
  std::uint16_t queues_ = kMaxQueues;
};

int Ports::open(const Setup& setup) {
  for (const Recipe::Vdev& vdev : recipe_.vdevs) {
    int error = rte_eal_hotplug_add("vdev", vdev.name.c_str(), vdev.arguments.c_str());
    if (error != 0) return error;
    ++created_;
    std::uint16_t port = 0;
    if ((error = rte_eth_dev_get_port_by_name(vdev.name.c_str(), &port)) != 0) return error;
    ports_.push_back(port);
    if ((error = start(port, setup)) != 0) return error;
  }
  return 0;
}

int Ports::start(std::uint16_t port, const Setup& setup) {
  rte_eth_dev_info info{};
  int error = rte_eth_dev_info_get(port, &info);
  if (error != 0) return error;
  queues_ = std::min({queues_, setup.queues, info.max_rx_queues, info.max_tx_queues});
  rte_eth_conf conf{};
  conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;  // one pool, nothing shared: allowed
  if (setup.max_frame > kStandardFrame) conf.rxmode.mtu = setup.max_frame - kHeader;
  if ((error = rte_eth_dev_configure(port, queues_, queues_, &conf)) != 0) return error;
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  if ((error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx)) != 0) return error;
  const auto node = static_cast<unsigned>(rte_eth_dev_socket_id(port));
  for (std::uint16_t queue = 0; queue < queues_; ++queue) {
    if ((error = rte_eth_rx_queue_setup(port, queue, rx, node, nullptr, setup.pools.rx)) != 0) return error;
    if ((error = rte_eth_tx_queue_setup(port, queue, tx, node, nullptr)) != 0) return error;
  }
  if ((error = rte_eth_dev_start(port)) != 0) return error;
  error = rte_eth_promiscuous_enable(port);  // frames are addressed to nobody in particular
  return error == -ENOTSUP ? 0 : error;
}

bool Ports::wait_for_links() const {
  for (unsigned tries = 0; tries < kLinkTries; ++tries) {
    if (std::all_of(ports_.begin(), ports_.end(), link_is_up)) return true;
    rte_delay_us_sleep(10'000);
  }
  return false;
}

Ports::~Ports() {
  // The last one first: virtio-user says goodbye to vhost, and would be ended by SIGPIPE if that had gone.
  for (auto port = ports_.rbegin(); port != ports_.rend(); ++port) (void)rte_eth_dev_stop(*port);
  for (auto port = ports_.rbegin(); port != ports_.rend(); ++port) (void)rte_eth_dev_close(*port);
  while (created_ > 0) (void)rte_eal_hotplug_remove("vdev", recipe_.vdevs[--created_].name.c_str());
}

std::optional<Pair> open_ports(const Recipe& recipe, const Setup& setup, std::string& why_not) {
  LogCapture log;
  const auto ports = std::make_shared<Ports>(recipe);
  const int error = ports->open(setup);
  if (error == 0 && ports->wait_for_links()) {
    return Pair{.queues = ports->queues(), .first = ports->first(), .second = ports->second(), .ends = ports};
  }
  why_not = log.reason();
  if (error == 0) why_not = "the link did not come up" + (why_not.empty() ? "" : ": " + why_not);
  if (why_not.empty()) why_not = rte_strerror(-error);
  return std::nullopt;
}

std::optional<Pair> open_floor(const Recipe& recipe, const Setup& setup, std::string& why_not) {
  const auto floor = Floor::make(setup, recipe.kind == Recipe::Kind::floor_one_copy);
  if (floor != nullptr)
    return Pair{.queues = setup.queues, .first = floor->first(), .second = floor->second(), .ends = floor};
  why_not = std::string{"no memory for its rings: "} + rte_strerror(rte_errno);
  return std::nullopt;
}

}  // namespace

std::optional<Pair> open_pair(const Recipe& recipe, const Setup& setup, std::string& why_not) {
  if (!recipe.not_yet.empty()) {
    why_not = recipe.not_yet;
    return std::nullopt;
  }
  const std::size_t before = eal_bytes_in_use();
  std::optional<Pair> pair =
      recipe.kind == Recipe::Kind::ports ? open_ports(recipe, setup, why_not) : open_floor(recipe, setup, why_not);
  if (pair) {
    pair->recipe = recipe;
    pair->max_frame = setup.max_frame;
    const std::size_t after = eal_bytes_in_use();
    pair->eal_bytes = after - std::min(before, after);
  }
  return pair;
}

}  // namespace vmbperf
