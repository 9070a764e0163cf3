// SPDX-License-Identifier: BSD-3-Clause
// rndis::Guest against answers written by hand: a real host's (netvsc.md 2.2, 3.1), and every answer it must not
// believe (6.2).
#include "rndis/guest.hpp"

#include <string>

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace vmbpmd::rndis {
namespace {

using vmb::test::cut;
using vmb::test::hex;
using vmb::test::le32;
using vmb::test::to_hex;
using wire::MacAddress;
using wire::RndisStatus;

constexpr std::uint32_t kNotSupported = 0xC00000BB;
const std::string kMac = "0015 5d01 0203";

class RndisGuest : public testing::Test {
 protected:
  void SetUp() override { start(); }
  void start() { guest.start({.peer_capabilities = wire::peer_capability::kDenseReceive}); }

  std::string sent() {
    const auto out = guest.next();
    if (!out) return "nothing";
    ++id;
    return to_hex(*out);
  }
  GuestEvent feed(std::string_view message) { return guest.on_message(hex(message)); }

  // Answers of a host to the request that is out.
  std::string initialize_answer(std::uint32_t packets = 8, std::uint32_t bytes = 0xEFFFFFFF, std::uint32_t factor = 3) {
    return "02000080 34000000" + le32(id) + "00000000 01000000 00000000 01000000 00000000" + le32(packets) +
           le32(bytes) + le32(factor) + "00000000 00000000";
  }
  std::string query_answer(std::string_view output, std::uint32_t status = 0) {
    const auto size = static_cast<std::uint32_t>(hex(output).size());
    return "04000080" + le32(24 + size) + le32(id) + le32(status) + le32(size) + le32(16) + std::string{output};
  }
  std::string set_answer(std::uint32_t status = 0) { return "05000080 10000000" + le32(id) + le32(status); }

  // Steps of an attach, up to the request named being out.
  void until(GuestRequest request) {
    start();
    for (;;) {
      ASSERT_NE(sent(), "nothing");
      if (guest.outstanding() == request) return;
      ASSERT_EQ(feed(good_answer(guest.outstanding())).kind, GuestEventKind::progress);
    }
  }
  std::string good_answer(GuestRequest request) {
    switch (request) {
      case GuestRequest::initialize: return initialize_answer();
      case GuestRequest::clear_filter: return set_answer();
      case GuestRequest::query_mac: return query_answer(kMac);
      case GuestRequest::query_max_frame_size: return query_answer("dc050000");
      case GuestRequest::query_link_speed: return query_answer("00ca9a3b");
      case GuestRequest::query_media: return query_answer("00000000");
      case GuestRequest::query_peer: return query_answer("", kNotSupported);
      default: return set_answer();
    }
  }
  void attach() {
    until(GuestRequest::query_peer);
    ASSERT_EQ(feed(good_answer(GuestRequest::query_peer)).kind, GuestEventKind::operational);
  }

  Guest guest;
  std::uint32_t id = 0;  // of the last request
};

TEST_F(RndisGuest, AttachesToARealHostByteForByte) {
  EXPECT_EQ(sent(), "02000000 18000000 01000000 01000000 00000000 00400000");
  EXPECT_EQ(feed(initialize_answer()).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(), "05000000 20000000 02000000 0e010100 04000000 14000000 00000000 00000000");
  EXPECT_EQ(feed(set_answer()).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(), "04000000 1c000000 03000000 01010101 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer(kMac)).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(), "04000000 1c000000 04000000 06010100 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer("dc050000")).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(), "04000000 1c000000 05000000 07010100 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer("00ca9a3b")).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(), "04000000 1c000000 06000000 14010100 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer("00000000")).kind, GuestEventKind::progress);
  EXPECT_EQ(sent(),
            "04000000 2c000000 07000000 424d56ff 10000000 14000000 00000000 564d4250 01000000 01000000 00000000");
  EXPECT_EQ(feed(query_answer("", kNotSupported)).kind, GuestEventKind::operational);

  EXPECT_EQ(guest.state(), GuestState::operational);
  EXPECT_EQ(guest.result().max_packets, 8u);
  EXPECT_EQ(guest.result().max_transfer_bytes, 0xEFFFFFFFu);
  EXPECT_EQ(guest.result().alignment_factor, 3u);
  EXPECT_EQ(guest.result().mac, (MacAddress{0x00, 0x15, 0x5d, 0x01, 0x02, 0x03}));
  EXPECT_EQ(guest.result().max_frame_size, 1500u);
  EXPECT_EQ(guest.result().link_speed, 1'000'000'000u);
  EXPECT_TRUE(guest.result().connected);
  EXPECT_EQ(guest.peer_capabilities(), 0u);
  EXPECT_FALSE(guest.next());
}

TEST_F(RndisGuest, HasOneRequestOutAtATime) {
  ASSERT_TRUE(guest.next());
  EXPECT_FALSE(guest.next());
}

TEST_F(RndisGuest, DoesNotBelieveABadInitializeAnswer) {  // 6.2
  const struct {
    const char* what;
    std::uint32_t packets, bytes, factor;
    Failure failure;
  } bad[] = {
      {"factor 8", 8, 0xEFFFFFFF, 8, Failure::alignment_factor},
      {"factor 2^32 - 1", 8, 0xEFFFFFFF, 0xffffffff, Failure::alignment_factor},
      {"no packets", 0, 0xEFFFFFFF, 3, Failure::no_packets},
      {"1621 bytes", 8, 1621, 3, Failure::transfer_too_small},
      {"no bytes", 8, 0, 3, Failure::transfer_too_small},
  };
  for (const auto& one : bad) {
    until(GuestRequest::initialize);
    EXPECT_EQ(feed(initialize_answer(one.packets, one.bytes, one.factor)).kind, GuestEventKind::failed) << one.what;
    EXPECT_EQ(guest.failure(), one.failure) << one.what;
    EXPECT_EQ(guest.state(), GuestState::failed) << one.what;
    EXPECT_FALSE(guest.next()) << one.what;
  }
  until(GuestRequest::initialize);
  EXPECT_EQ(feed(initialize_answer(1, 1622, 7)).kind, GuestEventKind::progress);
  EXPECT_EQ(guest.result().alignment_factor, 7u);
}

TEST_F(RndisGuest, FailsWhenInitializeIsRefused) {
  until(GuestRequest::initialize);
  EXPECT_EQ(feed("02000080 34000000" + le32(id) +
                 "010000c0 01000000 00000000 01000000 00000000 08000000 ffffffef 03000000"
                 "00000000 00000000")
                .kind,
            GuestEventKind::failed);
  EXPECT_EQ(guest.failure(), Failure::initialize_refused);
}

TEST_F(RndisGuest, FailsOnAnInitializeAnswerTooShortForItsFields) {
  until(GuestRequest::initialize);
  EXPECT_EQ(feed("02000080 10000000" + le32(id) + "00000000").kind, GuestEventKind::failed);
  EXPECT_EQ(guest.failure(), Failure::malformed_answer);
}

TEST_F(RndisGuest, DropsAnswersCutShortAndTakesTheWholeOneLater) {
  const GuestRequest requests[] = {GuestRequest::initialize, GuestRequest::clear_filter, GuestRequest::query_mac,
                                   GuestRequest::query_max_frame_size, GuestRequest::query_peer};
  for (const GuestRequest request : requests) {
    until(request);
    const auto whole = hex(good_answer(request));
    const std::uint64_t before = guest.counters().malformed;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_EQ(guest.on_message(cut(whole, length)).kind, GuestEventKind::ignored) << length;
    }
    EXPECT_EQ(guest.counters().malformed, before + whole.size());
    EXPECT_NE(guest.on_message(cut(whole, whole.size())).kind, GuestEventKind::ignored);
  }
}

