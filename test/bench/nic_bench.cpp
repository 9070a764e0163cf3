// SPDX-License-Identifier: BSD-3-Clause
// A burst of frames through a pair of ports on one lcore, each direction: sent, received, freed. One thread, so lines stay
// in one cache: what the code costs, not the way between cores. scripts/instructions.sh counts its instructions.
#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

constexpr std::uint16_t kMaxBurst = 64;

rte_mempool* pool;
std::uint16_t host, guest;

std::uint16_t open_port(const char* name, const char* devargs) {
  std::uint16_t port = 0;
  rte_eth_conf conf{};
  conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  if (rte_vdev_init(name, devargs) != 0 || rte_eth_dev_get_port_by_name(name, &port) != 0 ||
      rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
      rte_eth_rx_queue_setup(port, 0, 1024, static_cast<unsigned>(SOCKET_ID_ANY), nullptr, pool) != 0 ||
      rte_eth_tx_queue_setup(port, 0, 1024, static_cast<unsigned>(SOCKET_ID_ANY), nullptr) != 0 ||
      rte_eth_promiscuous_enable(port) != 0 || rte_eth_dev_start(port) != 0) {
    std::fprintf(stderr, "%s: no port\n", name);
    std::exit(EXIT_FAILURE);
  }
  return port;
}

void wait_for_link(std::uint16_t port) {
  rte_eth_link link{};
  for (int tries = 0; tries < 500 && link.link_status != RTE_ETH_LINK_UP; ++tries) {
    (void)usleep(10'000);
    (void)rte_eth_link_get_nowait(port, &link);
  }
}

void burst(benchmark::State& state, std::uint16_t from, std::uint16_t to) {
  const auto bytes = static_cast<std::uint16_t>(state.range(0));
  const auto count = static_cast<std::uint16_t>(state.range(1));
  std::array<rte_mbuf*, kMaxBurst> frames{};
  for ([[maybe_unused]] auto turn : state) {
    if (rte_pktmbuf_alloc_bulk(pool, frames.data(), count) != 0) std::abort();
    std::for_each_n(frames.begin(), count, [&](rte_mbuf* frame) { frame->pkt_len = frame->data_len = bytes; });
    if (rte_eth_tx_burst(from, 0, frames.data(), count) != count) std::abort();
    if (rte_eth_rx_burst(to, 0, frames.data(), count) != count) std::abort();
    rte_pktmbuf_free_bulk(frames.data(), count);
  }
  state.SetItemsProcessed(state.iterations() * count);
}

void host_to_guest(benchmark::State& state) { burst(state, host, guest); }
void guest_to_host(benchmark::State& state) { burst(state, guest, host); }

/// VMB_BENCH_ITERATIONS: so many, however long they take; for who counts rather than times.
void add(const char* name, void (*run)(benchmark::State&)) {
  auto* const added = benchmark::RegisterBenchmark(name, run)->ArgsProduct({{64, 1518}, {1, 32}});
  if (const char* const iterations = std::getenv("VMB_BENCH_ITERATIONS"); iterations != nullptr) {
    added->Iterations(std::strtoll(iterations, nullptr, 10));
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> eal{"nic_bench",    "--no-huge",
                               "-m",           "256",
                               "--no-pci",     "--no-telemetry",
                               "--lcores=0@0", "--file-prefix=nic_bench" + std::to_string(getpid()),
                               "--no-shconf",  "--log-level=lib.eal:error"};
  std::vector<char*> eal_argv;
  for (std::string& argument : eal) eal_argv.push_back(argument.data());
  if (rte_eal_init(static_cast<int>(eal_argv.size()), eal_argv.data()) < 0) {
    std::fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
    return EXIT_FAILURE;
  }
  pool = rte_pktmbuf_pool_create("frames", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) return EXIT_FAILURE;
  host = open_port("net_vmbpmd_host", "role=host,link=bench");
  guest = open_port("net_vmbpmd_guest", "role=guest,link=bench");
  wait_for_link(host);
  wait_for_link(guest);
  benchmark::Initialize(&argc, argv);
  add("host_to_guest", host_to_guest);
  add("guest_to_host", guest_to_host);
  benchmark::RunSpecifiedBenchmarks();
  (void)rte_eal_cleanup();
  return EXIT_SUCCESS;
}
