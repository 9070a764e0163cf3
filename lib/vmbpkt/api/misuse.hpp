// SPDX-License-Identifier: BSD-3-Clause
// What becomes of a call that breaks the contract and has no status to say so.
#pragma once

#include <vmbpkt.h>

#include <atomic>
#include <cstdint>

namespace vmb {

/// Where assertions are on: abort, naming the call. Else: count it with the channel (null: with the process), and log
/// the first, second, fourth, eighth ... of them.
[[gnu::cold]] void misuse(vmb_channel* channel, const char* call, const char* what) noexcept;

/// The count of them.
std::atomic<std::uint64_t>& misuses_of(const vmb_channel* channel) noexcept;

enum class LogLevel : unsigned { error = 4, warning = 5 };  // as EAL counts them

/// How the library speaks: one line on the log, as "vmbpkt: ...".
[[gnu::format(printf, 2, 3)]] void log_line(LogLevel level, const char* format, ...) noexcept;

}  // namespace vmb
