// SPDX-License-Identifier: BSD-3-Clause
// What a packet from the pool costs, beside what it is made of: 32 allocated and freed again, on one lcore.
//
//   raw       rte_mempool get and put in bulk, nothing else
//   marked    the same, and one word of each object written at get and checked at put: the least that notices misuse.
//             The word is not written at put, so this one misses a double free that the next one finds.
//   bulk      vmb_packet_allocate_bulk and vmb_packet_free_bulk
//   singles   the same by single calls
//
// Objects and caches have the same size in all four. Each is timed 32 objects out, 32 objects back; the rounds of the
// four are interleaved, and the ratio printed last is of medians:
//
//   packet_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
//                --benchmark_report_aggregates_only=true
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <sched.h>
#include <unistd.h>
#include <vmbpkt.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

constexpr std::uint32_t kBurst = 32;
constexpr std::uint32_t kCache = 256;  // what a pool of the default size has
constexpr std::uint64_t kMark = 0x564D'0123'A11E'0000;

vmb_channel* channel;
rte_mempool* mempool;

struct Object {
  std::uint64_t word;
};

void raw(benchmark::State& state) {
  void* objects[kBurst];
  for ([[maybe_unused]] auto turn : state) {
    if (rte_mempool_get_bulk(mempool, objects, kBurst) != 0) std::abort();
    benchmark::DoNotOptimize(objects);
    benchmark::ClobberMemory();
    rte_mempool_put_bulk(mempool, objects, kBurst);
  }
}

void marked(benchmark::State& state) {
  void* objects[kBurst];
  for ([[maybe_unused]] auto turn : state) {
    if (rte_mempool_get_bulk(mempool, objects, kBurst) != 0) std::abort();
    for (void* const object : objects) static_cast<Object*>(object)->word = kMark;
    benchmark::DoNotOptimize(objects);
    benchmark::ClobberMemory();
    for (void* const object : objects) {
      if (static_cast<Object*>(object)->word != kMark) std::abort();
    }
    rte_mempool_put_bulk(mempool, objects, kBurst);
  }
}

void bulk(benchmark::State& state) {
  vmb_packet* packets[kBurst];
  for ([[maybe_unused]] auto turn : state) {
    if (vmb_packet_allocate_bulk(channel, packets, kBurst) != VMB_STATUS_SUCCESS) std::abort();
    benchmark::DoNotOptimize(packets);
    benchmark::ClobberMemory();
    vmb_packet_free_bulk(packets, kBurst);
  }
}

void singles(benchmark::State& state) {
  vmb_packet* packets[kBurst];
  for ([[maybe_unused]] auto turn : state) {
    for (vmb_packet*& packet : packets) {
      packet = vmb_packet_allocate(channel);
      if (packet == nullptr) std::abort();
    }
    benchmark::DoNotOptimize(packets);
    benchmark::ClobberMemory();
    for (vmb_packet* const packet : packets) vmb_packet_free(packet);
  }
}

/// Three bursts out at a time, each freed in another order than it came.
constexpr std::uint32_t kOut = 3 * kBurst;

constexpr std::array<std::uint8_t, kOut> kOrder = [] {
  std::array<std::uint8_t, kOut> order{};
  for (std::uint32_t i = 0; i < kOut; ++i)
    order[i] = static_cast<std::uint8_t>(i * 37 % kOut);  // 37 and 96 are coprime
  return order;
}();

void marked_shuffled(benchmark::State& state) {
  void* objects[kOut];
  void* back[kOut];
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kOut; i += kBurst) {
      if (rte_mempool_get_bulk(mempool, objects + i, kBurst) != 0) std::abort();
      for (std::uint32_t j = i; j < i + kBurst; ++j) static_cast<Object*>(objects[j])->word = kMark;
    }
    for (std::uint32_t i = 0; i < kOut; ++i) back[i] = objects[kOrder[i]];
    benchmark::DoNotOptimize(back);
    benchmark::ClobberMemory();
    for (std::uint32_t i = 0; i < kOut; i += kBurst) {
      for (std::uint32_t j = i; j < i + kBurst; ++j) {
        if (static_cast<Object*>(back[j])->word != kMark) std::abort();
      }
      rte_mempool_put_bulk(mempool, back + i, kBurst);
    }
  }
}

