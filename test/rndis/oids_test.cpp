// SPDX-License-Identifier: BSD-3-Clause
// rndis::Host's answer to every OID, as bytes written by hand from netvsc.md 3.
#include <vector>

#include "rndis/host_fixture.hpp"

namespace vmbpmd::rndis {
namespace {

using vmb::test::cut;
using vmb::test::hex;
using vmb::test::le32;
using vmb::test::to_hex;

std::string zeros(std::size_t bytes) { return std::string(bytes * 2, '0'); }

class RndisOids : public HostFixture {
 protected:
  void SetUp() override { initialize(); }
};

TEST_F(RndisOids, ConstantsOf31) {
  const struct {
    std::uint32_t oid;
    const char* answer;
  } constants[] = {
      {0x00010102, "00000000"},  // hardware status
      {0x00010103, "00000000"},  // media supported
      {0x00010104, "00000000"},  // media in use
      {0x00010108, "00000400"},  // transmit buffer space
      {0x00010109, "00000400"},  // receive buffer space
      {0x0001010C, "5d010000"},  // vendor id
      {0x00010113, "4d020000"},  // MAC options
      {0x00010115, "ffffffff"},  // maximum send packets
      {0x00010110, "0001"},      // driver version
      {0x00010116, "0001"},      // vendor driver version
      {0x01010104, "40000000"},  // multicast list size
      {0x01020101, "00000000"},  // receive alignment errors
      {0x01020102, "00000000"},  // one collision
      {0x01020103, "00000000"},  // more collisions
  };
  for (const auto& one : constants) EXPECT_EQ(query(one.oid), output(one.answer)) << std::hex << one.oid;
}

TEST_F(RndisOids, Addresses) {
  EXPECT_EQ(query(0x01010101), output("0015 5d01 0203"));
  EXPECT_EQ(query(0x01010102), output("0015 5d01 0203"));
}

TEST_F(RndisOids, SizesFollowTheMtu) {
  for (const std::uint32_t oid : {0x00010106u, 0x00010105u, 0x0001010Fu})
    EXPECT_EQ(query(oid), output("dc050000")) << oid;
  for (const std::uint32_t oid : {0x00010111u, 0x0001010Au, 0x0001010Bu})
    EXPECT_EQ(query(oid), output("ea050000")) << oid;
}

TEST_F(RndisOids, Link) {
  EXPECT_EQ(query(0x00010107), output("00ca9a3b"));  // 100 Gbit/s in units of 100 bit/s
  EXPECT_EQ(query(0x00010114), output("00000000"));
  EXPECT_EQ(query(0x00010206), output("00e87648 17000000 00e87648 17000000"));
  EXPECT_EQ(query(0x00010207),
            output("80012800 01000000 02000000 00000000 00e87648 17000000 00e87648 17000000 00000000 00000000"));
  host.indicate_media(false);
  EXPECT_EQ(query(0x00010114), output("01000000"));
  EXPECT_EQ(query(0x00010207).substr(63, 8), "02000000");
}

TEST_F(RndisOids, Texts) {
  EXPECT_EQ(query(0x0001010D), output("766d6270 6d6400"));
  EXPECT_EQ(query(0x00020216), output("7600 6d00 6200 7000 6d00 6400 0000"));
}

TEST_F(RndisOids, CutsALongFriendlyName) {
  HostConfig talkative = config();
  const std::string name(500, 'x');
  talkative.friendly_name = name;
  restart(talkative);
  EXPECT_EQ(query(0x00020216).substr(36, 8), "ca000000");  // 100 units and a zero
}

TEST_F(RndisOids, SupportedListNamesEveryOidOf31ThatIsNotAClassCounter) {
  const std::vector<std::byte> answer = hex(query(0x00010101));
  ASSERT_GT(answer.size(), 24u);
  const std::string list = to_hex(std::span{answer}.subspan(24));
  for (const std::uint32_t oid :
       {0x00010101u, 0x00010102u, 0x00010103u, 0x00010104u, 0x00010105u, 0x00010106u, 0x00010107u, 0x00010108u,
        0x00010109u, 0x0001010Au, 0x0001010Bu, 0x0001010Cu, 0x0001010Du, 0x0001010Eu, 0x0001010Fu, 0x00010110u,
        0x00010111u, 0x00010113u, 0x00010114u, 0x00010115u, 0x00010116u, 0x00010118u, 0x00010203u, 0x00010204u,
        0x00010206u, 0x00010207u, 0x0001021Bu, 0x00020101u, 0x00020102u, 0x00020103u, 0x00020104u, 0x00020105u,
        0x00020106u, 0x00020216u, 0x01010101u, 0x01010102u, 0x01010103u, 0x01010104u, 0x0101010Au, 0x01020101u,
        0x01020102u, 0x01020103u, 0xFC01020Bu, 0xFC01020Cu, 0xFC01020Du}) {
    EXPECT_NE(list.find(le32(oid)), std::string::npos) << std::hex << oid;
  }
  EXPECT_EQ(list.find(le32(0xFF564D42)), std::string::npos) << "ours is private";
  EXPECT_EQ(answer.size(), 24u + 45 * 4);
}

class Counting final : public StatisticsSource {
 public:
  std::uint64_t counter(wire::Oid oid) noexcept override { return 0x1'0000'0000u + static_cast<std::uint32_t>(oid); }
};

TEST_F(RndisOids, CountersAreZeroWithoutASource) {
  EXPECT_EQ(query(0x00020101), output("00000000"));
  EXPECT_EQ(query(0x0002020E), output("00000000"));
}

TEST_F(RndisOids, CountersAreAsWideAsTheAskerHasRoomFor) {  // 3.1
  Counting counting;
  HostConfig counted = config();
  counted.statistics = &counting;
  restart(counted);
  for (const std::uint32_t oid :
       {0x00020101u, 0x00020102u, 0x00020103u, 0x00020104u, 0x00020105u, 0x00020201u, 0x00020208u, 0x0002020Eu}) {
    EXPECT_EQ(query(oid), output(le32(oid))) << oid;
    EXPECT_EQ(query(oid, "00000000"), output(le32(oid))) << oid;
    EXPECT_EQ(query(oid, "00000000 00000000"), output(le32(oid) + "01000000")) << oid;
  }
}

TEST_F(RndisOids, StatisticsObjectClaimsNothing) { EXPECT_EQ(query(0x00020106), output("80019800" + zeros(148))); }

TEST_F(RndisOids, PacketFilter) {  // 3.3
  for (const std::uint32_t filter : {0x0du, 0x20u, 0x09u, 0x2fu, 0u}) {
    EXPECT_EQ(set(0x0001010E, le32(filter)), set_result(kOk));
    EXPECT_EQ(event, HostEventKind::filter_changed);
    EXPECT_EQ(host.packet_filter(), filter);
    EXPECT_EQ(query(0x0001010E), output(le32(filter)));
  }
  set(0x0001010E, "ffffffff");
  EXPECT_EQ(host.packet_filter(), 0x2fu);
  for (const char* shorter : {"", "0d", "0d00", "0d0000"}) {
    EXPECT_EQ(set(0x0001010E, shorter), set_result(kInvalidLength));
    EXPECT_EQ(event, HostEventKind::rejected);
  }
  EXPECT_EQ(host.packet_filter(), 0x2fu);
}

TEST_F(RndisOids, MulticastList) {
  EXPECT_EQ(set(0x01010103, "333300000001 01005e000001"), set_result(kOk));
  EXPECT_EQ(event, HostEventKind::multicast_changed);
  ASSERT_EQ(host.multicast().size(), 2u);
  EXPECT_EQ(host.multicast()[1], (wire::MacAddress{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}));
  EXPECT_EQ(set(0x01010103, "333300000001 01005e0000"), set_result(kInvalidLength));
  EXPECT_EQ(set(0x01010103, zeros(65 * 6)), set_result(kResources));
  EXPECT_EQ(host.multicast().size(), 2u);
  EXPECT_EQ(set(0x01010103, zeros(64 * 6)), set_result(kOk));
  EXPECT_EQ(host.multicast().size(), 64u);
  EXPECT_EQ(set(0x01010103, ""), set_result(kOk));
  EXPECT_TRUE(host.multicast().empty());
}

TEST_F(RndisOids, NetworkLayerAddressesAreTakenAndIgnored) {
  EXPECT_EQ(set(0x00010118, "0000 0000"), set_result(kOk));
  EXPECT_EQ(event, HostEventKind::none);
}

TEST_F(RndisOids, RssCapabilities) {  // 3.5: 18 bytes, whatever revision is asked for
  EXPECT_EQ(query(0x00010203), output("88021200 00000000 01000000 01000000 8000"));
  EXPECT_EQ(query(0x00010203, "88011000" + zeros(12)), output("88021200 00000000 01000000 01000000 8000"));
  HostConfig queues = config();
  queues.rss_capabilities = 0x301;
  queues.rss_queues = 4;
  restart(queues);
  EXPECT_EQ(query(0x00010203), output("88021200 01030000 01000000 04000000 8000"));
}

// --- RSS parameters: 3.6, 6.3 ---

struct Rss {
  std::uint32_t header = 0x00280289;  // type 0x89, revision 2, size 40
  std::uint16_t flags = 0;
  std::uint32_t hash_info = 0xd01;
  std::uint16_t table_bytes = 8;
  std::uint32_t table_offset = 40;
  std::uint16_t key_bytes = 40;
  std::uint32_t key_offset = 48;
  std::string tail = "00000000 01000000" + std::string(80, 'a');

