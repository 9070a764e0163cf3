// SPDX-License-Identifier: BSD-3-Clause
// Random bytes into both ends of RNDIS control: nothing breaks, and a proper attach works afterwards. Each message
// lies in memory of just its size, so that a sanitizer sees any look behind it.
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "rndis/guest.hpp"
#include "rndis/host.hpp"
#include "support/hex.hpp"
#include "support/random.hpp"

namespace vmbpmd::rndis {
namespace {

using vmb::test::Random;

constexpr int kMessages = 100'000;

HostConfig host_config() {
  HostConfig config{.mac = {2, 0, 0, 0, 0, 7}, .connected = true, .rss_queues = 4, .peer_capabilities = 1};
  config.allow_mac_change = true;
  config.offload.tx_ipv4 = config.offload.rx_ipv4 = {2, 0x155};
  return config;
}

template <std::size_t N>
void put(std::vector<std::byte>& bytes, std::size_t at, Random& random, const std::uint32_t (&words)[N]) {
  if (random.one_in(8) || at + 4 > bytes.size()) return;
  const std::uint32_t word = words[random.below(N)];
  std::memcpy(bytes.data() + at, &word, sizeof word);
}

/// A guest's message that is often nearly right.
std::vector<std::byte> guest_noise(Random& random) {
  static constexpr std::uint32_t kTypes[] = {2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 8, 9, 0x80000004};
  static constexpr std::uint32_t kOids[] = {0x00010101, 0x0001010E, 0x00010203, 0x00010204, 0x0001021B, 0x00020101,
                                            0x0002020E, 0x00020216, 0x01010103, 0x0101010A, 0xFC01020B, 0xFC01020C,
                                            0xFC01020D, 0xFF564D42, 0x00010118, 1,          1,          0xffffffff};
  static constexpr std::uint32_t kHeaders[] = {0x00280289, 0x001c0380, 0x001c01a8, 0x50424d56, 0x00140180, 20, 0};
  static constexpr std::uint32_t kWords[] = {0, 0, 0, 1, 2, 4, 20, 28, 40, 48, 0x28, 0x100, 0xffffffff, 0xfffffff8};
  std::vector<std::byte> bytes(random.one_in(16) ? random.below(12) : 12 + random.below(40) * 4);
  random.fill(bytes);
  const bool calm = random.one_in(4);  // an object that is zero behind its header
  for (std::size_t at = 32; at + 4 <= bytes.size(); at += 4) {
    put(bytes, at, random, kWords);
    if (calm) std::memset(bytes.data() + at, 0, 4);
  }
  put(bytes, 0, random, kTypes);
  const std::uint32_t size = static_cast<std::uint32_t>(bytes.size());
  put(bytes, 4, random, {size, size, size, size, size - 4, size + 4, 0xffffffff});
  put(bytes, 12, random, kOids);
  put(bytes, 16, random, {size - 28, size - 28, 4, 0, 8, 16, 28, 0xffffffff});
  put(bytes, 20, random, {20, 20, 20, 20, 0, 24, 0xfffffff8});
  put(bytes, 28, random, kHeaders);
  bytes.shrink_to_fit();
  return bytes;
}

/// A host's message that is often nearly right for the request that is out.
std::vector<std::byte> host_noise(Random& random, std::uint32_t id) {
  static constexpr std::uint32_t kTypes[] = {0x80000002, 0x80000004, 0x80000005, 7, 7, 0x80000008, 1};
  static constexpr std::uint32_t kStatuses[] = {0, 0, 0, 0xC00000BB, 0x4001000B, 0x4001000C, 0x40010013, 0x40020006};
  static constexpr std::uint32_t kWords[] = {0, 1, 3, 4, 6, 8, 12, 16, 1514, 0xEFFFFFFF, 0xffffffff, 0xfffffff8};
  std::vector<std::byte> bytes(random.one_in(16) ? random.below(12) : 12 + random.below(16) * 4);
  random.fill(bytes);
  for (std::size_t at = 12; at + 4 <= bytes.size(); at += 4) put(bytes, at, random, kWords);
  put(bytes, 0, random, kTypes);
  const std::uint32_t size = static_cast<std::uint32_t>(bytes.size());
  put(bytes, 4, random, {size, size, size, size - 4, size + 4, 0xffffffff});
  put(bytes, 8, random, {id, id, id, id - 1, 0x4001000C, 0x40010013});
  put(bytes, 12, random, kStatuses);
  bytes.shrink_to_fit();
  return bytes;
}

/// A proper message, or one a few bytes off, cut or lengthened.
std::vector<std::byte> damaged(Random& random, std::vector<std::byte> bytes) {
  for (std::uint32_t n = random.below(4); n != 0 && !bytes.empty(); --n) {
    bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::byte>(random.below(256));
  }
  if (random.one_in(4)) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size()) + 9));
  bytes.shrink_to_fit();
  return bytes;
}

