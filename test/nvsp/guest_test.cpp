// SPDX-License-Identifier: BSD-3-Clause
// nvsp::Guest against answers written by hand: a real host's (netvsc.md 1.5), and every answer it must not believe
// (6.2).
#include "nvsp/guest.hpp"

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

constexpr std::uint64_t kReceiveBytes = 31u << 20;
constexpr std::uint64_t kSendBytes = 16u << 20;

// A real host's answers: 28 bytes padded to 32 for the first, 40 from then on (1.3).
const std::string kAccepted = "02000000 ffffffff 22000000 01000000";
const std::string kReceiveConnected = "66000000 01000000 01000000 00000000 c0060000 7b490000 40feef01";
const std::string kSendConnected = "69000000 01000000 00180000";

GuestConfig config() {
  return {.receive_gpadl = 0xe1e10, .receive_bytes = kReceiveBytes, .send_gpadl = 0xe1e11, .send_bytes = kSendBytes};
}

class NvspGuest : public testing::Test {
 protected:
  void SetUp() override { guest.start(config()); }

  /// The next message, which must be there, as text without its zero tail up to 40 bytes.
  std::string sent() {
    const auto out = guest.next();
    if (!out) return "nothing";
    EXPECT_EQ(out->payload.size(), 40u);
    completion_requested = out->completion_requested;
    return to_hex(out->payload);
  }
  static std::string message(std::string_view head) { return to_hex(padded(head, 40)); }

  GuestEvent answer(std::string_view head, std::size_t size = 40) { return guest.on_completion(padded(head, size)); }

  void agree_on(NvspVersion version) {
    for (const NvspVersion tried : wire::kNvspVersions) {
      ASSERT_TRUE(guest.next());
      if (tried == version) {
        ASSERT_EQ(answer(kAccepted, 32), GuestEvent::progress);
        return;
      }
      ASSERT_EQ(answer("02000000 ffffffff 22000000 00000000", 32), GuestEvent::progress);
    }
  }
  void up_to_receive_buffer() {
    agree_on(NvspVersion::v6_1);
    ASSERT_TRUE(guest.next());  // config
    ASSERT_TRUE(guest.next());  // NDIS version
    ASSERT_TRUE(guest.next());  // receive buffer
    ASSERT_EQ(guest.state(), GuestState::connect_receive);
  }
  void up_to_send_buffer() {
    up_to_receive_buffer();
    ASSERT_EQ(answer(kReceiveConnected), GuestEvent::progress);
    ASSERT_TRUE(guest.next());
    ASSERT_EQ(guest.state(), GuestState::connect_send);
  }
  void attach() {
    up_to_send_buffer();
    ASSERT_EQ(answer(kSendConnected), GuestEvent::ready);
  }

  Guest guest;
  bool completion_requested = false;
};

TEST_F(NvspGuest, AttachesToARealHostByteForByte) {
  EXPECT_EQ(sent(), message("01000000 01000600 01000600"));
  EXPECT_TRUE(completion_requested);
  EXPECT_EQ(answer(kAccepted, 32), GuestEvent::progress);

  EXPECT_EQ(sent(), message("7d000000 ea050000 00000000 08000000 00000000"));
  EXPECT_FALSE(completion_requested);
  EXPECT_EQ(sent(), message("64000000 06000000 1e000000"));
  EXPECT_FALSE(completion_requested);

  EXPECT_EQ(sent(), message("65000000 101e0e00 feca0000"));
  EXPECT_TRUE(completion_requested);
  EXPECT_EQ(answer(kReceiveConnected), GuestEvent::progress);

  EXPECT_EQ(sent(), message("68000000 111e0e00 cefa0000"));
  EXPECT_TRUE(completion_requested);
  EXPECT_EQ(answer(kSendConnected), GuestEvent::ready);

  EXPECT_EQ(guest.state(), GuestState::ready);
  EXPECT_EQ(guest.result().version, NvspVersion::v6_1);
  EXPECT_EQ(guest.result().suballoc_bytes, 1728u);
  EXPECT_EQ(guest.result().suballoc_count, 18811u);
  EXPECT_EQ(guest.result().section_bytes, 6144u);
  EXPECT_EQ(guest.result().section_count, 2730u);
  EXPECT_FALSE(guest.next());
}

TEST_F(NvspGuest, WaitsForEachAnswerBeforeTheNextMessage) {
  ASSERT_TRUE(guest.next());
  EXPECT_FALSE(guest.next());
  EXPECT_FALSE(guest.next());
  EXPECT_EQ(answer(kAccepted, 32), GuestEvent::progress);
  EXPECT_TRUE(guest.next());
}

