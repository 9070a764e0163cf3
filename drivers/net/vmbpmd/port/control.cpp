// SPDX-License-Identifier: BSD-3-Clause
#include "port/control.hpp"

#include <rte_errno.h>
#include <rte_lcore.h>

#include <algorithm>
#include <cstring>

#include "port/eal_memory.hpp"
#include "port/log.hpp"

namespace vmbpmd {

using namespace std::chrono_literals;

ControlPlane::ControlPlane() noexcept : bus_(EalMemory::instance().address_space()) {}

ControlPlane& ControlPlane::instance() noexcept {
  static ControlPlane plane;
  return plane;
}

bool ControlPlane::add(Member& member) noexcept {
  if (members_.empty() && !EalMemory::instance().start()) return false;
  if (!running_) {
    ++generation_;
    const int error = rte_ctrl_thread_create(&thread_, "vmbpmd-control", nullptr, &ControlPlane::thread_main,
                                             reinterpret_cast<void*>(generation_));
    if (error != 0) {
      VMBPMD_LOG(ERR, "control thread: cannot be started: %s", rte_strerror(-error));
      if (members_.empty()) EalMemory::instance().stop();
      return false;
    }
    running_ = true;
  }
  members_.push_back(&member);
  return true;
}

void ControlPlane::remove(Member& member) noexcept {
  std::unique_lock lock{mutex_};
  const bool on_thread = running_ && pthread_equal(pthread_self(), thread_) != 0;
  if (!on_thread) notified_.wait(lock, [&] { return notifying_ != &member; });
  std::erase(members_, &member);
  if (!members_.empty()) return;
  EalMemory::instance().stop();
  ++generation_;
  running_ = false;
  const pthread_t thread = thread_;
  wake_.notify_all();
  lock.unlock();
  if (on_thread) {
    pthread_detach(thread);  // the application closed its last port from a callback: the thread ends behind it
  } else {
    pthread_join(thread, nullptr);
  }
}

void ControlPlane::settle() noexcept {
  for (int round = 0; round < 64; ++round) {
    const Clock::time_point now = Clock::now();
    bool progress = false;
    for (Member* const member : members_) progress |= member->step(now);
    if (!progress) return;
  }
}

void* ControlPlane::thread_main(void* generation) noexcept {
  instance().run(reinterpret_cast<std::uintptr_t>(generation));
  return nullptr;
}

void ControlPlane::run(std::uintptr_t generation) noexcept {
  std::unique_lock lock{mutex_};
  while (generation_ == generation) {
    settle();
    // A member may leave, or another come, while one is notified: look again from the beginning after each.
    while (generation_ == generation) {
      const auto found = std::ranges::find_if(members_, [](Member* member) { return member->changed(); });
      if (found == members_.end()) break;
      notifying_ = *found;
      lock.unlock();
      notifying_->notify();
      lock.lock();
      notifying_ = nullptr;
      notified_.notify_all();
    }
    wake_.wait_for(lock, 1ms, [&] { return generation_ != generation; });
  }
}

}  // namespace vmbpmd
