// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/port.hpp"

#include <cstring>
#include <utility>

#include "port/log.hpp"

namespace vmbpmd {

const char* Port::init(const Devargs& args) noexcept {
  ControlPlane& control = ControlPlane::instance();
  const std::scoped_lock lock{control.mutex()};
  const std::string name = args.role == Role::loop ? std::string{"loop of "} + dev_.device->name : args.link;
  const wire::MacAddress guest_mac = args.guest_mac.value_or(Devargs::default_mac(name, Role::guest));
  const char* error = nullptr;
  if (args.role != Role::host) {
    Guest::Config config;
    config.numa_node = dev_.data->numa_node;
    config.tx_copybreak = args.tx_copybreak;
    guest_ = std::make_unique<Guest>(config);
    if (args.mac) guest_->use_own_mac();
    guest_->wanted().mac = args.mac.value_or(guest_mac);
    error = guest_->init(control.bus(), name);
  }
  if (args.role != Role::guest && error == nullptr) {
    Host::Config config;
    config.guest_mac = guest_mac;
    config.speed_mbps = args.speed_mbps;
    config.unfiltered = args.role == Role::loop;
    config.name = name;
    if (args.role == Role::loop) loop_ = std::make_unique<Loop>(config);
    if (args.role == Role::host) host_ = std::make_unique<Host>(config);
    Host& host = loop_ ? loop_->host() : *host_;
    host.wanted().mac = args.role == Role::loop ? Devargs::default_mac(name, Role::host)
                                                : args.mac.value_or(Devargs::default_mac(name, Role::host));
    host.wanted().promiscuous = args.role == Role::loop;
    error = host.init(control.bus(), name);
  }
  if (error != nullptr) return error;
  const wire::MacAddress& mac = end().wanted().mac;
  std::memcpy(dev_.data->mac_addrs, mac.data(), mac.size());  // from here on the control thread keeps it up to date
  member_ = control.add(*this);
  return member_ ? nullptr : "the control thread cannot be started";
}

void Port::close() noexcept {
  ControlPlane& control = ControlPlane::instance();
  {
    const std::scoped_lock lock{control.mutex()};
    if (guest_) {
      guest_->leave();
      control.settle();
      guest_->close();
    }
    if (host_) host_->close();
    if (loop_) loop_->host().close();
    if (loop_) loop_->drop();
  }
  if (std::exchange(member_, false)) control.remove(*this);
}

template <class Change> void Port::change(Change change) noexcept {
  ControlPlane& control = ControlPlane::instance();
  const std::scoped_lock lock{control.mutex()};
  change(end());
  if (loop_) change(static_cast<End&>(loop_->host()));
  control.settle();
}

void Port::start() noexcept {
  change([this](End& end) {
    wants_link_events_ = dev_.data->dev_conf.intr_conf.lsc != 0;
    if (rx_pool != nullptr) end.start_rx(MbufFiller{rx_pool, dev_.data->port_id});
    end.wanted().started = true;
    end.apply();
  });
}

void Port::stop() noexcept {
  change([](End& end) {
    end.wanted().started = false;
    end.apply();
    end.stop_rx();
  });
  if (loop_) loop_->drop();
}

void Port::set_mtu(std::uint16_t mtu) noexcept {
  change([mtu](End& end) {
    end.wanted().mtu = mtu;
    end.apply();
  });
}

void Port::set_fast_free(bool fast) noexcept {
  const std::scoped_lock lock{ControlPlane::instance().mutex()};
  end().set_fast_free(fast);
}

void Port::set_filters() noexcept {
  change([this](End& end) {
    const bool is_loop_host = loop_ && &end == &loop_->host();
    end.wanted().promiscuous = is_loop_host || dev_.data->promiscuous != 0;
    end.wanted().all_multicast = dev_.data->all_multicast != 0;
    end.apply();
  });
}

void Port::set_mac(const wire::MacAddress& mac) noexcept {
  const std::scoped_lock lock{ControlPlane::instance().mutex()};
  if (guest_) guest_->use_own_mac();
  end().wanted().mac = mac;
  end().apply();
}

bool Port::update_link() noexcept {
  const LinkState state = end().link();
  rte_eth_link link{};
  const bool up = state.up && end().wanted().started;
  link.link_speed = up ? state.speed_mbps : std::uint32_t{RTE_ETH_SPEED_NUM_NONE};
  link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
  link.link_autoneg = RTE_ETH_LINK_FIXED;
  link.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
  return rte_eth_linkstatus_set(&dev_, &link) == 0;
}

bool Port::step(Clock::time_point now) noexcept {
  bool progress = end().step(now);
  if (loop_) progress |= loop_->host().step(now);
  return progress;
}

bool Port::changed() noexcept {
  const wire::MacAddress mac = guest_ ? guest_->mac() : host_->wanted().mac;
  if (std::memcmp(dev_.data->mac_addrs, mac.data(), mac.size()) != 0) {
    std::memcpy(dev_.data->mac_addrs, mac.data(), mac.size());  // the host said another one
  }
  return update_link() && wants_link_events_;
}

void Port::notify() noexcept { rte_eth_dev_callback_process(&dev_, RTE_ETH_EVENT_INTR_LSC, nullptr); }

}  // namespace vmbpmd
