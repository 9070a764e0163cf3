// SPDX-License-Identifier: BSD-3-Clause
// What the packet tests are made of: channels that go when the test ends, packet memory between canaries, and a record
// of what completion routines were told.
#pragma once

#include <vmbpkt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace vmb::test {

inline std::string fresh_link_name() {
  static int number = 0;
  return "test" + std::to_string(number++);
}

/// One end. Disabled and destroyed with the object.
class End {
 public:
  explicit End(bool is_server) { EXPECT_EQ(vmb_channel_allocate(nullptr, is_server, &channel_), VMB_STATUS_SUCCESS); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() {
    if (channel_ == nullptr) return;
    vmb_channel_disable(channel_);
    vmb_channel_cleanup(channel_);
  }

  operator vmb_channel*() const { return channel_; }  // NOLINT: a test's shorthand

  /// The object goes, the channel stays: the test knows what it does.
  vmb_channel* release() { return std::exchange(channel_, nullptr); }

 private:
  vmb_channel* channel_{};
};

struct PairSettings {
  std::uint32_t packet_size{64};
  std::uint32_t packet_count{1024};
  std::uint32_t ring_pages{2};  // one page of data: full after 46 packets of 64 bytes
  bool deferred{};
};

/// Two ends on one link, both in pull mode, not enabled yet.
struct Pair {
  explicit Pair(PairSettings settings = {}) {
    const std::string link = fresh_link_name();
    for (vmb_channel* const channel : {server.operator vmb_channel*(), client.operator vmb_channel*()}) {
      EXPECT_EQ(vmb_channel_init_set_link(channel, link.c_str()), VMB_STATUS_SUCCESS);
      EXPECT_EQ(vmb_channel_init_set_maximum_packet_size(channel, settings.packet_size), VMB_STATUS_SUCCESS);
      EXPECT_EQ(vmb_channel_init_set_maximum_packet_count(channel, settings.packet_count), VMB_STATUS_SUCCESS);
      EXPECT_EQ(vmb_channel_init_set_deferred_completion(channel, settings.deferred), VMB_STATUS_SUCCESS);
      EXPECT_EQ(vmb_channel_init_set_pull_mode(channel), VMB_STATUS_SUCCESS);
    }
    EXPECT_EQ(vmb_client_channel_init_set_ring_buffer_page_count(client, settings.ring_pages, settings.ring_pages),
              VMB_STATUS_SUCCESS);
  }

  void open() {
    ASSERT_EQ(vmb_channel_enable(server), VMB_STATUS_SUCCESS);
    ASSERT_EQ(vmb_channel_enable(client), VMB_STATUS_SUCCESS);
    ASSERT_TRUE(vmb_channel_is_open(server));
    ASSERT_TRUE(vmb_channel_is_open(client));
  }

  End server{true};
  End client{false};
};

/// Memory for `count` packets of `stride` bytes, aligned to 64, a canary before, between and behind them.
class PacketMemory {
 public:
  PacketMemory(vmb_channel* channel, std::uint32_t count = 1)
      : bytes_(vmb_channel_sizeof_packet(channel)),
        stride_(bytes_ + kCanary),
        count_(count),
        memory_(static_cast<std::byte*>(::operator new(total(), kAlign))) {
    std::memset(memory_, kPattern, total());
  }
  PacketMemory(const PacketMemory&) = delete;
  PacketMemory& operator=(const PacketMemory&) = delete;
  ~PacketMemory() {
    EXPECT_TRUE(canaries_are_intact());
    ::operator delete(memory_, kAlign);
  }

  std::uint32_t bytes() const { return bytes_; }
  vmb_packet* at(std::uint32_t i) const { return reinterpret_cast<vmb_packet*>(memory_ + kCanary + i * stride_); }

  bool canaries_are_intact() const {
    for (std::uint32_t i = 0; i <= count_; ++i) {
      const std::byte* const canary = memory_ + i * stride_;
      if (!std::all_of(canary, canary + kCanary, is_pattern)) return false;
    }
    return true;
  }

  bool is_untouched(std::uint32_t i) const {
    const auto* const packet = reinterpret_cast<const std::byte*>(at(i));
    return std::all_of(packet, packet + bytes_, is_pattern);
  }

 private:
  static constexpr std::uint32_t kCanary = 64;
  static constexpr std::align_val_t kAlign{64};
  static constexpr int kPattern = 0xC5;
  static bool is_pattern(std::byte b) { return b == std::byte{kPattern}; }
  std::size_t total() const { return std::size_t{stride_} * count_ + kCanary; }

