// SPDX-License-Identifier: BSD-3-Clause
#include "log_capture.hpp"

#include <rte_log.h>

#include <cstdlib>
#include <sstream>

namespace vmbperf {

LogCapture::LogCapture() : stream_{open_memstream(&text_, &length_)} {
  if (stream_ != nullptr) (void)rte_openlog_stream(stream_);
}

LogCapture::~LogCapture() {
  (void)rte_openlog_stream(nullptr);
  if (stream_ != nullptr) (void)fclose(stream_);
  std::free(text_);
}

std::string LogCapture::reason() {
  if (stream_ == nullptr || fflush(stream_) != 0) return {};
  std::istringstream lines{text_};
  std::string from_eal, from_driver;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("EAL:")) from_driver = line;
    if (line.starts_with("EAL:") && from_eal.empty()) from_eal = line;
  }
  if (from_eal.find("failed to parse device") != std::string::npos)
    return "no driver of that name: load its plugin with -d";
  return from_driver.empty() ? from_eal : from_driver;
}

}  // namespace vmbperf
