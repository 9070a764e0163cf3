// SPDX-License-Identifier: BSD-3-Clause
// Two threads and one small ring; both sides really sleep: the consumer on an empty ring (interrupt mask), the producer
// on a full one (pending send size). A kick that does not come is a hang, and is reported as one.
#include <algorithm>
#include <atomic>
#include <ostream>
#include <thread>

#include <gtest/gtest.h>

#include "ring/consumer.hpp"
#include "ring/producer.hpp"
#include "support/numbered.hpp"
#include "support/ring_block.hpp"
#include "support/rings.hpp"
#include "support/sleeper.hpp"

namespace vmb {
namespace {

using test::Clock;
using test::Numbered;
using test::Sleeper;

struct Shape {
  const char* name;
  std::uint32_t data_bytes;
  std::uint32_t most_payload;
  std::uint32_t burst;  // packets published, taken at once, at most
  friend void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }
};

class RingStress : public testing::TestWithParam<Shape> {
 protected:
  RingStress()
      : block(GetParam().data_bytes), producer(block.memory()), consumer(block.memory(), wire::kMaxPacketBytes) {}

  void produce() {
    Numbered numbered(GetParam().most_payload);
    const auto end = Clock::now() + test::stress_time();
    for (std::uint64_t n = 0; !failed; ++n) {
      const bool last = n % 64 == 63 && Clock::now() >= end;
      const auto payload = numbered.make(n, last);
      while (test::append(producer, n, payload) != Status::ok) {
        if (!wait_for_room(payload.size())) return;
      }
      if (last || n % GetParam().burst == 0) publish();
      sent = n + 1;
      if (last) return;
    }
  }

  /// False: stop, the test has failed.
  bool wait_for_room(std::size_t payload_bytes) {
    if (producer.fault() != Fault::none) return fail("producer saw a bad index");
    publish();
    if (producer.wait_for(wire::ring_bytes(16, static_cast<std::uint32_t>(payload_bytes)))) return true;
    while (!room_came.sleep()) {
      if (failed) return false;
      if (producer.refreshed_room() >= wire::ring_bytes(16, static_cast<std::uint32_t>(payload_bytes))) {
        return fail("HANG: producer asleep, room for its packet, no kick sent");
      }
    }
    return !failed;
  }

  void publish() {
    if (producer.publish() == Kick::yes) data_came.kick();
  }

  void consume() {
    Numbered numbered(GetParam().most_payload);
    consumer.disarm();
    for (std::uint64_t n = 0; !failed;) {
      std::uint32_t taken = 0;
      bool last = false;
      PeekedPacket packet;
      for (; taken < GetParam().burst && !last && consumer.peek(packet) == Status::ok; ++taken, ++n) {
        const auto bytes = packet.payload_bytes();
        consumer.copy(packet, packet.header_bytes(), numbered.room(bytes).data(), bytes);
        if (packet.descriptor.transaction_id != n || !numbered.is(n, bytes)) {
          (void)fail("packet out of order or changed");
          return;
        }
        last = numbered.last();
        consumer.take(packet);
      }
      if (consumer.advance() == Kick::yes) room_came.kick();
      received = n;
      if (last) return;
      if (taken == 0 && !wait_for_data()) return;
    }
  }

  bool wait_for_data() {
    if (consumer.fault() != Fault::none) return fail("consumer saw a bad packet");
    if (!consumer.arm()) return true;
    while (!data_came.sleep()) {
      if (failed) return false;
      if (block.write_index() != block.read_index()) return fail("HANG: consumer asleep, ring not empty, no kick sent");
    }
    consumer.disarm();
    return true;
  }

  /// Says why, ends both sides.
  bool fail(const char* why) {
    ADD_FAILURE() << why << "; sent " << sent << ", received " << received << ", write_index " << block.write_index()
                  << ", read_index " << block.read_index() << ", interrupt_mask " << block.mask()
                  << ", pending_send_size " << block.pending();
    failed = true;
    data_came.kick();
    room_came.kick();
    return false;
  }

  test::RingBlock block;
  Producer producer;
  Consumer consumer;
  Sleeper data_came, room_came;  // rung by the producer, by the consumer
  std::atomic<std::uint64_t> sent{}, received{};
  std::atomic<bool> failed{};
};

TEST_P(RingStress, NothingIsLostAndNobodySleepsForEver) {
  std::thread consuming([this] { consume(); });
  produce();
  consuming.join();
  EXPECT_EQ(sent, received);
  std::printf("  %s: %llu packets, producer slept %llu times, consumer %llu times, %llu kicks\n", GetParam().name,
              static_cast<unsigned long long>(sent.load()), static_cast<unsigned long long>(room_came.sleeps()),
              static_cast<unsigned long long>(data_came.sleeps()),
              static_cast<unsigned long long>(room_came.kicks() + data_came.kicks()));
  EXPECT_GT(room_came.sleeps() + data_came.sleeps(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    , RingStress,
    testing::Values(Shape{"SixtyFourByteEntries", 4096, 40, 1},  // the smallest legal ring, 63 packets of 64 bytes
                    Shape{"FourEntries", 4 * 64 + 8, 40, 1},     // smaller than legal: full and empty all the time
                    Shape{"FourEntriesInBursts", 4 * 64 + 8, 40, 3},
                    Shape{"LargePackets", 4096, 3000, 2}),  // one or two fit
    [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace vmb
