// SPDX-License-Identifier: BSD-3-Clause
// What users type behind --vdev net_vmbpmdN: parsed, checked as a whole, explained when it cannot be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/ndis.hpp"

namespace vmbpmd {

enum class Role : std::uint8_t { loop, host, guest };

struct Devargs {
  Role role = Role::loop;
  std::string link;                           // name that both ends give; empty for a loop
  std::optional<wire::MacAddress> mac;        // of this end
  std::optional<wire::MacAddress> guest_mac;  // what a host tells its guest
  std::uint32_t speed_mbps = 100'000;         // what a host says its link has
  std::uint32_t tx_copybreak = 512;           // a guest copies frames up to this; larger ones go from where they lie

  /// @param text   arguments as typed, "key=value,...", may be null.
  /// @param error  one line: the argument, its value, what is allowed.
  static std::optional<Devargs> parse(const char* text, std::string& error);

  /// Address of an end that was given none: locally administered, the same for everyone who knows the name.
  static wire::MacAddress default_mac(const std::string& link, Role role) noexcept;
};

/// For pmdinfo and the documentation; a space between arguments.
inline constexpr char kDevargsHelp[] =
    "role=<host|guest> link=<name> mac=<xx:xx:xx:xx:xx:xx> guest_mac=<xx:xx:xx:xx:xx:xx> speed=<Mbit/s> "
    "tx_copybreak=<bytes>";

}  // namespace vmbpmd
