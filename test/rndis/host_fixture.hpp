// SPDX-License-Identifier: BSD-3-Clause
// An rndis::Host and the words to talk to it in bytes.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "rndis/host.hpp"
#include "support/hex.hpp"

namespace vmbpmd::rndis {

class HostFixture : public testing::Test {
 protected:
  static HostConfig config() { return {.mac = {0x00, 0x15, 0x5d, 0x01, 0x02, 0x03}, .connected = true}; }

  /// The host's answer as text; `event` has the rest.
  std::string ask(std::string_view message) {
    const Answer answer = host.on_message(vmb::test::hex(message));
    event = answer.event.kind;
    EXPECT_LE(answer.response.size(), wire::kMaxControlAnswerBytes);
    return vmb::test::to_hex(answer.response);
  }
  static std::string request(std::string_view type, std::uint32_t oid, std::string_view input, std::uint32_t id) {
    const auto size = static_cast<std::uint32_t>(vmb::test::hex(input).size());
    return std::string{type} + vmb::test::le32(28 + size) + vmb::test::le32(id) + vmb::test::le32(oid) +
           vmb::test::le32(size) + "14000000 00000000" + std::string{input};
  }
  std::string query(std::uint32_t oid, std::string_view input = "") {
    return ask(request("04000000", oid, input, 0x77));
  }
  std::string set(std::uint32_t oid, std::string_view input) { return ask(request("05000000", oid, input, 0x77)); }

  /// What a query is answered with when it succeeds, and what a failure of either looks like.
  static std::string output(std::string_view bytes) {
    const auto size = static_cast<std::uint32_t>(vmb::test::hex(bytes).size());
    return vmb::test::to_hex("04000080" + vmb::test::le32(24 + size) + "77000000 00000000" + vmb::test::le32(size) +
                             "10000000" + std::string{bytes});
  }
  static std::string query_failure(std::uint32_t status) {
    return vmb::test::to_hex("04000080 18000000 77000000" + vmb::test::le32(status) + "00000000 10000000");
  }
  static std::string set_result(std::uint32_t status) {
    return vmb::test::to_hex("05000080 10000000 77000000" + vmb::test::le32(status));
  }

  void initialize() {
    ask("02000000 18000000 01000000 01000000 00000000 00400000");
    ASSERT_EQ(event, HostEventKind::initialized);
  }
  void restart(const HostConfig& with) {
    host = Host{with};
    initialize();
  }

  static constexpr std::uint32_t kOk = 0;
  static constexpr std::uint32_t kFailure = 0xC0000001;
  static constexpr std::uint32_t kResources = 0xC000009A;
  static constexpr std::uint32_t kNotSupported = 0xC00000BB;
  static constexpr std::uint32_t kInvalidLength = 0xC0010014;
  static constexpr std::uint32_t kInvalidData = 0xC0010015;

  Host host{config()};
  HostEventKind event = HostEventKind::none;
};

}  // namespace vmbpmd::rndis
