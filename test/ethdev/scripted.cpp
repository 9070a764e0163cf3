// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/scripted.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "channel/gpa_list.hpp"

namespace vmbpmd::test {

using Receiver = vmb::Channel::Receiver;
using Sender = vmb::Channel::Sender;
using vmb::kPageSize;

namespace {

std::mutex& control() { return ControlPlane::instance().mutex(); }

template <class T> T at(const Bytes& bytes, std::size_t offset = 0) {
  T value{};
  if (bytes.size() >= offset + sizeof value) std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

Block::Block(std::size_t bytes) : size_(bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kPageSize, bytes) != 0) std::abort();
  std::memset(memory, 0, bytes);
  memory_.reset(static_cast<std::byte*>(memory));
}

void Block::Free::operator()(std::byte* memory) const { std::free(memory); }

void append(Bytes& bytes, std::span<const std::byte> more) {
  const std::size_t before = bytes.size();
  bytes.resize(before + more.size());  // insert() makes gcc 12 warn of bounds that are none
  if (!more.empty()) std::memcpy(bytes.data() + before, more.data(), more.size());
}

Bytes rndis_packet(const Bytes& frame, const std::function<void(wire::RndisPacket&)>& change) {
  wire::RndisPacket header{};
  header.length = static_cast<std::uint32_t>(sizeof header + frame.size());
  header.data_offset = sizeof header - wire::kOffsetBase;
  header.data_bytes = static_cast<std::uint32_t>(frame.size());
  if (change) change(header);
  Bytes bytes = message_of(header, sizeof header + frame.size());
  std::ranges::copy(frame, bytes.begin() + sizeof header);
  return bytes;
}

// ---- both

bool Scripted::raw(std::uint16_t type, std::uint16_t offset8, std::uint16_t length8, std::uint16_t flags,
                   std::uint64_t id, const Bytes& rest) {
  const vmb::wire::PacketDescriptor descriptor{static_cast<vmb::wire::PacketType>(type), offset8, length8, flags, id};
  Sender out{channel_, Sender::Wait::yes};
  return out && out.ring().append(std::span<const std::byte>{vmb::bytes_of(descriptor)},
                                  std::span<const std::byte>{rest}) == vmb::Status::ok;
}

bool Scripted::in_band(std::uint64_t id, bool wants_completion, const Bytes& payload) {
  Sender out{channel_, Sender::Wait::yes};
  return out &&
         out.in_band(vmb::TransactionId{id}, wants_completion, std::span<const std::byte>{payload}) == vmb::Status::ok;
}

bool Scripted::completion(std::uint64_t id, const Bytes& payload) {
  Sender out{channel_, Sender::Wait::yes};
  return out && out.completion(vmb::TransactionId{id}, std::span<const std::byte>{payload}) == vmb::Status::ok;
}

bool Scripted::complete(std::uint64_t id, wire::NvspStatus status) {
  return completion(id, message_of(wire::NvspRndisPacketComplete{.status = status}, wire::kNvspBytes));
}

vmb::RingMemory Scripted::outbound() {
  Sender out{channel_, Sender::Wait::yes};
  return out ? out.ring().memory() : vmb::RingMemory{};
}

vmb::RingMemory Scripted::inbound() {
  Receiver in{channel_, Sender::Wait::yes};
  return in ? in.ring().memory() : vmb::RingMemory{};
}

std::vector<Received> Scripted::take_all(
    const std::function<void(Receiver&, const vmb::PeekedPacket&, Received&)>& resolve) {
  std::vector<Received> all;
  Receiver in{channel_, Sender::Wait::yes};
  if (!in) return all;
  vmb::PeekedPacket packet;
  while (in.peek(packet) == vmb::Status::ok) {
    Received& received = all.emplace_back();
    received.type = packet.descriptor.type;
    received.id = packet.descriptor.transaction_id;
    received.wants_completion = packet.wants_completion();
    received.payload.resize(packet.payload_bytes());
    (void)in.copy_payload(packet, received.payload);
    resolve(in, packet, received);
    in.take(packet);
  }
  EXPECT_EQ(in.fault(), vmb::Fault::none) << "the real end wrote a bad packet";
  return all;
}

// ---- guest

ScriptedGuest::ScriptedGuest(const std::string& link, const Options& options)
    : options_(options),
      rings_(2 * (std::size_t{options.ring_bytes} + kPageSize)),
      receive_(options.receive_bytes),
      send_(options.send_bytes),
      page_(4 * kPageSize) {
  const std::scoped_lock lock{control()};
  link_ = ControlPlane::instance().bus().join(link, *this);
  if (link_ == nullptr) std::abort();
}

ScriptedGuest::~ScriptedGuest() {
  close();
  const std::scoped_lock lock{control()};
  ControlPlane::instance().bus().leave(link_, *this);
}

bool ScriptedGuest::offered() const {
  const std::scoped_lock lock{control()};
  return link_->offered();
}

bool ScriptedGuest::open() {
  const std::scoped_lock lock{control()};
  if (!link_->offered() || open_) return false;
  const std::uint32_t ring_total = options_.ring_bytes + kPageSize;
  vmb::RingMemory{rings_.bytes().data(), options_.ring_bytes}.format();
  vmb::RingMemory{rings_.bytes().data() + ring_total, options_.ring_bytes}.format();
  gpadls_[0] = link_->create_gpadl(rings_.bytes());
  gpadls_[1] = link_->create_gpadl(receive_.bytes());
  gpadls_[2] = link_->create_gpadl(send_.bytes());
  gpadls_[3] = link_->create_gpadl(page_.bytes());
  vmb::ChannelParts parts;
  if (link_->open(gpadls_[0], ring_total / kPageSize, parts) != vmb::Status::ok) return false;
  channel_.open(parts);
  completions_.clear();
  transfers.clear();
  ++opened_;
  open_ = true;
  return true;
}

void ScriptedGuest::close() {
  const std::scoped_lock lock{control()};
  channel_.close();
  link_->close();
  for (const std::uint32_t gpadl : gpadls_) link_->teardown_gpadl(gpadl);
  open_ = false;
}

void ScriptedGuest::channel_rescinded() noexcept {
  channel_.close();
  ++closed_;
  open_ = false;
}

void ScriptedGuest::poll() {
  const auto all = take_all([this](Receiver& in, const vmb::PeekedPacket& packet, Received& received) {
    if (packet.descriptor.type != vmb::wire::PacketType::transfer_pages) return;
    std::vector<vmb::wire::TransferRange> ranges(1024);
    const std::uint32_t count = in.transfer_ranges(packet, wire::kReceiveBufferId, receive_.bytes().size(), ranges);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto range = receive_.bytes().subspan(ranges[i].byte_offset, ranges[i].byte_count);
      received.ranges.emplace_back(range.begin(), range.end());
    }
  });
  for (const Received& received : all) {
    if (received.type == vmb::wire::PacketType::completion) completions_.emplace_back(received.id, received.payload);
    if (received.type == vmb::wire::PacketType::in_band) in_band_received.push_back(received);
    if (received.type != vmb::wire::PacketType::transfer_pages) continue;
    transfers.push_back(received);
    if (completes_transfers) (void)complete(received.id);
  }
}

