// SPDX-License-Identifier: BSD-3-Clause
// A doorbell that really sleeps, and that tells a lost wake-up from a slow peer.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>

namespace vmb::test {

using Clock = std::chrono::steady_clock;

/// How long each stress test runs: VMB_STRESS_SECONDS, else 2.
inline std::chrono::milliseconds stress_time() {
  const char* const text = std::getenv("VMB_STRESS_SECONDS");
  return std::chrono::milliseconds(
      static_cast<std::int64_t>((text != nullptr ? std::strtod(text, nullptr) : 2.0) * 1000));
}

class Sleeper {
 public:
  Sleeper() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) std::abort();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() { close(fd_); }

  /// The peer's side.
  void kick() noexcept {
    kicks_.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = write(fd_, &one, sizeof one);
  }

  /// Sleeps until kicked. @return false: for two seconds nobody kicked; look whether somebody should have.
  [[nodiscard]] bool sleep() {
    ++sleeps_;
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, 2000) == 0) return false;
    std::uint64_t count;
    [[maybe_unused]] const auto n = read(fd_, &count, sizeof count);
    return true;
  }

  std::uint64_t sleeps() const { return sleeps_; }
  std::uint64_t kicks() const { return kicks_.load(); }

 private:
  int fd_;
  std::uint64_t sleeps_{};
  std::atomic<std::uint64_t> kicks_{};
};

}  // namespace vmb::test