  [[nodiscard]] std::string text() const {
    return le32(header) + le32(flags) + le32(hash_info) + le32(table_bytes) + le32(table_offset) + le32(key_bytes) +
           le32(key_offset) + zeros(12) + tail;
  }
};

class RndisRss : public HostFixture {
 protected:
  void SetUp() override {
    HostConfig queues = config();
    queues.rss_queues = 2;
    restart(queues);
  }
};

TEST_F(RndisRss, RemembersTableAndKey) {
  EXPECT_EQ(set(0x00010204, Rss{}.text()), set_result(kOk));
  EXPECT_EQ(event, HostEventKind::rss_changed);
  EXPECT_TRUE(host.rss().enabled);
  EXPECT_EQ(host.rss().hash_info, 0xd01u);
  EXPECT_EQ(host.rss().table[0], 0);
  EXPECT_EQ(host.rss().table[1], 1);
  EXPECT_EQ(host.rss().table[126], 0);  // repeated to fill
  EXPECT_EQ(host.rss().table[127], 1);
  EXPECT_EQ(host.rss().key[0], std::byte{0xaa});
  EXPECT_EQ(host.rss().key[39], std::byte{0xaa});
}

TEST_F(RndisRss, TakesTheKeyBeforeTheTable) {  // FreeBSD, whose header counts the whole
  Rss rss;
  rss.header = 0x00580289;
  rss.key_offset = 40;
  rss.table_offset = 80;
  rss.tail = std::string(80, 'b') + "01000000 00000000";
  EXPECT_EQ(set(0x00010204, rss.text()), set_result(kOk));
  EXPECT_EQ(host.rss().table[0], 1);
  EXPECT_EQ(host.rss().key[0], std::byte{0xbb});
}

TEST_F(RndisRss, CutsATableLargerThanItsOwn) {  // Linux: 256 entries
  Rss rss;
  rss.table_bytes = 1024;
  rss.key_offset = 40 + 1024;
  rss.tail.clear();
  for (int i = 0; i < 256; ++i) rss.tail += i < 128 ? "01000000" : "99000000";
  rss.tail += std::string(80, 'c');
  EXPECT_EQ(set(0x00010204, rss.text()), set_result(kOk));
  EXPECT_EQ(host.rss().table[127], 1);
}

TEST_F(RndisRss, DisablesWithoutLookingFurther) {
  set(0x00010204, Rss{}.text());
  Rss off;
  off.flags = 0x10;
  off.table_offset = 0xffffffff;
  off.tail = "";
  EXPECT_EQ(set(0x00010204, off.text()), set_result(kOk));
  EXPECT_FALSE(host.rss().enabled);
  EXPECT_EQ(event, HostEventKind::rss_changed);

  set(0x00010204, Rss{}.text());
  Rss no_function;
  no_function.hash_info = 0xd00;
  EXPECT_EQ(set(0x00010204, no_function.text()), set_result(kOk));
  EXPECT_FALSE(host.rss().enabled);
}

TEST_F(RndisRss, RefusesWhatDoesNotHoldAndKeepsWhatItHad) {
  set(0x00010204, Rss{}.text());
  const auto refused = [this](const char* what, auto&& damage, std::uint32_t status) {
    Rss rss;
    damage(rss);
    EXPECT_EQ(set(0x00010204, rss.text()), set_result(status)) << what;
    EXPECT_EQ(event, HostEventKind::rejected) << what;
    EXPECT_TRUE(host.rss().enabled) << what;
    EXPECT_EQ(host.rss().key[0], std::byte{0xaa}) << what;
  };
  refused(
      "short key", [](Rss& r) { r.key_bytes = 39; }, kInvalidData);
  refused(
      "long key", [](Rss& r) { r.key_bytes = 41; }, kInvalidData);
  refused(
      "no key", [](Rss& r) { r.key_bytes = 0; }, kInvalidData);
  refused(
      "no table", [](Rss& r) { r.table_bytes = 0; }, kInvalidData);
  refused(
      "odd table", [](Rss& r) { r.table_bytes = 6; }, kInvalidData);
  refused(
      "table past the end", [](Rss& r) { r.table_offset = 84; }, kInvalidData);
  refused(
      "table wraps", [](Rss& r) { r.table_offset = 0xfffffffc; }, kInvalidData);
  refused(
      "key past the end", [](Rss& r) { r.key_offset = 49; }, kInvalidData);
  refused(
      "key wraps", [](Rss& r) { r.key_offset = 0xffffffe0; }, kInvalidData);
  refused(
      "entry 2 of 2 channels", [](Rss& r) { r.tail.replace(9, 2, "02"); }, kInvalidData);
  refused(
      "entry 2^16", [](Rss& r) { r.tail.replace(13, 2, "01"); }, kInvalidData);
  refused(
      "header longer than the input", [](Rss& r) { r.header = 0xffff0289; }, kInvalidLength);
  const auto whole = hex(Rss{}.text());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(set(0x00010204, to_hex(cut(whole, length))), set_result(kOk)) << length;
  }
}

// --- offloads: 3.7, 3.8 ---

HostConfig with_offloads(HostConfig config) {
  config.offload.tx_ipv4 = {2, 0x155};
  config.offload.rx_ipv4 = {2, 0x155};
  config.offload.tx_ipv6 = {2, 0x55};
  config.offload.rx_ipv6 = {2, 0x55};
  config.offload.lso_v2_ipv4_encapsulation = 2;
  config.offload.lso_v2_ipv4_max_bytes = 0xF53C;
  config.offload.lso_v2_ipv4_min_segments = 2;
  config.offload.lso_v2_ipv6_encapsulation = 2;
  config.offload.lso_v2_ipv6_max_bytes = 0xF53C;
  config.offload.lso_v2_ipv6_min_segments = 2;
  config.offload.lso_v2_ipv6_options = 5;
  return config;
}

TEST_F(RndisOids, HardwareCapabilitiesAreHonestlyNone) {
  EXPECT_EQ(query(0xFC01020D), output("a7039c00" + zeros(152)));
  EXPECT_EQ(query(0xFC01020D, "a7039c00" + zeros(152)), output("a7039c00" + zeros(152)));
  EXPECT_EQ(query(0xFC01020B), output("a7039c00" + zeros(152)));
}

TEST_F(RndisOids, HardwareCapabilitiesAsConfigured) {
  restart(with_offloads(config()));
  EXPECT_EQ(query(0xFC01020D),
            output("a7039c00 02000000 55010000 02000000 55010000 02000000 55000000 02000000 55000000" + zeros(44) +
                   "02000000 3cf50000 02000000 02000000 3cf50000 02000000 05000000" + zeros(48)));
}

/// Object of Oid 0xFC01020C: the header and 24 bytes of switches.
std::string parameters(std::string_view switches, std::string_view header = "80031c00") {
  return to_hex(std::string{header} + std::string{switches} + zeros(24 - hex(switches).size()));
}

TEST_F(RndisOids, OffloadParametersThatAskForNothingAreTaken) {
  for (const char* nothing : {"", "0101010101 01 00 01 01", "0001000100"}) {
    EXPECT_EQ(set(0xFC01020C, parameters(nothing)), set_result(kOk)) << nothing;
    EXPECT_EQ(event, HostEventKind::offload_changed);
  }
  EXPECT_EQ(host.offload().parameters().tcp4_checksum, 1);
}

TEST_F(RndisOids, OffloadParametersOfEveryRevision) {
  EXPECT_EQ(set(0xFC01020C, "80011400" + zeros(16)), set_result(kOk));
  EXPECT_EQ(set(0xFC01020C, "80021600" + zeros(18)), set_result(kOk));
  EXPECT_EQ(set(0xFC01020C, "80031600" + zeros(18)), set_result(kOk));  // Linux: revision 3 at size 22
  EXPECT_EQ(set(0xFC01020C, "80051c00" + zeros(24)), set_result(kOk));
}

TEST_F(RndisOids, OffloadParametersBeyondTheHardwareAreRefused) {
  for (const char* wish : {"02", "03", "04", "0002", "000004", "00000002", "0000000003", "0000000000 02",
                           "0000000000 00 02", "0000000000 00 00 02", "0000000000 00 00 00 02"}) {
    EXPECT_EQ(set(0xFC01020C, parameters(wish)), set_result(kNotSupported)) << wish;
    EXPECT_EQ(event, HostEventKind::rejected);
  }
  EXPECT_EQ(set(0xFC01020C, parameters(zeros(18) + "02")), set_result(kNotSupported));  // RSC
  EXPECT_FALSE(host.next());
}

TEST_F(RndisOids, OffloadParametersThatDoNotHoldAreRefused) {
  EXPECT_EQ(set(0xFC01020C, parameters("05")), set_result(kInvalidData));
  EXPECT_EQ(set(0xFC01020C, parameters("0000000000 00 00 03")), set_result(kInvalidData));
  EXPECT_EQ(set(0xFC01020C, parameters("", "89031c00")), set_result(kInvalidData));
  EXPECT_EQ(set(0xFC01020C, parameters("", "80001c00")), set_result(kInvalidData));
  EXPECT_EQ(set(0xFC01020C, parameters("", "80031300")), set_result(kInvalidLength));
  EXPECT_EQ(set(0xFC01020C, parameters("", "80031d00")), set_result(kInvalidLength));
  const auto whole = hex(parameters(""));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(set(0xFC01020C, to_hex(cut(whole, length))), set_result(kInvalidLength)) << length;
  }
}

