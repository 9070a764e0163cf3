// SPDX-License-Identifier: BSD-3-Clause
// Ends that are not ours: they join a link of the process's own bus, speak NVSP and RNDIS just far enough to be attached
// to a real port, and then do what a test says.
//
// Their rings and buffers come from malloc, each block by itself, so that AddressSanitizer sees every access of the real
// end outside of them. Packets are read and written on the test's thread; what the bus tells them comes on others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channel/channel.hpp"
#include "ethdev/frames.hpp"
#include "nvsp/host.hpp"
#include "port/control.hpp"
#include "rndis/host.hpp"
#include "transport/inproc.hpp"
#include "wire/nvsp.hpp"
#include "wire/rndis.hpp"

namespace vmbpmd::test {

/// Whole pages from malloc.
class Block {
 public:
  explicit Block(std::size_t bytes);
  std::span<std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_;
};

/// The bytes of a struct, padded with zeros to `size`.
template <class T> Bytes message_of(const T& value, std::size_t size = sizeof(T)) {
  Bytes bytes(std::max(size, sizeof value));
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

void append(Bytes& bytes, std::span<const std::byte> more);

/// An RNDIS PACKET message around a frame; `change` makes it a bad one.
Bytes rndis_packet(const Bytes& frame, const std::function<void(wire::RndisPacket&)>& change = {});

/// A packet as it was found in a ring.
struct Received {
  vmb::wire::PacketType type{};
  std::uint64_t id{};
  bool wants_completion{};
  Bytes payload;
  std::vector<Bytes> ranges;  // transfer pages: what lay there. GPA direct: one, all ranges in a row
};

/// What both kinds have: a channel, and ways to write to its ring what no correct end writes.
class Scripted {
 public:
  /// Append a packet; the descriptor says what the caller wants. @return false: closed, or no room.
  bool raw(std::uint16_t type, std::uint16_t offset8, std::uint16_t length8, std::uint16_t flags, std::uint64_t id,
           const Bytes& rest);
  bool in_band(std::uint64_t id, bool wants_completion, const Bytes& payload);
  bool completion(std::uint64_t id, const Bytes& payload);
  /// 108.
  bool complete(std::uint64_t id, wire::NvspStatus status = wire::NvspStatus::success);

  bool is_open() const { return open_; }
  unsigned opened() const { return opened_; }
  unsigned closed() const { return closed_; }

  /// The ring that we write, the ring that we read; null memory when closed.
  vmb::RingMemory outbound();
  vmb::RingMemory inbound();

 protected:
  /// Everything that is in the inbound ring. `resolve` fills in what the ranges say, without the packet's lock held.
  std::vector<Received> take_all(
      const std::function<void(vmb::Channel::Receiver&, const vmb::PeekedPacket&, Received&)>& resolve);

  vmb::Channel channel_;
  std::atomic<bool> open_{false};
  std::atomic<unsigned> opened_{0}, closed_{0};
};

class ScriptedGuest final : public Scripted, private vmb::InprocGuest {
 public:
  struct Options {
    std::uint32_t ring_bytes = 64 * 1024;
    std::uint32_t receive_bytes = 1024 * 1024;
    std::uint32_t send_bytes = 256 * 1024;
    std::uint32_t config_mtu = 1514;
    wire::NvspVersion version = wire::NvspVersion::v6_1;
    std::uint32_t capabilities = 0;  // wire::peer_capability; it says that it is ours if there are any
  };

  explicit ScriptedGuest(const std::string& link) : ScriptedGuest(link, Options{}) {}
  ScriptedGuest(const std::string& link, const Options& options);
  ~ScriptedGuest();

  bool offered() const;
  /// The channel only. @return false: not offered.
  bool open();
  void close();
  /// Open, NVSP, RNDIS, filter: on success the host's link is up if its port is started.
  bool attach(std::uint32_t filter = wire::packet_filter::kPromiscuous);
  /// The parts of it.
  bool nvsp_init();
  bool connect_buffers();
  bool rndis_init();

  /// Send an NVSP request, wait for its completion.
  std::optional<Bytes> request(const Bytes& payload);
  /// The completion of transaction `id`, if it came within a second.
  std::optional<Bytes> completion_of(std::uint64_t id);
  std::optional<wire::NvspStatus> status_of(std::uint64_t id);
  std::uint64_t next_id() { return ++ids_; }

  /// Send 107 for a section that holds `bytes`. @return its transaction.
  std::uint64_t send_section(std::uint32_t index, const Bytes& bytes) {
    return send_section(index, bytes, static_cast<std::uint32_t>(bytes.size()));
  }
  std::uint64_t send_section(std::uint32_t index, const Bytes& bytes, std::uint32_t claimed);
  /// Send 107 with ranges: a GPA-direct extension as it stands behind the descriptor (header first).
  std::uint64_t send_gpa(const Bytes& extension);
  /// Put an RNDIS message into our page and send it. @return its transaction.
  std::uint64_t send_control(const Bytes& message);
  /// The same, and wait for the answer.
  std::optional<Bytes> rndis(const Bytes& message);
  bool set_filter(std::uint32_t filter);

  /// Read the inbound ring: completions are kept for completion_of(), transfer pages are kept and, if wanted, completed.
  void poll();
  bool completes_transfers = true;
  std::deque<Received> transfers;
  std::deque<Received> in_band_received;

  std::span<std::byte> section(std::uint32_t index) const {
    return send_.bytes().subspan(index * std::size_t{section_bytes_}, section_bytes_);
  }
  std::uint32_t section_bytes() const { return section_bytes_; }
  std::uint32_t section_count() const { return static_cast<std::uint32_t>(send_.bytes().size() / section_bytes_); }
  std::uint32_t suballoc_bytes() const { return suballoc_bytes_; }
  std::uint32_t suballoc_count() const { return suballoc_count_; }
  std::span<std::byte> page() const { return page_.bytes(); }
  std::span<std::byte> receive_buffer() const { return receive_.bytes(); }
  std::span<std::byte> ring_memory() const { return rings_.bytes(); }

 private:
  void channel_rescinded() noexcept override;

  const Options options_;
  Block rings_, receive_, send_, page_;
  vmb::InprocLink* link_{};
  std::uint32_t gpadls_[4]{};
  std::uint64_t ids_{};
  std::uint32_t request_ids_{};
  std::uint32_t section_bytes_{6144}, suballoc_bytes_{}, suballoc_count_{};
  std::deque<std::pair<std::uint64_t, Bytes>> completions_;
};

class ScriptedHost final : public Scripted, private vmb::InprocHost, private nvsp::BufferTable {
 public:
  struct Options {
    nvsp::HostConfig nvsp{};
    rndis::HostConfig rndis{};
  };
  static Options sensible();

  explicit ScriptedHost(const std::string& link) : ScriptedHost(link, sensible()) {}
  ScriptedHost(const std::string& link, const Options& options);
  ~ScriptedHost();

  void rescind();
  void offer();

  /// Answer what is in the inbound ring as a host does, but for what the hooks take over. Data is kept and completed.
  void poll();
  /// Poll until the guest's port has attached and set a filter.
  bool attach();
  bool attached() const { return filter_set_; }

  /// Seen first; true: the test has dealt with it.
  std::function<bool(const Received&)> on_packet;
  bool completes_data = true;
  std::deque<Received> data;                                // 107 with PACKETs
  std::deque<std::pair<std::uint64_t, Bytes>> completions;  // of what we sent

  /// Put bytes into the receive buffer.
  void put(std::uint32_t offset, const Bytes& bytes);
  bool transfer(std::uint64_t id, const std::vector<vmb::wire::TransferRange>& ranges,
                std::uint16_t set_id = wire::kReceiveBufferId);
  /// One range with this message at `offset`.
  bool transfer_message(std::uint64_t id, const Bytes& message, std::uint32_t offset = 64 * 1024);
  std::optional<wire::NvspStatus> completion_of(std::uint64_t id);
  void indicate(bool connected);

  std::span<std::byte> receive_buffer() const { return receive_; }
  std::span<std::byte> send_buffer() const { return send_; }
  nvsp::Host& nvsp() { return nvsp_; }
  rndis::Host& rndis() { return rndis_; }

 private:
  void channel_opened(const vmb::ChannelParts& parts) noexcept override;
  void channel_closed() noexcept override;
  std::optional<std::uint64_t> gpadl_bytes(std::uint32_t handle) noexcept override;
  void answer(const Received& packet);
  void answer_control(const Received& packet);

  vmb::InprocLink* link_{};
  nvsp::Host nvsp_;
  rndis::Host rndis_;
  std::span<std::byte> receive_, send_;
  std::uint32_t section_bytes_{};
  std::atomic<bool> filter_set_{false};
  std::atomic<bool> reset_{false};
  std::uint64_t control_ids_{};
};

}  // namespace vmbpmd::test
