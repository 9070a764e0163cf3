// SPDX-License-Identifier: BSD-3-Clause
#include "golden/recorded.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "support/hex.hpp"

namespace vmb::test {

namespace {

bool parse_header(const std::string& line, RecordedPacket& packet) {
  char kind[32];
  char name[64];
  unsigned long long id = 0;
  const int fields = std::sscanf(line.c_str(), "#%u ch%u %31s flags=%u xact=%llx %63s", &packet.position,
                                 &packet.channel, kind, &packet.flags, &id, name);
  if (fields != 6) return false;
  packet.kind = kind;
  packet.transaction_id = id;
  packet.name = name;
  return true;
}

void append(std::vector<std::byte>& to, std::string_view text) {
  const std::vector<std::byte> bytes = hex(text);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

bool parse_line(const std::string& line, std::vector<RecordedPacket>& packets) {
  RecordedPacket next;
  if (line.starts_with('#')) {
    if (parse_header(line, next)) packets.push_back(next);
    return true;
  }
  if (line.empty()) return true;
  if (packets.empty()) return false;
  RecordedPacket& packet = packets.back();
  if (line.starts_with("P ")) append(packet.packet, std::string_view{line}.substr(2));
  if (line.starts_with("r ")) append(packet.referred, std::string_view{line}.substr(2));
  if (line.starts_with("R ")) {
    char where[32];
    if (std::sscanf(line.c_str(), "R %31s %zu bytes", where, &packet.referred_bytes) != 2) return false;
    packet.referred_name = line.substr(line.find("bytes ") + 6);
  }
  return true;
}

bool holds_together(const RecordedPacket& packet) {
  return packet.packet.size() >= 16 && packet.referred.size() == packet.referred_bytes && !packet.payload().empty();
}

std::size_t eighths_at(std::span<const std::byte> packet, std::size_t offset) {
  return (std::to_integer<std::size_t>(packet[offset]) | std::to_integer<std::size_t>(packet[offset + 1]) << 8) * 8;
}

}  // namespace

std::span<const std::byte> RecordedPacket::payload() const {
  const std::size_t begin = eighths_at(packet, 2);
  const std::size_t end = eighths_at(packet, 4);
  if (begin > end || end > packet.size()) return {};
  return std::span{packet}.subspan(begin, end - begin);
}

std::vector<RecordedPacket> read_recording(std::string_view name) {
  std::ifstream file{std::string{VMBPMD_GOLDEN_DIR} + "/" + std::string{name}};
  std::vector<RecordedPacket> packets;
  for (std::string line; std::getline(file, line);) {
    if (!parse_line(line, packets)) return {};
  }
  if (!std::all_of(packets.begin(), packets.end(), holds_together)) return {};
  return packets;
}

const RecordedPacket& at_position(const std::vector<RecordedPacket>& packets, unsigned position) {
  const auto found = std::find_if(packets.begin(), packets.end(),
                                  [position](const RecordedPacket& packet) { return packet.position == position; });
  if (found == packets.end()) std::abort();
  return *found;
}

}  // namespace vmb::test