TEST_F(RndisOids, OffloadParametersAreObeyedFieldByField) {
  restart(with_offloads(config()));
  EXPECT_EQ(set(0xFC01020C, parameters("0402030101 00 00 02 01")), set_result(kOk));
  // IP header both; TCP4 to the host only; UDP4 to the guest only; IPv6 off; LSO for IPv4 only.
  const std::string current = "a7039c00 02000000 15010000 02000000 45010000 02000000 05000000 02000000 05000000" +
                              zeros(44) + "02000000 3cf50000 02000000" + zeros(64);
  EXPECT_EQ(query(0xFC01020B), output(current));
  EXPECT_EQ(to_hex(host.next().value()), to_hex("07000000 b0000000 06000240 9c000000 0c000000" + current));
  EXPECT_FALSE(host.next());

  EXPECT_EQ(set(0xFC01020C, parameters("0004")), set_result(kOk));  // TCP4 both, all else as it was
  EXPECT_TRUE(
      query(0xFC01020B).starts_with(output(current).substr(0, 54) + "a7039c00 02000000 15010000 02000000 55010000"))
      << query(0xFC01020B);
  ask("03000000 0c000000 09000000");
  initialize();
  EXPECT_EQ(query(0xFC01020B), query(0xFC01020D)) << "a new guest begins anew";
}