TEST_F(RndisGuest, TakesAnAnswerInARangeLongerThanItsMessage) {
  until(GuestRequest::query_mac);
  EXPECT_EQ(feed(query_answer(kMac) + "ffffffff ffffffff").kind, GuestEventKind::progress);
}

TEST_F(RndisGuest, ToleratesARefusedFilter) {  // 3.3: the result of filter 0 is ignored
  until(GuestRequest::clear_filter);
  EXPECT_EQ(feed(set_answer(0xC0000001)).kind, GuestEventKind::progress);
  EXPECT_EQ(guest.counters().refused, 1u);
}

TEST_F(RndisGuest, FailsWithoutAMac) {
  until(GuestRequest::query_mac);
  EXPECT_EQ(feed(query_answer("", kNotSupported)).kind, GuestEventKind::failed);
  EXPECT_EQ(guest.failure(), Failure::mac_refused);
}

TEST_F(RndisGuest, FailsOnAMacThatIsNone) {
  for (const char* mac : {"", "0015", "0015 5d01 02", "0000 0000 0000", "0115 5d01 0203", "ffff ffff ffff"}) {
    until(GuestRequest::query_mac);
    EXPECT_EQ(feed(query_answer(mac)).kind, GuestEventKind::failed) << mac;
    EXPECT_EQ(guest.failure(), Failure::mac_invalid) << mac;
  }
}

