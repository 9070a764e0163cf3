// SPDX-License-Identifier: BSD-3-Clause
// What DPDK logs while something is tried, and the line of it that says why it failed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace vmbperf {

/// While it lives, what DPDK logs goes here in place of the terminal. One at a time.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  /// The line that says most about a failure: the driver's last one, else EAL's first. Empty: nothing was logged.
  [[nodiscard]] std::string reason();

 private:
  char* text_ = nullptr;
  std::size_t length_ = 0;
  FILE* stream_;
};

}  // namespace vmbperf
