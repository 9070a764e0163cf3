// SPDX-License-Identifier: BSD-3-Clause
// rndis::Host's messages against bytes written by hand from netvsc.md 2.1 to 2.3, and its checks (6.3).
#include "rndis/host_fixture.hpp"

namespace vmbpmd::rndis {
namespace {

using vmb::test::cut;
using vmb::test::hex;
using vmb::test::le32;
using vmb::test::to_hex;

const std::string kInitialize = "02000000 18000000 01000000 01000000 00000000 00400000";

class RndisHost : public HostFixture {};

TEST_F(RndisHost, AnswersInitialize) {
  EXPECT_EQ(ask(kInitialize),
            "02000080 34000000 01000000 00000000 01000000 00000000 01000000 00000000 20000000 ffffffef 03000000 "
            "00000000 00000000");
  EXPECT_EQ(event, HostEventKind::initialized);
  EXPECT_EQ(host.state(), HostState::operational);
  EXPECT_EQ(host.guest_max_transfer_bytes(), 0x4000u);
}

TEST_F(RndisHost, AdvertisesTheLimitsItIsGiven) {
  HostConfig real = config();
  real.max_packets = 8;
  real.max_transfer_bytes = 6144;
  real.alignment_factor = 2;
  host = Host{real};
  EXPECT_EQ(ask(kInitialize).substr(72, 26), "08000000 00180000 02000000");
}

TEST_F(RndisHost, RefusesASecondInitializeAndStays) {  // 2.2
  initialize();
  EXPECT_EQ(ask(kInitialize).substr(27, 8), "010000c0");
  EXPECT_EQ(event, HostEventKind::rejected);
  EXPECT_EQ(host.state(), HostState::operational);
  EXPECT_EQ(host.counters().out_of_order, 1u);
}

TEST_F(RndisHost, RefusesAnotherMajorVersion) {
  EXPECT_EQ(ask("02000000 18000000 01000000 02000000 00000000 00400000").substr(27, 8), "040001c0");
  EXPECT_EQ(event, HostEventKind::rejected);
  EXPECT_EQ(host.state(), HostState::idle);
}

TEST_F(RndisHost, RepeatsAnyRequestId) {
  initialize();
  EXPECT_EQ(ask(request("04000000", 0x00010114, "", 0xfffffffe)).substr(18, 8), "feffffff");
  EXPECT_EQ(ask(request("05000000", 0x0001010E, "0d000000", 0)).substr(18, 8), "00000000");
}

TEST_F(RndisHost, FailsQueriesAndSetsBeforeInitialize) {
  EXPECT_EQ(query(0x01010101), query_failure(kFailure));
  EXPECT_EQ(set(0x0001010E, "0d000000"), set_result(kFailure));
  EXPECT_EQ(host.packet_filter(), 0u);
  EXPECT_EQ(host.counters().out_of_order, 2u);
}

TEST_F(RndisHost, RefusesUnknownOidsWithNoOutput) {  // 3.1
  initialize();
  for (const std::uint32_t oid : {0u, 0x00010112u, 0x0002020Fu, 0x00020200u, 0xFC010210u, 0xffffffffu}) {
    EXPECT_EQ(query(oid), query_failure(kNotSupported)) << oid;
    EXPECT_EQ(set(oid, "00000000"), set_result(kNotSupported)) << oid;
    EXPECT_EQ(event, HostEventKind::rejected);
  }
  EXPECT_EQ(host.counters().not_supported, 12u);
}

TEST_F(RndisHost, RefusesTheWrongOneOfQueryAndSet) {
  initialize();
  for (const std::uint32_t oid : {0x01010101u, 0x00010106u, 0x00020101u, 0x0002020Eu, 0xFC01020Du, 0xFF564D42u}) {
    EXPECT_EQ(set(oid, "564d4250 01000000 01000000 00000000"), set_result(kNotSupported)) << oid;
  }
  for (const std::uint32_t oid : {0x00010204u, 0xFC01020Cu, 0x0001021Bu, 0x01010103u, 0x00010118u}) {
    EXPECT_EQ(query(oid), query_failure(kNotSupported)) << oid;
  }
}

TEST_F(RndisHost, FindsTheInputByItsOffset) {  // 2.2: accept 20 and above
  initialize();
  EXPECT_EQ(ask("05000000 24000000 77000000 0e010100 04000000 18000000 00000000 eeeeeeee 0d000000"), set_result(kOk));
  EXPECT_EQ(host.packet_filter(), 0x0du);
}

TEST_F(RndisHost, TakesAnyOffsetOfNoInput) {  // 2.2: zero only if the length is zero
  initialize();
  for (const char* offset : {"00000000", "14000000", "ffffffff"}) {
    EXPECT_EQ(ask("04000000 1c000000 77000000 14010100 00000000" + std::string{offset} + "00000000"),
              output("00000000"));
  }
}

TEST_F(RndisHost, RefusesAnInputThatDoesNotHold) {  // 6.3
  initialize();
  const struct {
    const char* what;
    std::uint32_t bytes, offset, status;
  } bad[] = {
      {"offset 0", 4, 0, kInvalidData},
      {"in the header", 4, 19, kInvalidData},
      {"one past the end", 4, 21, kInvalidLength},
      {"too long", 5, 20, kInvalidLength},
      {"wraps in 32 bits", 4, 0xfffffffc, kInvalidLength},
      {"huge", 0xffffffff, 20, kInvalidLength},
      {"sum 2^32", 0xffffffec, 20, kInvalidLength},
  };
  for (const auto& one : bad) {
    EXPECT_EQ(ask("05000000 20000000 77000000 0e010100" + le32(one.bytes) + le32(one.offset) + "00000000 0d000000"),
              set_result(one.status))
        << one.what;
    EXPECT_EQ(event, HostEventKind::rejected) << one.what;
  }
  EXPECT_EQ(host.packet_filter(), 0u);
  EXPECT_EQ(host.counters().malformed, 7u);
}

TEST_F(RndisHost, DoesNotReadInputBehindTheMessagesLength) {
  initialize();
  EXPECT_EQ(ask("05000000 1c000000 77000000 0e010100 04000000 14000000 00000000 0d000000"), set_result(kInvalidLength));
  EXPECT_EQ(host.packet_filter(), 0u);
}

TEST_F(RndisHost, AnswersEveryQueryAndSetCutShortAsSoonAsItHasAnId) {
  initialize();
  for (const char* type : {"04000000", "05000000"}) {
    const auto whole = hex(request(type, 0x0001010E, "0d000000", 0x77));
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Answer answer = host.on_message(cut(whole, length));
      if (length < 12) {
        EXPECT_EQ(answer.event.kind, HostEventKind::ignored) << length;
        EXPECT_TRUE(answer.response.empty()) << length;
      } else {
        EXPECT_EQ(answer.event.kind, HostEventKind::rejected) << length;
        EXPECT_EQ(to_hex(answer.response.subspan(8, 8)), "77000000 140001c0") << length;
      }
    }
  }
  EXPECT_EQ(host.packet_filter(), 0u);
}

TEST_F(RndisHost, AnswersAnInitializeCutShortAsSoonAsItHasAnId) {
  const auto whole = hex(kInitialize);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Answer answer = host.on_message(cut(whole, length));
    EXPECT_EQ(answer.response.empty(), length < 12) << length;
    EXPECT_EQ(host.state(), HostState::idle) << length;
  }
  initialize();
}

