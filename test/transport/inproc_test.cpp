// SPDX-License-Identifier: BSD-3-Clause
#include "transport/inproc.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/ring_block.hpp"
#include "support/rings.hpp"

namespace vmb {
namespace {

/// Whole pages from malloc.
class Pages {
 public:
  explicit Pages(std::size_t pages) : bytes_(pages * kPageSize) {
    void* block = nullptr;
    if (posix_memalign(&block, kPageSize, bytes_) != 0) std::abort();
    block_.reset(static_cast<std::byte*>(block));
    std::memset(block, 0, bytes_);
  }
  std::span<std::byte> all() const { return {block_.get(), bytes_}; }
  Gpa at(std::size_t offset) const { return Gpa{reinterpret_cast<std::uint64_t>(block_.get()) + offset}; }

 private:
  struct Free {
    void operator()(std::byte* block) const { std::free(block); }
  };
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> block_;
};

using Log = std::vector<std::string>;

struct Host final : InprocHost {
  explicit Host(Log& heard) : log(heard) {}
  void channel_opened(const ChannelParts& given) noexcept override {
    log.emplace_back("host: opened");
    parts = given;
    channel.open(given);
  }
  void channel_closed() noexcept override {
    log.emplace_back("host: closed");
    channel.close();
  }
  void guest_left() noexcept override { log.emplace_back("host: guest left"); }

  Log& log;
  ChannelParts parts;
  Channel channel;
};

struct Guest final : InprocGuest {
  explicit Guest(Log& heard) : log(heard) {}
  void channel_rescinded() noexcept override {
    log.emplace_back("guest: rescinded");
    if (on_rescind) on_rescind();
  }

  Log& log;
  std::function<void()> on_rescind;
};

class Inproc : public testing::Test {
 protected:
  static constexpr std::uint32_t kRingPages = 4;  // each way: 3 pages of data

  void join() {
    ASSERT_NE(link = bus.join("a", host), nullptr);
    ASSERT_EQ(bus.join("a", guest), link);
    link->offer();
  }

  /// A formatted pair of rings, its GPADL, an open channel.
  void open() {
    format();
    ring_gpadl = link->create_gpadl(rings.all());
    ASSERT_NE(ring_gpadl, 0u);
    ASSERT_EQ(link->open(ring_gpadl, kRingPages, parts), Status::ok);
  }

  void format() const {
    RingMemory(rings.all().data(), (kRingPages - 1) * kPageSize).format();
    RingMemory(rings.all().data() + kRingPages * kPageSize, (kRingPages - 1) * kPageSize).format();
  }

