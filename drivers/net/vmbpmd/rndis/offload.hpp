// SPDX-License-Identifier: BSD-3-Clause
// The offloads of a host's NIC: what it can do, what its guest switched on and off, and what is in force.
// Only remembers and judges: the data path obeys a packet's own per-packet information whatever stands here
// (netvsc.md 3.8).
#pragma once

#include <cstddef>
#include <span>

#include "wire/rndis.hpp"

namespace vmbpmd::rndis {

class OffloadSettings {
 public:
  explicit OffloadSettings(const wire::NdisOffload& hardware) noexcept;

  /// A guest's SET of Oid::offload_parameters. All of it is taken, or nothing.
  /// @param input  an NdisOffloadParameters of any revision, as received.
  /// @return       not_supported if something is asked for that the hardware lacks; invalid_data or
  ///               invalid_length for an object that does not hold.
  wire::RndisStatus apply(std::span<const std::byte> input) noexcept;

  /// Back to everything that the hardware has.
  void reset() noexcept { parameters_ = {}; }

  [[nodiscard]] const wire::NdisOffload& hardware() const noexcept { return hardware_; }
  /// What was last set, field by field; kNoChange: never set.
  [[nodiscard]] const wire::NdisOffloadParameters& parameters() const noexcept { return parameters_; }
  /// The hardware's offloads without those switched off.
  [[nodiscard]] wire::NdisOffload current() const noexcept;

 private:
  [[nodiscard]] bool can_do(const wire::NdisOffloadParameters& wish) const noexcept;

  wire::NdisOffload hardware_;
  wire::NdisOffloadParameters parameters_{};
};

}  // namespace vmbpmd::rndis
