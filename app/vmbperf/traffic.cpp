// SPDX-License-Identifier: BSD-3-Clause
#include "traffic.hpp"

#include <fcntl.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_launch.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "options.hpp"

namespace vmbperf {
namespace {

constexpr std::uint16_t kEtherType = 0x88b5;  // IEEE 802: local experiments
constexpr std::uint32_t kWordOffset = 16;     // the first aligned word behind the header
constexpr unsigned kPollsPerClock = 64;       // reading the clock costs as much as a frame or two
constexpr double kQuietSeconds = 0.1;         // quiet for so long and so many polls: no frame is left on the way
constexpr unsigned kQuietPolls = 10'000;
constexpr double kAlonePolling =
    0.01;  // before the first frame: to a driver that has not been polled for long, nobody is there

std::uint64_t cycles(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}

/// Nanoseconds that the calling thread was ready to run while its CPU ran something else.
std::uint64_t run_queue_wait_ns() {
  char text[96] = "";
  const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t length = read(file, text, sizeof text - 1);
  (void)close(file);
  std::uint64_t waited = 0;
  return length > 0 && std::sscanf(text, "%*u %" SCNu64, &waited) == 1 ? waited : 0;
}

struct Stamp {
  std::uint64_t tsc = 0;
  std::uint64_t frames = 0;
  std::uint64_t waited_ns = 0;
};

Stamp stamp(std::uint64_t frames) { return {.tsc = rte_rdtsc(), .frames = frames, .waited_ns = run_queue_wait_ns()}; }

double seconds_between(const Stamp& from, const Stamp& to) {
  return static_cast<double>(to.tsc - from.tsc) / static_cast<double>(rte_get_tsc_hz());
}

double waiting_between(const Stamp& from, const Stamp& to) {
  return static_cast<double>(to.waited_ns - from.waited_ns) / 1e9 / seconds_between(from, to);
}

enum class Phase : int { warm_up, window, stop };

/// Runs on the worker lcore. What it wrote is read after the lcore has ended.
struct Sender {
  const Flow& flow;
  const std::uint64_t first_number;
  std::atomic<Phase> phase{Phase::warm_up};

  alignas(RTE_CACHE_LINE_SIZE) std::array<rte_mbuf*, kMaxBurst> frames{};
  std::uint16_t filled = 0;
  std::uint16_t sent = 0;  // of the filled ones
  std::uint64_t next = 0;  // number of the frame to be filled next
  std::uint64_t next_probe = 0;
  Stamp window_from{}, window_to{};

  static int main(void* self) noexcept {
    static_cast<Sender*>(self)->run();
    return 0;
  }

  [[nodiscard]] std::uint64_t accepted() const { return next - (filled - sent); }

  void run() noexcept {
    Phase seen = Phase::warm_up;
    while (seen != Phase::stop) {
      if (sent == filled) fill();
      sent = static_cast<std::uint16_t>(
          sent + rte_eth_tx_burst(flow.tx_port, 0, &frames[sent], static_cast<std::uint16_t>(filled - sent)));
      if (const Phase now = phase.load(std::memory_order_relaxed); now != seen) {
        if (seen == Phase::warm_up) window_from = stamp(accepted());
        if (now == Phase::stop) window_to = stamp(accepted());
        seen = now;
      }
    }
    rte_pktmbuf_free_bulk(&frames[sent], static_cast<unsigned>(filled - sent));
  }

  void fill() noexcept {
    sent = filled = 0;
    if (rte_pktmbuf_alloc_bulk(flow.pool, frames.data(), flow.burst) != 0) return;  // all are on the way: try again
    filled = flow.burst;
    for (std::uint16_t i = 0; i < filled; ++i) {
      frames[i]->data_len = static_cast<std::uint16_t>(flow.frame_bytes);
      frames[i]->pkt_len = flow.frame_bytes;
    }
    next += filled;
    if (next_probe < next) {
      rte_mbuf* const probe = frames[next_probe + filled - next];
      *rte_pktmbuf_mtod_offset(probe, std::uint64_t*, kWordOffset) = first_number + next_probe;
      next_probe += kProbe;
    }
  }
};

/// Runs on the calling thread.
struct Receiver {
  const Flow& flow;
  const std::uint64_t first_number;

  std::array<rte_mbuf*, kMaxBurst> frames{};
  std::uint64_t received = 0;
  std::uint64_t next_probe = 0;
  std::uint64_t misplaced = 0;

  std::uint16_t poll() noexcept {
    const std::uint16_t count = rte_eth_rx_burst(*flow.rx_port, 0, frames.data(), flow.burst);
    if (count == 0) return 0;
    received += count;
    if (next_probe < received) {
      misplaced += is_expected(*frames[next_probe + count - received]) ? 0 : 1;
      next_probe += kProbe;
    }
    rte_pktmbuf_free_bulk(frames.data(), count);
    return count;
  }

