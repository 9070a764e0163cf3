// SPDX-License-Identifier: BSD-3-Clause
// nvsp::Host against requests written by hand from netvsc.md 1.5, its server rules (1.3, 1.4, 1.7) and checks (6.3).
#include "nvsp/host.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace vmbpmd::nvsp {
namespace {

using vmb::test::cut;
using vmb::test::hex;
using vmb::test::le32;
using vmb::test::padded;
using vmb::test::to_hex;
using wire::NvspVersion;

constexpr std::uint32_t kReceiveGpadl = 0xe1e10;
constexpr std::uint32_t kSendGpadl = 0xe1e11;

class Gpadls final : public BufferTable {
 public:
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override {
    const auto found = bytes.find(handle);
    return found == bytes.end() ? std::nullopt : std::optional{found->second};
  }
  std::map<std::uint32_t, std::uint64_t> bytes{{kReceiveGpadl, 31u << 20}, {kSendGpadl, 16u << 20}};
};

const std::string kConfig1514 = "7d000000 ea050000 00000000 0c000000 00000000";
const std::string kNdisVersion = "64000000 06000000 1e000000";
const std::string kReceiveBuffer = "65000000 101e0e00 feca0000";
const std::string kSendBuffer = "68000000 111e0e00 cefa0000";
const std::string kRevokeReceive = "67000000 feca0000";
const std::string kRevokeSend = "6a000000 cefa0000";

std::string init(NvspVersion version) {
  return "01000000" + le32(static_cast<std::uint32_t>(version)) + le32(static_cast<std::uint32_t>(version));
}

class NvspHost : public testing::Test {
 protected:
  /// What the host completes a 40-byte request with, as text.
  std::string ask(std::string_view head) {
    const Answer answer = host.on_message(padded(head, 40), true);
    event = answer.event;
    return answer.completion ? to_hex(*answer.completion) : "nothing";
  }
  HostEventKind tell(std::string_view head) {
    const Answer answer = host.on_message(padded(head, 40), false);
    EXPECT_FALSE(answer.completion);
    event = answer.event;
    return event.kind;
  }
  static std::string message(std::string_view head, std::size_t size = 40) { return to_hex(padded(head, size)); }

