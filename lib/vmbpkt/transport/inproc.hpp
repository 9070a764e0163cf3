// SPDX-License-Identifier: BSD-3-Clause
// Both ends of a channel in one process: the bus reduced to function calls.
//
// It plays the part of the VMBus control messages (vmbus.md 4): offer, rescind, GPADL create and teardown, open, close,
// with their order and their fences, and supplies ring memory and address translation. It is out of the data path but
// for translate(). Guest-physical addresses are this process's virtual addresses.
//
// Threads: one lock of the caller's (a control-plane mutex) around every call but translate(); callbacks come within
// such a call, on its thread. Memory given by the guest (rings, GPADLs) stays the guest's; the host has left it when
// close() returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.hpp"
#include "base/try_lock.hpp"
#include "channel/channel.hpp"
#include "channel/gpa_list.hpp"

namespace vmb {

/// The host's ear. Each call names what the guest did.
class InprocHost {
 public:
  virtual void channel_opened(const ChannelParts& parts) noexcept = 0;
  virtual void channel_closed() noexcept = 0;  // must return only when no burst of the host is inside
  virtual void guest_left() noexcept {}

 protected:
  ~InprocHost() = default;
};

/// The guest's ear.
class InprocGuest {
 public:
  virtual void channel_rescinded() noexcept = 0;  // must return only when no burst of the guest is inside

 protected:
  ~InprocGuest() = default;
};

/// Guest memory that a host may read: tells whether bytes lie in it. Default: only GPADLs do.
struct AddressSpace {
  bool (*holds)(const void* self, std::uint64_t address, std::uint32_t bytes) noexcept {};
  const void* self{};
};

/// One pair of ends.
class InprocLink {
 public:
  InprocLink(std::string_view name, AddressSpace process_memory) : name_(name), process_memory_(process_memory) {}
  InprocLink(const InprocLink&) = delete;
  InprocLink& operator=(const InprocLink&) = delete;

  const std::string& name() const noexcept { return name_; }
  bool has_host() const noexcept { return host_ != nullptr; }
  bool has_guest() const noexcept { return guest_ != nullptr; }

  // ---- guest ----

  bool offered() const noexcept { return offered_; }

  /// Make memory known to the host. @return the handle, > 0 and never used before on this link; 0: not offered, or
  /// `memory` does not begin at a page or is not made of whole pages.
  [[nodiscard]] std::uint32_t create_gpadl(std::span<std::byte> memory) noexcept;

  /// Forget a GPADL: rings (an open channel is closed first, so that the host has left them), or a buffer that the host
  /// was told to leave by its own protocol, or by close(). Unknown handles are ignored.
  void teardown_gpadl(std::uint32_t handle) noexcept;

  /// Open the channel on two rings that the guest has formatted: outbound first, `inbound_page` pages before the
  /// inbound one. Both need at least one data page.
  /// @param parts  what the guest's own Channel is opened with.
  /// Errors  closed: not offered, or open already. invalid: unknown GPADL, or the ring sizes.
  Status open(std::uint32_t ring_gpadl, std::uint32_t inbound_page, ChannelParts& parts) noexcept;

  /// The fence: on return the host has left rings and buffers. Idempotent.
  void close() noexcept;

  bool is_open() const noexcept { return open_; }

  // ---- host ----

  void offer() noexcept { offered_ = host_ != nullptr; }

  /// Take the offer back: the guest closes (its callback), all GPADLs are torn down.
  void rescind() noexcept;

  /// The memory of a GPADL, or nothing.
  std::span<std::byte> gpadl(std::uint32_t handle) const noexcept;

  /// Where guest-physical bytes lie in this process: within one GPADL, or in memory that the process shares by nature
  /// (AddressSpace). Null: nowhere, and the peer that named them is at fault.
  /// Threads  a burst that holds a lock of the open channel.
  std::byte* translate(Gpa at, std::uint32_t bytes) const noexcept;

 private:
  friend class InprocBus;

  std::string name_;
  AddressSpace process_memory_;
  InprocHost* host_{};
  InprocGuest* guest_{};
  bool offered_{};
  bool open_{};
  std::uint32_t ring_gpadl_{};
  std::uint32_t next_gpadl_{1};
  mutable TryLock gpadls_lock_;  // a burst's look-up against the control plane; only for memory process_memory_ lacks
  std::map<std::uint32_t, std::span<std::byte>> gpadls_;
};

/// All links of one user, by name. An end joins a link, and leaves it; the link goes with its last end.
class InprocBus {
 public:
  explicit InprocBus(AddressSpace process_memory = {}) noexcept : process_memory_(process_memory) {}

  /// @return null: the link has that end already. The link lives until leave().
  InprocLink* join(std::string_view name, InprocHost& host) noexcept;
  InprocLink* join(std::string_view name, InprocGuest& guest) noexcept;

  /// The channel is closed (guest) or rescinded (host) first.
  void leave(InprocLink* link, InprocHost& host) noexcept;
  void leave(InprocLink* link, InprocGuest& guest) noexcept;

  bool empty() const noexcept { return links_.empty(); }

 private:
  InprocLink* find_or_make(std::string_view name) noexcept;
  void drop_if_empty(InprocLink* link) noexcept;

  AddressSpace process_memory_;
  std::map<std::string, std::unique_ptr<InprocLink>, std::less<>> links_;
};

}  // namespace vmb
