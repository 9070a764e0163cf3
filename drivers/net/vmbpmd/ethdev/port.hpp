// SPDX-License-Identifier: BSD-3-Clause
// One ethdev port: an end of the NIC (with a host behind it, for a loop), and what the application has set up on it.
#pragma once

#include <ethdev_driver.h>

#include <memory>

#include "ethdev/devargs.hpp"
#include "port/control.hpp"
#include "port/guest.hpp"
#include "port/host.hpp"
#include "port/loop.hpp"

namespace vmbpmd {

class Port final : public ControlPlane::Member {
 public:
  explicit Port(rte_eth_dev& dev) noexcept : dev_(dev) {}

  /// Make the ends and join the link. @return null, or why not.
  [[nodiscard]] const char* init(const Devargs& args) noexcept;

  /// Leave the link; a guest says goodbye first. Idempotent.
  void close() noexcept;

  End& end() noexcept { return guest_ ? static_cast<End&>(*guest_) : *host_; }
  Guest* guest() noexcept { return guest_.get(); }
  Loop* loop() noexcept { return loop_.get(); }

  /// The application's rx pool, kept from queue setup to start.
  rte_mempool* rx_pool{};

  /// Each takes the control mutex, changes what is wanted, and lets the ends settle.
  void start() noexcept;
  void stop() noexcept;
  void set_mtu(std::uint16_t mtu) noexcept;
  void set_fast_free(bool fast) noexcept;
  void set_filters() noexcept;
  void set_mac(const wire::MacAddress& mac) noexcept;

  /// Write the link's state into the ethdev. @return true: it changed.
  bool update_link() noexcept;

  bool step(Clock::time_point now) noexcept override;
  bool changed() noexcept override;
  void notify() noexcept override;

 private:
  template <class Change> void change(Change change) noexcept;

  rte_eth_dev& dev_;
  std::unique_ptr<Guest> guest_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Loop> loop_;
  bool member_{};
  bool wants_link_events_{};  // under the control mutex; the bits of dev_.data are the application's threads'
};

inline Port& port_of(const rte_eth_dev* dev) noexcept { return *static_cast<Port*>(dev->data->dev_private); }

}  // namespace vmbpmd