TEST_F(RndisGuest, DoesNotBelieveAQueryAnswerWhoseOutputDoesNotHold) {  // 6.2
  const struct {
    const char* what;
    std::uint32_t length, bytes, offset;
    const char* output;
  } bad[] = {
      {"longer than wanted", 31, 7, 16, "00155d01020304"},
      {"past the end", 30, 6, 17, "00155d010203"},
      {"far past the end", 30, 6, 0x7fffffff, "00155d010203"},
      {"wraps in 32 bits", 30, 6, 0xfffffff8, "00155d010203"},
      {"ends at 2^32", 30, 6, 0xfffffffa, "00155d010203"},
      {"huge", 30, 0xffffffff, 16, "00155d010203"},
      {"inside the header", 30, 6, 8, "00155d010203"},
      {"at the request id", 30, 6, 0, "00155d010203"},
      {"behind the message's length", 24, 6, 16, "00155d010203"},
  };
  for (const auto& one : bad) {
    until(GuestRequest::query_mac);
    const std::uint64_t before = guest.counters().malformed;
    EXPECT_EQ(
        feed("04000080" + le32(one.length) + le32(id) + "00000000" + le32(one.bytes) + le32(one.offset) + one.output)
            .kind,
        GuestEventKind::failed)
        << one.what;
    EXPECT_EQ(guest.failure(), Failure::malformed_answer) << one.what;
    EXPECT_EQ(guest.counters().malformed, before + 1) << one.what;
  }
}

TEST_F(RndisGuest, FindsTheOutputByItsOffset) {
  until(GuestRequest::query_mac);
  EXPECT_EQ(feed("04000080 22000000" + le32(id) + "00000000 06000000 14000000 eeeeeeee" + kMac).kind,
            GuestEventKind::progress);
  EXPECT_EQ(guest.result().mac[5], 3);
}

TEST_F(RndisGuest, ToleratesAllOtherQueriesUnanswered) {
  until(GuestRequest::query_max_frame_size);
  EXPECT_EQ(feed(query_answer("", kNotSupported)).kind, GuestEventKind::progress);
  sent();
  EXPECT_EQ(feed(query_answer("")).kind, GuestEventKind::progress);  // "success" without a value
  sent();
  EXPECT_EQ(feed(query_answer("0000")).kind, GuestEventKind::progress);  // too short
  sent();
  EXPECT_EQ(feed("04000080 18000000" + le32(id)).kind, GuestEventKind::ignored);
  EXPECT_EQ(feed("04000080 0c000000" + le32(id)).kind, GuestEventKind::operational);  // no fields at all
  EXPECT_EQ(guest.result().max_frame_size, 0u);
  EXPECT_EQ(guest.result().link_speed, 0u);
  EXPECT_TRUE(guest.result().connected);
  EXPECT_EQ(guest.counters().refused, 4u);
}

TEST_F(RndisGuest, LearnsThatTheMediaIsDisconnected) {
  until(GuestRequest::query_media);
  feed(query_answer("01000000"));
  EXPECT_FALSE(guest.result().connected);
}

TEST_F(RndisGuest, AgreesWithItsPeerOnWhatBothCan) {
  until(GuestRequest::query_peer);
  EXPECT_EQ(feed(query_answer("564d4250 01000000 03000000 00000000")).kind, GuestEventKind::operational);
  EXPECT_EQ(guest.peer_capabilities(), wire::peer_capability::kDenseReceive);
}

