// SPDX-License-Identifier: BSD-3-Clause
// A scripted host against a real guest port, and a pair beside it that must notice nothing.
#pragma once

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "ethdev/scripted.hpp"

namespace vmbpmd::test {

class HostileHost : public PortsTest {
 protected:
  HostileHost() : link_(fresh_link()), guest_("role=guest,link=" + link_) {}

  void SetUp() override {
    beside_.start();
    guest_.start();
  }

  void TearDown() override {
    EXPECT_TRUE(beside_.both_up());
    expect_traffic(beside_, pool_);
    EXPECT_EQ(beside_.guest.xstat("link_attaches"), 1u);
    expect_no_errors(beside_.host);
    expect_no_errors(beside_.guest);
  }

  void attach(ScriptedHost& host) {
    ASSERT_TRUE(host.attach());
    ASSERT_TRUE(eventually([&] { return guest_.link_up(); }));
  }

  Bytes frame(std::uint32_t size = 100) { return random_frame(random_, size); }

  rte_mbuf* mbuf(const Bytes& bytes) {
    Shaper shaper{pool_, random_, Shaper::whole};
    return shaper.make(bytes);
  }

  /// Frames of one packet, received. Empty: none came in time.
  std::vector<Bytes> receive(std::chrono::milliseconds limit = 1000ms) {
    std::vector<Bytes> frames;
    (void)eventually(
        [&] {
          rte_mbuf* got[32];
          const std::uint16_t n = guest_.rx(got);
          for (std::uint16_t i = 0; i < n; ++i) {
            frames.push_back(bytes_of(got[i]));
            rte_pktmbuf_free(got[i]);
          }
          return !frames.empty();
        },
        limit);
    return frames;
  }

  void expect_alive(ScriptedHost& host) {
    const Bytes sent = frame();
    const std::uint64_t id = 0x700000 + ++ids_;
    (void)guest_.drop_received();
    ASSERT_TRUE(host.transfer_message(id, rndis_packet(sent)));
    const auto got = receive();
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0], sent);
    EXPECT_EQ(host.completion_of(id), wire::NvspStatus::success);
    host.data.clear();
    rte_mbuf* frames[1] = {mbuf(sent)};
    EXPECT_TRUE(eventually([&] { return guest_.tx(frames) == 1; }));
    EXPECT_TRUE(eventually([&] {
      host.poll();
      return std::ranges::any_of(host.data, [&](const Received& packet) {
        return !packet.ranges.empty() && packet.ranges[0].size() >= 44 + sent.size() &&
               std::equal(sent.begin(), sent.end(), packet.ranges[0].begin() + 44);
      });
    }));
    EXPECT_TRUE(guest_.link_up());
    EXPECT_EQ(guest_.xstat("link_attaches"), 1u);
  }

  Pool pool_;
  Random random_{43};
  Pair beside_;
  std::string link_;
  Nic guest_;
  std::uint64_t ids_{};
};

}  // namespace vmbpmd::test
