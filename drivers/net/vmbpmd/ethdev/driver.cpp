// SPDX-License-Identifier: BSD-3-Clause
// The driver as DPDK's vdev bus sees it: probe, remove, registration, and what dpdk-pmdinfo.py reads.
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_malloc.h>

#include "ethdev/ops.hpp"
#include "ethdev/port.hpp"
#include "port/log.hpp"

namespace vmbpmd {

constinit int log_type = RTE_LOGTYPE_USER1;  // until registered

namespace {

/// The arguments that a failure to join the link is about.
std::string ends_named(const Devargs& args) {
  if (args.role == Role::loop) return {};
  return std::string{args.role == Role::host ? "role=host" : "role=guest"} + ",link=" + args.link + ": ";
}

int probe(rte_vdev_device* vdev) {
  const char* const name = rte_vdev_device_name(vdev);
  if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
    VMBPMD_LOG(ERR, "%s: not available in a secondary process: its memory and thread belong to the primary", name);
    return -ENOTSUP;
  }
  std::string error;
  const std::optional<Devargs> args = Devargs::parse(rte_vdev_device_args(vdev), error);
  if (!args) {
    VMBPMD_LOG(ERR, "%s: %s", name, error.c_str());
    return -EINVAL;
  }
  rte_eth_dev* const dev = rte_eth_vdev_allocate(vdev, 0);
  if (dev == nullptr) {
    VMBPMD_LOG(ERR, "%s: no room for one more port (%d in use at most)", name, RTE_MAX_ETHPORTS);
    return -ENOMEM;
  }
  auto* const mac =
      static_cast<rte_ether_addr*>(rte_zmalloc_socket(name, sizeof(rte_ether_addr), 0, dev->data->numa_node));
  auto* const port = new (std::nothrow) Port{*dev};
  dev->data->dev_private = port;
  dev->data->mac_addrs = mac;
  const char* const why = mac == nullptr || port == nullptr ? "no memory" : port->init(*args);
  if (why != nullptr) {
    VMBPMD_LOG(ERR, "%s: %s%s", name, ends_named(*args).c_str(), why);
    if (port != nullptr) port->close();
    dev->data->dev_private = nullptr;
    delete port;
    rte_eth_dev_release_port(dev);
    return args->link.empty() ? -ENOMEM : -EINVAL;
  }
  dev->data->dev_flags |= RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
  set_bursts(dev);
  rte_eth_dev_probing_finish(dev);
  return 0;
}

int remove(rte_vdev_device* vdev) {
  rte_eth_dev* const dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));
  if (dev == nullptr) return 0;
  // ethdev closes no started port, and rte_eal_cleanup() asks nobody: the control thread must be gone before the memory.
  if (dev->data->dev_started != 0) (void)rte_eth_dev_stop(dev->data->port_id);
  return rte_eth_dev_close(dev->data->port_id);
}

constinit rte_vdev_driver vdev_driver = [] {
  rte_vdev_driver driver{};
  driver.probe = probe;
  driver.remove = remove;
  return driver;
}();

}  // namespace

RTE_INIT(vmbpmd_register_log) {
  const int type = rte_log_register_type_and_pick_level("pmd.net.vmbpmd", RTE_LOG_NOTICE);
  if (type >= 0) log_type = type;
}

RTE_PMD_REGISTER_VDEV(net_vmbpmd, vdev_driver);

}  // namespace vmbpmd

// dpdk-pmdinfo.py looks for this string; inside DPDK's own build a tool makes it.
extern "C" [[gnu::used, gnu::visibility("default")]] const char kPmdInfo[] =
    R"(PMD_INFO_STRING= {"name": "net_vmbpmd", "params": "role=<host|guest> link=<name> mac=<xx:xx:xx:xx:xx:xx> )"
    R"(guest_mac=<xx:xx:xx:xx:xx:xx> speed=<Mbit/s> tx_copybreak=<bytes>", "pci_ids": []})";
