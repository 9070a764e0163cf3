// SPDX-License-Identifier: BSD-3-Clause
// Peers that write random bytes into everything they can write to, after a proper attach, while the real end's bursts
// and control plane run. What must hold: no access outside (AddressSanitizer), nothing leaks (the pools), the port comes
// back, ports beside it notice nothing. The seed is printed at the start; VMB_FUZZ_SECONDS says how long, 1 by default.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>

#include "channel/gpa_list.hpp"
#include "ethdev/scripted.hpp"

namespace vmbpmd::test {
namespace {

std::chrono::milliseconds fuzz_time() {
  const char* const text = std::getenv("VMB_FUZZ_SECONDS");
  return std::chrono::milliseconds{
      static_cast<std::int64_t>((text != nullptr ? std::strtod(text, nullptr) : 1.0) * 1000)};
}

class Fuzz : public PortsTest {
 protected:
  bool goes_on() const { return std::chrono::steady_clock::now() < deadline_; }

  /// Flips what a real peer would write: any bytes, near misses of lengths.
  void spoil(std::span<std::byte> bytes) {
    if (bytes.empty()) return;
    const std::uint32_t times = 1 + random_.below(4);
    for (std::uint32_t i = 0; i < times; ++i) {
      const std::uint32_t at = random_.below(static_cast<std::uint32_t>(bytes.size()));
      switch (random_.below(3)) {
        case 0: bytes[at] = static_cast<std::byte>(random_.next()); break;
        case 1: bytes[at] = static_cast<std::byte>(std::to_integer<unsigned>(bytes[at]) + random_.below(3) - 1); break;
        default: {
          static constexpr std::array<std::uint32_t, 8> kWords{0,          1,          8,          44,
                                                               0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
          const std::uint32_t word = kWords[random_.below(8)];
          const std::uint32_t aligned = at & ~3u;
          if (aligned + 4 <= bytes.size()) std::memcpy(bytes.data() + aligned, &word, 4);
        }
      }
    }
  }

  Bytes noise(std::uint32_t most) {
    Bytes bytes(random_.below(most / 8) * 8);
    random_.fill(bytes);
    return bytes;
  }

  void exercise(const Nic& nic) {
    (void)nic.drop_received();
    Shaper shaper{pool_, random_, Shaper::whole};
    rte_mbuf* frames[4];
    for (rte_mbuf*& frame : frames) frame = shaper.make(random_frame(random_, 14 + random_.below(1400)));
    const std::uint16_t sent = nic.tx(frames);
    for (std::uint16_t i = sent; i < 4; ++i) rte_pktmbuf_free(frames[i]);
  }

  /// A bad index, if the ring is still there: the driver's control thread closes it when it has found the last one.
  void set_index(const vmb::RingMemory& ring,
                 std::atomic_ref<std::uint32_t> (vmb::RingMemory::*index)() const noexcept) {
    if (ring.size() != 0) (ring.*index)().store(random_.below(4096) * (random_.one_in(2) ? 8 : 1));
  }

  Pool pool_{8192};
  Random random_{77};
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + fuzz_time();
};

TEST_F(Fuzz, GuestNeverHarmsTheHost) {
  Pair beside;
  beside.start();
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link};
  host.start();
  std::uint64_t rounds = 0, attaches = 0;
  while (goes_on()) {
    ScriptedGuest guest{link,
                        {.ring_bytes = 4096u << random_.below(4),
                         .receive_bytes = 64 * 4096,
                         .capabilities = random_.one_in(2) ? wire::peer_capability::kAll : 0}};
    if (!eventually([&] { return guest.offered(); }, 50ms)) continue;
    if (!guest.attach()) continue;
    ++attaches;
    for (int i = 0; i < 2000 && guest.is_open() && goes_on(); ++i, ++rounds) {
      Bytes message = rndis_packet(random_frame(random_, 14 + random_.below(200)));
      if (random_.one_in(2)) {
        const Bytes more = rndis_packet(random_frame(random_, 60));
        append(message, more);
      }
      const std::uint64_t id = guest.next_id();
      wire::NvspRndisPacket envelope{.section_index = random_.below(4),
                                     .section_bytes = static_cast<std::uint32_t>(message.size())};
      switch (random_.below(12)) {
        case 0:
        case 1:
        case 2:
          spoil(message);
          std::ranges::copy(message, guest.section(envelope.section_index).begin());
          (void)guest.in_band(id, true, message_of(envelope, 40));
          break;
        case 3: {
          Bytes payload = message_of(envelope, 40);
          spoil(payload);
          (void)guest.in_band(id, random_.one_in(2), payload);
          break;
        }
        case 4: {  // a GPA list, slightly wrong
          vmb::GpaList list;
          const auto page = reinterpret_cast<std::uint64_t>(guest.page().data());
          (void)list.add(vmb::Gpa{page + random_.below(8192)}, 1 + random_.below(6000));
          (void)list.add(vmb::Gpa{page}, 1 + random_.below(100));
          Bytes extension = message_of(vmb::wire::GpaHeader{0, list.count()});
          append(extension, list.bytes());
          if (random_.one_in(8)) spoil(extension);
          const Bytes payload = message_of(wire::NvspRndisPacket{}, 40);
          const auto header8 = static_cast<std::uint16_t>(2 + extension.size() / 8);
          append(extension, payload);
          (void)guest.raw(9, header8, static_cast<std::uint16_t>(header8 + 5), 1, id, extension);
          break;
        }
        case 5: {  // a control message, slightly wrong
          static constexpr std::array<std::uint32_t, 6> kTypes{2, 3, 4, 5, 6, 8};
          Bytes control =
              message_of(std::array<std::uint32_t, 7>{kTypes[random_.below(6)], 28, 1, 0x0001010e, 4, 20, 0}, 48);
          spoil(control);
          std::ranges::copy(control, guest.section(0).begin());
          (void)guest.in_band(id, true, message_of(wire::NvspRndisPacket{.section_index = 0, .section_bytes = 48}, 40));
          break;
        }
        case 6: (void)guest.complete(random_.below(300)); break;
        case 7:
          if (random_.one_in(16))
            (void)guest.raw(static_cast<std::uint16_t>(random_.below(13)), static_cast<std::uint16_t>(random_.below(9)),
                            static_cast<std::uint16_t>(random_.below(12)), static_cast<std::uint16_t>(random_.below(3)),
                            random_.next(), noise(128));
          break;
        case 8:
          if (random_.one_in(64)) random_.fill(guest.ring_memory().subspan(4096, 512));
          break;
        case 9:
          if (random_.one_in(64)) set_index(guest.outbound(), &vmb::RingMemory::write_index);
          break;
        case 10:
          if (random_.one_in(64)) set_index(guest.inbound(), &vmb::RingMemory::read_index);
          break;
        default: {  // another thread would do it: change what was sent
          spoil(guest.section(random_.below(4)).first(256));
          break;
        }
      }
      if (random_.one_in(4)) exercise(host);
      if (random_.one_in(16)) std::this_thread::yield();
      // Our own reading end must not take a ring that we spoilt for the host's mistake.
      const vmb::RingMemory from_host = guest.inbound();
      if (from_host.size() != 0) from_host.read_index().store(from_host.read_index().load());
    }
  }
  RecordProperty("rounds", std::to_string(rounds));
  EXPECT_GT(rounds, 50u);
  EXPECT_GT(attaches, 0u);
  // And it can be used again by one that behaves.
  ScriptedGuest good{link};
  EXPECT_TRUE(eventually([&] { return good.offered(); }, 11s));
  EXPECT_TRUE(good.attach());
  EXPECT_TRUE(eventually([&] { return host.link_up(); }));
  expect_traffic(beside, pool_);
  expect_no_errors(beside.host);
  expect_no_errors(beside.guest);
}

TEST_F(Fuzz, HostNeverHarmsTheGuest) {
  Pair beside;
  beside.start();
  std::uint64_t rounds = 0, attaches = 0;
  while (goes_on()) {
    const std::string link = fresh_link();
    Nic guest{"role=guest,tx_copybreak=" + std::to_string(random_.below(2) * 2000) + ",link=" + link};
    ScriptedHost host{link};
    guest.start();
    if (!host.attach()) continue;
    ++attaches;
    for (int i = 0; i < 1000 && host.is_open() && goes_on(); ++i, ++rounds) {
      const std::uint64_t id = random_.below(2000);
      switch (random_.below(9)) {
        case 0:
        case 1:
        case 2: {
          std::vector<vmb::wire::TransferRange> ranges;
          for (std::uint32_t n = 1 + random_.below(6); n > 0; --n) {
            Bytes message = rndis_packet(random_frame(random_, 14 + random_.below(300)));
            if (random_.one_in(2)) spoil(message);
            const std::uint32_t offset = 65536 + n * 2048;
            host.put(offset, message);
            ranges.push_back({static_cast<std::uint32_t>(message.size()), offset});
          }
          (void)host.transfer(id, ranges);
          break;
        }
        case 3: {
          Bytes control = message_of(
              std::array<std::uint32_t, 8>{0x80000002u + random_.below(7), 32, random_.below(12), 0, 4, 16, 0, 0});
          spoil(control);
          (void)host.transfer_message(id, control);
          break;
        }
        case 4: {
          Bytes payload = message_of(128u + random_.below(10), 40);
          spoil(payload);
          (void)host.in_band(id, random_.one_in(2), payload);
          break;
        }
        case 5:
          for (const Received& packet : host.data)
            (void)host.complete(packet.id + (random_.one_in(4) ? random_.below(3) : 0));
          host.data.clear();
          break;
        case 6: spoil(host.receive_buffer().subspan(65536, 16384)); break;
        case 7:
          if (random_.one_in(32))
            (void)host.raw(static_cast<std::uint16_t>(random_.below(13)), static_cast<std::uint16_t>(random_.below(9)),
                           static_cast<std::uint16_t>(random_.below(12)), static_cast<std::uint16_t>(random_.below(3)),
                           random_.next(), noise(128));
          break;
        default:
          if (random_.one_in(64)) set_index(host.outbound(), &vmb::RingMemory::write_index);
          break;
      }
      host.completes_data = random_.one_in(2);
      if (random_.one_in(2)) exercise(guest);
      if (host.is_open()) host.poll();
    }
  }
  RecordProperty("rounds", std::to_string(rounds));
  EXPECT_GT(rounds, 50u);
  EXPECT_GT(attaches, 0u);
  expect_traffic(beside, pool_);
  expect_no_errors(beside.host);
  expect_no_errors(beside.guest);
}

// The address that the filter judges is the one that is delivered, whatever a guest writes meanwhile.
TEST_F(Fuzz, NoFrameForSomebodyElseIsDeliveredWhileItsAddressChanges) {
  const std::string link = fresh_link();
  Nic host{"role=host,link=" + link, Nic::Options{.promiscuous = false}};
  host.start();
  ScriptedGuest guest{link};
  ASSERT_TRUE(guest.attach());
  ASSERT_TRUE(eventually([&] { return host.link_up(); }));
  const rte_ether_addr mac = host.mac();
  Bytes frame = random_frame(random_, 200);
  for (const std::uint32_t gap : {0u, 4u}) {  // 0: what the plain loop takes
    std::memcpy(frame.data() + gap, mac.addr_bytes, sizeof mac);
    const Bytes message = rndis_packet(frame, [gap](wire::RndisPacket& header) {
      header.data_offset += gap;
      header.data_bytes -= gap;
    });
    const auto address = guest.section(0).subspan(44 + gap, 1);
    std::ranges::copy(message, guest.section(0).begin());
    std::atomic<bool> stop{false};
    std::thread writer{[&] {
      for (std::uint8_t flip = 0; !stop; flip ^= 4) {
        std::atomic_ref{address[0]}.store(static_cast<std::byte>(mac.addr_bytes[0] ^ flip), std::memory_order_relaxed);
      }
    }};
    const std::uint64_t filtered = host.xstat("rx_filtered_packets");
    const wire::NvspRndisPacket envelope{.section_index = 0,
                                         .section_bytes = static_cast<std::uint32_t>(message.size())};
    std::uint32_t delivered = 0, others = 0;
    while (goes_on() || delivered == 0) {
      ASSERT_TRUE(eventually([&] { return guest.in_band(guest.next_id(), true, message_of(envelope, 40)); }));
      rte_mbuf* got[8];
      const std::uint16_t n = host.rx(got);
      for (std::uint16_t j = 0; j < n; ++j) {
        ++delivered;
        others += std::memcmp(rte_pktmbuf_mtod(got[j], const void*), mac.addr_bytes, sizeof mac) != 0 ? 1 : 0;
        rte_pktmbuf_free(got[j]);
      }
      guest.poll();
    }
    stop = true;
    writer.join();
    EXPECT_EQ(others, 0u) << "of " << delivered;
    EXPECT_GT(host.xstat("rx_filtered_packets"), filtered) << "nothing to filter, so nothing was tested";
    deadline_ = std::chrono::steady_clock::now() + fuzz_time();
    (void)host.drop_received();
  }
}

}  // namespace
}  // namespace vmbpmd::test
