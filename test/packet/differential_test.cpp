// SPDX-License-Identifier: BSD-3-Clause
// A burst or bulk call is the same single calls made one after another: two pairs of channels are led through the same
// random steps, one by single calls, one by bursts, and must answer, deliver and end the same in the same order.
#include <memory>
#include <sstream>

#include "packet/ends.hpp"
#include "support/random.hpp"

namespace vmb::test {
namespace {

constexpr std::uint32_t kPackets = 96;

/// One pair, its initialized packets, and everything it was seen to do, as lines of text.
class Side {
 public:
  Side(bool bursts, PairSettings settings) : bursts_(bursts), pair_(settings) {
    pair_.open();
    for (End* const end : {&pair_.server, &pair_.client}) owners_.push_back(std::make_unique<Owner>(*this, *end));
  }

  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  ~Side() {
    for (const bool server : {true, false}) complete(server, std::vector<std::uint32_t>(kPackets * 10), 0);
  }

  std::string take_log() { return std::exchange(log_, {}).str(); }

  struct Order {
    std::uint32_t packet;  // index; kPackets and above: allocate one
    std::uint32_t length;
    std::uint32_t flags;
  };

  void send(bool from_server, const std::vector<Order>& orders) {
    Owner& owner = *owners_[from_server ? 0 : 1];
    std::vector<vmb_packet*> fresh = allocate(owner, orders);
    std::vector<vmb_send_desc> descs;
    std::size_t next = 0;
    for (const Order& order : orders) {
      vmb_packet* packet = nullptr;
      if (order.packet < kPackets)
        packet = owner.packets[order.packet];
      else if (next < fresh.size())
        packet = fresh[next++];
      descs.push_back({packet, payload_.data(), order.length, order.flags, nullptr});
    }
    vmb_status status = VMB_STATUS_SUCCESS;
    std::uint32_t sent = 0;
    if (bursts_) {
      sent = vmb_packet_send_burst(owner.channel, descs.data(), static_cast<std::uint32_t>(descs.size()), &status);
    } else {
      for (const vmb_send_desc& desc : descs) {
        status = vmb_packet_send(desc.packet, desc.buffer, desc.buffer_length, desc.external_data, desc.flags);
        if (status != VMB_STATUS_SUCCESS) break;
        ++sent;
      }
    }
    log_ << "sent " << sent << " status " << std::hex << status << std::dec << '\n';
    std::vector<vmb_packet*> unsent;  // allocated ones are freed again
    for (std::size_t i = sent; i < orders.size(); ++i) {
      if (orders[i].packet >= kPackets && descs[i].packet != nullptr) unsent.push_back(descs[i].packet);
    }
    if (bursts_) {
      vmb_packet_free_bulk(unsent.data(), static_cast<std::uint32_t>(unsent.size()));
    } else {
      for (vmb_packet* const packet : unsent) vmb_packet_free(packet);
    }
  }

  void receive(bool at_server, std::uint32_t max) {
    Owner& owner = *owners_[at_server ? 0 : 1];
    std::vector<vmb_recv_desc> descs(max);
    std::uint32_t got = 0;
    if (bursts_) {
      got = vmb_channel_receive_burst(owner.channel, descs.data(), max);
    } else {
      while (got < max && vmb_channel_receive_burst(owner.channel, &descs[got], 1) == 1) ++got;
    }
    for (std::uint32_t i = 0; i < got; ++i) {
      const auto* const bytes = static_cast<const char*>(descs[i].buffer);
      log_ << "got " << descs[i].buffer_length << ' ' << std::string(bytes, descs[i].buffer_length) << '\n';
      owner.held.push_back(descs[i].packet);
    }
  }

  /// @param picks  positions among what is held, each taken modulo what is left.
  void complete(bool at_server, const std::vector<std::uint32_t>& picks, std::uint32_t reply_bytes) {
    Owner& owner = *owners_[at_server ? 0 : 1];
    std::vector<vmb_complete_desc> descs;
    for (const std::uint32_t pick : picks) {
      if (owner.held.empty()) break;
      const auto at = owner.held.begin() + static_cast<std::ptrdiff_t>(pick % owner.held.size());
      descs.push_back({*at, payload_.data(), reply_bytes});
      owner.held.erase(at);
    }
    if (bursts_) {
      vmb_channel_packet_complete_bulk(descs.data(), static_cast<std::uint32_t>(descs.size()));
    } else {
      for (const vmb_complete_desc& desc : descs) {
        vmb_channel_packet_complete(desc.packet, desc.buffer, desc.buffer_length);
      }
    }
  }

  void poll(bool server) { log_ << "polled " << vmb_channel_poll(owners_[server ? 0 : 1]->channel, 0) << '\n'; }

  void reopen(bool server) {
    Owner& owner = *owners_[server ? 0 : 1];
    complete(server, std::vector<std::uint32_t>(owner.held.size()), 0);
    vmb_channel_disable(owner.channel);
    poll(!server);
    log_ << "enabled " << vmb_channel_enable(owner.channel);
    if (server) log_ << ' ' << vmb_channel_enable(owners_[1]->channel);
    poll(!server);
    log_ << " open " << vmb_channel_is_open(owner.channel) << '\n';
  }