std::optional<Bytes> ScriptedGuest::completion_of(std::uint64_t id) {
  std::optional<Bytes> found;
  (void)eventually(
      [&] {
        poll();
        const auto here = std::ranges::find(completions_, id, &std::pair<std::uint64_t, Bytes>::first);
        if (here == completions_.end()) return !open_.load();
        found = here->second;
        completions_.erase(here);
        return true;
      },
      1000ms);
  return found;
}

std::optional<wire::NvspStatus> ScriptedGuest::status_of(std::uint64_t id) {
  const auto payload = completion_of(id);
  if (!payload || payload->size() < 8) return std::nullopt;
  return at<wire::NvspStatusMessage>(*payload).status;
}

std::optional<Bytes> ScriptedGuest::request(const Bytes& payload) {
  const std::uint64_t id = next_id();
  if (!in_band(id, true, payload)) return std::nullopt;
  return completion_of(id);
}

std::uint64_t ScriptedGuest::send_section(std::uint32_t index, const Bytes& bytes, std::uint32_t claimed) {
  if (index < section_count())
    std::ranges::copy(std::span{bytes}.first(std::min<std::size_t>(bytes.size(), section_bytes_)),
                      section(index).begin());
  const std::uint64_t id = next_id();
  wire::NvspRndisPacket message{};
  message.section_index = index;
  message.section_bytes = claimed;
  EXPECT_TRUE(in_band(id, true, message_of(message, wire::kNvspBytes)));
  return id;
}