TEST_F(RndisOids, TakesReceiveForBothAsNetNetvscMeansIt) {  // 3.8
  restart(with_offloads(config()));
  EXPECT_EQ(set(0xFC01020C, parameters("0303030303 00 00 02 02")), set_result(kOk));
}

TEST_F(RndisOids, LsoVersion1IsNeverThere) {
  restart(with_offloads(config()));
  EXPECT_EQ(set(0xFC01020C, parameters("0000000000 02")), set_result(kNotSupported));
}

TEST_F(RndisOids, OffloadEncapsulation) {
  const std::string ethernet = "a8011c00 01000000 02000000 0e000000 01000000 02000000 0e000000";
  EXPECT_EQ(query(0x0101010A), output(ethernet));
  EXPECT_EQ(set(0x0101010A, "a8011c00 01000000 02000000 0e000000 02000000 02000000 0e000000"), set_result(kOk));
  EXPECT_EQ(query(0x0101010A), output("a8011c00 01000000 02000000 0e000000 02000000 02000000 0e000000"));
  EXPECT_EQ(set(0x0101010A, "a8011c00 01000000 01000000 0e000000 01000000 02000000 0e000000"),
            set_result(kNotSupported));
  EXPECT_EQ(set(0x0101010A, "a8011c00 01000000 02000000 0e000000 01000000 02000000 12000000"),
            set_result(kNotSupported));
  EXPECT_EQ(set(0x0101010A, "80011c00 01000000 02000000 0e000000 01000000 02000000 0e000000"),
            set_result(kInvalidData));
  EXPECT_EQ(set(0x0101010A, "a8011b00 01000000 02000000 0e000000 01000000 02000000 0e000000"),
            set_result(kInvalidLength));
  EXPECT_EQ(set(0x0101010A, "a8011c00 01000000 02000000"), set_result(kInvalidLength));
}

