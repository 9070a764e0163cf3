// SPDX-License-Identifier: BSD-3-Clause
// The floor: what no driver that copies can do without, and nothing else. Two rings of 64-byte blocks in hugepages, one
// each way and queue; frames are copied in, their mbufs freed in bulk, and at the other end mbufs are taken in bulk and
// frames copied out. No descriptors, no protocol, no validation, no statistics.
#pragma once

#include <memory>

#include "endpoint.hpp"

namespace vmbperf {

struct Setup;
class FloorRing;

/// Both ends. Frames are of one segment, no longer than Setup::max_frame, and all from one pool. As to threads, an end is
/// like a port: one sender and one receiver at a time per queue.
class Floor {
 public:
  /// @param one_copy  the receiver copies out the first 64 bytes of each frame only.
  /// @return  null: no memory.
  static std::shared_ptr<Floor> make(const Setup& setup, bool one_copy);
  ~Floor();
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  [[nodiscard]] Endpoint first() noexcept { return endpoint(ends_[0]); }
  [[nodiscard]] Endpoint second() noexcept { return endpoint(ends_[1]); }

 private:
  struct End {
    FloorRing* out[16];
    FloorRing* in[16];
    rte_mempool* pool;
    bool one_copy;
  };

  Floor() = default;
  static Endpoint endpoint(End& end) noexcept;

  End ends_[2]{};
};

}  // namespace vmbperf
