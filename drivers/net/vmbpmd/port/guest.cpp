// SPDX-License-Identifier: BSD-3-Clause
// The guest's control plane: memory, attach, detach, link, packet filter.
#include "port/guest.hpp"

#include <algorithm>

#include "port/log.hpp"
#include "rndis/packet.hpp"

namespace vmbpmd {

using namespace std::chrono_literals;
using vmb::kPageSize;

namespace {

constexpr auto kAttachTimeout = 60s;  // busy real hosts were seen to need 15 (peers.md 2.1)
constexpr auto kDetachTimeout = 200ms;

constexpr std::uint32_t kConfigMtuOverhead = 14;  // config MTU = IP MTU + Ethernet header

/// What a host did wrong; a version or a request that it refuses is not that.
constexpr std::uint64_t faults_of(const nvsp::GuestCounters& counters) noexcept {
  return counters.unexpected_completions + counters.malformed_messages + counters.unknown_messages;
}
constexpr std::uint64_t faults_of(const rndis::GuestCounters& counters) noexcept {
  return counters.malformed + counters.unmatched + counters.unknown;
}

}  // namespace

Guest::~Guest() { close(); }

const char* Guest::init(vmb::InprocBus& bus, std::string_view link_name) noexcept {
  const std::size_t ring_bytes = 2 * (std::size_t{config_.ring_bytes} + kPageSize);
  const std::size_t control_bytes = std::size_t{kRndisSlots} * kControlBytes;
  const std::size_t header_bytes = std::size_t{kDirectSlots} * kHeaderBytes;
  out_.bounce_bytes = vmb::align_up(std::uint32_t{kMaxMtu} + kFrameOverhead, vmb::kCacheLine);
  const std::size_t bounce_bytes = std::size_t{kBounceSlots} * out_.bounce_bytes;
  auto memory = vmb::SharedMemory::reserve("guest",
                                           ring_bytes + config_.receive_buffer_bytes + config_.send_buffer_bytes +
                                               control_bytes + header_bytes + bounce_bytes,
                                           config_.numa_node);
  if (!memory) return "no memory for rings and buffers: free hugepages, or give -m";
  memory_ = std::move(*memory);
  std::span<std::byte> rest = memory_.bytes();
  const auto carve = [&rest](std::size_t bytes) {
    const std::span<std::byte> part = rest.first(bytes);
    rest = rest.subspan(bytes);
    return part;
  };
  rings_ = carve(ring_bytes);
  receive_buffer_ = carve(config_.receive_buffer_bytes);
  send_buffer_ = carve(config_.send_buffer_bytes);
  control_ = carve(control_bytes);
  headers_ = carve(header_bytes);
  bounce_ = carve(bounce_bytes);

  const std::uint32_t max_sections = config_.send_buffer_bytes / nvsp::kMinSectionBytes;
  direct_.reset(new (std::nothrow) DirectSlot[kDirectSlots]{});
  if (!direct_ || !in_flight_.reset(kFirstSectionSlot + max_sections) ||
      !returned_.reset(kFirstSectionSlot + max_sections)) {
    return "no memory for bookkeeping";
  }
  ranges_.resize(kMaxRangesTaken);
  out_.free_sections.reset(max_sections);
  out_.free_direct.reserve(kDirectSlots);

  bus_ = &bus;
  link_ = bus.join(link_name, *this);
  return link_ == nullptr ? "the link has a guest already; one host and one guest are allowed" : nullptr;
}

void Guest::close() noexcept {
  closing_ = true;
  close_channel();
  if (link_ != nullptr) bus_->leave(link_, *this);
  link_ = nullptr;
  memory_ = {};
}

void Guest::channel_rescinded() noexcept {
  close_channel();
  retry_at_ = {};  // a new offer is a new host: no reason to wait for it
}

bool Guest::open_channel(Clock::time_point now) noexcept {
  const std::uint32_t ring_total = config_.ring_bytes + kPageSize;
  vmb::RingMemory{rings_.data(), config_.ring_bytes}.format();
  vmb::RingMemory{rings_.data() + ring_total, config_.ring_bytes}.format();
  if (!reset_sides() || !returned_.reset(in_flight_.slots()) || !in_flight_.reset(in_flight_.slots())) {
    return attach_failed("memory", "out of it", now);
  }
  gpadls_[0] = link_->create_gpadl(rings_);
  gpadls_[1] = link_->create_gpadl(receive_buffer_);
  gpadls_[2] = link_->create_gpadl(send_buffer_);
  out_.up = false;
  out_.free_direct.clear();
  for (std::uint32_t i = kDirectSlots; i-- > 0;) out_.free_direct.push_back(kFirstDirectSlot + i);
  rndis_sends_ = 0;
  nvsp_unsent_.clear();
  rndis_unsent_.clear();
  filter_sent_ = 0;
  mac_asked_ = {};
  filter_busy_ = false;

  vmb::ChannelParts parts;
  if (link_->open(gpadls_[0], ring_total / kPageSize, parts) != vmb::Status::ok) {
    return attach_failed("channel", "the host refused it", now);
  }
  asked_mtu_ = wanted_.mtu;
  max_frame_in_ = std::uint32_t{asked_mtu_} + kFrameOverhead;  // what the application has buffers for
  set_rx_rules({.pieces_stand_alone = true, .one_message_a_piece = true, .max_frame = max_frame_in_});
  channel_.open(parts);
  state_ = State::attaching;
  deadline_ = now + kAttachTimeout;
  nvsp_.start({.highest_version = config_.highest_version,
               .config_mtu = wanted_.mtu + kConfigMtuOverhead,
               .receive_gpadl = gpadls_[1],
               .receive_bytes = receive_buffer_.size(),
               .send_gpadl = gpadls_[2],
               .send_bytes = send_buffer_.size()});
  return true;
}

void Guest::close_channel() noexcept {
  if (state_ == State::waiting) return;
  if (state_ != State::attaching) links_.detaches.add();
  state_ = State::waiting;
  close_data();
  link_->close();
  for (const std::uint32_t gpadl : gpadls_) link_->teardown_gpadl(gpadl);
  nvsp_.abandon(nvsp::Failure::channel_closed);
  (void)rndis_.abandon(rndis::Failure::channel_closed);
  for (std::uint32_t i = 0; i < kDirectSlots; ++i) {
    rte_mbuf* const frame = direct_[i].frame.exchange(nullptr, std::memory_order_relaxed);
    if (frame == nullptr) continue;
    links_.lost_in_flight.add();
    rte_pktmbuf_free(frame);
  }
  out_.up = false;
  out_.free_sections.reset(0);
}

bool Guest::attach_failed(const char* what, const char* why, Clock::time_point now) noexcept {
  links_.attach_failures.add();
  close_channel();
  const auto wait = back_off_.next(now);
  retry_at_ = now + wait;
  VMBPMD_LOG(NOTICE, "link %s: attach failed at %s: %s; next try in %u ms", link_->name().c_str(), what, why,
             static_cast<unsigned>(wait.count()));
  return false;
}

void Guest::detach() noexcept {
  if (state_ == State::waiting || state_ == State::detaching) return;
  {
    const Sender side{channel_, Sender::Wait::yes};
    out_.up = false;
  }
  rndis_.halt();
  nvsp_.detach();
  state_ = State::detaching;
  deadline_ = Clock::now() + kDetachTimeout;
}

bool Guest::step(Clock::time_point now) noexcept {
  if (link_ == nullptr) return false;
  if (const vmb::Fault fault = take_fault(); fault != vmb::Fault::none && state_ != State::waiting) {
    links_.faults[static_cast<std::size_t>(fault)].add();
    VMBPMD_LOG(WARNING, "link %s: the host broke the ring protocol (%s): channel closed", link_->name().c_str(),
               vmb::to_string(fault).data());
    close_channel();
    retry_at_ = now + back_off_.next(now);
    return true;
  }
  if (state_ == State::waiting) {
    if (closing_ || !link_->offered() || now < retry_at_) return false;
    return open_channel(now);
  }
  if (state_ == State::attached && asked_mtu_ != wanted_.mtu) detach();  // it attaches again, and asks for the new one
  bool progress = handle_inbox(now);
  if (state_ == State::waiting) return true;
  progress |= send_control();
  service_unpolled(now);
  progress |= inbox_.front() != nullptr;
  const bool said_goodbye = rndis_sends_ == 0 && rndis_.state() != rndis::GuestState::halting && !progress;
  if (state_ == State::detaching && (said_goodbye || now > deadline_)) {
    close_channel();
    return true;
  }
  if (state_ == State::attaching && now > deadline_) {
    (void)attach_failed("control message", "no answer from the host", now);
    return true;
  }
  return progress;
}

bool Guest::handle_inbox(Clock::time_point now) noexcept {
  bool progress = false;
  while (const Inbox::Message* message = inbox_.front()) {
    progress = true;
    const std::uint64_t faults = faults_of(nvsp_.counters()) + faults_of(rndis_.counters());
    switch (message->kind) {
      case ControlKind::nvsp_completion: on_nvsp(nvsp_.on_completion(message->payload()), now); break;
      case ControlKind::nvsp_message:
        on_nvsp(nvsp_.on_message(message->payload()), now);
        if (message->wants_completion) {
          Sender out{channel_, Sender::Wait::yes};
          if (out) (void)out.completion(vmb::TransactionId{message->id}, std::span<const std::byte, 0>{});
        }
        break;
      case ControlKind::rndis_message: on_rndis(rndis_.on_message(message->payload()), now); break;
      case ControlKind::rndis_sent: rndis_sends_ &= ~(1u << (message->id - kFirstRndisSlot)); break;
      case ControlKind::refused: break;
    }
    links_.refused_messages.add(faults_of(nvsp_.counters()) + faults_of(rndis_.counters()) - faults);
    if (state_ == State::waiting) return true;  // closed by what the message said: the inbox is void
    inbox_.pop();
  }
  return progress;
}

void Guest::on_nvsp(nvsp::GuestEvent event, Clock::time_point now) noexcept {
  if (state_ != State::attaching) return;
  if (event == nvsp::GuestEvent::failed) (void)attach_failed("NVSP", nvsp::name(nvsp_.failure()), now);
  if (event == nvsp::GuestEvent::ready)
    rndis_.start({.max_transfer_bytes = 0x4000, .peer_capabilities = wire::peer_capability::kAll});
}

void Guest::on_rndis(const rndis::GuestEvent& event, Clock::time_point now) noexcept {
  using rndis::GuestEventKind;
  if (event.kind == GuestEventKind::failed && state_ == State::attaching) {
    (void)attach_failed("RNDIS", rndis::name(rndis_.failure()), now);
  } else if (event.kind == GuestEventKind::operational && state_ == State::attaching) {
    state_ = State::attached;
    links_.attaches.add();
    start_data();
    apply();
  } else if (event.kind == GuestEventKind::request_done && event.request == rndis::GuestRequest::set_filter) {
    filter_busy_ = false;
    if (event.status != wire::RndisStatus::success) {
      VMBPMD_LOG(WARNING, "link %s: the host refused packet filter 0x%x", link_->name().c_str(), filter_sent_);
    }
    apply();
  } else if (event.kind == GuestEventKind::request_done && event.request == rndis::GuestRequest::set_mac &&
             event.status != wire::RndisStatus::success) {
    VMBPMD_LOG(WARNING,
               "link %s: the host keeps its own MAC address for this port: use promiscuous mode, or its guest_mac=",
               link_->name().c_str());
  } else if (event.kind == GuestEventKind::link_changed || event.kind == GuestEventKind::request_done) {
    update_tx();
  }
}

std::byte* Guest::control_room(std::uint32_t slot) const noexcept {
  return control_.data() + std::size_t{slot - kFirstRndisSlot} * kControlBytes;
}

bool Guest::send_control() noexcept {
  // NVSP has one request out at a time, RNDIS as many as there are buffers. The revokes of a detach wait for the HALT.
  bool progress = false;
  const auto halting = [this] {
    return state_ == State::detaching && (rndis_.state() == rndis::GuestState::halting || rndis_sends_ != 0);
  };
  while (!in_flight_.in_flight(kNvspSlot) && !halting() && send_nvsp()) progress = true;
  while (rndis_sends_ != (1u << kRndisSlots) - 1 && send_rndis()) progress = true;
  return progress;
}

bool Guest::send_nvsp() noexcept {
  if (nvsp_unsent_.empty()) {
    const auto message = nvsp_.next();
    if (!message) return false;
    nvsp_unsent_.assign(message->payload.begin(), message->payload.end());
    nvsp_wants_completion_ = message->completion_requested;
  }
  Sender out{channel_, Sender::Wait::yes};
  if (!out) return false;
  const vmb::TransactionId id = nvsp_wants_completion_ ? in_flight_.begin(kNvspSlot) : vmb::TransactionId::none;
  if (out.in_band(id, nvsp_wants_completion_, std::span<const std::byte>{nvsp_unsent_}) != vmb::Status::ok) {
    (void)in_flight_.cancel(id);
    if (out.fault() != vmb::Fault::none) report(out.fault());
    return false;
  }
  nvsp_unsent_.clear();
  return true;
}

bool Guest::send_rndis() noexcept {
  if (rndis_unsent_.empty()) {
    const auto message = rndis_.next();
    if (!message) return false;
    rndis_unsent_.assign(message->begin(), message->end());
  }
  Sender out{channel_, Sender::Wait::yes};
  if (!out) return false;
  const auto slot = kFirstRndisSlot + static_cast<std::uint32_t>(std::countr_one(rndis_sends_));
  std::byte* const room = control_room(slot);
  std::ranges::copy(rndis_unsent_, room);
  vmb::GpaList list;
  (void)list.add(vmb::Gpa{reinterpret_cast<std::uint64_t>(room)}, static_cast<std::uint32_t>(rndis_unsent_.size()));
  wire::NvspRndisPacket envelope{};
  envelope.channel_type = wire::kControlChannel;
  std::array<std::byte, wire::kNvspBytes> payload{};
  std::memcpy(payload.data(), &envelope, sizeof envelope);
  const vmb::TransactionId id = in_flight_.begin(slot);
  if (out.gpa_direct(id, list.count(), list.bytes(), std::span<const std::byte, wire::kNvspBytes>{payload}) !=
      vmb::Status::ok) {
    (void)in_flight_.cancel(id);
    if (out.fault() != vmb::Fault::none) report(out.fault());
    return false;
  }
  rndis_sends_ |= 1u << (slot - kFirstRndisSlot);
  rndis_unsent_.clear();
  return true;
}

void Guest::start_data() noexcept {
  const nvsp::GuestResult& buffers = nvsp_.result();
  const rndis::GuestResult& nic = rndis_.result();
  const auto agreed = [&nic](std::uint32_t capability) { return (nic.peer_capabilities & capability) == capability; };
  const bool in_ring = agreed(wire::peer_capability::kFramesInRing | wire::peer_capability::kDenseReceive);
  {
    const Receiver side{*this, Sender::Wait::yes};
    set_rx_rules({.pieces_stand_alone = true,
                  .one_message_a_piece = !agreed(wire::peer_capability::kDenseReceive),
                  .max_frame = max_frame_in_,
                  .frames_in_ring = in_ring});
  }
  const Sender side{channel_, Sender::Wait::yes};
  out_.section_bytes = buffers.section_bytes;
  out_.max_packets = nic.max_packets;
  out_.alignment = std::max(8u, 1u << nic.alignment_factor);
  out_.max_bytes = std::min(out_.section_bytes, nic.max_transfer_bytes);
  out_.max_frame = std::min(std::uint32_t{mtu()} + kFrameOverhead, nic.max_transfer_bytes - rndis::kPacketHeaderBytes);
  const std::uint32_t fits_section = out_.max_bytes - rndis::kPacketHeaderBytes - out_.alignment;
  out_.copybreak = std::min({config_.tx_copybreak, out_.max_frame, fits_section});
  out_.in_ring = in_ring;
  out_.direct_batch = agreed(wire::peer_capability::kDirectBatches) ? std::min(kMaxDirectBatch, nic.max_packets) : 1;
  out_.free_sections.reset(buffers.section_count);
  for (std::uint32_t i = 0; i < buffers.section_count; ++i) out_.free_sections.push(kFirstSectionSlot + i);
}

void Guest::update_tx() noexcept {
  const Sender side{channel_, Sender::Wait::yes};
  out_.up = link().up;
}

std::uint32_t Guest::wanted_filter() const noexcept {
  namespace filter = wire::packet_filter;
  if (!wanted_.started) return 0;
  if (wanted_.promiscuous) return filter::kPromiscuous;  // sent alone, it implies the others
  const std::uint32_t multicast = wanted_.all_multicast ? filter::kAllMulticast : filter::kMulticast;
  return filter::kDirected | filter::kBroadcast | multicast;
}

void Guest::apply() noexcept {
  if (state_ != State::attached) return;
  if (own_mac_ && wanted_.mac != mac_asked_) {
    mac_asked_ = wanted_.mac;
    if (mac_asked_ != rndis_.result().mac) rndis_.set_mac(mac_asked_);
  }
  const std::uint32_t filter = wanted_filter();
  if (!filter_busy_ && filter != filter_sent_) {
    filter_busy_ = true;
    filter_sent_ = filter;
    rndis_.set_packet_filter(filter);
  }
  update_tx();
}

LinkState Guest::link() const noexcept {
  if (state_ != State::attached) return {};
  const rndis::GuestResult& nic = rndis_.result();
  return {wanted_.started && nic.connected, nic.link_speed / 10'000};
}

wire::MacAddress Guest::mac() const noexcept {
  const bool told = state_ == State::attached && !own_mac_;
  return told ? rndis_.result().mac : wanted_.mac;
}

std::uint16_t Guest::mtu() const noexcept {
  if (state_ != State::attached || rndis_.result().max_frame_size == 0) return wanted_.mtu;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted_.mtu, rndis_.result().max_frame_size));
}

}  // namespace vmbpmd
