// SPDX-License-Identifier: BSD-3-Clause
// Random bytes into both ends of NVSP: nothing breaks, and a proper attach works afterwards. Each message lies in
// memory of just its size, so that a sanitizer sees any look behind it.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "nvsp/guest.hpp"
#include "nvsp/host.hpp"
#include "support/random.hpp"

namespace vmbpmd::nvsp {
namespace {

using vmb::test::Random;

constexpr int kMessages = 100'000;

class Gpadls final : public BufferTable {
 public:
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override {
    if (handle == 7 || handle == 8) return 4u << 20;
    return std::nullopt;
  }
};

GuestConfig guest_config() {
  return {.receive_gpadl = 7, .receive_bytes = 4u << 20, .send_gpadl = 8, .send_bytes = 4u << 20};
}

/// A message that is often nearly right: a known type, small numbers, any length.
std::vector<std::byte> noise(Random& random) {
  static constexpr std::uint32_t kTypes[] = {1,   2,   100, 101, 102, 103, 104, 105, 106,
                                             108, 125, 128, 129, 131, 132, 133, 134, 999};
  static constexpr std::uint32_t kWords[] = {0, 1, 2, 7, 8, 1514, 1728, 6144, 0x00060001, 0x00050000, 0xffffffff};
  std::vector<std::byte> bytes(random.below(20) * 4 + (random.one_in(4) ? random.below(4) : 0));
  random.fill(bytes);
  for (std::size_t at = 0; at + 4 <= bytes.size(); at += 4) {
    if (random.one_in(4)) continue;
    const std::uint32_t word =
        at == 0 ? kTypes[random.below(std::size(kTypes))] : kWords[random.below(std::size(kWords))];
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  bytes.shrink_to_fit();
  return bytes;
}

void attach(Guest& guest, Host& host) {
  guest.start(guest_config());
  host.reset();
  while (const auto out = guest.next()) {
    const Answer answer = host.on_message(out->payload, out->completion_requested);
    if (answer.completion) guest.on_completion(*answer.completion);
  }
  EXPECT_EQ(guest.state(), GuestState::ready);
  EXPECT_EQ(host.state(), HostState::ready);
}

TEST(NvspHostile, AHostSurvivesAnyGuest) {
  Random random{1};
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  Guest guest;
  unsigned seen = 0;
  for (int i = 0; i < kMessages; ++i) {
    if (random.one_in(200)) host.reset();
    if (random.one_in(500)) attach(guest, host);
    const bool completion_requested = !random.one_in(8);
    const auto message = noise(random);
    const Answer answer = host.on_message(message, completion_requested);
    ASSERT_EQ(answer.completion.has_value(), completion_requested);
    ASSERT_LE(answer.completion ? answer.completion->size() : 0, wire::kNvspBytes);
    if (answer.event.unit_bytes != 0) {
      ASSERT_LE(std::uint64_t{answer.event.unit_bytes} * answer.event.unit_count, 4u << 20);
    }
    seen |= 1u << static_cast<unsigned>(answer.event.kind);
  }
  EXPECT_EQ(seen, 0x7fu) << "the noise does not reach every event";
  attach(guest, host);
}

TEST(NvspHostile, AGuestSurvivesAnyHost) {
  Random random{2};
  Gpadls gpadls;
  Host host{HostConfig{}, gpadls};
  Guest guest;
  int ready = 0;
  int failed = 0;
  for (int i = 0; i < kMessages; ++i) {
    if (guest.state() == GuestState::idle || random.one_in(50)) guest.start(guest_config());
    if (random.one_in(100)) guest.detach();
    const auto out = guest.next();
    // Now and then the right answer, to come further.
    if (out && out->completion_requested && !random.one_in(4)) {
      if (guest.state() == GuestState::negotiate) host.reset();
      const Answer answer = host.on_message(out->payload, true);
      guest.on_completion(*answer.completion);
    } else if (out && !out->completion_requested) {
      host.on_message(out->payload, false);
    }
    const auto message = noise(random);
    if (random.one_in(2)) {
      guest.on_message(message);
    } else if (random.one_in(4)) {
      guest.on_completion(message);
    }
    if (guest.state() == GuestState::ready) {
      ++ready;
      const GuestResult& result = guest.result();
      ASSERT_LE(std::uint64_t{result.suballoc_bytes} * result.suballoc_count, 4u << 20);
      ASSERT_LE(std::uint64_t{result.section_bytes} * result.section_count, 4u << 20);
    }
    failed += guest.state() == GuestState::failed ? 1 : 0;
  }
  EXPECT_GT(ready, 100);
  EXPECT_GT(failed, 100);
  attach(guest, host);
}

}  // namespace
}  // namespace vmbpmd::nvsp
