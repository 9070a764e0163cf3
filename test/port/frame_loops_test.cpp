// SPDX-License-Identifier: BSD-3-Clause
// The inner loops, each set against the same plain rules: rndis::packet_header() and rndis::judge(). Sets that this CPU
// does not have are left out by name.
#include "port/frame_loops.hpp"

#include <rte_cpuflags.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/bits.hpp"
#include "rndis/packet.hpp"
#include "support/random.hpp"

namespace vmbpmd {
namespace {

using rndis::kMinFrameBytes;
using rndis::kPacketHeaderBytes;
using vmb::test::Random;
using Bytes = std::vector<std::byte>;

constexpr std::uint32_t kRoom = 2048;                    // of an mbuf's buffer, behind the headroom
constexpr std::uint64_t kRearm = 0x0007'0001'0001'0080;  // port 7, one segment, one reference, headroom of 128

/// An mbuf without a pool; its buffer ends where the heap block does, for AddressSanitizer to see what is beyond.
class Frame {
 public:
  explicit Frame(std::uint32_t room = RTE_PKTMBUF_HEADROOM + kRoom) : buffer_(room) {
    std::memset(static_cast<void*>(mbuf_.get()), 0x5a, sizeof *mbuf_);
    mbuf_->buf_addr = buffer_.data();
    mbuf_->data_off = RTE_PKTMBUF_HEADROOM;
    mbuf_->nb_segs = 1;
    mbuf_->next = nullptr;
  }
  explicit Frame(const Bytes& bytes) : Frame(static_cast<std::uint32_t>(RTE_PKTMBUF_HEADROOM + bytes.size())) {
    std::ranges::copy(bytes, buffer_.begin() + RTE_PKTMBUF_HEADROOM);
    mbuf_->pkt_len = static_cast<std::uint32_t>(bytes.size());
    mbuf_->data_len = static_cast<std::uint16_t>(bytes.size());
  }

  rte_mbuf* mbuf() { return mbuf_.get(); }
  Bytes data() const {
    const auto begin = buffer_.begin() + mbuf_->data_off;
    return {begin, begin + mbuf_->data_len};
  }

 private:
  Bytes buffer_;
  std::unique_ptr<rte_mbuf> mbuf_ = std::make_unique<rte_mbuf>();
};

Bytes random_bytes(Random& random, std::uint32_t size) {
  Bytes bytes(size);
  random.fill(bytes);
  return bytes;
}

/// What the rules say a frame looks like in shared memory.
Bytes message_of(const Bytes& frame, std::uint32_t alignment = 8) {
  const auto bytes = static_cast<std::uint32_t>(frame.size());
  const std::uint32_t all = vmb::align_up(kPacketHeaderBytes + bytes, alignment);
  const wire::RndisPacket header = rndis::packet_header(bytes, all - kPacketHeaderBytes - bytes);
  Bytes message(all);
  std::memcpy(message.data(), &header, sizeof header);
  std::ranges::copy(frame, message.begin() + kPacketHeaderBytes);
  return message;
}

class FrameLoopsTest : public testing::TestWithParam<const FrameLoops*> {
 protected:
  const FrameLoops& loops_ = *GetParam();
  Random random_{7};
};

TEST_P(FrameLoopsTest, PackWritesEachMessageAndNothingBehindTheLast) {
  for (std::uint32_t size = kMinFrameBytes; size <= 1600; ++size) {
    const std::uint32_t alignment = 8u << random_.below(3);
    const Bytes bytes = random_bytes(random_, size);
    const Bytes expected = message_of(bytes, alignment);
    Frame frame{bytes};
    rte_mbuf* const frames[] = {frame.mbuf()};
    Bytes memory(expected.size() + 64, std::byte{0xee});
    const Packed packed =
        loops_.pack(memory.data(), static_cast<std::uint32_t>(expected.size()), frames, 1, {1600, alignment});
    ASSERT_EQ(packed.frames, 1) << size;
    ASSERT_EQ(packed.bytes, expected.size()) << size;
    ASSERT_EQ(packed.payload, size);
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), memory.begin())) << size;
    ASSERT_TRUE(std::all_of(memory.begin() + static_cast<std::ptrdiff_t>(expected.size()), memory.end(),
                            [](std::byte b) { return b == std::byte{0xee}; }))
        << size;
  }
}

TEST_P(FrameLoopsTest, PackStopsBeforeTheFirstThatIsNotPlain) {
  const auto pack = [&](Frame& odd, std::uint32_t room) {
    Frame first{Bytes(60)}, last{Bytes(60)};
    rte_mbuf* const frames[] = {first.mbuf(), odd.mbuf(), last.mbuf()};
    Bytes memory(4096);
    return loops_.pack(memory.data(), room, frames, 3, {1000, 8}).frames;
  };
  Frame plain{Bytes(1000)}, too_big{Bytes(1001)}, too_small{Bytes(kMinFrameBytes - 1)}, empty{Bytes(0)},
      chain{Bytes(60)};
  chain.mbuf()->nb_segs = 2;
  EXPECT_EQ(pack(plain, 4096), 3);
  for (Frame* const odd : {&too_big, &too_small, &empty, &chain}) EXPECT_EQ(pack(*odd, 4096), 1);
  EXPECT_EQ(pack(plain, 104 + 1048 + 104), 3);
  EXPECT_EQ(pack(plain, 104 + 1048 + 103), 2);
  EXPECT_EQ(pack(plain, 104 + 1047), 1);
  EXPECT_EQ(pack(plain, 103), 0);
}

