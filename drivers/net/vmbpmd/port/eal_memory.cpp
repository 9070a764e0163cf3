// SPDX-License-Identifier: BSD-3-Clause
#include "port/eal_memory.hpp"

#include <rte_errno.h>
#include <rte_memory.h>

#include <bit>
#include <new>

namespace vmbpmd {
namespace {

constexpr const char* kCallbackName = "vmbpmd";

void on_memory_event(rte_mem_event event, const void* address, std::size_t bytes, void* self) {
  static_cast<EalMemory*>(self)->set_used(reinterpret_cast<std::uint64_t>(address), bytes,
                                          event == RTE_MEM_EVENT_ALLOC);
}

int on_run(const rte_memseg_list* /*list*/, const rte_memseg* first, std::size_t bytes, void* self) {
  static_cast<EalMemory*>(self)->set_used(first->addr_64, bytes, true);
  return 0;
}

}  // namespace

EalMemory& EalMemory::instance() noexcept {
  static constinit EalMemory memory;
  return memory;
}

bool EalMemory::start() noexcept {
  if (users_++ > 0) return true;
  lists_.reset(new (std::nothrow) List[kMaxLists]);
  // Without hugepages EAL's memory never changes, and it refuses callbacks.
  const bool follows =
      lists_ != nullptr &&
      (rte_mem_event_callback_register(kCallbackName, on_memory_event, this) == 0 || rte_errno == ENOTSUP);
  if (follows && rte_memseg_contig_walk(on_run, this) == 0) return true;
  stop();
  return false;
}

void EalMemory::stop() noexcept {
  if (--users_ > 0) return;
  (void)rte_mem_event_callback_unregister(kCallbackName, this);
  count_.store(0, std::memory_order_relaxed);
  lists_.reset();
}

vmb::AddressSpace EalMemory::address_space() const noexcept {
  return {[](const void* self, std::uint64_t address, std::uint32_t bytes) noexcept {
            return static_cast<const EalMemory*>(self)->holds(address, bytes);
          },
          this};
}

EalMemory::List* EalMemory::find(std::uint64_t address) noexcept {
  for (std::size_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
    if (address - lists_[i].base < lists_[i].bytes) return &lists_[i];
  }
  return nullptr;
}

EalMemory::List* EalMemory::add_list(std::uint64_t address) noexcept {
  const std::size_t count = count_.load(std::memory_order_relaxed);
  const rte_memseg_list* const msl = rte_mem_virt2memseg_list(reinterpret_cast<const void*>(address));
  if (msl == nullptr || count == kMaxLists) return nullptr;
  List& list = lists_[count];
  list.base = reinterpret_cast<std::uint64_t>(msl->base_va);
  list.bytes = msl->len;
  list.page_shift = static_cast<std::uint32_t>(std::countr_zero(msl->page_sz));
  list.words = ((msl->len >> list.page_shift) + 63) / 64;
  list.used.reset(new (std::nothrow) std::atomic<std::uint64_t>[list.words] {});
  if (!list.used) return nullptr;
  count_.store(count + 1, std::memory_order_release);
  return &list;
}

void EalMemory::set_used(std::uint64_t address, std::size_t bytes, bool used) noexcept {
  const std::scoped_lock lock{change_};
  List* list = find(address);
  if (list == nullptr && used) list = add_list(address);
  if (list == nullptr) return;
  const std::uint64_t first = (address - list->base) >> list->page_shift;
  const std::uint64_t last = (address - list->base + bytes - 1) >> list->page_shift;
  for (std::uint64_t page = first; page <= last; ++page) {
    const std::uint64_t bit = std::uint64_t{1} << (page % 64);
    std::atomic<std::uint64_t>& word = list->used[page / 64];
    used ? word.fetch_or(bit, std::memory_order_relaxed) : word.fetch_and(~bit, std::memory_order_relaxed);
  }
}

bool EalMemory::holds(std::uint64_t address, std::uint32_t bytes) const noexcept {
  if (bytes == 0 || !lists_) return false;
  for (std::size_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
    const List& list = lists_[i];
    const std::uint64_t offset = address - list.base;
    if (offset >= list.bytes) continue;
    if (bytes > list.bytes - offset) return false;
    const std::uint64_t last = (offset + bytes - 1) >> list.page_shift;
    for (std::uint64_t page = offset >> list.page_shift; page <= last; ++page) {
      if (!list.page_used(page)) return false;
    }
    return true;
  }
  return false;
}

}  // namespace vmbpmd
