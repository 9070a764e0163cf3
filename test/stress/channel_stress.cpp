// SPDX-License-Identifier: BSD-3-Clause
// Whole channels under two threads: data both ways with one doorbell per end, as a transport gives it; and ends that
// are closed and opened under the other's bursts.
#include "channel/channel.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "support/numbered.hpp"
#include "support/ring_block.hpp"
#include "support/sleeper.hpp"

namespace vmb {
namespace {

using test::Clock;
using test::Numbered;
using test::Sleeper;

/// One end: sends its own stream and checks the peer's, in bursts; sleeps when it can do neither.
class End {
 public:
  End(std::atomic<bool>& failed, std::uint32_t burst)
      : failed_(failed), burst_(burst), give_up_(Clock::now() + test::stress_time()) {}

  void open(RingMemory outbound, RingMemory inbound, Sleeper& peer) {
    const Doorbell bell{[](void* self) noexcept { static_cast<Sleeper*>(self)->kick(); }, &peer};
    channel_.open({outbound, inbound, bell});
  }

  void run() {
    while (!failed_ && !(sent_last_ && received_last_)) {
      const bool sent = send();
      const bool received = receive();
      if (!sent && !received && !failed_) wait();
    }
  }

  Sleeper& sleeper() { return sleeper_; }
  std::uint64_t sent() const { return next_out_; }
  std::uint64_t received() const { return next_in_; }

 private:
  static constexpr std::uint32_t kMost = 40;  // 64-byte entries

  bool send() {
    Channel::Sender sender(channel_);
    std::uint32_t sent = 0;
    for (; sent < burst_ && !sent_last_; ++sent, ++next_out_) {
      const bool last = next_out_ % 64 == 63 && Clock::now() >= give_up_;
      const auto payload = out_.make(next_out_, last);
      const Status status = sender.in_band(TransactionId{next_out_}, false, payload);
      if (status == Status::full) break;
      if (status != Status::ok) fail("send failed");
      sent_last_ = last;
    }
    return sent != 0;
  }

  bool receive() {
    Channel::Receiver receiver(channel_);
    std::uint32_t taken = 0;
    PeekedPacket packet;
    for (; taken < burst_ && receiver.peek(packet) == Status::ok; ++taken, ++next_in_) {
      const auto bytes = receiver.copy_payload(packet, in_.room(packet.payload_bytes()));
      if (packet.descriptor.transaction_id != next_in_ || !in_.is(next_in_, bytes))
        fail("packet out of order or changed");
      received_last_ = in_.last();
      receiver.take(packet);
    }
    if (receiver.fault() != Fault::none) fail("receiver saw a fault");
    return taken != 0;
  }

  void wait() {
    const bool wants_room = !sent_last_;
    if (wants_room) {
      Channel::Sender sender(channel_);
      if (sender.ring().wait_for(64)) return;
    }
    {
      Channel::Receiver receiver(channel_);
      if (!receiver.ring().arm()) return;
    }
    while (!sleeper_.sleep() && !failed_) {
      Channel::Sender sender(channel_);
      Channel::Receiver receiver(channel_);
      PeekedPacket packet;
      if (wants_room && sender.ring().refreshed_room() >= 64)
        fail("HANG: asleep, room in the outbound ring, no kick sent");
      if (receiver.peek(packet) != Status::empty) fail("HANG: asleep, inbound ring not empty, no kick sent");
    }
    Channel::Receiver(channel_).ring().disarm();
  }

  void fail(const char* why) {
    if (!failed_.exchange(true)) ADD_FAILURE() << why << "; sent " << next_out_ << ", received " << next_in_;
  }

  std::atomic<bool>& failed_;
  std::uint32_t burst_;
  Clock::time_point give_up_;
  Channel channel_;
  Sleeper sleeper_;
  Numbered out_{kMost}, in_{kMost};
  std::uint64_t next_out_{}, next_in_{};
  bool sent_last_{}, received_last_{};
};

struct Shape {
  std::uint32_t data_bytes, burst;
};

class ChannelStress : public testing::TestWithParam<Shape> {};

TEST_P(ChannelStress, BothWaysNothingIsLostAndNobodySleepsForEver) {
  test::RingBlock to_host(GetParam().data_bytes), to_guest(GetParam().data_bytes);
  std::atomic<bool> failed{};
  End guest(failed, GetParam().burst), host(failed, GetParam().burst);
  guest.open(to_host.memory(), to_guest.memory(), host.sleeper());
  host.open(to_guest.memory(), to_host.memory(), guest.sleeper());
  std::thread host_thread([&host] { host.run(); });
  guest.run();
  host_thread.join();
  EXPECT_EQ(guest.sent(), host.received());
  EXPECT_EQ(host.sent(), guest.received());
  std::printf("  %llu + %llu packets, slept %llu + %llu times\n", static_cast<unsigned long long>(guest.sent()),
              static_cast<unsigned long long>(host.sent()), static_cast<unsigned long long>(guest.sleeper().sleeps()),
              static_cast<unsigned long long>(host.sleeper().sleeps()));
}

INSTANTIATE_TEST_SUITE_P(, ChannelStress, testing::Values(Shape{4096, 8}, Shape{4 * 64 + 8, 1}, Shape{4 * 64 + 8, 8}),
                         [](const auto& shape) {
                           return "Ring" + std::to_string(shape.param.data_bytes) + "Burst" +
                                  std::to_string(shape.param.burst);
                         });

// Memory may be given back when close() has returned, whatever the bursts do: each round has rings of its own, which
// AddressSanitizer and ThreadSanitizer watch.
TEST(Channel, ClosesAndOpensUnderBursts) {
  Channel channel;
  std::atomic<bool> done{};
  std::atomic<std::uint64_t> bursts{};
  std::thread polling([&] {
    std::array<std::byte, 40> payload{};
    while (!done.load(std::memory_order_relaxed)) {
      if (Channel::Sender sender(channel); sender) {
        for (int i = 0; i < 4; ++i) {
          (void)sender.in_band(TransactionId{1}, false, std::span<const std::byte, 40>{payload});
        }
        bursts.fetch_add(1, std::memory_order_relaxed);
      }
      if (Channel::Receiver receiver(channel); receiver) {
        PeekedPacket packet;
        while (receiver.peek(packet) == Status::ok) receiver.take(packet);
      }
    }
  });
  const auto end = Clock::now() + test::stress_time();
  std::uint64_t rounds = 0, starved = 0;
  for (; rounds < 20 || Clock::now() < end; ++rounds) {
    const test::RingBlock out(4096);
    channel.open({out.memory(), out.memory(), {}});  // one ring both ways: it reads what it sends
    const std::uint64_t before = bursts;
    while (bursts < before + 2) std::this_thread::yield();
    const std::uint64_t inside = bursts;
    channel.close();
    if (bursts > inside + 2) ++starved;
  }
  done = true;
  polling.join();
  // Now and then this thread loses its CPU between `inside` and close(); close() itself lets no burst past.
  EXPECT_LE(starved * 2, rounds) << "bursts keep the control plane out";
  std::printf("  %llu rounds, %llu bursts, in %llu rounds some while close() waited\n",
              static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(bursts.load()),
              static_cast<unsigned long long>(starved));
}

}  // namespace
}  // namespace vmb
