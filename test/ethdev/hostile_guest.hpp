// SPDX-License-Identifier: BSD-3-Clause
// A scripted guest against a real host port, and a pair beside it that must notice nothing.
#pragma once

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "channel/gpa_list.hpp"
#include "ethdev/scripted.hpp"

namespace vmbpmd::test {

class HostileGuest : public PortsTest {
 protected:
  HostileGuest() : link_(fresh_link()), host_("role=host,link=" + link_) {}

  void SetUp() override {
    beside_.start();
    host_.start();
  }

  void TearDown() override {
    EXPECT_TRUE(beside_.both_up());
    expect_traffic(beside_, pool_);
    EXPECT_EQ(beside_.guest.xstat("link_attaches"), 1u);
    expect_no_errors(beside_.host);
    expect_no_errors(beside_.guest);
  }

  void attach(ScriptedGuest& guest) {
    ASSERT_TRUE(guest.attach());
    ASSERT_TRUE(eventually([&] { return host_.link_up(); }));
  }

  Bytes frame(std::uint32_t size = 100) { return random_frame(random_, size); }

  /// A good frame gets through, both ways, on the attach that there was.
  void expect_alive(ScriptedGuest& guest) {
    const Bytes sent = frame();
    (void)host_.drop_received();
    const std::uint64_t id = guest.send_section(0, rndis_packet(sent));
    EXPECT_TRUE(eventually([&] {
      rte_mbuf* got[1];
      if (host_.rx(got) == 0) return false;
      EXPECT_EQ(bytes_of(got[0]), sent);
      rte_pktmbuf_free(got[0]);
      return true;
    }));
    EXPECT_EQ(guest.status_of(id), wire::NvspStatus::success);
    guest.transfers.clear();
    Shaper shaper{pool_, random_, Shaper::whole};
    rte_mbuf* frames[1] = {shaper.make(sent)};
    EXPECT_TRUE(eventually([&] { return host_.tx(frames) == 1; }));
    EXPECT_TRUE(eventually([&] {
      guest.poll();
      return std::ranges::any_of(guest.transfers, [&](const Received& packet) {
        return std::ranges::any_of(packet.ranges, [&](const Bytes& range) {
          return range.size() >= 44 + sent.size() && std::equal(sent.begin(), sent.end(), range.begin() + 44);
        });
      });
    }));
    EXPECT_TRUE(host_.link_up());
    EXPECT_EQ(host_.xstat("link_attaches"), 1u);
    EXPECT_EQ(guest.closed(), 0u);
  }

  Pool pool_;
  Random random_{42};
  Pair beside_;
  std::string link_;
  Nic host_;
};

// ---- GPA-direct packets by hand

/// Ranges, each {bytes, offset, pages...}.
inline Bytes extension_of(std::uint32_t count, std::initializer_list<std::uint64_t> words) {
  Bytes bytes = message_of(vmb::wire::GpaHeader{0xdead, count});
  for (const std::uint64_t word : words) {
    const Bytes more = message_of(word);
    append(bytes, more);
  }
  return bytes;
}

constexpr std::uint64_t range_word(std::uint32_t bytes, std::uint32_t offset) {
  return bytes | std::uint64_t{offset} << 32;
}

inline std::uint64_t page_number(const ScriptedGuest& guest) {
  return reinterpret_cast<std::uint64_t>(guest.page().data()) / 4096;
}

}  // namespace vmbpmd::test
