// SPDX-License-Identifier: BSD-3-Clause
// Random operations on a small ring against a twin made of std::deque, compared after each step.
#include <deque>
#include <numeric>

#include <gtest/gtest.h>

#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/random.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

using test::Bytes;
using test::Random;
using test::Ring;

class Twin {
 public:
  explicit Twin(std::uint32_t size) : size_(size), ring_(size) {}

  void step(Random& random) {
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: append(random); break;
      case 4:
      case 5: publish(); break;
      case 6: revert(random); break;
      case 7:
      case 8:
      case 9: take(); break;
      case 10: advance(); break;
      default: change_words(random); break;
    }
    compare();
  }

  std::uint64_t wraps() const { return written_ / size_; }

 private:
  struct Packet {
    std::uint64_t id;
    Bytes payload;
    std::uint32_t total() const { return wire::ring_bytes(16, static_cast<std::uint32_t>(payload.size())); }
  };

  static std::uint32_t total(const std::deque<Packet>& packets) {
    return std::accumulate(packets.begin(), packets.end(), 0u, [](auto sum, auto& p) { return sum + p.total(); });
  }

  void append(Random& random) {
    Packet packet{random.next(), Bytes(random.below(random.one_in(8) ? size_ + 64 : 128))};
    random.fill(packet.payload);
    const std::uint32_t need = packet.total();
    const std::uint32_t used = taken_ + total(visible_) + total(hidden_);
    const Status want = need > size_ - 8 ? Status::too_big : need < size_ - used ? Status::ok : Status::full;
    ASSERT_EQ(test::append(ring_.producer, packet.id, packet.payload), want);
    if (want == Status::ok) hidden_.push_back(std::move(packet));
  }

  void publish() {
    const bool was_empty = taken_ == 0 && visible_.empty();
    const bool kick = !hidden_.empty() && was_empty && ring_.block.mask() == 0;
    written_ += total(hidden_);
    std::move(hidden_.begin(), hidden_.end(), std::back_inserter(visible_));
    hidden_.clear();
    ASSERT_EQ(ring_.producer.publish(), kick ? Kick::yes : Kick::no);
  }

  void revert(Random& random) {
    if (!random.one_in(4)) return;
    hidden_.clear();
    ring_.producer.revert();
  }

  void take() {
    PeekedPacket packet;
    if (visible_.empty()) {
      ASSERT_EQ(ring_.consumer.peek(packet), Status::empty);
      return;
    }
    const Packet& want = visible_.front();
    ASSERT_EQ(ring_.consumer.peek(packet), Status::ok);
    ASSERT_EQ(packet.descriptor.transaction_id, want.id);
    ASSERT_EQ(packet.payload_bytes(), align_up(want.payload.size(), 8));
    Bytes got(packet.payload_bytes());
    ring_.consumer.copy(packet, packet.header_bytes(), got.data(), packet.payload_bytes());
    Bytes padded = want.payload;
    padded.resize(got.size());
    ASSERT_EQ(got, padded);
    ring_.consumer.take(packet);
    taken_ += want.total();
    visible_.pop_front();
  }

  void advance() {
    const std::uint32_t wanted = ring_.block.pending() & ~7u;
    const std::uint32_t before = size_ - taken_ - total(visible_);
    const std::uint32_t after = before + taken_;
    const bool kick = taken_ != 0 && wanted != 0 && before <= wanted && after > wanted;
    read_ += taken_;
    taken_ = 0;
    ASSERT_EQ(ring_.consumer.advance(), kick ? Kick::yes : Kick::no);
  }

  void change_words(Random& random) {
    switch (random.below(4)) {
      case 0: ring_.block.set_pending(random.below(2) * random.below(size_ + 16)); break;
      case 1: ring_.consumer.disarm(); break;
      case 2: ASSERT_EQ(ring_.consumer.arm(), visible_.empty()); break;
      default: ASSERT_EQ(ring_.producer.refreshed_room(), size_ - 8 - taken_ - total(visible_) - total(hidden_)); break;
    }
  }

  void compare() {
    ASSERT_EQ(ring_.block.write_index(), written_ % size_);
    ASSERT_EQ(ring_.block.read_index(), read_ % size_);
    ASSERT_EQ(ring_.producer.fault(), Fault::none);
    ASSERT_EQ(ring_.consumer.fault(), Fault::none);
  }

  std::uint32_t size_;
  Ring ring_;
  std::deque<Packet> hidden_, visible_;  // appended; published
  std::uint32_t taken_{};                // ring bytes not given back yet
  std::uint64_t written_{}, read_{};     // published, given back; ever
};

class RingModel : public testing::TestWithParam<std::uint32_t> {};

TEST_P(RingModel, AgreesWithADequeOverThousandsOfWraps) {
  Random random(GetParam());
  Twin twin(GetParam());
  for (int step = 0; step < 1'000'000 && twin.wraps() < 3'000; ++step) {
    twin.step(random);
    if (testing::Test::HasFatalFailure()) FAIL() << "at step " << step;
  }
  EXPECT_GE(twin.wraps(), GetParam() <= 4096 ? 3'000u : 100u);
}

INSTANTIATE_TEST_SUITE_P(, RingModel, testing::Values(256u, 512u, 4096u, 8192u));

}  // namespace
}  // namespace vmb
