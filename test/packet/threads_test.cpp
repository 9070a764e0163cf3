// SPDX-License-Identifier: BSD-3-Clause
// Several threads on one pair of channels: two owners, extra senders, completers, and a control thread that disables
// under traffic. ThreadSanitizer's material, so packets are initialized ones.
#include <atomic>
#include <thread>

#include "packet/ends.hpp"

namespace vmb::test {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint32_t kMany = 20'000;
#else
constexpr std::uint32_t kMany = 200'000;
#endif

struct Tally {
  std::uint32_t ended{};
  std::uint32_t succeeded{};
  std::vector<vmb_packet*> idle;
};

void tally(vmb_packet* packet, void* context, vmb_status status, const void*, std::uint32_t) {
  auto& sums = *static_cast<Tally*>(context);
  ++sums.ended;
  sums.succeeded += status == VMB_STATUS_SUCCESS ? 1 : 0;
  sums.idle.push_back(packet);
}

/// Initialized packets that return to `sums.idle`.
struct TalliedPackets {
  TalliedPackets(vmb_channel* channel, std::uint32_t count) : memory(channel, count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(vmb_packet_initialize(channel, memory.at(i), memory.bytes()), VMB_STATUS_SUCCESS);
      vmb_packet_set_completion_routine_ex(memory.at(i), &sums, tally);
      sums.idle.push_back(memory.at(i));
    }
  }
  PacketMemory memory;
  Tally sums;
};

TEST(Threads, EachOwnerOnItsOwnThread) {
  Pair pair{{.packet_count = 64}};
  pair.open();
  std::atomic<bool> done{false};
  std::thread server{[&] {
    std::uint32_t expected = 0;
    vmb_recv_desc descs[32];
    vmb_complete_desc replies[32];
    while (expected < kMany) {
      const std::uint32_t got = vmb_channel_receive_burst(pair.server, descs, 32);
      for (std::uint32_t i = 0; i < got; ++i) {
        EXPECT_EQ(std::string(static_cast<const char*>(descs[i].buffer), 8), numbered(expected++));
        replies[i] = {descs[i].packet, descs[i].buffer, 8};
      }
      vmb_channel_packet_complete_bulk(replies, got);
      if (got == 0) std::this_thread::yield();
    }
    while (!done) {
      vmb_channel_poll(pair.server, 0);  // replies that found no room
      std::this_thread::yield();
    }
  }};
  TalliedPackets packets{pair.client, 64};
  Tally& sums = packets.sums;
  std::uint32_t sent = 0;
  while (sums.ended < kMany) {
    const std::string texts[4]{numbered(sent), numbered(sent + 1), numbered(sent + 2), numbered(sent + 3)};
    vmb_send_desc descs[4];
    std::uint32_t count = 0;
    while (count < 4 && !sums.idle.empty() && sent + count < kMany) {
      descs[count] = {sums.idle.back(), texts[count].data(), 8, (sent + count) % 3 == 0 ? 0 : kWait, nullptr};
      sums.idle.pop_back();
      ++count;
    }
    const std::uint32_t accepted = vmb_packet_send_burst(pair.client, descs, count, nullptr);
    ASSERT_EQ(accepted, count);
    sent += accepted;
    vmb_channel_poll(pair.client, 0);
    if (count == 0) std::this_thread::yield();
  }
  done = true;
  server.join();
  EXPECT_EQ(sums.succeeded, kMany);
}

TEST(Threads, SendersBesideTheOwnerKeepTheirOwnOrder) {
  constexpr std::uint32_t kSenders = 3;
  constexpr std::uint32_t kEach = kMany / 10;
  Pair pair{{.packet_count = 1024}};
  pair.open();
  struct Flag {
    std::atomic<bool> idle{true};
  };
  const auto mark = [](vmb_packet*, void* context, vmb_status status, const void*, std::uint32_t) {
    EXPECT_EQ(status, VMB_STATUS_SUCCESS);
    static_cast<Flag*>(context)->idle.store(true, std::memory_order_release);
  };
  std::vector<std::thread> senders;
  for (std::uint32_t sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&, sender] {
      constexpr std::uint32_t kOwn = 8;
      const PacketMemory memory{pair.client, kOwn};
      Flag flags[kOwn];
      for (std::uint32_t i = 0; i < kOwn; ++i) {
        EXPECT_EQ(vmb_packet_initialize(pair.client, memory.at(i), memory.bytes()), VMB_STATUS_SUCCESS);
        vmb_packet_set_completion_routine_ex(memory.at(i), &flags[i], mark);
      }
      for (std::uint32_t number = 0; number < kEach; ++number) {
        Flag& flag = flags[number % kOwn];
        while (!flag.idle.load(std::memory_order_acquire)) std::this_thread::yield();
        flag.idle.store(false, std::memory_order_relaxed);
        EXPECT_EQ(send(memory.at(number % kOwn), numbered(sender * 1'000'000 + number), number % 2 == 0 ? kWait : 0),
                  VMB_STATUS_SUCCESS);
      }
      for (Flag& flag : flags) {
        while (!flag.idle.load(std::memory_order_acquire)) std::this_thread::yield();
      }
    });
  }
  std::uint32_t next[kSenders]{};
  for (std::uint32_t total = 0; total < kSenders * kEach;) {
    vmb_channel_poll(pair.client, 0);
    for (const std::string& payload : drain(pair.server)) {
      const auto number = static_cast<std::uint32_t>(std::stoul(payload));
      ASSERT_EQ(number % 1'000'000, next[number / 1'000'000]++);
      ++total;
    }
    std::this_thread::yield();
  }
  std::atomic<bool> done{false};
  std::thread polls{[&] {
    while (!done) {
      vmb_channel_poll(pair.server, 0);
      vmb_channel_poll(pair.client, 0);
      std::this_thread::yield();
    }
  }};
  for (std::thread& sender : senders) sender.join();
  done = true;
  polls.join();
  EXPECT_EQ(stats(pair.client).outstanding, 0u);
}