TEST_P(FrameLoopsTest, UnpackGivesBackWhatWasPacked) {
  for (int round = 0; round < 300; ++round) {
    std::vector<Bytes> sent(1 + random_.below(40));
    Bytes memory;
    for (Bytes& frame : sent) {
      frame = random_bytes(random_, kMinFrameBytes + random_.below(random_.one_in(4) ? 1800 : 120));
      const Bytes message = message_of(frame);
      memory.insert(memory.end(), message.begin(), message.end());
    }
    std::vector<std::unique_ptr<Frame>> received;
    std::vector<rte_mbuf*> mbufs;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      mbufs.push_back(received.emplace_back(std::make_unique<Frame>())->mbuf());
    }
    const auto got = loops_.unpack(memory.data(), static_cast<std::uint32_t>(memory.size()), mbufs.data(),
                                   static_cast<std::uint16_t>(mbufs.size()), {kRearm, kRoom});
    ASSERT_EQ(got.frames, sent.size());
    ASSERT_EQ(got.bytes, memory.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const rte_mbuf& mbuf = *mbufs[i];
      ASSERT_EQ(received[i]->data(), sent[i]);
      ASSERT_EQ(mbuf.pkt_len, sent[i].size());
      ASSERT_EQ(mbuf.ol_flags, 0u);
      ASSERT_EQ(mbuf.packet_type, 0u);
      ASSERT_EQ(mbuf.vlan_tci, 0u);
      ASSERT_EQ(mbuf.port, 7);
      ASSERT_EQ(mbuf.nb_segs, 1);
      ASSERT_EQ(rte_mbuf_refcnt_read(&mbuf), 1);
    }
  }
}

/// Nothing that judge() refuses is taken, and of what it takes all but what needs more than a copy.
TEST_P(FrameLoopsTest, UnpackTakesWhatHoldsAndIsPlain) {
  int taken = 0;
  for (int round = 0; round < 200'000; ++round) {
    const std::uint32_t size = kMinFrameBytes + random_.below(200);
    Bytes memory = message_of(random_bytes(random_, size));
    wire::RndisPacket header;
    std::memcpy(static_cast<void*>(&header), memory.data(), sizeof header);
    std::array<std::uint32_t, sizeof header / 4> words;
    std::memcpy(words.data(), &header, sizeof header);
    if (!random_.one_in(4)) {
      std::uint32_t& word = words[random_.below(static_cast<std::uint32_t>(words.size()))];
      constexpr std::uint32_t kSteps[] = {1, 4, 8, 0x80000000, 0xfffffff8, 0xffffffff};
      word = random_.one_in(3) ? static_cast<std::uint32_t>(random_.next()) : word + kSteps[random_.below(6)];
    }
    std::memcpy(memory.data(), words.data(), sizeof header);
    std::memcpy(static_cast<void*>(&header), words.data(), sizeof header);
    if (random_.one_in(4)) memory.resize(random_.below(static_cast<std::uint32_t>(memory.size()) + 1));
    const auto available = static_cast<std::uint32_t>(memory.size());

    Frame frame;
    rte_mbuf* const frames[] = {frame.mbuf()};
    const Unpacked got = loops_.unpack(memory.data(), available, frames, 1, {kRearm, 180});
    rndis::PacketLayout layout{};
    const bool holds =
        available >= kPacketHeaderBytes && rndis::judge(header, available, layout) && layout.data_bytes <= 180;
    const bool plain = holds && layout.data_at == kPacketHeaderBytes && header.info_offset == 0 &&
                       header.info_bytes == 0 && header.reserved == 0;
    ASSERT_EQ(got.frames, plain ? 1 : 0) << "round " << round;
    if (!plain) continue;
    ++taken;
    ASSERT_EQ(got.bytes, layout.message_bytes);
    const auto data = memory.begin() + kPacketHeaderBytes;
    ASSERT_EQ(frame.data(), Bytes(data, data + layout.data_bytes));
  }
  EXPECT_GT(taken, 10'000);
}

TEST_P(FrameLoopsTest, RulesThatAllowNothingAreKept) {
  Frame frame{Bytes(60)};
  rte_mbuf* const frames[] = {frame.mbuf()};
  Bytes memory = message_of(Bytes(60));
  EXPECT_EQ(loops_.unpack(memory.data(), static_cast<std::uint32_t>(memory.size()), frames, 1, {kRearm, 0}).frames, 0);
  EXPECT_EQ(loops_.pack(memory.data(), static_cast<std::uint32_t>(memory.size()), frames, 1, {0, 8}).frames, 0);
}

std::vector<const FrameLoops*> sets() {
  std::vector<const FrameLoops*> all{&kPlainLoops};
#ifdef VMBPMD_WITH_AVX512
  if (rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512BW) > 0 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512VL) > 0) {
    all.push_back(&kAvx512Loops);
  }
#endif
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sets, FrameLoopsTest, testing::ValuesIn(sets()),
                         [](const auto& of) { return of.param == &kPlainLoops ? "Plain" : "Avx512"; });

}  // namespace
}  // namespace vmbpmd