std::uint64_t ScriptedGuest::send_gpa(const Bytes& extension) {
  const std::uint64_t id = next_id();
  Bytes rest = extension;
  const Bytes payload = message_of(wire::NvspRndisPacket{}, wire::kNvspBytes);
  append(rest, payload);
  const auto header8 = static_cast<std::uint16_t>(2 + extension.size() / 8);
  EXPECT_TRUE(raw(9, header8, static_cast<std::uint16_t>(header8 + payload.size() / 8), 1, id, rest));
  return id;
}

std::uint64_t ScriptedGuest::send_control(const Bytes& message) {
  if (message.size() > page_.bytes().size()) std::abort();
  std::ranges::copy(message, page_.bytes().begin());
  vmb::GpaList list;
  (void)list.add(vmb::Gpa{reinterpret_cast<std::uint64_t>(page_.bytes().data())},
                 static_cast<std::uint32_t>(message.size()));
  Bytes extension = message_of(vmb::wire::GpaHeader{0, list.count()});
  append(extension, list.bytes());
  return send_gpa(extension);
}

std::optional<Bytes> ScriptedGuest::rndis(const Bytes& message) {
  const std::uint64_t id = send_control(message);
  if (status_of(id) != wire::NvspStatus::success) return std::nullopt;
  const auto type = at<std::uint32_t>(message) | wire::kRndisAnswer;
  std::optional<Bytes> found;
  (void)eventually(
      [&] {
        poll();
        for (auto here = transfers.begin(); here != transfers.end(); ++here) {
          if (here->ranges.size() != 1 || at<std::uint32_t>(here->ranges[0]) != type) continue;
          found = here->ranges[0];
          transfers.erase(here);
          return true;
        }
        return !open_.load();
      },
      1000ms);
  return found;
}

bool ScriptedGuest::nvsp_init() {
  const auto answer = request(
      message_of(wire::NvspInit{.min_version = options_.version, .max_version = options_.version}, wire::kNvspBytes));
  return answer && at<wire::NvspInitComplete>(*answer).status == wire::NvspStatus::success;
}

bool ScriptedGuest::connect_buffers() {
  if (options_.version >= wire::NvspVersion::v2) {
    (void)in_band(0, false, message_of(wire::NvspNdisConfig{.mtu = options_.config_mtu}, wire::kNvspBytes));
  }
  (void)in_band(0, false, message_of(wire::NvspNdisVersion{.major = 6, .minor = 30}, wire::kNvspBytes));
  const auto receive = request(
      message_of(wire::NvspSendBuffer{wire::NvspType::send_receive_buffer, gpadls_[1], wire::kReceiveBufferId, 0},
                 wire::kNvspBytes));
  if (!receive || at<wire::NvspReceiveBufferComplete>(*receive).status != wire::NvspStatus::success) return false;
  suballoc_bytes_ = at<wire::NvspReceiveBufferComplete>(*receive).suballoc_bytes;
  suballoc_count_ = at<wire::NvspReceiveBufferComplete>(*receive).suballoc_count;
  const auto send = request(message_of(
      wire::NvspSendBuffer{wire::NvspType::send_send_buffer, gpadls_[2], wire::kSendBufferId, 0}, wire::kNvspBytes));
  if (!send || at<wire::NvspSendBufferComplete>(*send).status != wire::NvspStatus::success) return false;
  section_bytes_ = at<wire::NvspSendBufferComplete>(*send).section_bytes;
  return true;
}