  std::uint32_t bytes_;
  std::uint32_t stride_;
  std::uint32_t count_;
  std::byte* memory_;
};

/// What completion routines were told, in order.
struct Ended {
  vmb_packet* packet;
  vmb_status status;
  std::string reply;
  friend bool operator==(const Ended&, const Ended&) = default;
};
using Record = std::vector<Ended>;

/// A completion routine, with a Record as its context.
inline void record(vmb_packet* packet, void* context, vmb_status status, const void* buffer, std::uint32_t length) {
  EXPECT_EQ(buffer == nullptr, length == 0);
  std::string reply;
  if (length > 0) reply.assign(static_cast<const char*>(buffer), length);
  static_cast<Record*>(context)->push_back({packet, status, reply});
}

/// `count` initialized packets that tell a Record. They go before their channel does, and disable it to get back what
/// is still on its way.
class Packets {
 public:
  Packets(vmb_channel* channel, std::uint32_t count) : channel_(channel), memory_(channel, count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(vmb_packet_initialize(channel, memory_.at(i), memory_.bytes()), VMB_STATUS_SUCCESS);
      vmb_packet_set_completion_routine_ex(memory_.at(i), &ended, record);
    }
  }
  Packets(const Packets&) = delete;
  Packets& operator=(const Packets&) = delete;
  ~Packets() { vmb_channel_disable(channel_); }

  vmb_packet* operator[](std::uint32_t i) const { return memory_.at(i); }

  Record ended;

 private:
  vmb_channel* channel_;
  PacketMemory memory_;
};

inline vmb_status send(vmb_packet* packet, const std::string& payload, std::uint32_t flags = 0) {
  return vmb_packet_send(packet, payload.data(), static_cast<std::uint32_t>(payload.size()), nullptr, flags);
}

inline constexpr std::uint32_t kWait = VMB_SEND_FLAG_WAIT_FOR_COMPLETION;

/// A received packet, its payload copied.
struct Got {
  vmb_packet_completion* packet;
  std::string payload;
};

inline std::vector<Got> receive(vmb_channel* channel, std::uint32_t max = 32) {
  std::vector<vmb_recv_desc> descs(max);
  descs.resize(vmb_channel_receive_burst(channel, descs.data(), max));
  std::vector<Got> got;
  for (const vmb_recv_desc& desc : descs) {
    got.push_back({desc.packet, std::string(static_cast<const char*>(desc.buffer), desc.buffer_length)});
  }
  return got;
}

inline void complete(vmb_packet_completion* packet, const std::string& reply = {}) {
  vmb_channel_packet_complete(packet, reply.data(), static_cast<std::uint32_t>(reply.size()));
}

/// Receive all there is, and complete it without a reply. @return payloads.
inline std::vector<std::string> drain(vmb_channel* channel) {
  std::vector<std::string> payloads;
  for (;;) {
    const std::vector<Got> got = receive(channel);
    if (got.empty()) return payloads;
    for (const Got& packet : got) {
      payloads.push_back(packet.payload);
      complete(packet.packet);
    }
  }
}

/// A payload of 8 characters that names a number: no padding on the wire.
inline std::string numbered(std::uint32_t number) {
  std::string text = std::to_string(number);
  return std::string(8 - text.size(), '0') + text;
}

inline vmb_channel_stats stats(vmb_channel* channel) {
  vmb_channel_stats all{};
  all.size = sizeof all;
  EXPECT_EQ(vmb_channel_get_stats(channel, &all), VMB_STATUS_SUCCESS);
  return all;
}

/// Send numbered packets of the pair's full size until one is queued. @return how many went into the ring before it.
inline std::uint32_t fill_ring(vmb_channel* channel, Packets& packets, std::uint32_t flags = kWait) {
  std::uint32_t number = 0;
  while (stats(channel).queued == 0) {
    std::string payload = numbered(number);
    payload.resize(64, '.');
    EXPECT_EQ(send(packets[number], payload, flags), VMB_STATUS_SUCCESS);
    ++number;
  }
  return number - 1;
}

}  // namespace vmb::test

/// A call that is misuse: an abort that names it, or nothing but one more on the channel's count.
#ifdef NDEBUG
#  define EXPECT_MISUSE(channel, call, statement)                         \
    do {                                                                  \
      const std::uint64_t before = vmb_channel_misuse_count(channel);     \
      statement;                                                          \
      EXPECT_EQ(vmb_channel_misuse_count(channel), before + 1) << (call); \
    } while (false)
#else
#  define EXPECT_MISUSE(channel, call, statement) EXPECT_DEATH(statement, "misuse of " call ":")
#endif
