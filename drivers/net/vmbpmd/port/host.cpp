// SPDX-License-Identifier: BSD-3-Clause
// The host's control plane: offer, NVSP and RNDIS answers, buffers, link.
#include "port/host.hpp"

#include <algorithm>

#include "port/log.hpp"

namespace vmbpmd {

namespace {
constexpr std::uint32_t kConfigMtuOverhead = 14;  // config MTU = IP MTU + Ethernet header
constexpr std::uint32_t kVlanTag = 4;

/// What a guest did wrong; an OID that we do not have is not its fault.
constexpr std::uint64_t faults_of(const rndis::HostCounters& counters) noexcept {
  return counters.malformed + counters.unknown + counters.out_of_order;
}
}  // namespace

Host::Host(const Config& config) noexcept
    : config_(config),
      nvsp_(nvsp_config(), *this),
      rndis_({.mac = config.guest_mac,
              .link_bit_per_s = config.speed_mbps * std::uint64_t{1'000'000},
              .max_packets = config.max_packets,
              .peer_capabilities = wire::peer_capability::kAll,
              .allow_mac_change = true,
              .friendly_name = config_.name}) {}

Host::~Host() { close(); }

nvsp::HostConfig Host::nvsp_config() const noexcept {
  return {.highest_version = config_.highest_version,
          .max_config_mtu = wanted_.mtu + kConfigMtuOverhead,
          .section_bytes = config_.section_bytes};
}

const char* Host::init(vmb::InprocBus& bus, std::string_view link_name) noexcept {
  bus_ = &bus;
  link_ = bus.join(link_name, *this);
  return link_ == nullptr ? "the link has a host already; one host and one guest are allowed" : nullptr;
}

void Host::close() noexcept {
  if (link_ != nullptr) bus_->leave(link_, *this);  // rescinds: channel_closed() has run
  link_ = nullptr;
}

std::optional<std::uint64_t> Host::gpadl_bytes(std::uint32_t handle) noexcept {
  const std::span<std::byte> memory = link_->gpadl(handle);
  if (memory.empty()) return std::nullopt;
  return memory.size();
}

void Host::channel_opened(const vmb::ChannelParts& parts) noexcept {
  (void)reset_sides();
  set_rx_rules({});
  waiting_.clear();
  nvsp_.reset();
  rndis_.reset(wire::kDefaultConfigMtu);
  open_ = true;
  running_ = false;
  nvsp_answer_bytes_ = wire::kNvspLegacyBytes;
  channel_.open(parts);
}

void Host::stop_running() noexcept {
  if (running_) links_.detaches.add();
  running_ = false;
}

void Host::channel_closed() noexcept {
  stop_running();
  open_ = false;
  close_data();
  waiting_.clear();
  forget_buffers();
  out_.up = false;
}

void Host::forget_buffers() noexcept {
  send_buffer_ = {};
  section_count_ = 0;
  receive_buffer_ = {};
  suballoc_count_ = 0;
  out_.free_chunks.reset(0);
  (void)returned_.reset(1);  // what came back is nobody's any more
}

bool Host::step(Clock::time_point now) noexcept {
  if (link_ == nullptr) return false;
  if (const vmb::Fault fault = take_fault(); fault != vmb::Fault::none && open_) {
    links_.faults[static_cast<std::size_t>(fault)].add();
    const auto wait = back_off_.next(now);
    VMBPMD_LOG(WARNING, "link %s: the guest broke the ring protocol (%s): channel closed, offered again in %u ms",
               link_->name().c_str(), vmb::to_string(fault).data(), static_cast<unsigned>(wait.count()));
    link_->rescind();
    offer_at_ = now + wait;
    return true;
  }
  if (link_->offered() && offered_mtu_ != wanted_.mtu) {
    link_->rescind();  // the guest attaches again, and learns the new limit
    return true;
  }
  if (!link_->offered()) {
    if (now < offer_at_) return false;
    offered_mtu_ = wanted_.mtu;
    nvsp_ = nvsp::Host{nvsp_config(), *this};
    link_->offer();
    return true;
  }
  if (!open_) return false;
  bool progress = send_waiting();
  if (waiting_.empty()) progress |= handle_inbox();
  service_unpolled(now);
  return progress || (waiting_.empty() && inbox_.front() != nullptr);
}

bool Host::handle_inbox() noexcept {
  bool progress = false;
  while (const Inbox::Message* message = waiting_.empty() ? inbox_.front() : nullptr) {
    progress = true;
    if (message->kind == ControlKind::nvsp_message) answer_nvsp(*message);
    if (message->kind == ControlKind::rndis_message) answer_rndis(*message);
    inbox_.pop();
    (void)send_waiting();
  }
  while (waiting_.empty() && running_) {
    const auto indication = rndis_.next();
    if (!indication) break;
    waiting_.push_back({false, 0, {indication->begin(), indication->end()}});
    progress = true;
    (void)send_waiting();
  }
  return progress;
}

void Host::answer_nvsp(const Inbox::Message& message) noexcept {
  const nvsp::Answer answer = nvsp_.on_message(message.payload(), message.wants_completion);
  if (answer.completion) {
    waiting_.push_back({true, message.id, {answer.completion->begin(), answer.completion->end()}});
  }
  if (answer.event.kind == nvsp::HostEventKind::ignored) links_.refused_messages.add();
  on_nvsp(answer.event);
}

void Host::on_nvsp(const nvsp::HostEvent& event) noexcept {
  using nvsp::HostEventKind;
  const Sender sending{channel_, Sender::Wait::yes};
  const Receiver receiving{*this, Sender::Wait::yes};
  switch (event.kind) {
    case HostEventKind::send_connected:
      send_buffer_ = link_->gpadl(event.gpadl);
      section_bytes_ = event.unit_bytes;
      section_count_ = event.unit_count;
      break;
    case HostEventKind::receive_connected:
      receive_buffer_ = link_->gpadl(event.gpadl);
      receive_buffer_id_ = event.id;
      suballoc_bytes_ = event.unit_bytes;
      suballoc_count_ = event.unit_count;
      outstanding_.reset(new (std::nothrow) std::atomic<bool>[suballoc_count_] {});
      if (!outstanding_ || !returned_.reset(suballoc_count_)) suballoc_count_ = 0;
      lay_chunks(false);
      break;
    case HostEventKind::version_agreed:
      nvsp_answer_bytes_ = nvsp_.version() >= wire::NvspVersion::v6_1 ? wire::kNvspBytes : wire::kNvspLegacyBytes;
      break;
    case HostEventKind::revoked:
      stop_running();
      out_.up = false;
      forget_buffers();
      break;
    case HostEventKind::none:
    case HostEventKind::data_path_switched:
    case HostEventKind::ignored: break;
  }
  if (event.ready) rndis_.reset(nvsp_.config_mtu());
}

void Host::lay_chunks(bool dense) noexcept {
  dense_ = dense;
  reserved_ = std::min(kReserved, suballoc_count_ / 2);
  suballocs_per_chunk_ = dense ? std::max(1u, kChunkBytes / std::max(1u, suballoc_bytes_)) : 1;
  const std::uint32_t chunks = (suballoc_count_ - reserved_) / suballocs_per_chunk_;
  out_.next_chunk.assign(chunks, 0);
  out_.free_chunks.reset(chunks);
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) out_.free_chunks.push(chunk);
}