  Log log;
  InprocBus bus;
  Host host{log};
  Guest guest{log};
  InprocLink* link{};
  Pages rings{2 * kRingPages};
  std::uint32_t ring_gpadl{};
  ChannelParts parts;
};

bool carries(Channel& from, Channel& to) {
  {
    Channel::Sender sender(from);
    const auto payload = test::counting(40);
    if (!sender || sender.in_band(TransactionId{5}, false, std::span<const std::byte>{payload}) != Status::ok)
      return false;
  }
  Channel::Receiver receiver(to);
  PeekedPacket packet;
  if (!receiver || receiver.peek(packet) != Status::ok) return false;
  receiver.take(packet);
  return packet.descriptor.transaction_id == 5;
}

// ---- joining

TEST_F(Inproc, RefusesASecondHostAndASecondGuest) {
  join();
  Host other_host(log);
  Guest other_guest(log);
  EXPECT_EQ(bus.join("a", other_host), nullptr);
  EXPECT_EQ(bus.join("a", other_guest), nullptr);
  EXPECT_TRUE(link->offered()) << "the first two are unmoved";
  InprocLink* const other = bus.join("b", other_host);
  ASSERT_NE(other, nullptr) << "another name is another link";
  EXPECT_NE(other, link);
  EXPECT_EQ(other->name(), "b");
}

TEST_F(Inproc, EndsJoinInEitherOrder) {
  ASSERT_NE(link = bus.join("a", guest), nullptr);
  EXPECT_FALSE(link->offered());
  EXPECT_EQ(link->create_gpadl(rings.all()), 0u) << "nothing to open yet";
  ASSERT_EQ(bus.join("a", host), link);
  EXPECT_FALSE(link->offered());
  link->offer();
  EXPECT_TRUE(link->offered());
  open();
}

TEST_F(Inproc, OnlyAHostCanOffer) {
  ASSERT_NE(link = bus.join("a", guest), nullptr);
  link->offer();
  EXPECT_FALSE(link->offered());
}

TEST_F(Inproc, LinkGoesWithItsLastEnd) {
  join();
  EXPECT_FALSE(bus.empty());
  bus.leave(link, host);
  EXPECT_FALSE(bus.empty());
  bus.leave(link, guest);
  EXPECT_TRUE(bus.empty());
}

TEST_F(Inproc, WhoIsNotInTheLinkCannotLeaveIt) {
  join();
  Host other_host(log);
  Guest other_guest(log);
  bus.leave(link, other_host);
  bus.leave(link, other_guest);
  EXPECT_TRUE(link->has_host());
  EXPECT_TRUE(link->has_guest());
  EXPECT_TRUE(link->offered());
  EXPECT_TRUE(log.empty());
}

// ---- open and close

TEST_F(Inproc, BothEndsSeeTheSameRingsCrossed) {
  join();
  open();
  EXPECT_TRUE(link->is_open());
  EXPECT_EQ(log, (Log{"host: opened"}));
  Channel channel;
  channel.open(parts);
  EXPECT_TRUE(carries(channel, host.channel));
  EXPECT_TRUE(carries(host.channel, channel));
  EXPECT_EQ(parts.outbound.size(), (kRingPages - 1) * kPageSize);
  EXPECT_EQ(host.parts.inbound.size(), parts.outbound.size());
}

TEST_F(Inproc, GuestToHostRingComesFirst) {
  join();
  open();
  Channel channel;
  channel.open(parts);
  const auto payload = test::counting(8);
  ASSERT_EQ(Channel::Sender(channel).in_band(TransactionId{1}, false, std::span<const std::byte>{payload}), Status::ok);
  EXPECT_EQ(load<std::uint32_t>(rings.all(), 0), 32u) << "write_index of page 0";
  EXPECT_EQ(load<std::uint32_t>(rings.all(), kRingPages * kPageSize), 0u);
}

TEST_F(Inproc, RingsNeedNotBeEqual) {
  join();
  const std::uint32_t gpadl = link->create_gpadl(rings.all());
  ASSERT_EQ(link->open(gpadl, 6, parts), Status::ok);
  EXPECT_EQ(parts.outbound.size(), 5 * kPageSize);
  EXPECT_EQ(parts.inbound.size(), 1 * kPageSize);
}

TEST_F(Inproc, WrongRingSizesAreInvalid) {
  join();
  const std::uint32_t gpadl = link->create_gpadl(rings.all());
  for (const std::uint32_t inbound_page : {0u, 1u, 7u, 8u, 9u, 0xfffffffeu, 0xffffffffu}) {
    EXPECT_EQ(link->open(gpadl, inbound_page, parts), Status::invalid) << inbound_page;
  }
  EXPECT_EQ(link->open(gpadl + 1, kRingPages, parts), Status::invalid) << "no such GPADL";
  EXPECT_EQ(link->open(0, kRingPages, parts), Status::invalid);
  EXPECT_FALSE(link->is_open());
  EXPECT_TRUE(log.empty()) << "the host heard of none of it";
}

TEST_F(Inproc, OpenTwiceIsRefused) {
  join();
  open();
  EXPECT_EQ(link->open(ring_gpadl, kRingPages, parts), Status::closed);
  EXPECT_EQ(log, (Log{"host: opened"}));
}

TEST_F(Inproc, OpenWithoutAnOfferIsRefused) {
  ASSERT_NE(link = bus.join("a", guest), nullptr);
  EXPECT_EQ(link->open(1, kRingPages, parts), Status::closed);
}

TEST_F(Inproc, CloseTellsTheHostOnce) {
  join();
  link->close();
  EXPECT_TRUE(log.empty());
  open();
  link->close();
  link->close();
  EXPECT_EQ(log, (Log{"host: opened", "host: closed"}));
  EXPECT_FALSE(link->is_open());
  EXPECT_FALSE(Channel::Receiver(host.channel));
}

TEST_F(Inproc, ReopensManyTimes) {
  join();
  for (int i = 0; i < 100; ++i) {
    open();
    Channel channel;
    channel.open(parts);
    ASSERT_TRUE(carries(channel, host.channel));
    ASSERT_TRUE(carries(host.channel, channel));
    channel.close();
    link->close();
    link->teardown_gpadl(ring_gpadl);
  }
  EXPECT_TRUE(link->gpadl(ring_gpadl).empty());
}

// ---- GPADLs

TEST_F(Inproc, GpadlHandlesAreNeverUsedTwice) {
  join();
  const std::uint32_t first = link->create_gpadl(rings.all());
  const std::uint32_t second = link->create_gpadl(rings.all());
  EXPECT_NE(first, 0u);
  EXPECT_NE(first, second);
  link->teardown_gpadl(second);
  EXPECT_NE(link->create_gpadl(rings.all()), second) << "also not after teardown";
  EXPECT_EQ(link->gpadl(first).data(), rings.all().data());
}

TEST_F(Inproc, GpadlIsMadeOfWholePages) {
  join();
  EXPECT_EQ(link->create_gpadl({}), 0u);
  EXPECT_EQ(link->create_gpadl(rings.all().first(kPageSize - 8)), 0u);
  EXPECT_EQ(link->create_gpadl(rings.all().first(kPageSize + 1)), 0u);
  EXPECT_NE(link->create_gpadl(rings.all().first(kPageSize)), 0u);
}

TEST_F(Inproc, GpadlBeginsAtAPage) {
  join();
  EXPECT_EQ(link->create_gpadl(rings.all().subspan(8, kPageSize)), 0u);
}

TEST_F(Inproc, TornDownGpadlIsGone) {
  join();
  const std::uint32_t gpadl = link->create_gpadl(rings.all());
  link->teardown_gpadl(gpadl);
  link->teardown_gpadl(gpadl);
  link->teardown_gpadl(12345);
  EXPECT_TRUE(link->gpadl(gpadl).empty());
  EXPECT_EQ(link->translate(rings.at(0), 1), nullptr);
  EXPECT_EQ(link->open(gpadl, kRingPages, parts), Status::invalid);
}

TEST_F(Inproc, TeardownOfTheRingsIsAFence) {  // "on return the host has left the memory"
  join();
  open();
  link->teardown_gpadl(ring_gpadl);
  EXPECT_FALSE(Channel::Receiver(host.channel)) << "the host still reads rings that the guest may free now";
  EXPECT_FALSE(link->is_open());
}

// ---- rescind, and ends that leave

TEST_F(Inproc, RescindTellsTheGuestThenClosesTheHost) {
  join();
  open();
  link->rescind();
  EXPECT_EQ(log, (Log{"host: opened", "guest: rescinded", "host: closed"}));
  EXPECT_FALSE(link->offered());
  EXPECT_FALSE(link->is_open());
  EXPECT_TRUE(link->gpadl(ring_gpadl).empty());
  EXPECT_EQ(link->create_gpadl(rings.all()), 0u);
  link->rescind();
  EXPECT_EQ(log.size(), 3u) << "there is nothing to take back twice";
}

TEST_F(Inproc, GuestMayCloseAndTearDownWithinTheRescind) {
  join();
  open();
  guest.on_rescind = [this] {
    link->close();
    link->teardown_gpadl(ring_gpadl);
  };
  link->rescind();
  EXPECT_EQ(log, (Log{"host: opened", "guest: rescinded", "host: closed"}));
}

TEST_F(Inproc, OfferedAgainOpensAgain) {
  join();
  open();
  link->rescind();
  link->offer();
  open();
  EXPECT_TRUE(link->is_open());
}

TEST_F(Inproc, HostThatLeavesRescinds) {
  join();
  open();
  bus.leave(link, host);
  EXPECT_EQ(log, (Log{"host: opened", "guest: rescinded", "host: closed"}));
  EXPECT_FALSE(link->has_host());
  link->offer();
  EXPECT_FALSE(link->offered()) << "nobody is there to offer";

  ASSERT_EQ(bus.join("a", host), link) << "and it can come back";
  link->offer();
  open();
}

TEST_F(Inproc, GuestThatLeavesCloses) {
  join();
  open();
  const std::uint32_t other = link->create_gpadl(rings.all());
  bus.leave(link, guest);
  EXPECT_EQ(log, (Log{"host: opened", "host: closed", "host: guest left"}));
  EXPECT_TRUE(link->gpadl(other).empty());
  EXPECT_TRUE(link->offered()) << "the offer stands for the next guest";

  ASSERT_EQ(bus.join("a", guest), link);
  open();
}

// ---- addresses

TEST_F(Inproc, TranslatesWithinAGpadl) {
  join();
  const Pages other(2);
  ASSERT_NE(link->create_gpadl(rings.all()), 0u);
  ASSERT_NE(link->create_gpadl(other.all()), 0u);
  EXPECT_EQ(link->translate(rings.at(0), 1), rings.all().data());
  EXPECT_EQ(link->translate(rings.at(0), static_cast<std::uint32_t>(rings.all().size())), rings.all().data());
  EXPECT_EQ(link->translate(rings.at(100), 5000), rings.all().data() + 100);
  EXPECT_EQ(link->translate(other.at(8191), 1), other.all().data() + 8191);
}

TEST_F(Inproc, DoesNotTranslateWhatIsOutsideOrStraddles) {
  join();
  const Pages memory(8);
  ASSERT_NE(link->create_gpadl(memory.all().subspan(kPageSize, 2 * kPageSize)), 0u);  // pages 1 and 2
  ASSERT_NE(link->create_gpadl(memory.all().subspan(4 * kPageSize, kPageSize)), 0u);  // page 4
  EXPECT_EQ(link->translate(memory.at(0), 1), nullptr);
  EXPECT_EQ(link->translate(memory.at(kPageSize - 1), 1), nullptr);
  EXPECT_EQ(link->translate(memory.at(kPageSize - 1), 2), nullptr) << "begins before";
  EXPECT_EQ(link->translate(memory.at(3 * kPageSize - 1), 2), nullptr) << "ends behind";
  EXPECT_EQ(link->translate(memory.at(3 * kPageSize), 1), nullptr);
  EXPECT_EQ(link->translate(memory.at(kPageSize), 3 * kPageSize + 1), nullptr) << "from one into the other";
  EXPECT_EQ(link->translate(memory.at(kPageSize), 0xffffffff), nullptr);
  EXPECT_EQ(link->translate(Gpa{0}, 1), nullptr);
  EXPECT_EQ(link->translate(Gpa{~std::uint64_t{0}}, 2), nullptr);
  EXPECT_EQ(link->translate(Gpa{~std::uint64_t{0} - 7}, 0xffffffff), nullptr);
}

TEST_F(Inproc, TranslatesWhatTheProcessSharesByNature) {
  const Pages memory(1);
  const AddressSpace space{[](const void* self, std::uint64_t address, std::uint32_t bytes) noexcept {
                             const auto base =
                                 reinterpret_cast<std::uint64_t>(static_cast<const Pages*>(self)->all().data());
                             return address >= base && bytes <= kPageSize && address - base <= kPageSize - bytes;
                           },
                           &memory};
  InprocBus sharing(space);
  ASSERT_NE(link = sharing.join("a", host), nullptr);
  EXPECT_EQ(link->translate(memory.at(5), 7), memory.all().data() + 5);
  EXPECT_EQ(link->translate(memory.at(4095), 2), nullptr);
}

}  // namespace
}  // namespace vmb