// --- configuration parameters: 3.9 ---

// "NetworkAddress" in UTF-16LE at 20, twelve digits at 48: as Linux places them.
const std::string kNetworkAddress = "4e00650074007700 6f0072006b004100 6400640072006500 73007300";
const std::string kDigits = "3000320030003000 3000300061004200 4300640065004600";  // 020000aBCdeF

std::string mac_change(std::string_view header = "14000000 1c000000 02000000 30000000 18000000",
                       std::string_view digits = kDigits) {
  return std::string{header} + kNetworkAddress + std::string{digits};
}

class RndisMac : public HostFixture {
 protected:
  void SetUp() override {
    HostConfig changeable = config();
    changeable.allow_mac_change = true;
    restart(changeable);
  }
};

TEST_F(RndisMac, ChangesWhereItIsAllowed) {
  EXPECT_EQ(set(0x0001021B, mac_change()), set_result(kOk));
  EXPECT_EQ(event, HostEventKind::mac_changed);
  EXPECT_EQ(host.mac(), (wire::MacAddress{0x02, 0x00, 0x00, 0xab, 0xcd, 0xef}));
  EXPECT_EQ(query(0x01010102), output("0200 00ab cdef"));
  EXPECT_EQ(query(0x01010101), output("0015 5d01 0203")) << "the permanent one stays";
  host.reset(1514);
  initialize();
  EXPECT_EQ(query(0x01010102), output("0015 5d01 0203"));
}