void Host::answer_rndis(const Inbox::Message& message) noexcept {
  using rndis::HostEventKind;
  const bool may = nvsp_.state() == nvsp::HostState::ready || nvsp_.state() == nvsp::HostState::revoked;
  const std::uint64_t faults = faults_of(rndis_.counters());
  const rndis::Answer answer = may ? rndis_.on_message(message.payload()) : rndis::Answer{};
  links_.refused_messages.add(may ? faults_of(rndis_.counters()) - faults : 1);
  const bool refused = !may || answer.event.kind == HostEventKind::ignored;
  // The completion goes first: net_netvsc takes one that comes after the answer for something else (notes, surprise 4).
  std::vector<std::byte> completion(nvsp_answer_bytes_);
  const wire::NvspRndisPacketComplete done{.status = refused ? wire::NvspStatus::failure : wire::NvspStatus::success};
  std::memcpy(completion.data(), &done, sizeof done);
  waiting_.push_back({true, message.id, std::move(completion)});
  const bool can_answer = !receive_buffer_.empty();  // not after a revoke
  if (can_answer && !answer.response.empty()) {
    waiting_.push_back({false, 0, {answer.response.begin(), answer.response.end()}});
  }
  switch (answer.event.kind) {
    case HostEventKind::initialized:
      if (!can_answer) break;
      running_ = true;
      links_.attaches.add();
      rndis_.indicate_media(wanted_.started);
      update_sides();
      break;
    case HostEventKind::halted:
      stop_running();
      update_sides();
      break;
    case HostEventKind::peer_agreed: {
      update_sides();  // the guest may send in its ring from now on
      const Sender sending{channel_, Sender::Wait::yes};
      const Receiver receiving{*this, Sender::Wait::yes};
      // The layout changes only while no frame is under way: our guest asks before it sets its first filter.
      const bool dense = (rndis_.peer_capabilities() & wire::peer_capability::kDenseReceive) != 0;
      take_returned();
      if (dense && out_.free_chunks.size() == out_.next_chunk.size()) lay_chunks(true);
      break;
    }
    default: update_sides(); break;
  }
}