TEST_F(RndisHost, RefusesLengthsThatDoNotHold) {
  initialize();
  for (const std::uint32_t length : {0u, 8u, 27u, 29u, 0xffffffffu}) {
    EXPECT_EQ(ask("04000000" + le32(length) + "77000000 14010100 00000000 14000000 00000000"),
              query_failure(kInvalidLength))
        << length;
  }
}

TEST_F(RndisHost, HaltHasNoAnswerAndForgetsTheGuest) {  // 2.2
  initialize();
  set(0x0001010E, "0d000000");
  EXPECT_EQ(ask("03000000 0c000000 09000000"), "");
  EXPECT_EQ(event, HostEventKind::halted);
  EXPECT_EQ(host.state(), HostState::idle);
  EXPECT_EQ(host.packet_filter(), 0u);
  EXPECT_EQ(ask("03000000 0c000000 09000000"), "");  // again: tolerated
  initialize();
}

TEST_F(RndisHost, IgnoresTheZeroedHaltOfNetNetvsc) {  // its memory is freed before the host reads it
  initialize();
  EXPECT_EQ(ask("00000000 00000000 00000000"), "");
  EXPECT_EQ(event, HostEventKind::ignored);
  EXPECT_EQ(host.state(), HostState::operational);
}

TEST_F(RndisHost, AnswersReset) {
  initialize();
  set(0x0001010E, "0d000000");
  EXPECT_EQ(ask("06000000 0c000000 00000000"), "06000080 10000000 00000000 00000000");
  EXPECT_EQ(host.packet_filter(), 0x0du);
  EXPECT_EQ(ask("06000000 08000000"), "");
  EXPECT_EQ(event, HostEventKind::ignored);
}