TEST_F(RndisOids, MacChangeIsRefusedByDefault) {
  EXPECT_EQ(set(0x0001021B, mac_change()), set_result(kNotSupported));
  EXPECT_EQ(event, HostEventKind::rejected);
}

TEST_F(RndisMac, RefusesOtherParameters) {
  EXPECT_EQ(set(0x0001021B, "14000000 02000000 02000000 16000000 02000000 2a00 3000"), set_result(kNotSupported));
}

TEST_F(RndisMac, RefusesWhatDoesNotHold) {
  const char* const lengths[] = {
      "14000000 00010000 02000000 30000000 18000000",  // name of 256 bytes
      "14000000 1c000000 02000000 30000000 00010000",  // value of 256 bytes
      "14000000 1c000000 02000000 31000000 18000000",  // value past the end
      "ffffffff 1c000000 02000000 30000000 18000000",  // name wraps
      "14000000 1c000000 02000000 f0ffffff 18000000",  // value wraps
  };
  EXPECT_EQ(set(0x0001021B, mac_change("14000000 1c000000 02000000 30000000 00010000", zeros(256))),
            set_result(kInvalidLength));  // there, but too long
  for (const char* header : lengths)
    EXPECT_EQ(set(0x0001021B, mac_change(header)), set_result(kInvalidLength)) << header;
  EXPECT_EQ(set(0x0001021B, mac_change("14000000 1c000000 00000000 30000000 18000000")), set_result(kInvalidData));
  EXPECT_EQ(set(0x0001021B, mac_change("14000000 1c000000 02000000 30000000 16000000")), set_result(kInvalidData));
  const std::string header = "14000000 1c000000 02000000 30000000 18000000";
  for (const char* digits : {"3000320030003000 3000300061004200 4300640065006700",     // a 'g'
                             "3000320030003000 3000300061004200 4300640065004601",     // not ASCII
                             "3000310030003000 3000300061004200 4300640065004600",     // a group address
                             "3000300030003000 3000300030003000 3000300030003000"}) {  // zero
    EXPECT_EQ(set(0x0001021B, mac_change(header, digits)), set_result(kInvalidData)) << digits;
  }
  const auto whole = hex(mac_change());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(set(0x0001021B, to_hex(cut(whole, length))), set_result(kInvalidLength)) << length;
  }
  EXPECT_EQ(host.mac(), config().mac);
}