TEST_F(NvspGuest, TriesEveryVersionDownwardsAndThenGivesUp) {
  for (const char* version : {"01000600", "00000600", "00000500", "00000400", "02000300", "02000000"}) {
    EXPECT_EQ(sent(), message("01000000" + std::string{version} + version));
    answer("02000000 ffffffff 22000000 00000000", 32);
  }
  EXPECT_EQ(guest.state(), GuestState::failed);
  EXPECT_EQ(guest.failure(), Failure::no_common_version);
  EXPECT_FALSE(guest.next());
}

TEST_F(NvspGuest, TakesAnyStatusButSuccessAsTryTheNextVersion) {  // 1.2
  for (const std::uint32_t status : {0u, 2u, 3u, 0xffffffffu}) {
    guest.start(config());
    ASSERT_TRUE(guest.next());
    EXPECT_EQ(answer("02000000 ffffffff 22000000" + le32(status), 32), GuestEvent::progress) << status;
    EXPECT_EQ(sent(), message("01000000 00000600 00000600")) << status;
  }
}

TEST_F(NvspGuest, StartsAtTheHighestVersionItIsAllowed) {
  GuestConfig low = config();
  low.highest_version = NvspVersion::v4;
  guest.start(low);
  EXPECT_EQ(sent(), message("01000000 00000400 00000400"));
}

TEST_F(NvspGuest, SaysNdis61BelowVersion5AndNoConfigInVersion1) {  // 1.2, 1.4
  guest.start(config());
  agree_on(NvspVersion::v4);
  EXPECT_EQ(sent(), message("7d000000 ea050000 00000000 08000000 00000000"));
  EXPECT_EQ(sent(), message("64000000 06000000 01000000"));

  guest.start(config());
  agree_on(NvspVersion::v1);
  EXPECT_EQ(sent(), message("64000000 06000000 01000000"));
  EXPECT_EQ(sent(), message("65000000 101e0e00 feca0000"));
}

TEST_F(NvspGuest, TellsTheMtuItIsGiven) {
  GuestConfig jumbo = config();
  jumbo.config_mtu = 9014;
  guest.start(jumbo);
  agree_on(NvspVersion::v6_1);
  EXPECT_EQ(sent(), message("7d000000 36230000 00000000 08000000 00000000"));
}

TEST_F(NvspGuest, AcceptsAnswersOfTheLegacySize) {  // 1.3: 28 bytes below version 6.1
  ASSERT_TRUE(guest.next());
  EXPECT_EQ(answer(kAccepted, 28), GuestEvent::progress);
  ASSERT_TRUE(guest.next());
  ASSERT_TRUE(guest.next());
  ASSERT_TRUE(guest.next());
  EXPECT_EQ(answer(kReceiveConnected, 28), GuestEvent::progress);
  ASSERT_TRUE(guest.next());
  EXPECT_EQ(answer(kSendConnected, 28), GuestEvent::ready);
}

TEST_F(NvspGuest, FailsOnAnInitAnswerOfAnyShorterLength) {
  for (std::size_t length = 0; length < 16; ++length) {
    guest.start(config());
    ASSERT_TRUE(guest.next());
    EXPECT_EQ(guest.on_completion(cut(hex(kAccepted), length)), GuestEvent::failed) << length;
    EXPECT_EQ(guest.failure(), Failure::malformed_answer) << length;
  }
}

TEST_F(NvspGuest, FailsOnABufferAnswerOfAnyShorterLength) {
  for (std::size_t length = 0; length < 28; ++length) {
    guest.start(config());
    up_to_receive_buffer();
    EXPECT_EQ(guest.on_completion(cut(hex(kReceiveConnected), length)), GuestEvent::failed) << length;
    EXPECT_EQ(guest.failure(), Failure::malformed_answer) << length;
  }
  for (std::size_t length = 0; length < 12; ++length) {
    guest.start(config());
    up_to_send_buffer();
    EXPECT_EQ(guest.on_completion(cut(hex(kSendConnected), length)), GuestEvent::failed) << length;
    EXPECT_EQ(guest.failure(), Failure::malformed_answer) << length;
  }
}

TEST_F(NvspGuest, FailsOnAnAnswerOfAnotherType) {
  ASSERT_TRUE(guest.next());
  EXPECT_EQ(answer("6c000000 01000000 22000000 01000000"), GuestEvent::failed);
  EXPECT_EQ(guest.failure(), Failure::malformed_answer);
}

struct BadAnswer {
  const char* what;
  const char* answer;
  Failure failure;
};

