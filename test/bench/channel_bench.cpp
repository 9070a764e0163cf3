// SPDX-License-Identifier: BSD-3-Clause
// Packets of 64 bytes from one end of a channel to the other, received and completed, by one thread, 32 in a round.
//
//   bursts        vmb_packet_send_burst, vmb_channel_receive_burst, vmb_channel_packet_complete_bulk
//   singles       the naive way: the same by single calls
//   answered      bursts whose sender waits for the completion of each packet
//   rte_ring      copied into slots, pointers through an rte_ring in bulk, copied out
//   initialize    32 packets made in the caller's memory, bulk and single, beside a memset of that memory
#include <rte_ring.h>
#include <vmbpkt.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

constexpr std::uint32_t kBurst = 32;
constexpr std::uint32_t kPayload = 64;
constexpr std::uint32_t kSlots = 1024;

using Payload = std::array<std::byte, kPayload>;

void must(vmb_status status) {
  if (status != VMB_STATUS_SUCCESS) std::abort();
}

/// Memory for packets of a channel.
class Memory {
 public:
  explicit Memory(vmb_channel* channel) : stride_{vmb_channel_sizeof_packet(channel)} {
    memory_ = std::aligned_alloc(64, std::size_t{stride_} * kBurst);
    if (memory_ == nullptr) std::abort();
  }
  ~Memory() { std::free(memory_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] void* base() const { return memory_; }
  [[nodiscard]] std::uint32_t stride() const { return stride_; }
  [[nodiscard]] vmb_packet* at(std::uint32_t i) const {
    return reinterpret_cast<vmb_packet*>(static_cast<std::byte*>(memory_) + std::size_t{i} * stride_);
  }

 private:
  std::uint32_t stride_;
  void* memory_;
};

/// Both ends of an open channel.
class Pair {
 public:
  Pair() {
    must(vmb_channel_allocate(nullptr, true, &server_));
    must(vmb_channel_allocate(nullptr, false, &client_));
    for (vmb_channel* const channel : {server_, client_}) {
      must(vmb_channel_init_set_link(channel, "bench"));
      must(vmb_channel_init_set_maximum_packet_size(channel, kPayload));
      must(vmb_channel_init_set_pull_mode(channel));
    }
    must(vmb_channel_enable(server_));
    must(vmb_channel_enable(client_));
  }
  ~Pair() {
    for (vmb_channel* const channel : {client_, server_}) {
      vmb_channel_disable(channel);
      vmb_channel_cleanup(channel);
    }
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  [[nodiscard]] vmb_channel* sender() const { return client_; }
  [[nodiscard]] vmb_channel* receiver() const { return server_; }

 private:
  vmb_channel* server_{};
  vmb_channel* client_{};
};

void ended(vmb_packet*, vmb_status, const void*, std::uint32_t) {}

struct Traffic {
  Pair pair;
  Memory memory{pair.sender()};
  std::array<Payload, kBurst> payloads{};
  std::array<vmb_send_desc, kBurst> sends{};
  std::array<vmb_recv_desc, kBurst> receives{};
  std::array<vmb_complete_desc, kBurst> completes{};
  std::uint64_t read = 0;

  explicit Traffic(std::uint32_t flags) {
    must(vmb_packet_initialize_bulk(pair.sender(), memory.base(), memory.stride(), kBurst, nullptr));
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      vmb_packet_set_completion_routine(memory.at(i), ended);
      sends[i] = {.packet = memory.at(i),
                  .buffer = payloads[i].data(),
                  .buffer_length = kPayload,
                  .flags = flags,
                  .external_data = nullptr};
    }
  }

