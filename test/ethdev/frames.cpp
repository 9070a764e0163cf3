// SPDX-License-Identifier: BSD-3-Clause
#include "ethdev/frames.hpp"

#include <rte_ether.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace vmbpmd::test {

Bytes random_frame(Random& random, std::uint32_t size, const rte_ether_addr& destination) {
  Bytes frame(size);
  random.fill(frame);
  std::memcpy(frame.data(), &destination, sizeof destination);
  return frame;
}

Bytes random_frame(Random& random, std::uint32_t size) { return random_frame(random, size, {{0x02, 1, 2, 3, 4, 5}}); }

Bytes bytes_of(const rte_mbuf* frame) {
  Bytes all;
  all.reserve(frame->pkt_len);
  for (const rte_mbuf* segment = frame; segment != nullptr; segment = segment->next) {
    const auto* const data = rte_pktmbuf_mtod(segment, const std::byte*);
    all.insert(all.end(), data, data + segment->data_len);
  }
  return all;
}

Shaper::~Shaper() { EXPECT_EQ(external_out_, 0u) << "external buffers were not given back"; }

Shaper::Shape Shaper::pick() {
  for (;;) {
    const auto shape = static_cast<Shape>(1u << random_.below(4));
    if ((shapes_ & shape) != 0) return shape;
  }
}

rte_mbuf* Shaper::make_segment(std::span<const std::byte> bytes, Shape shape) {
  rte_mbuf* const direct = rte_pktmbuf_alloc(pool_.get());
  if (direct == nullptr) return nullptr;
  if (shape == external) {
    const auto size = static_cast<std::uint16_t>(bytes.size() + sizeof(rte_mbuf_ext_shared_info) + sizeof(void*));
    void* const memory = std::malloc(size);
    std::uint16_t room = size;
    rte_mbuf_ext_shared_info* const shared = rte_pktmbuf_ext_shinfo_init_helper(
        memory, &room,
        [](void* buffer, void* self) {
          std::free(buffer);
          --static_cast<Shaper*>(self)->external_out_;
        },
        this);
    rte_pktmbuf_attach_extbuf(direct, memory, RTE_BAD_IOVA, room, shared);
    direct->data_off = 0;
    ++external_out_;
  }
  char* const to = rte_pktmbuf_append(direct, static_cast<std::uint16_t>(bytes.size()));
  if (to == nullptr) std::abort();
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  if (shape != clone) return direct;
  rte_mbuf* const indirect = rte_pktmbuf_alloc(pool_.get());
  if (indirect != nullptr) rte_pktmbuf_attach(indirect, direct);
  rte_pktmbuf_free(direct);  // its data lives on in the other
  return indirect;
}

rte_mbuf* Shaper::make(const Bytes& frame) {
  const Shape shape = pick();
  const auto room = static_cast<std::uint32_t>(rte_pktmbuf_data_room_size(pool_.get()) - RTE_PKTMBUF_HEADROOM);
  std::span<const std::byte> rest{frame};
  std::uint32_t segments = shape == split ? 1 + random_.below(16) : 1;
  rte_mbuf* head = nullptr;
  while (!rest.empty()) {
    auto bytes = static_cast<std::uint32_t>(rest.size());
    if (segments > 1) bytes = random_.one_in(3) ? 1 : 1 + random_.below(bytes);
    bytes = std::min(bytes, room);
    segments -= segments > 1 ? 1 : 0;
    const Shape of_segment = shape == split && shapes_ != split ? pick() : shape;
    rte_mbuf* const segment = make_segment(rest.first(bytes), of_segment == split ? whole : of_segment);
    if (segment == nullptr || (head != nullptr && rte_pktmbuf_chain(head, segment) != 0)) {
      rte_pktmbuf_free(head);
      rte_pktmbuf_free(segment);
      return nullptr;
    }
    if (head == nullptr) head = segment;
    rest = rest.subspan(bytes);
  }
  return head;
}

Stream::Stream(const Nic& from, const Nic& to, Pool& pool, const Settings& settings, std::uint64_t salt)
    : from_(from), to_(to), settings_(settings), random_(salt), shaper_(pool, random_, settings.shapes) {}

Stream::~Stream() {
  for (rte_mbuf* const frame : unsent_) rte_pktmbuf_free(frame);
}

void Stream::send() {
  const std::uint32_t burst = 1 + random_.below(settings_.max_tx_burst);
  while (unsent_.size() < burst && made_ < settings_.frames) {
    const std::uint32_t size = settings_.least + random_.below(settings_.most - settings_.least + 1);
    Bytes frame = random_frame(random_, size);
    rte_mbuf* const mbuf = shaper_.make(frame);
    if (mbuf == nullptr) break;
    unsent_.push_back(mbuf);
    expected_.push_back(std::move(frame));
    ++made_;
  }
  std::vector<rte_mbuf*> frames{unsent_.begin(),
                                unsent_.begin() + std::min<std::ptrdiff_t>(burst, std::ssize(unsent_))};
  if (frames.empty()) return;
  const std::uint16_t sent = from_.tx(frames);
  if (sent < frames.size()) {
    ++partial_bursts_;
    rte_mbuf* const ours = frames[sent];  // as it was
    const std::size_t behind = unsent_.size() - sent;
    if (bytes_of(ours) != expected_[expected_.size() - behind]) {
      ADD_FAILURE() << "an mbuf that was not sent has changed";
      failed_ = true;
    }
  }
  unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
}

void Stream::receive() {
  std::vector<rte_mbuf*> frames(1 + random_.below(settings_.max_rx_burst));
  const std::uint16_t count = to_.rx(frames);
  for (std::uint16_t i = 0; i < count; ++i) {
    rte_mbuf* const frame = frames[i];
    const char* reason = nullptr;
    if (!failed_) {
      if (expected_.empty()) {
        failed_ = true;
        ADD_FAILURE() << "a frame that nobody sent, behind " << received_;
      } else if (bytes_of(frame) != expected_.front()) {
        failed_ = true;
        ADD_FAILURE() << "frame " << received_ << " of " << frame->pkt_len << " bytes is not the next one, of "
                      << expected_.front().size();
      } else if (rte_mbuf_check(frame, 1, &reason) != 0) {
        failed_ = true;
        ADD_FAILURE() << "frame " << received_ << ": " << reason;
      } else {
        EXPECT_EQ(frame->port, to_.id());
        bytes_ += frame->pkt_len;
        expected_.pop_front();
        ++received_;
      }
    }
    rte_pktmbuf_free(frame);
  }
}

bool Stream::turn() {
  if (done()) return false;
  send();
  if (settings_.receive_one_in <= 1 || unsent_.empty() || random_.one_in(settings_.receive_one_in)) receive();
  return !done();
}

void Stream::run() {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (turn()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "only " << received_ << " of " << made_ << " frames arrived";
      failed_ = true;
    }
  }
}

void expect_traffic(const Nic& from, const Nic& to, Pool& pool, std::uint32_t frames) {
  Stream stream{from, to, pool, {.frames = frames}};
  stream.run();
  EXPECT_EQ(stream.received(), frames) << from.name() << " to " << to.name();
}

void expect_traffic(const Pair& pair, Pool& pool) {
  expect_traffic(pair.host, pair.guest, pool);
  expect_traffic(pair.guest, pair.host, pool);
}

}  // namespace vmbpmd::test