bool Host::send_waiting() noexcept {
  if (waiting_.empty()) return false;
  Sender out{channel_, Sender::Wait::yes};
  if (!out) return false;
  bool progress = false;
  for (; !waiting_.empty(); waiting_.pop_front(), progress = true) {
    const Waiting& next = waiting_.front();
    const std::span<const std::byte> bytes{next.bytes};
    if (next.is_completion ? out.completion(vmb::TransactionId{next.id}, bytes) != vmb::Status::ok
                           : !send_rndis(out, bytes)) {
      break;
    }
  }
  if (out.fault() != vmb::Fault::none) report(out.fault());
  return progress;
}

bool Host::send_rndis(Sender& out, std::span<const std::byte> message) noexcept {
  std::uint32_t id = 0;
  while (id < reserved_ && outstanding_[id].load(std::memory_order_relaxed)) ++id;
  if (id == reserved_ || message.size() > suballoc_bytes_) return false;
  const std::uint32_t offset = id * suballoc_bytes_;
  std::ranges::copy(message, receive_buffer_.begin() + offset);
  wire::NvspRndisPacket envelope{};
  envelope.channel_type = wire::kControlChannel;
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &envelope, sizeof envelope);
  const vmb::wire::TransferRange range{static_cast<std::uint32_t>(message.size()), offset};
  outstanding_[id].store(true, std::memory_order_relaxed);
  if (out.transfer_pages(vmb::TransactionId{id}, receive_buffer_id_, {&range, 1},
                         std::span<const std::byte>{payload}.first(nvsp_answer_bytes_)) == vmb::Status::ok) {
    return true;
  }
  outstanding_[id].store(false, std::memory_order_relaxed);
  return false;
}

void Host::update_sides() noexcept {
  const Sender sending{channel_, Sender::Wait::yes};
  const Receiver receiving{*this, Sender::Wait::yes};
  out_.up = link().up;
  out_.max_frame = nvsp_.config_mtu() + kVlanTag;
  constexpr std::uint32_t kInRing = wire::peer_capability::kFramesInRing | wire::peer_capability::kDenseReceive;
  out_.in_ring = (rndis_.peer_capabilities() & kInRing) == kInRing;
  out_.filter = rndis_.packet_filter();
  out_.guest_mac = rndis_.mac();
  out_.multicast.assign(rndis_.multicast().begin(), rndis_.multicast().end());
  set_rx_rules({.max_frame = nvsp_.config_mtu() + kVlanTag,
                .max_messages = config_.max_packets,
                .frames_in_ring = rx_rules_.frames_in_ring || out_.in_ring,  // after a halt some are still on their way
                .filters = !wanted_.promiscuous,
                .all_multicast = wanted_.all_multicast,
                .mac = wanted_.mac});
}

void Host::apply() noexcept {
  rndis_.indicate_media(wanted_.started);
  update_sides();
}

LinkState Host::link() const noexcept {
  return {open_ && running_ && wanted_.started && rndis_.packet_filter() != 0, config_.speed_mbps};
}

}  // namespace vmbpmd