  void read_word(const vmb_recv_desc& received) { read += *static_cast<const std::uint64_t*>(received.buffer); }
};

void through_bursts(benchmark::State& state, std::uint32_t flags) {
  Traffic traffic{flags};
  for ([[maybe_unused]] auto turn : state) {
    if (vmb_packet_send_burst(traffic.pair.sender(), traffic.sends.data(), kBurst, nullptr) != kBurst) std::abort();
    if (vmb_channel_receive_burst(traffic.pair.receiver(), traffic.receives.data(), kBurst) != kBurst) std::abort();
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      traffic.read_word(traffic.receives[i]);
      traffic.completes[i] = {.packet = traffic.receives[i].packet, .buffer = nullptr, .buffer_length = 0};
    }
    vmb_channel_packet_complete_bulk(traffic.completes.data(), kBurst);
    if (flags != 0) (void)vmb_channel_receive_burst(traffic.pair.sender(), traffic.receives.data(), kBurst);
  }
  benchmark::DoNotOptimize(traffic.read);
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void bursts(benchmark::State& state) { through_bursts(state, 0); }
void answered(benchmark::State& state) { through_bursts(state, VMB_SEND_FLAG_WAIT_FOR_COMPLETION); }

void singles(benchmark::State& state) {
  Traffic traffic{0};
  for ([[maybe_unused]] auto turn : state) {
    for (const vmb_send_desc& send : traffic.sends)
      must(vmb_packet_send(send.packet, send.buffer, send.buffer_length, nullptr, 0));
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      if (vmb_channel_receive_burst(traffic.pair.receiver(), traffic.receives.data(), 1) != 1) std::abort();
      traffic.read_word(traffic.receives[0]);
      vmb_channel_packet_complete(traffic.receives[0].packet, nullptr, 0);
    }
  }
  benchmark::DoNotOptimize(traffic.read);
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void through_rte_ring(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(rte_ring_get_memsize(kSlots));
  auto* const ring = static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, (bytes + 63) / 64 * 64));
  if (ring == nullptr || rte_ring_init(ring, "bench", kSlots, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) std::abort();
  std::vector<Payload> slots(kSlots);
  std::array<Payload, kBurst> in{}, out{};
  std::size_t next = 0;
  for ([[maybe_unused]] auto turn : state) {
    void* pointers[kBurst];
    for (std::uint32_t i = 0; i < kBurst; ++i, next = (next + 1) % kSlots) {
      slots[next] = in[i];
      pointers[i] = &slots[next];
    }
    if (rte_ring_sp_enqueue_bulk(ring, pointers, kBurst, nullptr) != kBurst) std::abort();
    if (rte_ring_sc_dequeue_bulk(ring, pointers, kBurst, nullptr) != kBurst) std::abort();
    for (std::uint32_t i = 0; i < kBurst; ++i) out[i] = *static_cast<const Payload*>(pointers[i]);
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
  std::free(ring);
}

void initialize_bulk(benchmark::State& state) {
  const Pair pair;
  const Memory memory{pair.sender()};
  for ([[maybe_unused]] auto turn : state) {
    must(vmb_packet_initialize_bulk(pair.sender(), memory.base(), memory.stride(), kBurst, nullptr));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void initialize_singles(benchmark::State& state) {
  const Pair pair;
  const Memory memory{pair.sender()};
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kBurst; ++i)
      must(vmb_packet_initialize(pair.sender(), memory.at(i), memory.stride()));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void initialize_memset(benchmark::State& state) {
  const Pair pair;
  const Memory memory{pair.sender()};
  for ([[maybe_unused]] auto turn : state) {
    std::memset(memory.base(), 0, std::size_t{memory.stride()} * kBurst);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

BENCHMARK(bursts)->Name("channel/bursts");
BENCHMARK(singles)->Name("channel/singles");
BENCHMARK(answered)->Name("channel/answered");
BENCHMARK(through_rte_ring)->Name("channel/rte_ring");
BENCHMARK(initialize_bulk)->Name("initialize/bulk");
BENCHMARK(initialize_singles)->Name("initialize/singles");
BENCHMARK(initialize_memset)->Name("initialize/memset");

}  // namespace

BENCHMARK_MAIN();
