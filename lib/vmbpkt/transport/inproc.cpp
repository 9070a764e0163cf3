// SPDX-License-Identifier: BSD-3-Clause
#include "transport/inproc.hpp"

#include <mutex>

namespace vmb {

std::uint32_t InprocLink::create_gpadl(std::span<std::byte> memory) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  if (!offered_ || memory.empty() || memory.size() % kPageSize != 0 || address % kPageSize != 0) return 0;
  const std::scoped_lock lock{gpadls_lock_};
  gpadls_.emplace(next_gpadl_, memory);
  return next_gpadl_++;
}

void InprocLink::teardown_gpadl(std::uint32_t handle) noexcept {
  if (open_ && handle == ring_gpadl_) close();
  const std::scoped_lock lock{gpadls_lock_};
  gpadls_.erase(handle);
}

Status InprocLink::open(std::uint32_t ring_gpadl, std::uint32_t inbound_page, ChannelParts& parts) noexcept {
  if (!offered_ || open_) return Status::closed;
  const std::span<std::byte> memory = gpadl(ring_gpadl);
  const std::uint64_t pages = memory.size() / kPageSize;
  if (inbound_page < 2 || pages < inbound_page + std::uint64_t{2}) return Status::invalid;
  const std::uint64_t to_host_bytes = (inbound_page - std::uint64_t{1}) * kPageSize;
  const std::uint64_t to_guest_bytes = (pages - inbound_page - 1) * kPageSize;
  if (!RingMemory::valid_size(to_host_bytes) || !RingMemory::valid_size(to_guest_bytes)) return Status::invalid;
  const RingMemory to_host{memory.data(), static_cast<std::uint32_t>(to_host_bytes)};
  const RingMemory to_guest{memory.data() + std::size_t{inbound_page} * kPageSize,
                            static_cast<std::uint32_t>(to_guest_bytes)};
  open_ = true;
  ring_gpadl_ = ring_gpadl;
  host_->channel_opened({to_guest, to_host, {}, wire::kMaxPacketBytes});
  parts.outbound = to_host;
  parts.inbound = to_guest;
  return Status::ok;
}

void InprocLink::close() noexcept {
  if (!open_) return;
  open_ = false;
  host_->channel_closed();
}

void InprocLink::rescind() noexcept {
  if (!offered_) return;
  offered_ = false;
  if (guest_ != nullptr) guest_->channel_rescinded();
  close();
  const std::scoped_lock lock{gpadls_lock_};
  gpadls_.clear();
}

std::span<std::byte> InprocLink::gpadl(std::uint32_t handle) const noexcept {
  const std::scoped_lock lock{gpadls_lock_};
  const auto found = gpadls_.find(handle);
  return found == gpadls_.end() ? std::span<std::byte>{} : found->second;
}

std::byte* InprocLink::translate(Gpa at, std::uint32_t bytes) const noexcept {
  const auto address = static_cast<std::uint64_t>(at);
  auto* const memory = reinterpret_cast<std::byte*>(address);
  if (process_memory_.holds != nullptr && process_memory_.holds(process_memory_.self, address, bytes)) return memory;
  const std::scoped_lock lock{gpadls_lock_};
  for (const auto& [handle, span] : gpadls_) {
    const auto base = reinterpret_cast<std::uint64_t>(span.data());
    if (address >= base && bytes <= span.size() && address - base <= span.size() - bytes) return memory;
  }
  return nullptr;
}

InprocLink* InprocBus::find_or_make(std::string_view name) noexcept {
  const auto found = links_.find(name);
  if (found != links_.end()) return found->second.get();
  auto made = std::make_unique<InprocLink>(name, process_memory_);
  return links_.emplace(std::string{name}, std::move(made)).first->second.get();
}

void InprocBus::drop_if_empty(InprocLink* link) noexcept {
  if (!link->has_host() && !link->has_guest()) links_.erase(links_.find(link->name()));
}

InprocLink* InprocBus::join(std::string_view name, InprocHost& host) noexcept {
  InprocLink* const link = find_or_make(name);
  if (link->has_host()) return nullptr;
  link->host_ = &host;
  return link;
}

InprocLink* InprocBus::join(std::string_view name, InprocGuest& guest) noexcept {
  InprocLink* const link = find_or_make(name);
  if (link->has_guest()) return nullptr;
  link->guest_ = &guest;
  return link;
}

void InprocBus::leave(InprocLink* link, InprocHost& host) noexcept {
  if (link->host_ != &host) return;
  link->rescind();
  link->host_ = nullptr;
  drop_if_empty(link);
}

void InprocBus::leave(InprocLink* link, InprocGuest& guest) noexcept {
  if (link->guest_ != &guest) return;
  link->close();
  {
    const std::scoped_lock lock{link->gpadls_lock_};
    link->gpadls_.clear();
  }
  link->guest_ = nullptr;
  if (link->host_ != nullptr) link->host_->guest_left();
  drop_if_empty(link);
}

}  // namespace vmb