TEST_F(RndisGuest, DoesNotBelieveAPeerThatIsNotOurs) {
  for (const char* answer : {"564d4251 01000000 01000000 00000000", "564d4250 02000000 01000000 00000000",
                             "564d4250 01000000 01000000", "01000000", ""}) {
    until(GuestRequest::query_peer);
    EXPECT_EQ(feed(query_answer(answer)).kind, GuestEventKind::operational) << answer;
    EXPECT_EQ(guest.peer_capabilities(), 0u) << answer;
  }
}

TEST_F(RndisGuest, DropsAnswersThatMatchNothing) {              // 6.2: by id and by type
  EXPECT_EQ(feed(set_answer()).kind, GuestEventKind::ignored);  // nothing is out
  until(GuestRequest::query_mac);
  const std::uint32_t current = id;
  id = current - 1;
  EXPECT_EQ(feed(query_answer(kMac)).kind, GuestEventKind::ignored);  // late
  id = current + 1;
  EXPECT_EQ(feed(query_answer(kMac)).kind, GuestEventKind::ignored);  // of the future
  id = current;
  EXPECT_EQ(feed(set_answer()).kind, GuestEventKind::ignored);  // another type
  EXPECT_EQ(feed(initialize_answer()).kind, GuestEventKind::ignored);
  EXPECT_EQ(guest.counters().unmatched, 5u);
  EXPECT_EQ(feed(query_answer(kMac)).kind, GuestEventKind::progress);
  EXPECT_EQ(feed(query_answer(kMac)).kind, GuestEventKind::ignored);  // doubled
  EXPECT_EQ(guest.counters().unmatched, 6u);
}

TEST_F(RndisGuest, AnAnswerToAnEarlierAttachMatchesNothing) {
  until(GuestRequest::initialize);
  const std::string late = initialize_answer();
  start();
  sent();
  EXPECT_EQ(feed(late).kind, GuestEventKind::ignored);
  EXPECT_EQ(feed(initialize_answer()).kind, GuestEventKind::progress);
}

TEST_F(RndisGuest, IgnoresMessagesOfOtherTypes) {
  attach();
  for (const std::uint32_t type : {1u, 2u, 4u, 8u, 0x80000006u, 0x80000008u, 0x80000009u, 0xff000001u, 0u}) {
    EXPECT_EQ(feed(le32(type) + "10000000 01000000 00000000").kind, GuestEventKind::ignored) << type;
  }
  EXPECT_EQ(guest.counters().unknown, 9u);
}

