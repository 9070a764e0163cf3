// SPDX-License-Identifier: BSD-3-Clause
// RNDIS messages of 32 frames, written one behind the other and read again.
//
//   encode, decode   header made or judged in one piece, frame copied
//   naive            each header field written, or read and checked, on its own
//   memcpy           the frames alone, copied
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "rndis/packet.hpp"

namespace {

namespace rndis = vmbpmd::rndis;
using Header = vmbpmd::wire::RndisPacket;

constexpr std::uint32_t kFrames = 32;
constexpr std::uint32_t kMostFrame = 1518;

struct Bytes {
  std::vector<std::byte> frames = std::vector<std::byte>(kFrames * kMostFrame);
  std::vector<std::byte> messages = std::vector<std::byte>(kFrames * (kMostFrame + rndis::kPacketHeaderBytes));
};

std::uint32_t frame_bytes(const benchmark::State& state) { return static_cast<std::uint32_t>(state.range(0)); }

void encode_all(Bytes& bytes, std::uint32_t length) {
  std::byte* to = bytes.messages.data();
  for (std::uint32_t i = 0; i < kFrames; ++i, to += rndis::kPacketHeaderBytes + length) {
    const Header header = rndis::packet_header(length);
    std::memcpy(to, &header, sizeof header);
    std::memcpy(to + sizeof header, &bytes.frames[i * length], length);
  }
}

void done(benchmark::State& state, const Bytes& bytes) {
  benchmark::DoNotOptimize(bytes.messages.data());
  benchmark::DoNotOptimize(bytes.frames.data());
  state.SetItemsProcessed(state.iterations() * kFrames);
}

void encode(benchmark::State& state) {
  Bytes bytes;
  for ([[maybe_unused]] auto turn : state) {
    encode_all(bytes, frame_bytes(state));
    benchmark::ClobberMemory();
  }
  done(state, bytes);
}

void decode(benchmark::State& state) {
  Bytes bytes;
  const std::uint32_t length = frame_bytes(state);
  encode_all(bytes, length);
  for ([[maybe_unused]] auto turn : state) {
    const std::byte* from = bytes.messages.data();
    std::uint64_t left = std::uint64_t{kFrames} * (rndis::kPacketHeaderBytes + length);
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      Header header;
      std::memcpy(&header, from, sizeof header);
      rndis::PacketLayout layout{};
      if (!rndis::judge(header, left, layout)) std::abort();
      std::memcpy(&bytes.frames[i * length], from + layout.data_at, layout.data_bytes);
      from += layout.message_bytes;
      left -= layout.message_bytes;
    }
    benchmark::ClobberMemory();
  }
  done(state, bytes);
}

/// A field at a time, as if nothing were known of its neighbours.
void store(std::byte* message, std::size_t offset, std::uint32_t value) {
  for (unsigned byte = 0; byte < 4; ++byte) message[offset + byte] = static_cast<std::byte>(value >> 8 * byte);
  benchmark::ClobberMemory();
}

std::uint32_t load(const std::byte* message, std::size_t offset) {
  std::uint32_t value = 0;
  for (unsigned byte = 0; byte < 4; ++byte) value |= std::to_integer<std::uint32_t>(message[offset + byte]) << 8 * byte;
  asm volatile("" : "+r"(value));  // benchmark::DoNotOptimize of 1.7 with g++ 12 loses what it is given
  return value;
}

void encode_naive(benchmark::State& state) {
  Bytes bytes;
  const std::uint32_t length = frame_bytes(state);
  for ([[maybe_unused]] auto turn : state) {
    std::byte* to = bytes.messages.data();
    for (std::uint32_t i = 0; i < kFrames; ++i, to += rndis::kPacketHeaderBytes + length) {
      const Header header = rndis::packet_header(length);
      std::uint32_t fields[sizeof header / 4];
      std::memcpy(fields, &header, sizeof header);
      for (std::size_t field = 0; field < sizeof header / 4; ++field) store(to, field * 4, fields[field]);
      std::memcpy(to + sizeof header, &bytes.frames[i * length], length);
    }
  }
  done(state, bytes);
}

void decode_naive(benchmark::State& state) {
  Bytes bytes;
  const std::uint32_t length = frame_bytes(state);
  encode_all(bytes, length);
  for ([[maybe_unused]] auto turn : state) {
    const std::byte* from = bytes.messages.data();
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      std::uint32_t fields[sizeof(Header) / 4];
      for (std::size_t field = 0; field < sizeof(Header) / 4; ++field) fields[field] = load(from, field * 4);
      Header header;
      std::memcpy(&header, fields, sizeof header);
      rndis::PacketLayout layout{};
      if (!rndis::judge(header, header.length, layout)) std::abort();
      std::memcpy(&bytes.frames[i * length], from + layout.data_at, layout.data_bytes);
      from += layout.message_bytes;
    }
    benchmark::ClobberMemory();
  }
  done(state, bytes);
}

void memcpy_alone(benchmark::State& state) {
  Bytes bytes;
  const std::uint32_t length = frame_bytes(state);
  for ([[maybe_unused]] auto turn : state) {
    for (std::uint32_t i = 0; i < kFrames; ++i)
      std::memcpy(&bytes.messages[i * (length + rndis::kPacketHeaderBytes)], &bytes.frames[i * length], length);
    benchmark::ClobberMemory();
  }
  done(state, bytes);
}

BENCHMARK(encode)->Name("rndis/encode")->Arg(64)->Arg(1518);
BENCHMARK(encode_naive)->Name("rndis/encode_naive")->Arg(64)->Arg(1518);
BENCHMARK(decode)->Name("rndis/decode")->Arg(64)->Arg(1518);
BENCHMARK(decode_naive)->Name("rndis/decode_naive")->Arg(64)->Arg(1518);
BENCHMARK(memcpy_alone)->Name("rndis/memcpy")->Arg(64)->Arg(1518);

}  // namespace

BENCHMARK_MAIN();