  /// Everything that is held or under way comes to an end.
  void finish() {
    for (int turn = 0; turn < 1000; ++turn) {
      for (const bool server : {true, false}) {
        receive(server, 32);
        complete(server, std::vector<std::uint32_t>(owners_[server ? 0 : 1]->held.size()), 8);
        poll(server);
      }
    }
    for (const auto& owner : owners_) {
      const vmb_channel_stats all = stats(owner->channel);
      log_ << "left " << all.outstanding << ' ' << all.queued << ' ' << all.held << " sent " << all.sent << " received "
           << all.received << " unknown " << all.unknown_completions << '\n';
    }
  }

 private:
  struct Owner {
    Owner(Side& of, vmb_channel* of_channel) : side(of), channel(of_channel), packets(of_channel, kPackets) {
      for (std::uint32_t i = 0; i < kPackets; ++i) {
        vmb_packet_set_pointer(packets[i], reinterpret_cast<void*>(std::uintptr_t{i}));
        vmb_packet_set_completion_routine_ex(packets[i], this, ended);
      }
    }
    Side& side;
    vmb_channel* channel;
    Packets packets;
    std::vector<vmb_packet_completion*> held;
    std::uint32_t resends{};
  };

  /// Logs, and sends every seventh packet again.
  static void ended(vmb_packet* packet, void* context, vmb_status status, const void* buffer, std::uint32_t length) {
    Owner& owner = *static_cast<Owner*>(context);
    const auto index = reinterpret_cast<std::uintptr_t>(vmb_packet_get_pointer(packet));
    std::ostream& log = owner.side.log_;
    log << "ended " << index << ' ' << std::hex << status << std::dec << ' '
        << std::string(static_cast<const char*>(buffer), length) << '\n';
    if (++owner.resends % 7 != 0) return;
    log << "again " << std::hex << vmb_packet_send(packet, "again...", 8, nullptr, index % 2 == 0 ? kWait : 0)
        << std::dec << '\n';
  }

  std::vector<vmb_packet*> allocate(Owner& owner, const std::vector<Order>& orders) {
    const auto wanted = static_cast<std::uint32_t>(
        std::count_if(orders.begin(), orders.end(), [](const Order& order) { return order.packet >= kPackets; }));
    std::vector<vmb_packet*> fresh(wanted);
    if (bursts_) {
      const vmb_status status = vmb_packet_allocate_bulk(owner.channel, fresh.data(), wanted);
      if (status != VMB_STATUS_SUCCESS) fresh.clear();
    } else {
      for (std::uint32_t i = 0; i < wanted; ++i) {
        if ((fresh[i] = vmb_packet_allocate(owner.channel)) != nullptr) continue;
        while (i > 0) vmb_packet_free(fresh[--i]);
        fresh.clear();
        break;
      }
    }
    log_ << "allocated " << fresh.size() << '\n';
    return fresh;
  }

  bool bursts_;
  Pair pair_;
  std::string payload_ = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";
  std::ostringstream log_;
  std::vector<std::unique_ptr<Owner>> owners_;
};

std::vector<Side::Order> random_orders(Random& random) {
  std::vector<Side::Order> orders(random.below(40));
  for (Side::Order& order : orders) {
    order.packet = random.below(kPackets + 24);  // busy ones are refused, which ends the burst
    order.length = random.one_in(200) ? 65 : random.below(65);
    order.flags = random.one_in(200) ? 0x20 : random.below(2);
  }
  return orders;
}

void run(std::uint64_t salt, bool deferred, std::uint32_t steps) {
  const PairSettings settings{.packet_size = 64, .packet_count = 64, .ring_pages = 2, .deferred = deferred};
  Side singles{false, settings};
  Side bursts{true, settings};
  Random random{salt};
  for (std::uint32_t step = 0; step < steps; ++step) {
    const bool server = random.one_in(2);
    const std::uint32_t what = random.below(100);
    const auto orders = random_orders(random);
    const std::uint32_t count = random.below(48);
    std::vector<std::uint32_t> picks(random.below(48));
    for (std::uint32_t& pick : picks) pick = random.below(1000);
    for (Side* const side : {&singles, &bursts}) {
      if (what < 40)
        side->send(server, orders);
      else if (what < 65)
        side->receive(server, count);
      else if (what < 85)
        side->complete(server, picks, count);
      else if (what < 99)
        side->poll(server);
      else
        side->reopen(server);
    }
    ASSERT_EQ(singles.take_log(), bursts.take_log()) << "step " << step;
  }
  singles.finish();
  bursts.finish();
  ASSERT_EQ(singles.take_log(), bursts.take_log());
}

TEST(Differential, BurstsAreTheirSingleCalls) { run(1, false, 30'000); }
TEST(Differential, BurstsAreTheirSingleCallsWithDeferredCompletion) { run(2, true, 30'000); }

}  // namespace
}  // namespace vmb::test