TEST_F(RndisHost, AnswersKeepaliveInAnyState) {
  EXPECT_EQ(ask("08000000 0c000000 05000000"), "08000080 10000000 05000000 00000000");
  initialize();
  EXPECT_EQ(ask("08000000 0c000000 06000000"), "08000080 10000000 06000000 00000000");
  EXPECT_EQ(ask("08000000 ff000000 07000000"), "08000080 10000000 07000000 140001c0");
  EXPECT_EQ(event, HostEventKind::rejected);
}

TEST_F(RndisHost, CountsMessagesItDoesNotKnow) {  // 2.2
  initialize();
  for (const std::uint32_t type : {0u, 1u, 7u, 9u, 0x80000002u, 0x80000004u, 0x80000005u, 0xff000001u, 0xffffffffu}) {
    EXPECT_EQ(ask(le32(type) + "10000000 01000000 00000000"), "") << type;
    EXPECT_EQ(event, HostEventKind::ignored) << type;
  }
  EXPECT_EQ(host.counters().unknown, 9u);
  EXPECT_EQ(query(0x00010114), output("00000000"));
}

TEST_F(RndisHost, IndicatesTheMediaToAnOperationalGuestOnly) {  // 2.3
  host.indicate_media(false);
  EXPECT_FALSE(host.next());
  initialize();
  EXPECT_EQ(query(0x00010114), output("01000000"));
  host.indicate_media(true);
  EXPECT_EQ(to_hex(host.next().value()), "07000000 14000000 0b000140 00000000 00000000");
  EXPECT_FALSE(host.next());
  host.indicate_media(true);  // nothing new
  EXPECT_FALSE(host.next());
  host.indicate_media(false);
  EXPECT_EQ(to_hex(host.next().value()), "07000000 14000000 0c000140 00000000 00000000");
}

TEST_F(RndisHost, IndicatesTheLinkSpeed) {
  initialize();
  host.indicate_link_speed(10'000'000'000);
  EXPECT_EQ(to_hex(host.next().value()), "07000000 18000000 13000140 04000000 0c000000 00e1f505");
  EXPECT_EQ(query(0x00010107), output("00e1f505"));
}

TEST_F(RndisHost, IndicatesTheLatestStateOnlyAndOneThingAtATime) {
  initialize();
  host.indicate_link_speed(1'000'000'000);
  host.indicate_media(false);
  host.indicate_link_speed(10'000'000'000);
  EXPECT_TRUE(to_hex(host.next().value()).starts_with("07000000 14000000 0c000140"));
  EXPECT_TRUE(to_hex(host.next().value()).ends_with("00e1f505"));
  EXPECT_FALSE(host.next());
}

TEST_F(RndisHost, KeepsAnAnswerWhileItGivesAnIndication) {
  initialize();
  host.indicate_media(false);
  const Answer answer = host.on_message(hex(request("04000000", 0x01010101, "", 0x77)));
  ASSERT_TRUE(host.next());
  EXPECT_EQ(to_hex(answer.response), output("0015 5d01 0203"));
}

TEST_F(RndisHost, DropsIndicationsOfAGuestThatWent) {
  initialize();
  host.indicate_media(false);
  ask("03000000 0c000000 09000000");
  EXPECT_FALSE(host.next());
  initialize();
  EXPECT_FALSE(host.next());
  EXPECT_EQ(query(0x00010114), output("01000000"));
}

TEST_F(RndisHost, ResetForgetsTheGuestAndTakesTheGrantedMtu) {
  initialize();
  set(0x0001010E, "0d000000");
  host.reset(9014);
  EXPECT_EQ(host.state(), HostState::idle);
  EXPECT_EQ(host.packet_filter(), 0u);
  initialize();
  EXPECT_EQ(query(0x00010106), output("28230000"));
}

}  // namespace
}  // namespace vmbpmd::rndis