// --- ours ---

TEST_F(RndisOids, PeerQueryGivesWhatBothCan) {
  HostConfig dense = config();
  dense.peer_capabilities = wire::peer_capability::kDenseReceive;
  restart(dense);
  EXPECT_EQ(host.peer_capabilities(), 0u);
  EXPECT_EQ(query(0xFF564D42, "564d4250 01000000 ffffffff 12345678"), output("564d4250 01000000 01000000 00000000"));
  EXPECT_EQ(event, HostEventKind::peer_agreed);
  EXPECT_EQ(host.peer_capabilities(), 1u);
  ask("03000000 0c000000 09000000");
  EXPECT_EQ(host.peer_capabilities(), 0u);
}

TEST_F(RndisOids, PeerQueryOfOthersIsRefused) {
  EXPECT_EQ(query(0xFF564D42, "564d4251 01000000 01000000 00000000"), query_failure(kInvalidData));
  EXPECT_EQ(query(0xFF564D42, "564d4250 02000000 01000000 00000000"), query_failure(kNotSupported));
  EXPECT_EQ(query(0xFF564D42, "564d4250 01000000 01000000"), query_failure(kInvalidLength));
  EXPECT_EQ(query(0xFF564D42), query_failure(kInvalidLength));
}

}  // namespace
}  // namespace vmbpmd::rndis
