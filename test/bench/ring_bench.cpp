// SPDX-License-Identifier: BSD-3-Clause
// 32 packets of 64 bytes through a ring on one thread, so lines stay in one cache: what the code costs, not the way
// between cores.
//
//   batched   our ring: append each, publish once, peek, copy out and take each, advance once
//   singles   the naive way: index published and advanced for each packet
//   rte_ring  slots' pointers through an rte_ring in bulk, bytes copied into slots and out
//   copies    the bytes in and out and nothing else
#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/bits.hpp"
#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/ring_block.hpp"
#include "wire/packet.hpp"

namespace {

constexpr std::uint32_t kBurst = 32;
constexpr std::size_t kPayload = 64;
constexpr std::uint32_t kRingBytes = 64 * 1024;
constexpr std::uint32_t kSlots = 1024;

using Payload = std::array<std::byte, kPayload>;

/// What goes in, and what comes out.
struct Payloads {
  std::array<Payload, kBurst> in{};
  std::array<Payload, kBurst> out{};
};

struct Ring {
  vmb::test::RingBlock block{kRingBytes};
  vmb::Producer producer{block.memory()};
  vmb::Consumer consumer{block.memory(), vmb::wire::kMaxPacketBytes};

  Ring() { consumer.disarm(); }

  void append(std::uint64_t id, const Payload& payload) {
    const vmb::wire::PacketDescriptor desc{vmb::wire::PacketType::in_band, 2, 2 + kPayload / 8, 0, id};
    if (producer.append(vmb::bytes_of(desc), std::span{payload}) != vmb::Status::ok) std::abort();
  }

  void take(Payload& payload) {
    vmb::PeekedPacket packet{};
    if (consumer.peek(packet) != vmb::Status::ok) std::abort();
    consumer.copy(packet, packet.header_bytes(), payload.data(), kPayload);
    consumer.take(packet);
  }
};

void batched(benchmark::State& state) {
  Ring ring;
  Payloads payloads;
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kBurst; ++i) ring.append(i, payloads.in[i]);
    benchmark::DoNotOptimize(ring.producer.publish());
    for (Payload& payload : payloads.out) ring.take(payload);
    benchmark::DoNotOptimize(ring.consumer.advance());
    benchmark::DoNotOptimize(payloads.out);
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void singles(benchmark::State& state) {
  Ring ring;
  Payloads payloads;
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kBurst; ++i) {
      ring.append(i, payloads.in[i]);
      benchmark::DoNotOptimize(ring.producer.publish());
    }
    for (Payload& payload : payloads.out) {
      ring.take(payload);
      benchmark::DoNotOptimize(ring.consumer.advance());
    }
    benchmark::DoNotOptimize(payloads.out);
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

void through_rte_ring(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(rte_ring_get_memsize(kSlots));
  auto* const ring = static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, (bytes + 63) / 64 * 64));
  if (ring == nullptr || rte_ring_init(ring, "bench", kSlots, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) std::abort();
  std::vector<Payload> slots(kSlots);
  std::size_t next = 0;
  Payloads payloads;
  for ([[maybe_unused]] auto turn : state) {
    void* pointers[kBurst];
    for (std::uint32_t i = 0; i < kBurst; ++i, next = (next + 1) % kSlots) {
      slots[next] = payloads.in[i];
      pointers[i] = &slots[next];
    }
    if (rte_ring_sp_enqueue_bulk(ring, pointers, kBurst, nullptr) != kBurst) std::abort();
    if (rte_ring_sc_dequeue_bulk(ring, pointers, kBurst, nullptr) != kBurst) std::abort();
    for (std::uint32_t i = 0; i < kBurst; ++i) payloads.out[i] = *static_cast<const Payload*>(pointers[i]);
    benchmark::DoNotOptimize(payloads.out);
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
  std::free(ring);
}

void copies(benchmark::State& state) {
  std::vector<Payload> slots(kSlots);
  std::size_t next = 0;
  Payloads payloads;
  for ([[maybe_unused]] auto turn : state) {
    const std::size_t first = next;
    for (const Payload& payload : payloads.in) slots[next++] = payload;
    benchmark::ClobberMemory();
    std::memcpy(&payloads.out, &slots[first], sizeof payloads.out);
    next %= kSlots;
    benchmark::DoNotOptimize(payloads.out);
  }
  state.SetItemsProcessed(state.iterations() * kBurst);
}

BENCHMARK(batched)->Name("ring/batched");
BENCHMARK(singles)->Name("ring/singles");
BENCHMARK(through_rte_ring)->Name("ring/rte_ring");
BENCHMARK(copies)->Name("ring/copies");

}  // namespace

BENCHMARK_MAIN();
