// SPDX-License-Identifier: BSD-3-Clause
#include "lcore_clock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>

namespace vmbperf {
namespace {

std::uint64_t run_queue_wait_ns() {
  char text[96] = "";
  const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t length = read(file, text, sizeof text - 1);
  (void)close(file);
  std::uint64_t waited = 0;
  return length > 0 && std::sscanf(text, "%*u %" SCNu64, &waited) == 1 ? waited : 0;
}

}  // namespace

Stamp stamp_now() {
  Stamp stamp;
  stamp.tsc = rte_rdtsc();
  stamp.waited_ns = run_queue_wait_ns();
  return stamp;
}

double seconds_between(const Stamp& from, const Stamp& to) {
  return static_cast<double>(to.tsc - from.tsc) / static_cast<double>(rte_get_tsc_hz());
}

double waiting_between(const Stamp& from, const Stamp& to) {
  const double seconds = seconds_between(from, to);
  return seconds <= 0 ? 0 : static_cast<double>(to.waited_ns - from.waited_ns) / 1e9 / seconds;
}

}  // namespace vmbperf