TEST(Threads, AnotherThreadCompletesWhatTheOwnerReceives) {
  Pair pair{{.packet_count = 64}};
  pair.open();
  constexpr std::uint32_t kSlots = 64;
  std::atomic<vmb_packet_completion*> handed[kSlots]{};
  std::atomic<bool> done{false};
  std::thread completer{[&] {
    for (std::uint32_t i = 0; !done; i = (i + 1) % kSlots) {
      vmb_packet_completion* const packet = handed[i].exchange(nullptr, std::memory_order_acquire);
      if (packet != nullptr) vmb_channel_packet_complete(packet, "answered", 8);
      if (i == 0) std::this_thread::yield();
    }
  }};
  TalliedPackets packets{pair.client, 32};
  Tally& sums = packets.sums;
  std::uint32_t sent = 0;
  while (sums.ended < kMany / 10) {
    while (!sums.idle.empty() && sent < kMany / 10) {
      ASSERT_EQ(send(sums.idle.back(), numbered(sent), kWait), VMB_STATUS_SUCCESS);
      sums.idle.pop_back();
      ++sent;
    }
    for (const Got& got : receive(pair.server)) {
      std::uint32_t slot = 0;
      vmb_packet_completion* free = nullptr;
      while (!handed[slot].compare_exchange_strong(free, got.packet, std::memory_order_release)) {
        free = nullptr;
        slot = (slot + 1) % kSlots;
      }
    }
    vmb_channel_poll(pair.server, 0);
    vmb_channel_poll(pair.client, 0);
    std::this_thread::yield();
  }
  done = true;
  completer.join();
  EXPECT_EQ(sums.succeeded, kMany / 10);
  EXPECT_EQ(stats(pair.server).held, 0u);
}

TEST(Threads, DisableWaitsForWhatWasHandedOver) {
  Pair pair;
  pair.open();
  Packets packets{pair.client, 1};
  ASSERT_EQ(send(packets[0], "x", kWait), VMB_STATUS_SUCCESS);
  const auto got = receive(pair.server);
  std::atomic<bool> returned{false};
  std::thread control{[&] {
    vmb_channel_disable(pair.server);
    returned = true;
  }};
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_FALSE(returned);
  EXPECT_TRUE(vmb_channel_is_open(pair.server)) << "so that the answer can go out";
  complete(got.at(0).packet, "answered");
  control.join();
  vmb_channel_poll(pair.client, 0);
  EXPECT_EQ(packets.ended.size(), 1u);
}

TEST(Threads, DisableUnderTrafficEndsEachAcceptedPacketOnce) {
  constexpr int kRounds = 50;
  Pair pair{{.packet_count = 256}};
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> accepted{0};
  std::atomic<std::uint32_t> ended{0};
  struct Own {
    std::atomic<std::uint32_t>* total;
    std::atomic<bool> idle{true};
  };
  std::vector<std::thread> threads;
  for (int sender = 0; sender < 2; ++sender) {  // one that polls, one that does not
    threads.emplace_back([&, sender] {
      constexpr std::uint32_t kOwn = 16;
      const PacketMemory memory{pair.client, kOwn};
      Own owns[kOwn];
      for (std::uint32_t i = 0; i < kOwn; ++i) {
        owns[i].total = &ended;
        EXPECT_EQ(vmb_packet_initialize(pair.client, memory.at(i), memory.bytes()), VMB_STATUS_SUCCESS);
        vmb_packet_set_completion_routine_ex(
            memory.at(i), &owns[i], [](vmb_packet*, void* context, vmb_status, const void*, std::uint32_t) {
              auto& own = *static_cast<Own*>(context);
              own.total->fetch_add(1, std::memory_order_relaxed);
              EXPECT_FALSE(own.idle.exchange(true, std::memory_order_release)) << "ended twice";
            });
      }
      for (std::uint32_t i = 0; !done; i = (i + 1) % kOwn) {
        if (sender == 0) vmb_channel_poll(pair.client, 0);
        if (i == 0) std::this_thread::yield();
        if (!owns[i].idle.load(std::memory_order_acquire)) continue;
        owns[i].idle.store(false, std::memory_order_relaxed);
        const vmb_status status = send(memory.at(i), std::string(64, 'x'), i % 2 == 0 ? kWait : 0);
        if (status == VMB_STATUS_SUCCESS) {
          accepted.fetch_add(1, std::memory_order_relaxed);
        } else {
          EXPECT_TRUE(status == VMB_STATUS_INVALID_DEVICE_STATE || status == VMB_STATUS_INSUFFICIENT_RESOURCES)
              << status;
          owns[i].idle.store(true, std::memory_order_relaxed);
          std::this_thread::yield();
        }
      }
      for (Own& own : owns) {
        while (!own.idle.load(std::memory_order_acquire)) {
          vmb_channel_poll(pair.client, 0);
          std::this_thread::yield();
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (!done) {
      drain(pair.server);
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    vmb_channel* const first = round % 2 == 0 ? pair.server : pair.client;
    ASSERT_EQ(vmb_channel_enable(first == pair.client ? pair.server : pair.client), VMB_STATUS_SUCCESS);
    ASSERT_EQ(vmb_channel_enable(first), VMB_STATUS_SUCCESS);
    for (int i = 0; i < 20; ++i) std::this_thread::yield();
    vmb_channel_disable(first);
    vmb_channel_disable(first == pair.client ? pair.server : pair.client);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted.load(), ended.load());
  EXPECT_GT(accepted.load(), 0u);
}

}  // namespace
}  // namespace vmb::test
