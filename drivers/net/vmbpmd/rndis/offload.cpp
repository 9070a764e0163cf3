// SPDX-License-Identifier: BSD-3-Clause
#include "rndis/offload.hpp"

#include "wire/message.hpp"

namespace vmbpmd::rndis {

using wire::NdisOffloadParameters;
using wire::RndisStatus;
namespace parameter = wire::offload_parameter;
namespace checksum = wire::offload_checksum;

namespace {

/// One checksum switch: which field says it, and which bit of which capabilities it is about.
struct ChecksumSwitch {
  std::uint8_t NdisOffloadParameters::*field;
  wire::NdisChecksumOffload wire::NdisOffload::*tx;
  wire::NdisChecksumOffload wire::NdisOffload::*rx;
  std::uint32_t capability;
};
constexpr ChecksumSwitch kChecksums[] = {
    {&NdisOffloadParameters::ipv4_checksum, &wire::NdisOffload::tx_ipv4, &wire::NdisOffload::rx_ipv4,
     checksum::kIpHeader},
    {&NdisOffloadParameters::tcp4_checksum, &wire::NdisOffload::tx_ipv4, &wire::NdisOffload::rx_ipv4, checksum::kTcp},
    {&NdisOffloadParameters::udp4_checksum, &wire::NdisOffload::tx_ipv4, &wire::NdisOffload::rx_ipv4, checksum::kUdp},
    {&NdisOffloadParameters::tcp6_checksum, &wire::NdisOffload::tx_ipv6, &wire::NdisOffload::rx_ipv6, checksum::kTcp},
    {&NdisOffloadParameters::udp6_checksum, &wire::NdisOffload::tx_ipv6, &wire::NdisOffload::rx_ipv6, checksum::kUdp},
};

constexpr bool wants_transmit(std::uint8_t value) noexcept {
  return value == parameter::kTransmit || value == parameter::kBoth;
}
constexpr bool wants_receive(std::uint8_t value) noexcept {
  return value == parameter::kReceive || value == parameter::kBoth;
}

/// Switches with the values no change, off and on.
constexpr std::uint8_t NdisOffloadParameters::*kOnOff[] = {
    &NdisOffloadParameters::lso_v1,
    &NdisOffloadParameters::ipsec_v1,
    &NdisOffloadParameters::lso_v2_ipv4,
    &NdisOffloadParameters::lso_v2_ipv6,
    &NdisOffloadParameters::tcp_connection_ipv4,
    &NdisOffloadParameters::tcp_connection_ipv6,
    &NdisOffloadParameters::ipsec_v2,
    &NdisOffloadParameters::ipsec_v2_ipv4,
    &NdisOffloadParameters::rsc_ipv4,
    &NdisOffloadParameters::rsc_ipv6,
};

bool in_range(const NdisOffloadParameters& wish) noexcept {
  for (const auto& one : kChecksums) {
    if (wish.*one.field > parameter::kBoth) return false;
  }
  for (const auto field : kOnOff) {
    if (wish.*field > parameter::kEnabled) return false;
  }
  return true;
}

void merge(std::uint8_t& kept, std::uint8_t wish) noexcept {
  if (wish != parameter::kNoChange) kept = wish;
}

}  // namespace

OffloadSettings::OffloadSettings(const wire::NdisOffload& hardware) noexcept : hardware_{hardware} {
  hardware_.header = wire::NdisOffload{}.header;
}

RndisStatus OffloadSettings::apply(std::span<const std::byte> input) noexcept {
  const auto header = wire::load<wire::NdisHeader>(input);
  if (!header || header->bytes < wire::kNdisOffloadParametersMinBytes || header->bytes > input.size()) {
    return RndisStatus::invalid_length;
  }
  if (header->type != wire::NdisObject::standard || header->revision == 0) return RndisStatus::invalid_data;
  const auto wish = wire::load_prefix<NdisOffloadParameters>(input.first(header->bytes));
  if (!in_range(wish)) return RndisStatus::invalid_data;
  if (!can_do(wish)) return RndisStatus::not_supported;
  for (const auto& one : kChecksums) merge(parameters_.*one.field, wish.*one.field);
  for (const auto field : kOnOff) merge(parameters_.*field, wish.*field);
  return RndisStatus::success;
}

bool OffloadSettings::can_do(const NdisOffloadParameters& wish) const noexcept {
  for (const auto& one : kChecksums) {
    const bool tx = ((hardware_.*one.tx).capabilities & one.capability) != 0;
    const bool rx = ((hardware_.*one.rx).capabilities & one.capability) != 0;
    if (wants_transmit(wish.*one.field) && !tx) return false;
    if (wants_receive(wish.*one.field) && !rx) return false;
  }
  for (const auto field : kOnOff) {
    if (wish.*field != parameter::kEnabled) continue;
    const bool has = (field == &NdisOffloadParameters::lso_v2_ipv4 && hardware_.lso_v2_ipv4_encapsulation != 0) ||
                     (field == &NdisOffloadParameters::lso_v2_ipv6 && hardware_.lso_v2_ipv6_encapsulation != 0) ||
                     (field == &NdisOffloadParameters::rsc_ipv4 && hardware_.rsc_ipv4 != 0) ||
                     (field == &NdisOffloadParameters::rsc_ipv6 && hardware_.rsc_ipv6 != 0);
    if (!has) return false;
  }
  return true;
}

wire::NdisOffload OffloadSettings::current() const noexcept {
  wire::NdisOffload current = hardware_;
  for (const auto& one : kChecksums) {
    const std::uint8_t value = parameters_.*one.field;
    if (value == parameter::kNoChange) continue;
    if (!wants_transmit(value)) (current.*one.tx).capabilities &= ~one.capability;
    if (!wants_receive(value)) (current.*one.rx).capabilities &= ~one.capability;
  }
  if (parameters_.lso_v2_ipv4 == parameter::kOff) {
    current.lso_v2_ipv4_encapsulation = current.lso_v2_ipv4_max_bytes = current.lso_v2_ipv4_min_segments = 0;
  }
  if (parameters_.lso_v2_ipv6 == parameter::kOff) {
    current.lso_v2_ipv6_encapsulation = current.lso_v2_ipv6_max_bytes = current.lso_v2_ipv6_min_segments = 0;
    current.lso_v2_ipv6_options = 0;
  }
  if (parameters_.rsc_ipv4 == parameter::kOff) current.rsc_ipv4 = 0;
  if (parameters_.rsc_ipv6 == parameter::kOff) current.rsc_ipv6 = 0;
  return current;
}

}  // namespace vmbpmd::rndis