bool ScriptedGuest::rndis_init() {
  const auto answer =
      rndis(message_of(wire::RndisInitialize{.request_id = ++request_ids_, .max_transfer_bytes = 0x4000}));
  if (!answer || at<wire::RndisInitializeComplete>(*answer).status != wire::RndisStatus::success) return false;
  if (options_.capabilities == 0) return true;
  Bytes query = message_of(wire::RndisQuery{.type = wire::RndisType::query,
                                            .length = sizeof(wire::RndisQuery) + sizeof(wire::PeerQuery),
                                            .request_id = ++request_ids_,
                                            .oid = wire::Oid::vmbpmd_peer,
                                            .input_bytes = sizeof(wire::PeerQuery)});
  const Bytes input = message_of(wire::PeerQuery{.capabilities = options_.capabilities});
  append(query, input);
  return rndis(query).has_value();
}

bool ScriptedGuest::set_filter(std::uint32_t filter) {
  Bytes message = message_of(wire::RndisQuery{.type = wire::RndisType::set,
                                              .length = sizeof(wire::RndisQuery) + sizeof filter,
                                              .request_id = ++request_ids_,
                                              .oid = wire::Oid::packet_filter,
                                              .input_bytes = sizeof filter});
  const Bytes input = message_of(filter);
  append(message, input);
  const auto answer = rndis(message);
  return answer && at<wire::RndisSetComplete>(*answer).status == wire::RndisStatus::success;
}

bool ScriptedGuest::attach(std::uint32_t filter) {
  return eventually([this] { return open(); }) && nvsp_init() && connect_buffers() && rndis_init() &&
         set_filter(filter);
}

// ---- host

ScriptedHost::Options ScriptedHost::sensible() {
  Options options;
  options.rndis.mac = {0x02, 0, 0, 0, 0, 0x77};
  options.rndis.connected = true;
  return options;
}

ScriptedHost::ScriptedHost(const std::string& link, const Options& options)
    : nvsp_(options.nvsp, *this), rndis_(options.rndis) {
  const std::scoped_lock lock{control()};
  link_ = ControlPlane::instance().bus().join(link, *this);
  if (link_ == nullptr) std::abort();
  link_->offer();
}

ScriptedHost::~ScriptedHost() {
  const std::scoped_lock lock{control()};
  ControlPlane::instance().bus().leave(link_, *this);
}

void ScriptedHost::rescind() {
  const std::scoped_lock lock{control()};
  link_->rescind();
}

void ScriptedHost::offer() {
  const std::scoped_lock lock{control()};
  link_->offer();
}

void ScriptedHost::channel_opened(const vmb::ChannelParts& parts) noexcept {
  reset_ = true;
  filter_set_ = false;
  channel_.open(parts);
  ++opened_;
  open_ = true;
}

void ScriptedHost::channel_closed() noexcept {
  channel_.close();
  ++closed_;
  open_ = filter_set_ = false;
}

std::optional<std::uint64_t> ScriptedHost::gpadl_bytes(std::uint32_t handle) noexcept {
  const std::scoped_lock lock{control()};
  const auto memory = link_->gpadl(handle);
  if (memory.empty()) return std::nullopt;
  return memory.size();
}

void ScriptedHost::poll() {
  const auto all = take_all([this](Receiver& in, const vmb::PeekedPacket& packet, Received& received) {
    if (packet.descriptor.type == vmb::wire::PacketType::in_band) {
      const auto message = at<wire::NvspRndisPacket>(received.payload);
      if (message.type == wire::NvspType::send_rndis_packet && section_bytes_ != 0 &&
          message.section_index < send_.size() / section_bytes_) {
        const auto section = send_.subspan(message.section_index * std::size_t{section_bytes_}, message.section_bytes);
        received.ranges.emplace_back(section.begin(), section.end());
      }
    }
    if (packet.descriptor.type != vmb::wire::PacketType::gpa_direct) return;
    Bytes extension(packet.header_bytes());
    std::uint32_t ranges = 0;
    const std::uint32_t bytes = in.gpa_extension(packet, extension, ranges);
    vmb::GpaWalk walk{std::span{extension}.first(bytes), ranges};
    Bytes gathered;
    while (const auto piece = walk.next()) {
      const std::byte* const memory = link_->translate(piece->at, piece->bytes);
      EXPECT_NE(memory, nullptr);
      if (memory != nullptr) gathered.insert(gathered.end(), memory, memory + piece->bytes);
    }
    EXPECT_FALSE(walk.malformed());
    received.ranges.push_back(std::move(gathered));
  });
  if (reset_.exchange(false)) {
    nvsp_.reset();
    rndis_.reset(wire::kDefaultConfigMtu);
    receive_ = send_ = {};
    section_bytes_ = 0;
  }
  for (const Received& packet : all) {
    if (!on_packet || !on_packet(packet)) answer(packet);
  }
  while (const auto indication = rndis_.next()) {
    (void)transfer_message(0x1000 + ++control_ids_, {indication->begin(), indication->end()}, 8192);
  }
}