  [[nodiscard]] bool is_expected(const rte_mbuf& frame) const noexcept {
    return frame.pkt_len == flow.frame_bytes &&
           *rte_pktmbuf_mtod_offset(&frame, const std::uint64_t*, kWordOffset) == first_number + next_probe;
  }

  void poll_for(double seconds) noexcept {
    const std::uint64_t end = rte_rdtsc() + cycles(seconds);
    do {
      for (unsigned i = 0; i < kPollsPerClock; ++i) (void)poll();
    } while (rte_rdtsc() < end);
  }

  /// Take in what is left once nothing more is sent.
  void drain(const std::uint64_t accepted) noexcept {
    while (received < accepted && !stays_quiet()) {}
  }

  /// No frame for kQuietSeconds and kQuietPolls: time alone may have passed while the CPU ran something else.
  [[nodiscard]] bool stays_quiet() noexcept {
    const std::uint64_t end = rte_rdtsc() + cycles(kQuietSeconds);
    for (unsigned polls = 0; polls < kQuietPolls || rte_rdtsc() < end; ++polls) {
      if (poll() != 0) return false;
    }
    return true;
  }
};

std::uint64_t missed_by(const std::optional<std::uint16_t>& port) {
  rte_eth_stats stats{};
  if (port) (void)rte_eth_stats_get(*port, &stats);
  return stats.imissed + stats.rx_nombuf;
}

/// Let time pass on the receiver's side.
void pass(Receiver& receiver, double seconds) {
  if (receiver.flow.rx_port) {
    receiver.poll_for(seconds);
  } else {
    (void)usleep(static_cast<useconds_t>(seconds * 1e6));
  }
}

}  // namespace

void prefill(rte_mempool* pool) noexcept {
  const auto one = [](rte_mempool*, void*, void* object, unsigned) {
    auto* const header = rte_pktmbuf_mtod(static_cast<rte_mbuf*>(object), rte_ether_hdr*);
    header->dst_addr = {{0x02, 0, 0, 0, 0, 2}};
    header->src_addr = {{0x02, 0, 0, 0, 0, 1}};
    header->ether_type = rte_cpu_to_be_16(kEtherType);
    std::memset(header + 1, 0, kMaxFrame - sizeof *header);
  };
  // Never used so far, so data_off is not yet what allocation makes it.
  (void)rte_mempool_obj_iter(
      pool, [](rte_mempool*, void*, void* object, unsigned) { rte_pktmbuf_reset(static_cast<rte_mbuf*>(object)); },
      nullptr);
  (void)rte_mempool_obj_iter(pool, one, nullptr);
}

Sample one_way(const Flow& flow) noexcept {
  static std::uint64_t measurement = 0;
  const std::uint64_t first_number = ++measurement << 40;  // so that what an earlier one left behind is never expected
  Sender sender{.flow = flow, .first_number = first_number};
  Receiver receiver{.flow = flow, .first_number = first_number};

  const std::uint64_t missed_before = missed_by(flow.rx_port);
  pass(receiver, kAlonePolling);

  if (rte_eal_remote_launch(Sender::main, &sender, flow.sender_lcore) != 0) return {};
  pass(receiver, flow.warm_up_s);
  sender.phase.store(Phase::window, std::memory_order_relaxed);
  const Stamp from = stamp(receiver.received);
  pass(receiver, flow.seconds);
  const Stamp to = stamp(receiver.received);
  sender.phase.store(Phase::stop, std::memory_order_relaxed);
  // The last frames are still taken in, for a sender that waits for room must not wait for ever.
  while (rte_eal_get_lcore_state(flow.sender_lcore) == RUNNING) pass(receiver, 0.0001);
  (void)rte_eal_wait_lcore(flow.sender_lcore);
  if (flow.rx_port) receiver.drain(sender.accepted());

  Sample sample;
  sample.accepted = sender.accepted();
  const double sender_waiting = waiting_between(sender.window_from, sender.window_to);
  if (flow.rx_port) {
    sample.mpps = static_cast<double>(to.frames - from.frames) / seconds_between(from, to) / 1e6;
    sample.lost = sender.accepted() - receiver.received;
    sample.missed = missed_by(flow.rx_port) - missed_before;
    sample.misplaced = receiver.misplaced;
    sample.waiting = std::max(sender_waiting, waiting_between(from, to));
  } else {
    const auto frames = static_cast<double>(sender.window_to.frames - sender.window_from.frames);
    sample.mpps = frames / seconds_between(sender.window_from, sender.window_to) / 1e6;
    sample.waiting = sender_waiting;
  }
  return sample;
}

}  // namespace vmbperf
