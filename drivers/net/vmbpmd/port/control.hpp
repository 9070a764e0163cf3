// SPDX-License-Identifier: BSD-3-Clause
// The control plane of the process: one mutex, one thread that steps every end, the bus that joins ends in this process.
//
// The thread runs while there are members. Each millisecond it steps them, in rounds, until nothing happens any more: two
// ends of one process attach within one tick. Events for the application are raised after the mutex is released, so that
// its callbacks may call the driver.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "port/end.hpp"
#include "transport/inproc.hpp"

namespace vmbpmd {

class ControlPlane {
 public:
  /// Who is stepped. `step`, `changed`: under the mutex; `notify`: without it, if changed() said so.
  class Member {
   public:
    virtual bool step(Clock::time_point now) noexcept = 0;
    virtual bool changed() noexcept = 0;
    virtual void notify() noexcept = 0;

   protected:
    ~Member() = default;
  };

  static ControlPlane& instance() noexcept;

  std::mutex& mutex() noexcept { return mutex_; }
  vmb::InprocBus& bus() noexcept { return bus_; }

  /// Take a member in that is ready to be stepped; the first starts the thread. Under the mutex.
  /// @return false: no thread, no memory.
  [[nodiscard]] bool add(Member& member) noexcept;

  /// Let it go: on return it is not being stepped, nor notified, nor will be. The last one ends the thread. Without the
  /// mutex; from a notification of another member, too.
  void remove(Member& member) noexcept;

  /// Under the mutex: rounds of steps until nothing happens, or 64.
  void settle() noexcept;

 private:
  ControlPlane() noexcept;
  static void* thread_main(void* generation) noexcept;
  void run(std::uintptr_t generation) noexcept;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable notified_;
  vmb::InprocBus bus_;
  std::vector<Member*> members_;
  Member* notifying_{};
  pthread_t thread_{};
  std::uintptr_t generation_{};  // of the thread that may run; one that finds another number ends
  bool running_{};
};

}  // namespace vmbpmd