  void agree_on(NvspVersion version) {
    ask(init(version));
    ASSERT_EQ(event.kind, HostEventKind::version_agreed);
  }
  void attach(NvspVersion version = NvspVersion::v6_1) {
    agree_on(version);
    if (version >= NvspVersion::v2) tell(kConfig1514);
    tell(kNdisVersion);
    ask(kReceiveBuffer);
    ASSERT_TRUE(event.ready);
    ask(kSendBuffer);
    ASSERT_EQ(host.state(), HostState::ready);
  }
  [[nodiscard]] std::uint64_t faults() const {
    const HostCounters& c = host.counters();
    return c.malformed + c.out_of_order + c.unknown + c.buffers_refused;
  }

  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  HostEvent event;
};

TEST_F(NvspHost, AnswersAnAttachByteForByte) {
  EXPECT_EQ(ask(init(NvspVersion::v6_1)), message("02000000 ffffffff 22000000 01000000", 28));
  EXPECT_EQ(event.kind, HostEventKind::version_agreed);
  EXPECT_EQ(host.version(), NvspVersion::v6_1);

  EXPECT_EQ(tell(kConfig1514), HostEventKind::none);
  EXPECT_EQ(host.config_mtu(), 1514u);
  EXPECT_EQ(host.capabilities(), 0x0cu);
  EXPECT_EQ(tell(kNdisVersion), HostEventKind::none);
  EXPECT_FALSE(event.ready);

  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 01000000 01000000 00000000 c0060000 7b490000 40feef01"));
  EXPECT_EQ(event.kind, HostEventKind::receive_connected);
  EXPECT_TRUE(event.ready);
  EXPECT_EQ(event.gpadl, kReceiveGpadl);
  EXPECT_EQ(event.id, 0xcafe);
  EXPECT_EQ(event.unit_bytes, 1728u);
  EXPECT_EQ(event.unit_count, 18811u);

  EXPECT_EQ(ask(kSendBuffer), message("69000000 01000000 00180000"));
  EXPECT_EQ(event.kind, HostEventKind::send_connected);
  EXPECT_FALSE(event.ready);
  EXPECT_EQ(event.gpadl, kSendGpadl);
  EXPECT_EQ(event.id, 0xface);
  EXPECT_EQ(event.unit_bytes, 6144u);
  EXPECT_EQ(event.unit_count, 2730u);
  EXPECT_EQ(host.state(), HostState::ready);
  EXPECT_EQ(faults(), 0u);
}

TEST_F(NvspHost, AcceptsEachVersionItKnowsAndAnswersAtItsSize) {  // 1.2, 1.3
  for (const NvspVersion version : wire::kNvspVersions) {
    host.reset();
    const bool first = version == NvspVersion::v1;
    EXPECT_EQ(ask(init(version)),
              message(first ? "02000000 02000000 22000000 01000000" : "02000000 ffffffff 22000000 01000000", 28));
    EXPECT_EQ(host.version(), version);
    if (!first) tell(kConfig1514);
    tell(kNdisVersion);
    const std::size_t size = version == NvspVersion::v6_1 ? 40 : 28;
    EXPECT_EQ(ask(kReceiveBuffer), message("66000000 01000000 01000000 00000000 c0060000 7b490000 40feef01", size));
    EXPECT_TRUE(event.ready);
    EXPECT_EQ(ask(kSendBuffer), message("69000000 01000000 00180000", size));
  }
}

TEST_F(NvspHost, RefusesVersionsItDoesNotKnowAndLetsTheGuestTryAgain) {
  for (const std::uint32_t version : {0u, 1u, 3u, 0x00030001u, 0x00040001u, 0x00060002u, 0x00070000u, 0xffffffffu}) {
    EXPECT_EQ(ask("01000000" + le32(version) + le32(version)), message("02000000 ffffffff 22000000 00000000", 28));
    EXPECT_EQ(event.kind, HostEventKind::none);
  }
  EXPECT_EQ(host.counters().versions_refused, 8u);
  agree_on(NvspVersion::v5);
}

TEST_F(NvspHost, RefusesVersionsAboveItsOwn) {
  Host old{HostConfig{.highest_version = NvspVersion::v4}, gpadls};
  EXPECT_EQ(old.on_message(padded(init(NvspVersion::v5), 40), true).event.kind, HostEventKind::none);
  EXPECT_EQ(old.on_message(padded(init(NvspVersion::v4), 40), true).event.kind, HostEventKind::version_agreed);
}

TEST_F(NvspHost, ReadsTheFirstVersionFieldOnly) {
  ask("01000000 00000500 ffffffff");
  EXPECT_EQ(host.version(), NvspVersion::v5);
}

TEST_F(NvspHost, RefusesASecondInitAndStays) {
  attach();
  EXPECT_EQ(ask(init(NvspVersion::v5)), message("02000000 ffffffff 22000000 02000000", 28));
  EXPECT_EQ(event.kind, HostEventKind::ignored);
  EXPECT_EQ(host.version(), NvspVersion::v6_1);
  EXPECT_EQ(host.state(), HostState::ready);
  EXPECT_EQ(host.counters().out_of_order, 1u);
}

TEST_F(NvspHost, GrantsTheSmallerMtuAndSizesSuballocsForIt) {
  struct Case {
    std::uint32_t asked, granted, suballoc;
  };
  const Case cases[] = {
      {1514, 1514, 1728}, {82, 82, 1728},     {1616, 1616, 1728}, {1617, 1617, 1792}, {9014, 9014, 9152},
      {9230, 9230, 9344}, {9231, 1514, 1728}, {81, 1514, 1728},   {0, 1514, 1728},    {0xffffffff, 1514, 1728},
  };
  for (const Case& one : cases) {
    host.reset();
    agree_on(NvspVersion::v6_1);
    tell("7d000000" + le32(one.asked) + "00000000 08000000 00000000");
    EXPECT_EQ(host.config_mtu(), one.granted) << one.asked;
    ask(kReceiveBuffer);
    EXPECT_EQ(event.unit_bytes, one.suballoc) << one.asked;
  }
  Host narrow{HostConfig{.max_config_mtu = 4014}, gpadls};
  narrow.on_message(padded(init(NvspVersion::v6_1), 40), true);
  narrow.on_message(padded("7d000000 36230000 00000000 08000000", 40), false);
  EXPECT_EQ(narrow.config_mtu(), 4014u);
}

TEST_F(NvspHost, KeepsAll64CapabilityBits) {
  agree_on(NvspVersion::v6_1);
  tell("7d000000 ea050000 ffffffff 0c000000 00000080");
  EXPECT_EQ(host.capabilities(), 0x800000000000000cu);
}

TEST_F(NvspHost, WantsTheConfigBeforeTheReceiveBufferFromVersion2) {  // 1.7
  agree_on(NvspVersion::v6_1);
  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 02000000"));
  EXPECT_EQ(host.counters().out_of_order, 1u);
  tell(kConfig1514);
  ask(kReceiveBuffer);
  EXPECT_EQ(event.kind, HostEventKind::receive_connected);
}

TEST_F(NvspHost, TakesTheAttachMessagesInAnyOtherOrder) {
  agree_on(NvspVersion::v5);
  ask(kSendBuffer);
  EXPECT_EQ(event.kind, HostEventKind::send_connected);
  tell(kConfig1514);
  ask(kReceiveBuffer);
  EXPECT_EQ(event.kind, HostEventKind::receive_connected);
  EXPECT_FALSE(event.ready);
  tell(kNdisVersion);
  EXPECT_TRUE(event.ready);
}

TEST_F(NvspHost, IsReadyWithoutASendBuffer) {
  agree_on(NvspVersion::v6_1);
  tell(kConfig1514);
  tell(kNdisVersion);
  ask(kReceiveBuffer);
  EXPECT_TRUE(event.ready);
}

TEST_F(NvspHost, IsReadyInVersion1WithoutAConfigAndRefusesOne) {
  agree_on(NvspVersion::v1);
  EXPECT_EQ(tell(kConfig1514), HostEventKind::ignored);
  EXPECT_EQ(host.counters().out_of_order, 1u);
  tell(kNdisVersion);
  ask(kReceiveBuffer);
  EXPECT_TRUE(event.ready);
}

TEST_F(NvspHost, CompletesMessagesWithoutAnAnswerEmptyIfAsked) {  // 1.4: UEFI
  agree_on(NvspVersion::v6_1);
  EXPECT_EQ(ask(kConfig1514), "");
  EXPECT_EQ(ask(kNdisVersion), "");
  ask(kReceiveBuffer);
  EXPECT_EQ(ask("81000000 00000000"), "");
  EXPECT_EQ(event.kind, HostEventKind::data_path_switched);
  EXPECT_EQ(faults(), 0u);
}

TEST_F(NvspHost, AnswersNothingThatDidNotAskForIt) {
  EXPECT_EQ(tell(init(NvspVersion::v6_1)), HostEventKind::version_agreed);
  EXPECT_EQ(tell(kConfig1514), HostEventKind::none);
  EXPECT_EQ(tell(kReceiveBuffer), HostEventKind::receive_connected);
  EXPECT_EQ(tell("ffffffff"), HostEventKind::ignored);
}

TEST_F(NvspHost, TakesEachAttachMessageOnce) {  // 6.3
  attach();
  EXPECT_EQ(tell(kConfig1514), HostEventKind::ignored);
  EXPECT_EQ(tell(kNdisVersion), HostEventKind::ignored);
  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 02000000"));
  EXPECT_EQ(ask(kSendBuffer), message("69000000 02000000"));
  EXPECT_EQ(host.counters().out_of_order, 4u);
  EXPECT_EQ(host.state(), HostState::ready);
}

TEST_F(NvspHost, RefusesBuffersItCannotUse) {  // 6.3
  agree_on(NvspVersion::v6_1);
  tell(kConfig1514);
  EXPECT_EQ(ask("65000000 99999999 feca0000"), message("66000000 02000000"));  // no such GPADL
  gpadls.bytes[kReceiveGpadl] = 1727;
  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 02000000"));
  gpadls.bytes[kReceiveGpadl] = (64u << 20) + 1;
  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 02000000"));
  gpadls.bytes[kSendGpadl] = 6143;
  EXPECT_EQ(ask(kSendBuffer), message("69000000 02000000"));
  EXPECT_EQ(host.counters().buffers_refused, 4u);

  gpadls.bytes[kReceiveGpadl] = 1728;
  gpadls.bytes[kSendGpadl] = 6144;
  ask(kReceiveBuffer);
  EXPECT_EQ(event.unit_count, 1u);
  ask(kSendBuffer);
  EXPECT_EQ(event.unit_count, 1u);
}

TEST_F(NvspHost, CapsTheNumberOfSuballocs) {
  Host small{HostConfig{.max_suballoc_count = 1000}, gpadls};
  small.on_message(padded(init(NvspVersion::v6_1), 40), true);
  small.on_message(padded(kConfig1514, 40), false);
  const Answer answer = small.on_message(padded(kReceiveBuffer, 40), true);
  ASSERT_TRUE(answer.completion);
  EXPECT_EQ(to_hex(*answer.completion), message("66000000 01000000 01000000 00000000 c0060000 e8030000 005e1a00"));
  EXPECT_EQ(answer.event.unit_count, 1000u);
}

TEST_F(NvspHost, DoesNotCheckIdsOrReservedFields) {  // 1.5.4, 1.5.7
  agree_on(NvspVersion::v6_1);
  tell(kConfig1514);
  ask("65000000 101e0e00 3412ffff" + std::string(56, 'f'));
  EXPECT_EQ(event.kind, HostEventKind::receive_connected);
  EXPECT_EQ(event.id, 0x1234);
  ask("68000000 111e0e00 0000adde");
  EXPECT_EQ(event.kind, HostEventKind::send_connected);
}

TEST_F(NvspHost, StopsForGoodOnARevoke) {  // 1.7, 5.5
  for (const std::string& revoke : {kRevokeReceive, kRevokeSend}) {
    host.reset();
    attach();
    EXPECT_EQ(tell(revoke), HostEventKind::revoked);
    EXPECT_EQ(host.state(), HostState::revoked);
    EXPECT_EQ(tell(revoke == kRevokeReceive ? kRevokeSend : kRevokeReceive), HostEventKind::none);
    EXPECT_EQ(tell(revoke), HostEventKind::none);  // net_netvsc may say it twice
    EXPECT_EQ(faults(), 0u);
  }
  EXPECT_EQ(ask(kReceiveBuffer), message("66000000 02000000"));
  EXPECT_EQ(ask("85000000 01000000 01000000"), message("85000000 02000000"));
  EXPECT_EQ(host.state(), HostState::revoked);
  host.reset();
  attach();
}

TEST_F(NvspHost, IgnoresARevokeOfWhatItDoesNotHave) {
  agree_on(NvspVersion::v6_1);
  EXPECT_EQ(tell(kRevokeReceive), HostEventKind::ignored);
  EXPECT_EQ(tell(kRevokeSend), HostEventKind::ignored);
  EXPECT_EQ(host.counters().out_of_order, 2u);
  EXPECT_EQ(host.state(), HostState::agreed);
}

TEST_F(NvspHost, StopsOnARevokeInTheMiddleOfAnAttach) {
  agree_on(NvspVersion::v6_1);
  tell(kConfig1514);
  ask(kReceiveBuffer);
  EXPECT_EQ(tell(kRevokeReceive), HostEventKind::revoked);
  EXPECT_EQ(tell(kNdisVersion), HostEventKind::ignored);
  EXPECT_EQ(host.state(), HostState::revoked);
}

TEST_F(NvspHost, GrantsNoSubchannelsAt40BytesInEveryVersion) {  // 1.3, 1.5.13
  for (const NvspVersion version : {NvspVersion::v5, NvspVersion::v6, NvspVersion::v6_1}) {
    host.reset();
    attach(version);
    EXPECT_EQ(ask("85000000 01000000 03000000"), message("85000000 02000000 00000000"));
    EXPECT_EQ(event.kind, HostEventKind::none);
  }
  host.reset();
  attach(NvspVersion::v4);
  EXPECT_EQ(ask("85000000 01000000 03000000"), message("85000000 02000000 00000000"));
  EXPECT_EQ(event.kind, HostEventKind::ignored);
}

TEST_F(NvspHost, RefusesEveryOidQueryEx) {  // 1.5.17
  attach();
  EXPECT_EQ(ask("83000000 96010c00 02020100"), message("84000000 bb0000c0 00000000"));
  host.reset();
  attach(NvspVersion::v6);
  EXPECT_EQ(ask("83000000 96010c00 02020100"), message("84000000 bb0000c0 00000000", 28));
  host.reset();
  attach(NvspVersion::v4);
  EXPECT_EQ(ask("83000000 96010c00 02020100"), message("84000000 02000000", 28));
}

TEST_F(NvspHost, CompletesADataPathSwitchWheneverItAsks) {  // 1.5.16: Linux waits for ever
  attach(NvspVersion::v4);
  EXPECT_EQ(ask("81000000 01000000"), "");
  EXPECT_EQ(event.kind, HostEventKind::data_path_switched);
  host.reset();
  attach(NvspVersion::v2);
  EXPECT_EQ(ask("81000000 01000000"), message("81000000 02000000", 28));
}

TEST_F(NvspHost, RefusesEverythingButInitAtFirst) {
  for (const std::string& request :
       {kConfig1514, kNdisVersion, kReceiveBuffer, kSendBuffer, kRevokeReceive, kRevokeSend,
        std::string{"81000000 00000000"}, std::string{"83000000 96010c00 02020100"},
        std::string{"85000000 01000000 01000000"}}) {
    const std::string answer = ask(request);
    EXPECT_EQ(answer.substr(9, 8), "02000000") << request;  // a failure
    EXPECT_EQ(event.kind, HostEventKind::ignored) << request;
  }
  EXPECT_EQ(host.counters().out_of_order, 9u);
  EXPECT_EQ(host.state(), HostState::opened);
  attach();
}

TEST_F(NvspHost, CompletesUnknownMessagesWithFailureAndGoesOn) {
  attach();
  for (const std::uint32_t type : {0u, 2u, 102u, 109u, 120u, 124u, 126u, 127u, 128u, 132u, 134u, 135u, 136u, 999u}) {
    EXPECT_EQ(ask(le32(type)), message(le32(type) + "02000000")) << type;
    EXPECT_EQ(event.kind, HostEventKind::ignored) << type;
  }
  EXPECT_EQ(host.counters().unknown, 14u);
  EXPECT_EQ(host.state(), HostState::ready);
}

TEST_F(NvspHost, RefusesEveryRequestCutShort) {
  const struct {
    std::string request;
    std::size_t least;
  } cases[] = {
      {init(NvspVersion::v6_1), 12},
      {kNdisVersion, 12},
      {kConfig1514, 20},
      {kReceiveBuffer, 12},
      {kSendBuffer, 12},
      {kRevokeSend, 8},
      {kRevokeReceive, 8},
      {"81000000 00000000", 8},
      {"83000000 96010c00 02020100", 12},
      {"85000000 01000000 01000000", 12},
  };
  attach();
  std::uint64_t count = 0;
  for (const auto& one : cases) {
    for (std::size_t length = 0; length < one.least; ++length) {
      const Answer answer = host.on_message(cut(hex(one.request), length), true);
      EXPECT_EQ(answer.event.kind, HostEventKind::ignored) << one.request << " " << length;
      ASSERT_TRUE(answer.completion);
      EXPECT_GE(answer.completion->size(), 28u);
      EXPECT_EQ(host.counters().malformed, ++count);
    }
  }
  EXPECT_EQ(host.state(), HostState::ready);
}

TEST_F(NvspHost, TakesRequestsOfTheirBareLength) {
  for (const std::string& request : {init(NvspVersion::v6_1), kConfig1514, kNdisVersion, kReceiveBuffer, kSendBuffer}) {
    EXPECT_NE(host.on_message(hex(request), true).event.kind, HostEventKind::ignored) << request;
  }
  EXPECT_EQ(host.state(), HostState::ready);
}

TEST_F(NvspHost, ForgetsTheGuestWhenTheChannelCloses) {
  attach();
  host.reset();
  EXPECT_EQ(host.state(), HostState::opened);
  EXPECT_EQ(host.config_mtu(), 1514u);
  EXPECT_EQ(host.capabilities(), 0u);
  attach(NvspVersion::v4);  // the same GPADL handles again
  EXPECT_EQ(host.version(), NvspVersion::v4);
}

}  // namespace
}  // namespace vmbpmd::nvsp
