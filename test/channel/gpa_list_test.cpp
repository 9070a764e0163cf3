// SPDX-License-Identifier: BSD-3-Clause
#include "channel/gpa_list.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "support/hex.hpp"
#include "support/random.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::Bytes;
using test::hex;
using test::Random;

using View = std::span<const std::byte>;

struct Piece {
  std::uint64_t at;
  std::uint32_t bytes;
  bool first;
  friend bool operator==(const Piece&, const Piece&) = default;
  friend void PrintTo(const Piece& p, std::ostream* out) {
    *out << std::hex << p.at << "+" << p.bytes << (p.first ? " first" : "");
  }
};

struct Walked {
  std::vector<Piece> pieces;
  bool malformed;
};

Walked walk(View extension, std::uint32_t range_count) {
  const Bytes exact(extension.begin(), extension.end());  // AddressSanitizer sees a byte too many
  GpaWalk walk(exact, range_count);
  Walked result{};
  while (const auto piece = walk.next()) {
    result.pieces.push_back({static_cast<std::uint64_t>(piece->at), piece->bytes, piece->first_of_range});
  }
  EXPECT_EQ(walk.next(), std::nullopt) << "the end stays the end";
  result.malformed = walk.malformed();
  return result;
}

TEST(GpaWalk, ReturnsWhatAListWasGiven) {
  GpaList list;
  ASSERT_TRUE(list.add(Gpa{0x1234}, 100));
  ASSERT_TRUE(list.add(Gpa{0x5ff8}, 16));     // crosses a page
  ASSERT_TRUE(list.add(Gpa{0x10000}, 4096));  // a whole page
  ASSERT_TRUE(list.add(Gpa{0x20fff}, 8194));  // four pages
  const Walked got = walk(list.bytes(), list.count());
  EXPECT_FALSE(got.malformed);
  EXPECT_EQ(got.pieces, (std::vector<Piece>{
                            {0x1234, 100, true}, {0x5ff8, 16, true}, {0x10000, 4096, true}, {0x20fff, 8194, true}}));
}

TEST(GpaWalk, MergesOnlyConsecutivePages) {
  // 0x2800 bytes from offset 0x800 over pages 7, 8, 5
  const Walked got = walk(hex("00280000 00080000 0700000000000000 0800000000000000 0500000000000000"), 1);
  EXPECT_FALSE(got.malformed);
  EXPECT_EQ(got.pieces, (std::vector<Piece>{{0x7800, 0x1800, true}, {0x5000, 0x1000, false}}));
}

TEST(GpaWalk, DoesNotMergeRanges) {
  const Walked got = walk(hex("00100000 00000000 0700000000000000 00100000 00000000 0800000000000000"), 2);
  EXPECT_EQ(got.pieces, (std::vector<Piece>{{0x7000, 0x1000, true}, {0x8000, 0x1000, true}}));
}

TEST(GpaWalk, SamePageTwiceIsTwoPieces) {
  const Walked got = walk(hex("00200000 00000000 0700000000000000 0700000000000000"), 1);
  EXPECT_EQ(got.pieces, (std::vector<Piece>{{0x7000, 0x1000, true}, {0x7000, 0x1000, false}}));
}

TEST(GpaWalk, SlackBehindTheRangesIsTolerated) {
  const Walked got = walk(hex("10000000 00000000 0700000000000000 ffffffffffffffff"), 1);
  EXPECT_FALSE(got.malformed);
  EXPECT_EQ(got.pieces, (std::vector<Piece>{{0x7000, 0x10, true}}));
}

TEST(GpaWalk, MalformedRanges) {
  const auto malformed = [](std::string_view digits, std::uint32_t count = 1) {
    const Walked got = walk(hex(digits), count);
    return got.malformed && got.pieces.empty();
  };
  EXPECT_TRUE(malformed("00000000 00000000 0700000000000000")) << "no bytes";
  EXPECT_TRUE(malformed("01000000 00100000 0700000000000000")) << "offset 4096";
  EXPECT_TRUE(malformed("01000000 ffffffff 0700000000000000")) << "offset beyond the page";
  EXPECT_TRUE(malformed("02000000 ff0f0000 0700000000000000")) << "the second page is missing";
  EXPECT_TRUE(malformed("ffffffff ff0f0000 0700000000000000")) << "2^20 pages are missing, sum beyond 32 bits";
  EXPECT_TRUE(malformed("01000000 00000000")) << "no page at all";
  EXPECT_TRUE(malformed(""));
}