/// Proper messages of a guest, one for each event that they can lead to.
const std::vector<std::vector<std::byte>>& proper_messages() {
  using vmb::test::hex;
  static const std::vector<std::vector<std::byte>> messages = {
      hex("02000000 18000000 01000000 01000000 00000000 00400000"),
      hex("05000000 20000000 02000000 0e010100 04000000 14000000 00000000 0d000000"),
      hex("05000000 22000000 03000000 03010101 06000000 14000000 00000000 333300000001"),
      vmb::test::padded("05000000 38000000 04000000 0c0201fc 1c000000 14000000 00000000 80031c00 0402", 56),
      vmb::test::padded("05000000 74000000 05000000 04020100 58000000 14000000 00000000 89022800 00000000 010d0000"
                        "08000000 28000000 28000000 30000000 00000000 00000000 00000000 00000000 03000000",
                        116),
      hex("04000000 2c000000 06000000 424d56ff 10000000 14000000 00000000 564d4250 01000000 01000000 00000000"),
      hex("05000000 64000000 07000000 1b020100 48000000 14000000 00000000 14000000 1c000000 02000000 30000000"
          "18000000 4e00650074007700 6f0072006b004100 6400640072006500 73007300 3000320030003000"
          "3000300061004200 4300640065004600"),
      hex("08000000 0c000000 08000000"),
      hex("06000000 0c000000 00000000"),
      hex("03000000 0c000000 09000000"),
  };
  return messages;
}

void attach(Guest& guest, Host& host) {
  host.reset(1514);
  guest.start({.peer_capabilities = 1});
  while (const auto out = guest.next()) guest.on_message(host.on_message(*out).response);
  ASSERT_EQ(guest.state(), GuestState::operational);
  ASSERT_EQ(host.state(), HostState::operational);
  EXPECT_EQ(guest.peer_capabilities(), 1u);
}

TEST(RndisHostile, AHostSurvivesAnyGuest) {
  Random random{3};
  Host host{host_config()};
  Guest guest;
  unsigned seen = 0;
  for (int i = 0; i < kMessages; ++i) {
    if (random.one_in(100)) attach(guest, host);
    if (random.one_in(100)) host.indicate_media(random.one_in(2));
    const auto& proper = proper_messages();
    const auto message = random.one_in(2)
                             ? guest_noise(random)
                             : damaged(random, proper[random.below(static_cast<std::uint32_t>(proper.size()))]);
    const Answer answer = host.on_message(message);
    ASSERT_LE(answer.response.size(), wire::kMaxControlAnswerBytes);
    if (answer.event.kind == HostEventKind::ignored) { ASSERT_TRUE(answer.response.empty()); }
    for (const std::uint16_t entry : host.rss().table) ASSERT_LT(entry, 4);
    ASSERT_LE(host.multicast().size(), kMaxHostMulticast);
    if (random.one_in(4)) static_cast<void>(host.next());
    seen |= 1u << static_cast<unsigned>(answer.event.kind);
  }
  EXPECT_EQ(seen, 0x7ffu) << "the noise does not reach every event";
  attach(guest, host);
}

TEST(RndisHostile, AGuestSurvivesAnyHost) {
  Random random{4};
  Host host{host_config()};
  Guest guest;
  std::uint32_t id = 0;
  unsigned seen = 0;
  for (int i = 0; i < kMessages; ++i) {
    if (random.one_in(50)) attach(guest, host);
    if (guest.state() != GuestState::operational && random.one_in(10)) {
      host.reset(1514);
      guest.start({});
    }
    if (random.one_in(20)) guest.set_packet_filter(random.below(64));
    if (random.one_in(20)) guest.query_link();
    if (random.one_in(500)) guest.halt();
    if (random.one_in(200)) guest.abandon(Failure::timed_out);
    if (const auto out = guest.next()) {
      std::memcpy(&id, out->data() + 8, sizeof id);
      const auto response = host.on_message(*out).response;
      std::vector<std::byte> answer{response.begin(), response.end()};
      if (random.one_in(4)) answer = damaged(random, std::move(answer));
      seen |= 1u << static_cast<unsigned>(guest.on_message(answer).kind);
    }
    if (random.one_in(2)) seen |= 1u << static_cast<unsigned>(guest.on_message(host_noise(random, id)).kind);
    if (guest.state() == GuestState::operational) {
      ASSERT_LE(guest.result().alignment_factor, kMaxAlignmentFactor);
      ASSERT_GE(guest.result().max_packets, 1u);
      ASSERT_GE(guest.result().max_transfer_bytes, kMinTransferBytes);
      ASSERT_TRUE(wire::is_station_address(guest.result().mac));
    }
  }
  EXPECT_EQ(seen & 0x7e, 0x7eu) << "the noise does not reach every event";
  attach(guest, host);
}

}  // namespace
}  // namespace vmbpmd::rndis
