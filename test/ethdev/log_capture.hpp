// SPDX-License-Identifier: BSD-3-Clause
// What DPDK logs, while the object lives.
#pragma once

#include <rte_log.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "port/control.hpp"

namespace vmbpmd::test {

class LogCapture {
 public:
  LogCapture() : stream_(open_memstream(&text_, &bytes_)) {
    const std::scoped_lock lock{ControlPlane::instance().mutex()};  // its thread logs, too
    (void)rte_openlog_stream(stream_);
  }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  ~LogCapture() {
    {
      const std::scoped_lock lock{ControlPlane::instance().mutex()};
      (void)rte_openlog_stream(nullptr);
    }
    (void)std::fclose(stream_);
    std::free(text_);
  }

  /// The lines of this driver so far.
  std::vector<std::string> lines() {
    (void)std::fflush(stream_);
    std::vector<std::string> found;
    const std::string all{text_, bytes_};
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = std::min(all.find('\n', at), all.size());
      if (all.compare(at, 8, "vmbpmd: ") == 0) found.push_back(all.substr(at, end - at));
      at = end + 1;
    }
    return found;
  }

  std::string all() {
    (void)std::fflush(stream_);
    return {text_, bytes_};
  }

 private:
  char* text_{};
  std::size_t bytes_{};
  std::FILE* stream_;
};

}  // namespace vmbpmd::test
