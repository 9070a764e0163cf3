// SPDX-License-Identifier: BSD-3-Clause
#include "packet/in_flight.hpp"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/random.hpp"

namespace vmb {
namespace {

class InFlightOf8 : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(table.reset(8)); }
  InFlight table;
};

TEST_F(InFlightOf8, RetiresWhatWasBegun) {
  const TransactionId id = table.begin(3);
  EXPECT_TRUE(table.in_flight(3));
  EXPECT_EQ(table.retire(id), 3u);
  EXPECT_FALSE(table.in_flight(3));
}

TEST_F(InFlightOf8, SecondCompletionRetiresNothing) {
  const TransactionId id = table.begin(3);
  EXPECT_EQ(table.retire(id), 3u);
  EXPECT_EQ(table.retire(id), std::nullopt);
}

TEST_F(InFlightOf8, LateCompletionDoesNotRetireTheNextUse) {
  const TransactionId late = table.begin(3);
  EXPECT_EQ(table.retire(late), 3u);
  const TransactionId id = table.begin(3);
  EXPECT_NE(id, late);
  EXPECT_EQ(table.retire(late), std::nullopt);
  EXPECT_TRUE(table.in_flight(3));
  EXPECT_EQ(table.retire(id), 3u);
}

TEST_F(InFlightOf8, UnknownIdsRetireNothing) {
  const auto id = static_cast<std::uint64_t>(table.begin(3));
  const std::uint64_t use = std::uint64_t{1} << 32;
  const std::vector<std::uint64_t> ids{
      0, 1, id - 1, id + 1, id + use, id - use, id + 2 * use, id % use, id - id % use, id | 0x80000000, use | 9, ~0ul};
  for (const std::uint64_t wrong : ids) {
    EXPECT_EQ(table.retire(TransactionId{wrong}), std::nullopt) << std::hex << wrong;
  }
  EXPECT_EQ(table.retire(TransactionId{id}), 3u);
}

TEST_F(InFlightOf8, IdsAreNeverZeroAndNeverComeBack) {
  std::set<TransactionId> seen{TransactionId::none};
  for (int use = 0; use < 1000; ++use) {
    for (std::uint32_t slot = 0; slot < table.slots(); ++slot) {
      const TransactionId id = table.begin(slot);
      ASSERT_TRUE(seen.insert(id).second);
      ASSERT_EQ(table.retire(id), slot);
    }
  }
}

TEST_F(InFlightOf8, CompletionsComeInAnyOrder) {
  std::vector<TransactionId> ids;
  for (std::uint32_t slot = 0; slot < 8; ++slot) ids.push_back(table.begin(slot));
  for (const std::uint32_t slot : {5u, 0u, 7u, 2u, 1u, 6u, 3u, 4u}) EXPECT_EQ(table.retire(ids[slot]), slot);
}

TEST_F(InFlightOf8, CancelledIsNotInFlight) {
  const TransactionId id = table.begin(2);
  EXPECT_TRUE(table.cancel(id));
  EXPECT_FALSE(table.in_flight(2));
  EXPECT_EQ(table.retire(id), std::nullopt);
  EXPECT_FALSE(table.cancel(id));
}

TEST_F(InFlightOf8, ResetLeavesAllIdle) {
  (void)table.begin(1);
  ASSERT_TRUE(table.reset(4));
  EXPECT_EQ(table.slots(), 4u);
  for (std::uint32_t slot = 0; slot < 4; ++slot) EXPECT_FALSE(table.in_flight(slot));
}

TEST(InFlight, EmptyTableKnowsNothing) {
  InFlight table;
  EXPECT_EQ(table.slots(), 0u);
  EXPECT_EQ(table.retire(TransactionId{0x1'00000001}), std::nullopt);
  EXPECT_TRUE(table.reset(0));
  EXPECT_EQ(table.retire(TransactionId{0x1'00000001}), std::nullopt);
}

TEST(InFlight, RandomIdsRetireOnlyWhatIsInFlight) {
  test::Random random(7);
  InFlight table;
  ASSERT_TRUE(table.reset(4));
  std::set<TransactionId> out;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t slot = random.below(4);
    if (!table.in_flight(slot) && random.one_in(4)) out.insert(table.begin(slot));
    const TransactionId guess{std::uint64_t{random.below(200)} << 32 | random.below(8)};
    ASSERT_EQ(table.retire(guess).has_value(), out.erase(guess) == 1);
  }
}

// A peer can guess an id and complete it while the sender takes the send back: only one of the two may get the slot,
// else it is freed twice.
TEST(InFlight, CancelAndAGuessedCompletionDoNotBothGetTheSlot) {
  InFlight table;
  ASSERT_TRUE(table.reset(1));
  std::atomic<std::uint64_t> guess{0};
  std::atomic<bool> done{false};
  std::atomic<std::uint32_t> retired{0};
  std::thread receiver([&] {
    while (!done) {
      if (table.retire(TransactionId{guess.load()})) retired.fetch_add(1);
    }
  });
  for (std::uint32_t round = 0; round < 200'000; ++round) {
    const std::uint32_t before = retired;
    const TransactionId id = table.begin(0);
    guess = static_cast<std::uint64_t>(id);
    const bool cancelled = table.cancel(id);
    guess = 0;
    if (!cancelled) {
      while (retired == before) std::this_thread::yield();
    } else if (retired != before) {
      ADD_FAILURE() << "slot freed twice in round " << round;
      break;
    }
  }
  done = true;
  receiver.join();
  EXPECT_FALSE(table.in_flight(0));
}

}  // namespace
}  // namespace vmb