TEST_F(RndisGuest, DropsMessagesWhoseLengthDoesNotHold) {
  attach();
  for (const std::uint32_t length : {0u, 7u, 21u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(feed("07000000" + le32(length) + "0c000140 00000000 00000000").kind, GuestEventKind::ignored) << length;
  }
  EXPECT_EQ(guest.counters().malformed, 5u);
  EXPECT_TRUE(guest.result().connected);
}

TEST_F(RndisGuest, FollowsTheLink) {  // 2.3
  attach();
  EXPECT_EQ(feed("07000000 14000000 0c000140 00000000 00000000").kind, GuestEventKind::link_changed);
  EXPECT_FALSE(guest.result().connected);
  EXPECT_EQ(feed("07000000 14000000 0b000140 00000000 00000000").kind, GuestEventKind::link_changed);
  EXPECT_TRUE(guest.result().connected);
  EXPECT_EQ(feed("07000000 18000000 13000140 04000000 0c000000 00e1f505").kind, GuestEventKind::link_changed);
  EXPECT_EQ(guest.result().link_speed, 100'000'000u);
  EXPECT_FALSE(guest.next());
}

TEST_F(RndisGuest, TakesAnIndicationOfAnOldHostWhoseLengthLeavesOutTheBuffer) {  // 2.3
  attach();
  EXPECT_EQ(feed("07000000 14000000 13000140 04000000 0c000000 00e1f505").kind, GuestEventKind::link_changed);
  EXPECT_EQ(guest.result().link_speed, 100'000'000u);
}

TEST_F(RndisGuest, AsksForTheSpeedWhenAnIndicationDoesNotTellIt) {
  attach();
  EXPECT_EQ(feed("07000000 14000000 13000140 00000000 00000000").kind, GuestEventKind::progress);
  EXPECT_EQ(sent().substr(27, 8), "07010100");
}

TEST_F(RndisGuest, DropsAnIndicationWhoseBufferIsOutside) {  // 6.2
  attach();
  const struct { std::uint32_t bytes, offset; } bad[] = {{5, 12}, {4, 13}, {4, 0xfffffff8}, {0xffffffff, 12}, {0, 17}};
  for (const auto& one : bad) {
    EXPECT_EQ(feed("07000000 18000000 0c000140" + le32(one.bytes) + le32(one.offset) + "00e1f505").kind,
              GuestEventKind::ignored)
        << one.bytes << " " << one.offset;
  }
  for (std::size_t length = 8; length < 20; ++length) {
    auto message = cut(hex("07000000 14000000 0c000140 00000000 00000000"), length);
    message[4] = static_cast<std::byte>(length);
    EXPECT_EQ(guest.on_message(message).kind, GuestEventKind::ignored);
  }
  EXPECT_TRUE(guest.result().connected);
  EXPECT_EQ(guest.counters().malformed, 5u + 12u);
}

TEST_F(RndisGuest, IgnoresIndicationsThatItDoesNotFollow) {
  attach();
  EXPECT_EQ(feed("07000000 14000000 18000140 00000000 00000000").kind, GuestEventKind::ignored);
  EXPECT_EQ(feed("07000000 14000000 06000240 00000000 00000000").kind, GuestEventKind::ignored);
  EXPECT_EQ(guest.counters().ignored_indications, 2u);
}

TEST_F(RndisGuest, SetsAFilterOnceOperational) {
  attach();
  guest.set_packet_filter(0x0d);
  EXPECT_EQ(sent(), "05000000 20000000 08000000 0e010100 04000000 14000000 00000000 0d000000");
  const GuestEvent event = feed(set_answer());
  EXPECT_EQ(event.kind, GuestEventKind::request_done);
  EXPECT_EQ(event.request, GuestRequest::set_filter);
  EXPECT_EQ(event.status, RndisStatus::success);
  EXPECT_FALSE(guest.next());
}

TEST_F(RndisGuest, SendsTheLatestOfSeveralFilters) {
  attach();
  guest.set_packet_filter(0x0d);
  guest.set_packet_filter(0x20);
  EXPECT_TRUE(sent().ends_with("20000000"));
  guest.set_packet_filter(0);
  EXPECT_EQ(sent(), "nothing");
  feed(set_answer());
  EXPECT_TRUE(sent().ends_with("00000000"));
}

TEST_F(RndisGuest, ReportsARefusedRequest) {
  attach();
  guest.set_packet_filter(0x0d);
  sent();
  const GuestEvent event = feed(set_answer(kNotSupported));
  EXPECT_EQ(event.kind, GuestEventKind::request_done);
  EXPECT_EQ(event.status, RndisStatus::not_supported);
}

TEST_F(RndisGuest, SetsAMulticastList) {
  attach();
  const MacAddress addresses[] = {{0x33, 0x33, 0, 0, 0, 1}, {0x01, 0, 0x5e, 0, 0, 1}};
  EXPECT_TRUE(guest.set_multicast(addresses));
  EXPECT_EQ(sent(), to_hex("05000000 28000000 08000000 03010101 0c000000 14000000 00000000 333300000001 01005e000001"));
  EXPECT_EQ(feed(set_answer()).request, GuestRequest::set_multicast);
  EXPECT_TRUE(guest.set_multicast({}));
  EXPECT_EQ(sent(), "05000000 1c000000 09000000 03010101 00000000 14000000 00000000");
}

TEST_F(RndisGuest, AsksTheHostToTakeAnotherAddress) {  // 3.9: name at 20, 28 bytes; value at 48, 24 bytes; UTF-16LE
  attach();
  guest.set_mac({0x02, 0x15, 0x5d, 0xab, 0xcd, 0xef});
  EXPECT_EQ(sent(), to_hex("05000000 64000000 08000000 1b020100 48000000 14000000 00000000"
                           "14000000 1c000000 02000000 30000000 18000000"
                           "4e00 6500 7400 7700 6f00 7200 6b00 4100 6400 6400 7200 6500 7300 7300"
                           "3000 3200 3100 3500 3500 4400 4100 4200 4300 4400 4500 4600"));
  EXPECT_EQ(feed(set_answer()).request, GuestRequest::set_mac);
}

TEST_F(RndisGuest, RefusesAMulticastListThatIsTooLong) {
  attach();
  const std::vector<MacAddress> many(kMaxMulticast + 1, MacAddress{1, 2, 3, 4, 5, 6});
  EXPECT_FALSE(guest.set_multicast(many));
  EXPECT_FALSE(guest.next());
  EXPECT_TRUE(guest.set_multicast(std::span{many}.first(kMaxMulticast)));
  EXPECT_EQ(guest.next().value().size(), 28 + kMaxMulticast * 6);
}

TEST_F(RndisGuest, AsksForTheLinkAgain) {
  attach();
  guest.query_link();
  EXPECT_EQ(sent(), "04000000 1c000000 08000000 07010100 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer("00e1f505")).request, GuestRequest::query_link_speed);
  EXPECT_EQ(sent(), "04000000 1c000000 09000000 14010100 00000000 14000000 00000000");
  EXPECT_EQ(feed(query_answer("01000000")).request, GuestRequest::query_media);
  EXPECT_EQ(guest.result().link_speed, 100'000'000u);
  EXPECT_FALSE(guest.result().connected);
}

TEST_F(RndisGuest, HaltsAtOnceAndSaysNothingMore) {
  attach();
  guest.set_packet_filter(0x0d);
  sent();
  guest.halt();
  EXPECT_EQ(sent(), "03000000 0c000000 09000000");
  EXPECT_EQ(guest.state(), GuestState::halted);
  EXPECT_FALSE(guest.next());
  guest.halt();
  EXPECT_FALSE(guest.next());
  EXPECT_EQ(feed(set_answer()).kind, GuestEventKind::ignored);
  EXPECT_EQ(feed("07000000 14000000 0c000140 00000000 00000000").kind, GuestEventKind::ignored);
}

TEST_F(RndisGuest, GivesUpAnAttachThatIsNotAnswered) {
  until(GuestRequest::query_peer);
  EXPECT_EQ(guest.abandon(Failure::timed_out).kind, GuestEventKind::failed);
  EXPECT_EQ(guest.failure(), Failure::timed_out);
  EXPECT_EQ(feed(good_answer(GuestRequest::query_peer)).kind, GuestEventKind::ignored);
  guest.halt();
  EXPECT_TRUE(sent().starts_with("03000000"));
}

TEST_F(RndisGuest, GivesUpALaterRequestAndStaysOperational) {
  attach();
  guest.set_packet_filter(0x0d);
  sent();
  const GuestEvent event = guest.abandon(Failure::timed_out);
  EXPECT_EQ(event.kind, GuestEventKind::request_done);
  EXPECT_EQ(event.request, GuestRequest::set_filter);
  EXPECT_EQ(event.status, RndisStatus::failure);
  EXPECT_EQ(feed(set_answer()).kind, GuestEventKind::ignored);
  EXPECT_EQ(guest.state(), GuestState::operational);
  EXPECT_EQ(guest.abandon(Failure::timed_out).kind, GuestEventKind::none);
}

TEST_F(RndisGuest, TakesNoRequestsBeforeItIsOperational) {
  until(GuestRequest::initialize);
  guest.set_packet_filter(0x0d);
  guest.query_link();
  guest.set_multicast({});
  EXPECT_FALSE(guest.next());
  feed(good_answer(GuestRequest::initialize));
  EXPECT_TRUE(sent().ends_with("00000000"));  // still filter 0
}

TEST_F(RndisGuest, AttachesAgainFromEveryState) {
  attach();
  attach();
  guest.halt();
  attach();
  guest.halt();
  sent();
  attach();
  until(GuestRequest::query_mac);
  guest.abandon(Failure::channel_closed);
  attach();
  EXPECT_EQ(guest.failure(), Failure::none);
}

TEST(RndisFailure, EveryReasonHasAName) {
  for (int i = 0; i <= static_cast<int>(Failure::channel_closed); ++i) {
    EXPECT_STRNE(name(static_cast<Failure>(i)), "unknown") << i;
  }
}

}  // namespace
}  // namespace vmbpmd::rndis
