// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/devargs.hpp"

#include <rte_ether.h>
#include <rte_kvargs.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace vmbpmd {
namespace {

constexpr std::size_t kMaxLinkName = 64;

using Setter = bool (*)(Devargs&, std::string_view);

bool set_role(Devargs& args, std::string_view value) {
  if (value != "host" && value != "guest") return false;
  args.role = value == "host" ? Role::host : Role::guest;
  return true;
}

bool set_link(Devargs& args, std::string_view value) {
  args.link = value;
  return !value.empty() && value.size() <= kMaxLinkName;
}

bool parse_mac(std::optional<wire::MacAddress>& mac, std::string_view value) {
  rte_ether_addr address;
  if (rte_ether_unformat_addr(std::string{value}.c_str(), &address) != 0 ||
      !rte_is_valid_assigned_ether_addr(&address)) {
    return false;
  }
  std::memcpy(mac.emplace().data(), address.addr_bytes, RTE_ETHER_ADDR_LEN);
  return true;
}

bool set_mac(Devargs& args, std::string_view value) { return parse_mac(args.mac, value); }
bool set_guest_mac(Devargs& args, std::string_view value) { return parse_mac(args.guest_mac, value); }

bool parse_number(std::uint32_t& number, std::string_view value, std::uint32_t least, std::uint32_t most) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc{} && end == value.data() + value.size() && number >= least && number <= most;
}

bool set_speed(Devargs& args, std::string_view value) { return parse_number(args.speed_mbps, value, 1, 400'000); }
bool set_tx_copybreak(Devargs& args, std::string_view value) {
  return parse_number(args.tx_copybreak, value, 0, 65535);
}

struct Argument {
  std::string_view key;
  Setter set;
  std::string_view allowed;
};

constexpr std::array kArguments{
    Argument{"role", set_role, "host or guest"},
    Argument{"link", set_link, "a name of 1 to 64 characters, the same at both ends"},
    Argument{"mac", set_mac, "a unicast address such as 02:00:00:00:00:01"},
    Argument{"guest_mac", set_guest_mac, "a unicast address such as 02:00:00:00:00:02"},
    Argument{"speed", set_speed, "1 to 400000 Mbit/s"},
    Argument{"tx_copybreak", set_tx_copybreak, "0 to 65535 bytes"},
};

std::string known_keys() {
  std::string keys;
  for (const Argument& argument : kArguments) keys.append(keys.empty() ? "" : ", ").append(argument.key);
  return keys;
}

bool apply_one(Devargs& args, const rte_kvargs_pair& pair, std::string& error) {
  const std::string_view value = pair.value == nullptr ? "" : pair.value;
  for (const Argument& argument : kArguments) {
    if (argument.key != pair.key) continue;
    if (argument.set(args, value)) return true;
    error = std::string{pair.key} + "=" + std::string{value} + ": must be " + std::string{argument.allowed};
    return false;
  }
  error = std::string{pair.key} + "=" + std::string{value} + ": no such argument; there are " + known_keys();
  return false;
}

/// What no argument alone can say.
bool check_together(const Devargs& args, const rte_kvargs& given, std::string& error) {
  const auto has = [&given](const char* key) { return rte_kvargs_count(&given, key) > 0; };
  for (const Argument& argument : kArguments) {
    if (rte_kvargs_count(&given, argument.key.data()) > 1) {
      error = std::string{argument.key} + "=: given twice; once is allowed";
      return false;
    }
  }
  if (has("role") && !has("link")) {
    error = std::string{"role="} + (args.role == Role::host ? "host" : "guest") + ": needs link=NAME beside it";
    return false;
  }
  if (has("link") && !has("role")) {
    error = "link=" + args.link + ": needs role=host or role=guest beside it";
    return false;
  }
  if (args.role == Role::guest && (has("guest_mac") || has("speed"))) {
    error = std::string{has("speed") ? "speed" : "guest_mac"} + "=: the host says this; allowed with role=host only";
    return false;
  }
  if (args.role == Role::host && has("tx_copybreak")) {
    error = "tx_copybreak=" + std::to_string(args.tx_copybreak) + ": allowed with role=guest and without role= only";
    return false;
  }
  return true;
}

}  // namespace

std::optional<Devargs> Devargs::parse(const char* text, std::string& error) {
  Devargs args;
  if (text == nullptr || *text == '\0') return args;
  const std::unique_ptr<rte_kvargs, decltype(&rte_kvargs_free)> given{rte_kvargs_parse(text, nullptr), rte_kvargs_free};
  if (!given) {
    error = std::string{text} + ": must be key=value,key=value,...";
    return std::nullopt;
  }
  for (unsigned i = 0; i < given->count; ++i) {
    if (!apply_one(args, given->pairs[i], error)) return std::nullopt;
  }
  if (!check_together(args, *given, error)) return std::nullopt;
  return args;
}

wire::MacAddress Devargs::default_mac(const std::string& link, Role role) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&hash](char c) { hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3; };
  for (const char c : link) add(c);
  add(role == Role::host ? 'h' : 'g');
  wire::MacAddress mac{0x02};
  std::memcpy(mac.data() + 1, &hash, mac.size() - 1);
  return mac;
}

}  // namespace vmbpmd