void bulk_shuffled(benchmark::State& state) {
  vmb_packet* packets[kOut];
  vmb_packet* back[kOut];
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kOut; i += kBurst) {
      if (vmb_packet_allocate_bulk(channel, packets + i, kBurst) != VMB_STATUS_SUCCESS) std::abort();
    }
    for (std::uint32_t i = 0; i < kOut; ++i) back[i] = packets[kOrder[i]];
    benchmark::DoNotOptimize(back);
    benchmark::ClobberMemory();
    for (std::uint32_t i = 0; i < kOut; i += kBurst) vmb_packet_free_bulk(back + i, kBurst);
  }
}

BENCHMARK(raw);
BENCHMARK(marked);
BENCHMARK(bulk);
BENCHMARK(singles);
BENCHMARK(marked_shuffled);
BENCHMARK(bulk_shuffled);

/// Prints the usual table, and remembers each run's time.
class Ratios : public benchmark::ConsoleReporter {
 public:
  Ratios() : ConsoleReporter(OO_Tabular) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const bool is_median = run.run_type == Run::RT_Aggregate && run.aggregate_name == "median";
      if (is_median || run.run_type == Run::RT_Iteration)
        medians_[run.run_name.function_name] = run.GetAdjustedCPUTime();
    }
    ConsoleReporter::ReportRuns(runs);
  }

  void print() {
    for (const char* const name : {"raw", "marked", "bulk", "singles"}) print(name, kBurst, "marked");
    for (const char* const name : {"marked_shuffled", "bulk_shuffled"}) print(name, kOut, "marked_shuffled");
  }

 private:
  void print(const char* name, std::uint32_t objects, const char* base) {
    const double time = medians_[name];
    if (time == 0 || medians_[base] == 0) return;
    std::printf("%-16s %6.1f ns per %u out and back, %5.2f ns each, %.2f times %s\n", name, time, objects,
                time / objects, time / medians_[base], base);
  }

  std::map<std::string, double> medians_;  // of one run, its time; of repetitions, the aggregate that comes last
};

bool start_eal(bool hugepages) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  (void)sched_getaffinity(0, sizeof allowed, &allowed);
  int cpu = CPU_SETSIZE - 1;
  while (cpu > 0 && !CPU_ISSET(cpu, &allowed)) --cpu;  // the last one: the first takes most interrupts
  std::vector<std::string> arguments{"packet_bench", "--no-pci", "--no-telemetry", "--log-level=lib.eal:error",
                                     "--lcores=0@" + std::to_string(cpu)};
  if (hugepages) {
    arguments.insert(arguments.end(), {"--in-memory"});
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "-m", "256", "--no-shconf"});
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0;
}

bool has_free_hugepages() {
  std::FILE* const file = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
  if (file == nullptr) return false;
  unsigned free = 0;
  const bool read = std::fscanf(file, "%u", &free) == 1;
  (void)std::fclose(file);
  return read && free >= 32 && access("/dev/hugepages", W_OK) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
  const bool hugepages = has_free_hugepages();
  if (!start_eal(hugepages)) {
    std::printf("no EAL: %s\n", rte_strerror(rte_errno));
    return EXIT_FAILURE;
  }
  if (vmb_channel_allocate(nullptr, false, &channel) != VMB_STATUS_SUCCESS) return EXIT_FAILURE;
  mempool = rte_mempool_create("raw", VMB_DEFAULT_MAXIMUM_PACKET_COUNT, vmb_channel_sizeof_packet(channel), kCache, 0,
                               nullptr, nullptr, nullptr, nullptr, SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (mempool == nullptr) return EXIT_FAILURE;
  std::printf("objects of %u bytes, cache of %u, lcore %u, %s\n", vmb_channel_sizeof_packet(channel), kCache,
              rte_lcore_id(), hugepages ? "hugepages" : "no hugepages");
  Ratios ratios;
  benchmark::RunSpecifiedBenchmarks(&ratios);
  ratios.print();
  vmb_channel_cleanup(channel);
  rte_mempool_free(mempool);
  (void)rte_eal_cleanup();
  return EXIT_SUCCESS;
}