TEST_F(NvspGuest, DoesNotBelieveABadReceiveBufferAnswer) {  // 6.2, of message 102
  const BadAnswer bad[] = {
      {"refused", "66000000 02000000 01000000 00000000 c0060000 7b490000", Failure::receive_buffer_refused},
      {"status none", "66000000 00000000 01000000 00000000 c0060000 7b490000", Failure::receive_buffer_refused},
      {"no section", "66000000 01000000 00000000 00000000 c0060000 7b490000", Failure::receive_section_count},
      {"two sections", "66000000 01000000 02000000 00000000 c0060000 7b490000", Failure::receive_section_count},
      {"an offset", "66000000 01000000 01000000 08000000 c0060000 7b490000", Failure::receive_section_offset},
      {"no size", "66000000 01000000 01000000 00000000 00000000 7b490000", Failure::suballoc_too_small},
      {"size 127", "66000000 01000000 01000000 00000000 7f000000 7b490000", Failure::suballoc_too_small},
      {"no suballoc", "66000000 01000000 01000000 00000000 c0060000 00000000", Failure::suballoc_count},
      {"too many", "66000000 01000000 01000000 00000000 80000000 01001000", Failure::suballoc_count},
      {"one too many", "66000000 01000000 01000000 00000000 c0060000 7c490000", Failure::suballocs_exceed_buffer},
      {"size above the buffer", "66000000 01000000 01000000 00000000 0100f001 01000000",
       Failure::suballocs_exceed_buffer},
      {"product 2^32", "66000000 01000000 01000000 00000000 00000100 00000100", Failure::suballocs_exceed_buffer},
  };
  for (const BadAnswer& one : bad) {
    guest.start(config());
    up_to_receive_buffer();
    EXPECT_EQ(answer(one.answer), GuestEvent::failed) << one.what;
    EXPECT_EQ(guest.failure(), one.failure) << one.what;
    EXPECT_FALSE(guest.next()) << one.what;
  }
}

TEST_F(NvspGuest, TakesTheSmallestAndTheOddestReceiveBufferAnswer) {
  up_to_receive_buffer();
  EXPECT_EQ(answer("66000000 01000000 01000000 00000000 80000000 01000000"), GuestEvent::progress);
  guest.start(config());
  up_to_receive_buffer();
  EXPECT_EQ(answer("66000000 01000000 01000000 00000000 0e070000 01000000"), GuestEvent::progress);  // 1806: OpenVMM
}

TEST_F(NvspGuest, NeverGoesBelow68BytesHoweverItIsConfigured) {
  GuestConfig tiny = config();
  tiny.min_suballoc_bytes = 1;
  guest.start(tiny);
  up_to_receive_buffer();
  EXPECT_EQ(answer("66000000 01000000 01000000 00000000 43000000 01000000"), GuestEvent::failed);
  guest.start(tiny);
  up_to_receive_buffer();
  EXPECT_EQ(answer("66000000 01000000 01000000 00000000 44000000 01000000"), GuestEvent::progress);
}

TEST_F(NvspGuest, DoesNotBelieveABadSendBufferAnswer) {  // 6.2, of message 105
  const BadAnswer bad[] = {
      {"refused", "69000000 02000000 00180000", Failure::send_buffer_refused},
      {"no size", "69000000 01000000 00000000", Failure::section_too_small},
      {"size 248", "69000000 01000000 f8000000", Failure::section_too_small},
      {"size 6145", "69000000 01000000 01180000", Failure::section_misaligned},
      {"size 6148", "69000000 01000000 04180000", Failure::section_misaligned},
      {"above the buffer", "69000000 01000000 08000001", Failure::section_exceeds_buffer},
  };
  for (const BadAnswer& one : bad) {
    guest.start(config());
    up_to_send_buffer();
    EXPECT_EQ(answer(one.answer), GuestEvent::failed) << one.what;
    EXPECT_EQ(guest.failure(), one.failure) << one.what;
  }
}

TEST_F(NvspGuest, TakesASectionAsLargeAsTheBuffer) {
  up_to_send_buffer();
  EXPECT_EQ(answer("69000000 01000000 00000001"), GuestEvent::ready);
  EXPECT_EQ(guest.result().section_count, 1u);
}

TEST_F(NvspGuest, CountsCompletionsThatItDoesNotWaitFor) {
  EXPECT_EQ(answer(kAccepted, 32), GuestEvent::ignored);  // early
  attach();
  EXPECT_EQ(answer(kSendConnected), GuestEvent::ignored);  // doubled
  EXPECT_EQ(guest.state(), GuestState::ready);
  EXPECT_EQ(guest.counters().unexpected_completions, 2u);
}

