// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/ops.hpp"

#include <rte_malloc.h>

#include <cstdio>
#include <cstring>

#include "ethdev/port.hpp"
#include "ethdev/stats.hpp"
#include "port/log.hpp"

namespace vmbpmd {
namespace {

constexpr std::uint16_t kMinDescriptors = 32;
constexpr std::uint16_t kMaxDescriptors = 8192;
constexpr std::uint16_t kMinBuffer = 64;  // an mbuf of a chain holds at least this much

bool buffers_hold(const rte_eth_dev* dev, rte_mempool* pool, std::uint16_t mtu, std::uint64_t queue_offloads) noexcept {
  const std::uint32_t room = rte_pktmbuf_data_room_size(pool);
  const bool scatter = ((dev->data->dev_conf.rxmode.offloads | queue_offloads) & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
  const std::uint32_t needed = scatter ? std::uint32_t{kMinBuffer} : std::uint32_t{mtu} + kFrameOverhead;
  if (room >= RTE_PKTMBUF_HEADROOM + needed) return true;
  VMBPMD_LOG(ERR,
             "port %u: pool %s: buffers of %u bytes are too small for MTU %u: use at least %u, or the scatter offload",
             dev->data->port_id, pool->name, room, mtu, RTE_PKTMBUF_HEADROOM + needed);
  return false;
}

int configure(rte_eth_dev* dev) {
  if (dev->data->dev_conf.txmode.mq_mode != RTE_ETH_MQ_TX_NONE) {
    VMBPMD_LOG(ERR, "port %u: txmode.mq_mode %d: only RTE_ETH_MQ_TX_NONE", dev->data->port_id,
               static_cast<int>(dev->data->dev_conf.txmode.mq_mode));
    return -EINVAL;
  }
  port_of(dev).set_mtu(dev->data->mtu);
  return 0;
}

int start(rte_eth_dev* dev) {
  Port& port = port_of(dev);
  const bool has_rx = dev->data->nb_rx_queues > 0 && port.rx_pool != nullptr;
  if (has_rx && !buffers_hold(dev, port.rx_pool, dev->data->mtu, 0)) return -EINVAL;
  port.start();
  for (std::uint16_t q = 0; q < dev->data->nb_rx_queues; ++q)
    dev->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
  for (std::uint16_t q = 0; q < dev->data->nb_tx_queues; ++q)
    dev->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
  return 0;
}

int link_update(rte_eth_dev* dev, int /*wait*/) {
  const std::scoped_lock lock{ControlPlane::instance().mutex()};
  return port_of(dev).update_link() ? 0 : -1;
}

int stop(rte_eth_dev* dev) {
  port_of(dev).stop();
  for (std::uint16_t q = 0; q < dev->data->nb_rx_queues; ++q)
    dev->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
  for (std::uint16_t q = 0; q < dev->data->nb_tx_queues; ++q)
    dev->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
  (void)link_update(dev, 0);
  return 0;
}

int close(rte_eth_dev* dev) {
  if (rte_eal_process_type() != RTE_PROC_PRIMARY) return 0;
  Port& port = port_of(dev);
  port.close();
  rte_free(dev->data->mac_addrs);
  dev->data->mac_addrs = nullptr;
  dev->data->dev_private = nullptr;  // not from rte_malloc: ours to delete
  delete &port;
  return 0;
}

int info(rte_eth_dev* /*dev*/, rte_eth_dev_info* info) {
  info->min_mtu = End::kMinMtu;
  info->max_mtu = End::kMaxMtu;
  info->min_rx_bufsize = kMinBuffer;
  info->max_rx_pktlen = End::kMaxMtu + kFrameOverhead;
  info->max_rx_queues = 1;
  info->max_tx_queues = 1;
  info->max_mac_addrs = 1;
  info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
  info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  info->rx_desc_lim.nb_min = info->tx_desc_lim.nb_min = kMinDescriptors;
  info->rx_desc_lim.nb_max = info->tx_desc_lim.nb_max = kMaxDescriptors;
  info->rx_desc_lim.nb_align = info->tx_desc_lim.nb_align = 1;
  info->default_rxportconf = info->default_txportconf = {.burst_size = 32, .ring_size = 512, .nb_queues = 1};
  info->speed_capa = RTE_ETH_LINK_SPEED_FIXED | RTE_ETH_LINK_SPEED_100G;
  return 0;
}

const std::uint32_t* supported_ptypes(rte_eth_dev* /*dev*/) {
  static constexpr std::uint32_t kNone[] = {RTE_PTYPE_UNKNOWN};  // packets are not parsed
  return kNone;
}

int rx_queue_setup(rte_eth_dev* dev, std::uint16_t queue, std::uint16_t /*descriptors*/, unsigned /*socket*/,
                   const rte_eth_rxconf* conf, rte_mempool* pool) {
  if (!buffers_hold(dev, pool, dev->data->mtu, conf->offloads)) return -EINVAL;
  Port& port = port_of(dev);
  port.rx_pool = pool;
  dev->data->rx_queues[queue] = &port;
  return 0;
}

int tx_queue_setup(rte_eth_dev* dev, std::uint16_t queue, std::uint16_t /*descriptors*/, unsigned /*socket*/,
                   const rte_eth_txconf* conf) {
  const std::uint64_t offloads = dev->data->dev_conf.txmode.offloads | conf->offloads;
  const bool chains = (offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
  port_of(dev).set_fast_free((offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0 && !chains);
  dev->data->tx_queues[queue] = &port_of(dev);
  return 0;
}

void rx_queue_release(rte_eth_dev* dev, std::uint16_t queue) {
  dev->data->rx_queues[queue] = nullptr;
  if (dev->data->dev_private != nullptr) port_of(dev).rx_pool = nullptr;
}

void tx_queue_release(rte_eth_dev* dev, std::uint16_t queue) { dev->data->tx_queues[queue] = nullptr; }

int set_mtu(rte_eth_dev* dev, std::uint16_t mtu) {
  Port& port = port_of(dev);
  if (port.rx_pool != nullptr && !buffers_hold(dev, port.rx_pool, mtu, 0)) return -EINVAL;
  port.set_mtu(mtu);
  return 0;
}

// ethdev has noted the new state in dev->data only after these return.
template <bool On> int set_promiscuous(rte_eth_dev* dev) {
  dev->data->promiscuous = On ? 1 : 0;
  port_of(dev).set_filters();
  return 0;
}

template <bool On> int set_allmulticast(rte_eth_dev* dev) {
  dev->data->all_multicast = On ? 1 : 0;
  port_of(dev).set_filters();
  return 0;
}

int set_mac(rte_eth_dev* dev, rte_ether_addr* address) {
  wire::MacAddress mac;
  std::memcpy(mac.data(), address->addr_bytes, mac.size());
  port_of(dev).set_mac(mac);
  return 0;
}

int rx_burst_mode(rte_eth_dev* /*dev*/, std::uint16_t /*queue*/, rte_eth_burst_mode* mode) {
  std::snprintf(mode->info, sizeof mode->info, "Scalar, copied out of shared memory, scattered when needed");
  return 0;
}

int tx_burst_mode(rte_eth_dev* dev, std::uint16_t /*queue*/, rte_eth_burst_mode* mode) {
  std::snprintf(mode->info, sizeof mode->info, "%s",
                port_of(dev).guest() != nullptr ? "Scalar, copied into sections; large frames from where they lie"
                                                : "Scalar, copied into the receive buffer");
  return 0;
}

std::uint16_t rx_burst(void* queue, rte_mbuf** frames, std::uint16_t count) {
  return static_cast<Port*>(queue)->end().rx_burst(frames, count);
}

std::uint16_t loop_rx_burst(void* queue, rte_mbuf** frames, std::uint16_t count) {
  auto* const port = static_cast<Port*>(queue);
  port->loop()->turn();
  return port->guest()->rx_burst(frames, count);
}

std::uint16_t tx_burst(void* queue, rte_mbuf** frames, std::uint16_t count) {
  return static_cast<Port*>(queue)->end().tx_burst(frames, count);
}

std::uint16_t loop_tx_burst(void* queue, rte_mbuf** frames, std::uint16_t count) {
  auto* const port = static_cast<Port*>(queue);
  const std::uint16_t sent = port->guest()->tx_burst(frames, count);
  port->loop()->turn();
  return sent;
}

constinit const eth_dev_ops kTable = [] {
  eth_dev_ops ops{};
  ops.dev_configure = configure;
  ops.dev_start = start;
  ops.dev_stop = stop;
  ops.dev_close = close;
  ops.dev_infos_get = info;
  ops.dev_supported_ptypes_get = supported_ptypes;
  ops.rx_queue_setup = rx_queue_setup;
  ops.tx_queue_setup = tx_queue_setup;
  ops.rx_queue_release = rx_queue_release;
  ops.tx_queue_release = tx_queue_release;
  ops.link_update = link_update;
  ops.mtu_set = set_mtu;
  ops.promiscuous_enable = set_promiscuous<true>;
  ops.promiscuous_disable = set_promiscuous<false>;
  ops.allmulticast_enable = set_allmulticast<true>;
  ops.allmulticast_disable = set_allmulticast<false>;
  ops.mac_addr_set = set_mac;
  ops.stats_get = stats_get;
  ops.stats_reset = stats_reset;
  ops.xstats_get = xstats_get;
  ops.xstats_get_names = xstats_get_names;
  ops.xstats_reset = stats_reset;
  ops.rx_burst_mode_get = rx_burst_mode;
  ops.tx_burst_mode_get = tx_burst_mode;
  return ops;
}();

}  // namespace

void set_bursts(rte_eth_dev* dev) noexcept {
  Port& port = port_of(dev);
  dev->dev_ops = &kTable;
  dev->rx_pkt_burst = port.loop() != nullptr ? loop_rx_burst : rx_burst;
  dev->tx_pkt_burst = port.loop() != nullptr ? loop_tx_burst : tx_burst;
}

}  // namespace vmbpmd
