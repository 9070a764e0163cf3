// SPDX-License-Identifier: BSD-3-Clause
#include "api/misuse.hpp"

#include <rte_log.h>

#include <array>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "api/endpoint.hpp"

namespace vmb {

void log_line(LogLevel level, const char* format, ...) noexcept {
  static const int type = rte_log_register_type_and_pick_level("lib.vmbpkt", RTE_LOG_NOTICE);
  std::array<char, 256> line;
  va_list arguments;
  va_start(arguments, format);
  (void)std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  (void)rte_log(static_cast<std::uint32_t>(level), static_cast<std::uint32_t>(type), "vmbpkt: %s\n", line.data());
}

std::atomic<std::uint64_t>& misuses_of(const vmb_channel* channel) noexcept {
  static std::atomic<std::uint64_t> of_no_channel{0};
  return channel != nullptr ? const_cast<vmb_channel*>(channel)->misuses : of_no_channel;
}

void misuse(vmb_channel* channel, const char* call, const char* what) noexcept {
#ifdef NDEBUG
  const std::uint64_t count = misuses_of(channel).fetch_add(1, std::memory_order_relaxed) + 1;
  if (std::has_single_bit(count))
    log_line(LogLevel::error, "misuse of %s: %s (%ju so far)", call, what, std::uintmax_t{count});
#else
  (void)channel;
  (void)std::fprintf(stderr, "vmbpkt: misuse of %s: %s\n", call, what);
  std::abort();
#endif
}

}  // namespace vmb