TEST_F(NvspGuest, CountsUnsolicitedMessagesAndGoesOn) {
  ASSERT_TRUE(guest.next());
  EXPECT_EQ(guest.on_message(padded("80000000 01000000 05000000", 40)), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message(padded("81000000 00000000", 40)), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message(padded("86000000 10000000 28000000", 104)), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message(padded("86000000 10000000 ffffffff", 80)), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message(padded("ff000000", 40)), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message(hex("80000000 01000000")), GuestEvent::ignored);
  EXPECT_EQ(guest.on_message({}), GuestEvent::ignored);
  EXPECT_EQ(guest.counters().vf_associations, 1u);
  EXPECT_EQ(guest.counters().data_path_switches, 1u);
  EXPECT_EQ(guest.counters().send_tables, 2u);
  EXPECT_EQ(guest.counters().unknown_messages, 1u);
  EXPECT_EQ(guest.counters().malformed_messages, 2u);
  EXPECT_EQ(answer(kAccepted, 32), GuestEvent::progress);
}

TEST_F(NvspGuest, RevokesBothBuffersWhenItDetaches) {
  attach();
  guest.detach();
  EXPECT_EQ(sent(), message("67000000 feca0000"));
  EXPECT_FALSE(completion_requested);
  EXPECT_EQ(sent(), message("6a000000 cefa0000"));
  EXPECT_FALSE(completion_requested);
  EXPECT_FALSE(guest.next());
  EXPECT_EQ(guest.state(), GuestState::detached);
  guest.detach();
  EXPECT_FALSE(guest.next());
}

TEST_F(NvspGuest, RevokesOnlyWhatTheHostMayHave) {
  agree_on(NvspVersion::v6_1);
  guest.detach();
  EXPECT_FALSE(guest.next());
  EXPECT_EQ(guest.state(), GuestState::detached);

  guest.start(config());
  up_to_receive_buffer();
  EXPECT_EQ(answer("66000000 02000000"
                   "00000000 00000000 00000000 00000000"),
            GuestEvent::failed);
  guest.detach();
  EXPECT_FALSE(guest.next());

  guest.start(config());
  up_to_send_buffer();
  EXPECT_EQ(answer("69000000 02000000 00000000"), GuestEvent::failed);
  guest.detach();
  EXPECT_EQ(sent(), message("67000000 feca0000"));
  EXPECT_FALSE(guest.next());
}

TEST_F(NvspGuest, RevokesABufferWhoseAnswerNeverCameOrWasBad) {
  up_to_receive_buffer();
  guest.abandon(Failure::timed_out);
  EXPECT_EQ(guest.state(), GuestState::failed);
  EXPECT_EQ(guest.failure(), Failure::timed_out);
  guest.detach();
  EXPECT_EQ(sent(), message("67000000 feca0000"));

  guest.start(config());
  up_to_send_buffer();
  EXPECT_EQ(answer("69000000 01000000 00000000"), GuestEvent::failed);
  guest.detach();
  EXPECT_EQ(sent(), message("67000000 feca0000"));
  EXPECT_EQ(sent(), message("6a000000 cefa0000"));
}

TEST_F(NvspGuest, IgnoresALateAnswerAfterItGaveUp) {
  up_to_receive_buffer();
  guest.abandon(Failure::timed_out);
  EXPECT_EQ(answer(kReceiveConnected), GuestEvent::ignored);
  EXPECT_EQ(guest.state(), GuestState::failed);
}

TEST_F(NvspGuest, AttachesAgainFromEveryState) {
  attach();
  guest.start(config());
  attach();
  guest.detach();
  while (guest.next()) {}
  guest.start(config());
  attach();
  guest.abandon(Failure::channel_closed);
  EXPECT_EQ(guest.failure(), Failure::channel_closed);
  guest.start(config());
  attach();
  EXPECT_EQ(guest.failure(), Failure::none);
}

TEST_F(NvspGuest, DoesNothingBeforeItIsStarted) {
  Guest fresh;
  EXPECT_FALSE(fresh.next());
  fresh.detach();
  fresh.abandon(Failure::timed_out);
  EXPECT_EQ(fresh.state(), GuestState::idle);
  EXPECT_EQ(fresh.on_completion(hex(kAccepted)), GuestEvent::ignored);
}

TEST(NvspFailure, EveryReasonHasAName) {
  for (int i = 0; i <= static_cast<int>(Failure::channel_closed); ++i) {
    EXPECT_STRNE(name(static_cast<Failure>(i)), "unknown") << i;
  }
}

}  // namespace
}  // namespace vmbpmd::nvsp