void ScriptedHost::answer(const Received& packet) {
  if (packet.type == vmb::wire::PacketType::completion) {
    completions.emplace_back(packet.id, packet.payload);
    return;
  }
  if (at<wire::NvspHeader>(packet.payload).type == wire::NvspType::send_rndis_packet) {
    if (!packet.ranges.empty() && at<wire::RndisHeader>(packet.ranges[0]).type != wire::RndisType::packet) {
      answer_control(packet);
      return;
    }
    data.push_back(packet);
    if (completes_data) (void)complete(packet.id);
    return;
  }
  const nvsp::Answer answer = nvsp_.on_message(packet.payload, packet.wants_completion);
  const auto gpadl = [this](std::uint32_t handle) {
    const std::scoped_lock lock{control()};
    return link_->gpadl(handle);
  };
  if (answer.event.kind == nvsp::HostEventKind::receive_connected) receive_ = gpadl(answer.event.gpadl);
  if (answer.event.kind == nvsp::HostEventKind::send_connected) {
    send_ = gpadl(answer.event.gpadl);
    section_bytes_ = answer.event.unit_bytes;
  }
  if (answer.event.ready) rndis_.reset(nvsp_.config_mtu());
  if (answer.completion) (void)completion(packet.id, {answer.completion->begin(), answer.completion->end()});
}

void ScriptedHost::answer_control(const Received& packet) {
  const rndis::Answer answer = rndis_.on_message(packet.ranges[0]);
  (void)complete(packet.id);
  const Bytes response{answer.response.begin(), answer.response.end()};
  if (!response.empty()) {
    const std::uint64_t slot = ++control_ids_ % 16;
    (void)transfer_message(0x1000 + control_ids_, response, static_cast<std::uint32_t>(slot * 512));
  }
  if (answer.event.kind == rndis::HostEventKind::filter_changed) filter_set_ = rndis_.packet_filter() != 0;
}

bool ScriptedHost::attach() {
  return eventually([this] {
    poll();
    return attached();
  });
}

void ScriptedHost::put(std::uint32_t offset, const Bytes& bytes) {
  if (offset + bytes.size() > receive_.size()) std::abort();
  std::ranges::copy(bytes, receive_.begin() + offset);
}

bool ScriptedHost::transfer(std::uint64_t id, const std::vector<vmb::wire::TransferRange>& ranges,
                            std::uint16_t set_id) {
  Sender out{channel_, Sender::Wait::yes};
  const Bytes payload = message_of(wire::NvspRndisPacket{}, wire::kNvspBytes);
  return out && out.transfer_pages(vmb::TransactionId{id}, set_id, ranges, std::span<const std::byte>{payload}) ==
                    vmb::Status::ok;
}

bool ScriptedHost::transfer_message(std::uint64_t id, const Bytes& message, std::uint32_t offset) {
  put(offset, message);
  return transfer(id, {{static_cast<std::uint32_t>(message.size()), offset}});
}

std::optional<wire::NvspStatus> ScriptedHost::completion_of(std::uint64_t id) {
  std::optional<wire::NvspStatus> status;
  (void)eventually(
      [&] {
        poll();
        for (auto here = completions.begin(); here != completions.end(); ++here) {
          if (here->first != id) continue;
          status = at<wire::NvspStatusMessage>(here->second).status;
          completions.erase(here);
          return true;
        }
        return !open_.load();
      },
      1000ms);
  return status;
}

void ScriptedHost::indicate(bool connected) {
  rndis_.indicate_media(connected);
  poll();
}

}  // namespace vmbpmd::test
