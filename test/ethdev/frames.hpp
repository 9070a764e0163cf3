// SPDX-License-Identifier: BSD-3-Clause
// Frames with random contents in mbufs of every shape, and a stream of them from one port to another that must come out
// byte for byte, in order, none missing.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "ethdev/nic.hpp"
#include "support/random.hpp"

namespace vmbpmd::test {

using Bytes = std::vector<std::byte>;
using vmb::test::Random;

/// A frame of `size` bytes (14 or more) to `destination`, random behind it.
Bytes random_frame(Random& random, std::uint32_t size, const rte_ether_addr& destination);
Bytes random_frame(Random& random, std::uint32_t size);

Bytes bytes_of(const rte_mbuf* frame);

/// Turns bytes into mbufs.
class Shaper {
 public:
  enum Shape : std::uint32_t {
    whole = 1,     // one segment
    split = 2,     // up to 16 segments, many of one byte
    clone = 4,     // another mbuf's data, which both hold
    external = 8,  // memory that EAL does not know
  };
  static constexpr std::uint32_t kAll = whole | split | clone | external;

  Shaper(Pool& pool, Random& random, std::uint32_t shapes) : pool_(pool), random_(random), shapes_(shapes) {}
  /// Every external buffer must be back.
  ~Shaper();

  /// @return null: the pool is short.
  rte_mbuf* make(const Bytes& frame);

 private:
  rte_mbuf* make_segment(std::span<const std::byte> bytes, Shape shape);
  Shape pick();

  Pool& pool_;
  Random& random_;
  std::uint32_t shapes_;
  std::uint32_t external_out_{};
};

/// One direction of traffic.
class Stream {
 public:
  struct Settings {
    std::uint32_t frames = 2000;
    std::uint32_t least = 14, most = 1518;
    std::uint32_t shapes = Shaper::whole;
    std::uint32_t max_tx_burst = 64, max_rx_burst = 64;
    std::uint32_t receive_one_in = 1;  // rounds: a slow receiver looks up rarely
  };

  Stream(const Nic& from, const Nic& to, Pool& pool, const Settings& settings, std::uint64_t salt = 1);
  ~Stream();

  /// Send some, receive some. @return false: all frames have arrived, or an error was found.
  bool turn();
  bool done() const { return received_ == settings_.frames || failed_; }
  /// Turns until all is there.
  void run();

  std::uint32_t received() const { return received_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t partial_bursts() const { return partial_bursts_; }

 private:
  void send();
  void receive();

  const Nic& from_;
  const Nic& to_;
  const Settings settings_;
  Random random_;
  Shaper shaper_;
  std::deque<Bytes> expected_;    // made, not yet received
  std::deque<rte_mbuf*> unsent_;  // made, not yet taken: still ours
  std::uint32_t made_{}, received_{};
  std::uint64_t bytes_{}, partial_bursts_{};
  bool failed_{};
};

/// A handful of frames there, compared. Fails the test when they do not arrive.
void expect_traffic(const Nic& from, const Nic& to, Pool& pool, std::uint32_t frames = 100);
/// Both ways.
void expect_traffic(const Pair& pair, Pool& pool);

}  // namespace vmbpmd::test