TEST(GpaWalk, PageNumbersBeyond64BitsOfAddressAreMalformed) {
  EXPECT_TRUE(walk(hex("01000000 00000000 0000000000001000"), 1).malformed) << "page 2^52: its address would be 0";
  EXPECT_TRUE(walk(hex("01000000 00000000 ffffffffffffffff"), 1).malformed);
  const Walked last = walk(hex("00200000 00000000 ffffffffffff0f00 0000000000001000"), 1);
  EXPECT_TRUE(last.malformed);
  EXPECT_EQ(last.pieces, (std::vector<Piece>{{0xfffffffffffff000, 0x1000, true}})) << "no piece goes round the end";
}

TEST(GpaWalk, SecondRangeMalformedStopsThere) {
  const Walked got = walk(hex("01000000 00000000 0700000000000000 00000000 00000000 0800000000000000"), 2);
  EXPECT_TRUE(got.malformed);
  EXPECT_EQ(got.pieces.size(), 1u);
}

TEST(GpaWalk, EveryTruncationIsMalformedOrShorter) {
  GpaList list;
  ASSERT_TRUE(list.add(Gpa{0x1234}, 100));
  ASSERT_TRUE(list.add(Gpa{0x20fff}, 8194));
  ASSERT_TRUE(list.add(Gpa{0x5ff8}, 16));
  for (std::size_t bytes = 0; bytes < list.bytes().size(); ++bytes) {
    const Walked got = walk(list.bytes().first(bytes), list.count());
    EXPECT_TRUE(got.malformed) << bytes;
    EXPECT_LT(got.pieces.size(), 3u) << bytes;
  }
}

TEST(GpaWalk, RandomListsComeBack) {
  Random random(5);
  for (int round = 0; round < 2'000; ++round) {
    GpaList list;
    std::vector<Piece> want;
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t at = random.next() >> (12 + random.below(40));
      const std::uint32_t bytes = 1 + random.below(random.one_in(4) ? 70'000 : 3'000);
      const std::size_t before = list.bytes().size();
      if (list.add(Gpa{at}, bytes)) {
        want.push_back({at, bytes, true});
      } else {
        ASSERT_EQ(list.bytes().size(), before);
        ASSERT_EQ(list.count(), want.size());
      }
    }
    const Walked got = walk(list.bytes(), list.count());
    ASSERT_FALSE(got.malformed);
    ASSERT_EQ(got.pieces, want);
  }
}

TEST(GpaWalk, RandomBytesNeverLeadOutside) {
  Random random(6);
  for (int round = 0; round < 100'000; ++round) {
    Bytes bytes(random.below(16) * 8 + (random.one_in(8) ? random.below(8) : 0));
    random.fill(bytes);
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {  // something that could be a range, here and there
      const wire::GpaRange range{random.below(20'000), random.below(4200)};
      if (random.one_in(2)) std::memcpy(bytes.data() + at, &range, sizeof range);
    }
    for (const Piece& piece : walk(bytes, random.below(8)).pieces) {
      ASSERT_GT(piece.bytes, 0u);
      ASSERT_GE(piece.at + (piece.bytes - 1), piece.at);
    }
  }
}

TEST(GpaList, FullChangesNothing) {
  GpaList ranges;
  for (std::uint32_t i = 0; i < GpaList::kMaxRanges; ++i) ASSERT_TRUE(ranges.add(Gpa{i * 64}, 64));
  EXPECT_FALSE(ranges.add(Gpa{0}, 1));
  EXPECT_EQ(ranges.count(), GpaList::kMaxRanges);

  GpaList pages;
  EXPECT_FALSE(pages.add(Gpa{0}, GpaList::kMaxQwords * kPageSize));
  EXPECT_EQ(pages.count(), 0u);
  EXPECT_TRUE(pages.bytes().empty());
  EXPECT_TRUE(pages.add(Gpa{0}, (GpaList::kMaxQwords - 1) * kPageSize));
  EXPECT_EQ(pages.bytes().size(), GpaList::kMaxQwords * 8);
}

}  // namespace
}  // namespace vmb
