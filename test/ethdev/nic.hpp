// SPDX-License-Identifier: BSD-3-Clause
// A port as an application has it: created from devargs, configured, with a pool of its own; stopped and removed with
// the object.
#pragma once

#include <rte_ethdev.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "ethdev/pool.hpp"

namespace vmbpmd::test {

using namespace std::chrono_literals;

/// Ask again and again until it holds. The control plane has a thread of its own that looks once a millisecond.
[[nodiscard]] bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = 5000ms);

/// A link name that no other test uses.
std::string fresh_link();

class Nic {
 public:
  struct Options {
    std::uint16_t mtu = 1500;
    bool lsc = false;
    bool promiscuous = true;
    std::uint64_t rx_offloads = 0;
    std::uint32_t mbufs = 4096;
    std::uint16_t data_room = RTE_MBUF_DEFAULT_BUF_SIZE;
    bool has_rx = true;
  };

  explicit Nic(const std::string& devargs) : Nic(devargs, Options{}) {}
  Nic(const std::string& devargs, const Options& options);
  Nic(const Nic&) = delete;
  Nic& operator=(const Nic&) = delete;
  ~Nic();

  std::uint16_t id() const { return id_; }
  const std::string& name() const { return name_; }
  Pool& pool() { return pool_; }

  void start();
  void stop();
  bool is_started() const { return started_; }

  bool link_up() const;
  std::uint32_t link_speed() const;
  std::uint16_t tx(std::span<rte_mbuf*> frames) const;
  std::uint16_t rx(std::span<rte_mbuf*> frames) const;
  /// Receive and free what there is. @return how many.
  std::uint32_t drop_received() const;

  rte_eth_stats stats() const;
  std::map<std::string, std::uint64_t> xstats() const;
  std::uint64_t xstat(const std::string& name) const;
  rte_ether_addr mac() const;

 private:
  Pool pool_;
  std::string name_;
  std::uint16_t id_{RTE_MAX_ETHPORTS};
  bool started_{};
};

/// Probe only. @return rte_vdev_init()'s answer.
int probe(const std::string& name, const std::string& devargs);
void unplug(const std::string& name);
/// Ports that exist.
unsigned ports();

/// Two ends of one link, host first.
struct Pair {
  Pair() : Pair(Nic::Options{}, Nic::Options{}) {}
  explicit Pair(const Nic::Options& both, const std::string& guest_args = {}) : Pair(both, both, guest_args) {}
  Pair(const Nic::Options& host_options, const Nic::Options& guest_options, const std::string& guest_args = {})
      : link(fresh_link()),
        host("role=host,link=" + link, host_options),
        guest("role=guest,link=" + link + guest_args, guest_options) {}

  /// Start both that are not, wait for link up at both.
  void start();
  bool both_up() const { return host.link_up() && guest.link_up(); }

  std::string link;
  Nic host, guest;
};

/// Every drop and error statistic of a port that had orderly traffic is zero.
void expect_no_errors(const Nic& nic);

/// The base of all tests with ports: after each, no port and no memzone is left; mbufs are each Pool's affair.
class PortsTest : public testing::Test {
 protected:
  PortsTest();
  ~PortsTest() override;  // after the members of the test's own class

 private:
  std::size_t zones_;
};

std::size_t count_memzones();

}  // namespace vmbpmd::test
