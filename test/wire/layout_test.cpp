// SPDX-License-Identifier: BSD-3-Clause
// Layouts of single structures against bytes written by hand from vmbus.md 1.2 and 3.1 to 3.5.
#include <cstddef>

#include <gtest/gtest.h>

#include "base/bits.hpp"
#include "support/hex.hpp"
#include "wire/packet.hpp"
#include "wire/ring_page.hpp"

namespace vmb {
namespace {

using test::hex;
using test::to_hex;

template <class T> std::string wire_form(const T& object) { return to_hex(bytes_of(object)); }

std::string text(std::string_view digits) { return to_hex(hex(digits)); }

TEST(RingPage, FieldsStandWhereTheTableSays) {
  EXPECT_EQ(sizeof(wire::RingPage), 4096u);
  EXPECT_EQ(offsetof(wire::RingPage, write_index), 0u);
  EXPECT_EQ(offsetof(wire::RingPage, read_index), 4u);
  EXPECT_EQ(offsetof(wire::RingPage, interrupt_mask), 8u);
  EXPECT_EQ(offsetof(wire::RingPage, pending_send_size), 12u);
  EXPECT_EQ(offsetof(wire::RingPage, feature_bits), 64u);
}

TEST(RingPage, BytesOfTheControlWords) {
  wire::RingPage page{};
  page.write_index = 0x11223344;
  page.read_index = 0x55667788;
  page.interrupt_mask = 1;
  page.pending_send_size = 0x1f70;
  page.feature_bits = wire::kFeaturePendingSendSize;
  const auto bytes = bytes_of(page);
  EXPECT_EQ(to_hex(bytes.first(16)), text("44332211 88776655 01000000 701f0000"));
  EXPECT_EQ(to_hex(bytes.subspan(64, 8)), text("01000000 00000000"));
}

TEST(PacketDescriptor, InBand) {
  const wire::PacketDescriptor desc{wire::PacketType::in_band, 2, 4, 1, 0x1122334455667788};
  EXPECT_EQ(wire_form(desc), text("0600 0200 0400 0100 8877665544332211"));
}

TEST(PacketDescriptor, TransferPages) {
  const wire::PacketDescriptor desc{wire::PacketType::transfer_pages, 5, 6, 1, 7};
  EXPECT_EQ(wire_form(desc), text("0700 0500 0600 0100 0700000000000000"));
}

TEST(PacketDescriptor, GpaDirect) {
  const wire::PacketDescriptor desc{wire::PacketType::gpa_direct, 5, 10, 1, 0xffffffffffffffff};
  EXPECT_EQ(wire_form(desc), text("0900 0500 0a00 0100 ffffffffffffffff"));
}

TEST(PacketDescriptor, Completion) {
  const wire::PacketDescriptor desc{wire::PacketType::completion, 2, 2, 0, 0x0100000000000000};
  EXPECT_EQ(wire_form(desc), text("0b00 0200 0200 0000 0000000000000001"));
}

TEST(PacketType, KnowsTheFourKindsInUse) {
  for (unsigned type = 0; type < 0x10000; ++type) {
    const bool in_use = type == 6 || type == 7 || type == 9 || type == 0xb;
    EXPECT_EQ(wire::is_known(static_cast<wire::PacketType>(type)), in_use) << type;
  }
}

TEST(TransferHeader, SetIdThenCount) {
  EXPECT_EQ(wire_form(wire::TransferHeader{0xcafe, 0, 3}), text("feca 0000 03000000"));
}

TEST(TransferRange, CountStandsBeforeOffset) {
  EXPECT_EQ(wire_form(wire::TransferRange{0x5ea, 0x12345678}), text("ea050000 78563412"));
}

TEST(GpaHeader, ReservedThenCount) { EXPECT_EQ(wire_form(wire::GpaHeader{0, 2}), text("00000000 02000000")); }

TEST(GpaRange, CountThenOffset) { EXPECT_EQ(wire_form(wire::GpaRange{0x64, 0xff8}), text("64000000 f80f0000")); }

TEST(GpaRange, PagesAreThoseItTouches) {
  EXPECT_EQ(wire::pages_of({1, 0}), 1u);
  EXPECT_EQ(wire::pages_of({4096, 0}), 1u);
  EXPECT_EQ(wire::pages_of({4097, 0}), 2u);
  EXPECT_EQ(wire::pages_of({1, 4095}), 1u);
  EXPECT_EQ(wire::pages_of({2, 4095}), 2u);
  EXPECT_EQ(wire::pages_of({4096, 1}), 2u);
  EXPECT_EQ(wire::pages_of({0xffffffff, 0xffffffff}), 0x200000u) << "no overflow in 32 bits";
}

TEST(RingBytes, AreThoseOfTheTable) {  // vmbus.md 3.9
  EXPECT_EQ(wire::ring_bytes(16, 0), 24u);
  EXPECT_EQ(wire::ring_bytes(16, 1), 32u);
  EXPECT_EQ(wire::ring_bytes(16, 12), 40u);
  EXPECT_EQ(wire::ring_bytes(24 + 8 * 3, 40), 32u + 8 * 3 + 40) << "transfer pages, 3 ranges";
  EXPECT_EQ(wire::ring_bytes(24 + 16 * 2, 40), 32u + 2 * (8 + 8) + 40) << "GPA direct, 2 ranges of 1 page";
}

}  // namespace
}  // namespace vmb
