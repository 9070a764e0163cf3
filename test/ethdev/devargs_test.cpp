// SPDX-License-Identifier: BSD-3-Clause
// What users type: everything wrong or impossible fails the probe with one line that names the argument, its value and
// what is allowed; nothing else is disturbed.
#include <bus_vdev_driver.h>
#include <rte_dev.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ethdev/frames.hpp"
#include "ethdev/log_capture.hpp"
#include "ethdev/nic.hpp"

namespace vmbpmd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Wrong {
  const char* devargs;
  const char* named;  // argument and value
  const char* allowed;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.devargs; }

class WrongDevargs : public PortsTest, public testing::WithParamInterface<Wrong> {};

TEST_P(WrongDevargs, FailTheProbeWithOneLineAndNothingElse) {
  Pool pool;
  Pair other;
  other.start();
  const unsigned before = ports();
  {
    LogCapture log;
    EXPECT_EQ(probe("net_vmbpmd_wrong", GetParam().devargs), -EINVAL);
    ASSERT_EQ(log.lines().size(), 1u) << log.all();
    EXPECT_THAT(log.lines()[0],
                AllOf(HasSubstr("net_vmbpmd_wrong"), HasSubstr(GetParam().named), HasSubstr(GetParam().allowed)));
  }
  EXPECT_EQ(ports(), before);
  EXPECT_TRUE(other.both_up());
  expect_traffic(other, pool);
  EXPECT_EQ(probe("net_vmbpmd_wrong", ""), 0) << "the name is free again";
  unplug("net_vmbpmd_wrong");
}

constexpr const char* kLong = "role=host,link=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";  // 65

INSTANTIATE_TEST_SUITE_P(
    Devargs, WrongDevargs,
    testing::Values(
        Wrong{"rool=host,link=a", "rool=host", "role, link, mac"},
        Wrong{"path=/run/a,role=host", "path=/run/a", "there are"},
        Wrong{"role=boss,link=a", "role=boss", "host or guest"}, Wrong{"role=,link=a", "role=", "host or guest"},
        Wrong{"role,link=a", "role=", "host or guest"}, Wrong{"role=Host,link=a", "role=Host", "host or guest"},
        Wrong{"role=host", "role=host", "link"}, Wrong{"role=guest", "role=guest", "link"},
        Wrong{"link=a", "link=a", "role=host or role=guest"}, Wrong{"role=host,link=", "link=", "1 to 64 characters"},
        Wrong{kLong, "link=aaaa", "1 to 64 characters"}, Wrong{"role=host,role=host,link=a", "role=", "once"},
        Wrong{"role=host,link=a,link=b", "link=", "once"}, Wrong{"role=host,link=a,mac=1:2:3", "mac=1:2:3", "unicast"},
        Wrong{"role=host,link=a,mac=01:00:00:00:00:01", "mac=01:00:00:00:00:01", "unicast"},
        Wrong{"role=host,link=a,mac=00:00:00:00:00:00", "mac=00:00:00:00:00:00", "unicast"},
        Wrong{"role=host,link=a,guest_mac=ff:ff:ff:ff:ff:ff", "guest_mac=ff:ff:ff:ff:ff:ff", "unicast"},
        Wrong{"role=guest,link=a,guest_mac=02:00:00:00:00:01", "guest_mac=", "role=host"},
        Wrong{"role=guest,link=a,speed=1000", "speed=", "role=host"},
        Wrong{"role=host,link=a,speed=0", "speed=0", "1 to 400000"},
        Wrong{"role=host,link=a,speed=400001", "speed=400001", "1 to 400000"},
        Wrong{"role=host,link=a,speed=99999999999", "speed=99999999999", "1 to 400000"},
        Wrong{"role=host,link=a,speed=fast", "speed=fast", "1 to 400000"},
        Wrong{"role=host,link=a,speed=-1", "speed=-1", "1 to 400000"},
        Wrong{"role=host,link=a,speed=10G", "speed=10G", "1 to 400000"},
        Wrong{"role=host,link=a,speed=", "speed=", "1 to 400000"},
        Wrong{"tx_copybreak=65536", "tx_copybreak=65536", "0 to 65535"},
        Wrong{"tx_copybreak=x", "tx_copybreak=x", "0 to 65535"},
        Wrong{"tx_copybreak=1,tx_copybreak=2", "tx_copybreak=", "once"},
        Wrong{"role=host,link=a,tx_copybreak=1", "tx_copybreak=1", "role=guest"}));

class Devargs_ : public PortsTest {};

TEST_F(Devargs_, GoodOnesAreTaken) {
  for (const char* const good :
       {"", "tx_copybreak=0", "mac=02:00:00:00:00:07", "role=host,link=x", "role=guest,link=x", "link=x,role=host",
        "role=host,link=x,mac=02:00:00:00:00:01,guest_mac=02:00:00:00:00:02,speed=1", "role=host,link=x,speed=400000",
        "role=guest,link=x,tx_copybreak=65535", "role=guest,link=name with/odd:characters.and-more"}) {
    EXPECT_EQ(probe("net_vmbpmd_good", good), 0) << good;
    unplug("net_vmbpmd_good");
  }
}

class SecondEnd : public PortsTest, public testing::WithParamInterface<const char*> {};

TEST_P(SecondEnd, OfTheSameKindIsRefusedAndTheLinkGoesOn) {
  Pool pool;
  Pair pair;
  pair.start();
  const std::string role = GetParam();
  {
    LogCapture log;
    EXPECT_EQ(probe("net_vmbpmd_second", "role=" + role + ",link=" + pair.link), -EINVAL);
    ASSERT_EQ(log.lines().size(), 1u) << log.all();
    EXPECT_THAT(log.lines()[0], AllOf(HasSubstr("role=" + role), HasSubstr("link=" + pair.link), HasSubstr("one")));
  }
  EXPECT_TRUE(pair.both_up());
  expect_traffic(pair, pool);
  EXPECT_EQ(pair.guest.xstat("link_attaches"), 1u) << "the refused end disturbed the link";
}

INSTANTIATE_TEST_SUITE_P(Devargs, SecondEnd, testing::Values("host", "guest"));

TEST_F(Devargs_, HotplugWorksToo) {
  const unsigned before = ports();
  EXPECT_EQ(rte_eal_hotplug_add("vdev", "net_vmbpmd_hot", ""), 0);
  EXPECT_EQ(ports(), before + 1);
  EXPECT_EQ(rte_eal_hotplug_remove("vdev", "net_vmbpmd_hot"), 0);
  EXPECT_EQ(ports(), before);
}

}  // namespace
}  // namespace vmbpmd::test
