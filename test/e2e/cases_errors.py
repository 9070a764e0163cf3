# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: refused with one line that helps; the process and its other ports go on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from bench import NULLS, Bench, bench
from tap import Run, case, check, check_equal
from testpmd import Testpmd, wait_until


@dataclass(frozen=True)
class Bad:
    """Devargs that no port can be made from, and what the one line about them has to name."""

    arguments: str
    names: tuple[str, ...]    # argument and value, as typed
    allowed: tuple[str, ...]  # what would be right
    beside: str = ""          # a port that is there already


BAD_DEVARGS = {
    "role_of_no_kind": Bad("role=foo,link=a", ("role", "foo"), ("host", "guest")),
    "empty_role": Bad("role=,link=a", ("role",), ("host", "guest")),
    "role_without_link": Bad("role=host", ("role", "host"), ("link",)),
    "link_without_role": Bad("link=a", ("link", "a"), ("role",)),
    "empty_link": Bad("role=host,link=", ("link",), ()),
    "unknown_key": Bad("role=host,link=a,colour=red", ("colour", "red"), ("role", "link", "mac")),
    "unknown_key_alone": Bad("colour=red", ("colour", "red"), ("role", "link", "mac")),
    "repeated_key": Bad("role=host,role=guest,link=a", ("role",), ()),
    "mac_of_no_form": Bad("role=host,link=a,mac=zz:zz", ("mac", "zz:zz"), (":",)),
    "mac_too_long": Bad("role=host,link=a,mac=02:00:00:00:00:01:02", ("mac", "02:00:00:00:00:01:02"), ()),
    "multicast_mac": Bad("role=host,link=a,mac=01:00:5e:00:00:01", ("mac", "01:00:5e:00:00:01"), ("unicast",)),
    "zero_mac": Bad("role=guest,link=a,mac=00:00:00:00:00:00", ("mac", "00:00:00:00:00:00"), ("unicast",)),
    "second_host": Bad("role=host,link=a", ("link=a",), ("host", "already"), "net_vmbpmd0,role=host,link=a"),
    "second_guest": Bad("role=guest,link=a", ("link=a",), ("guest", "already"), "net_vmbpmd0,role=guest,link=a"),
}

_ERROR = re.compile(r"fail|error|invalid|bad argument|device (min|max) MTU", re.IGNORECASE)
_ALLOWED_TO_NAME = ("EAL:", "vdev_probe", "testpmd:", "Failed to attach port", "port attach", "Attaching")


def _check_one_line(printed: str, bad: Bad) -> None:
    """Exactly one line is the driver's, and it says what a user has to know."""
    ours = [line for line in printed.splitlines() if "vmbpmd" in line and not line.startswith(_ALLOWED_TO_NAME)]
    check_equal(len(ours), 1, f"lines about {bad.arguments} in\n{printed}\nnumber")
    for word in (*bad.names, *bad.allowed):
        check(word in ours[0], f"the line does not name {word!r}: {ours[0]}")


def _check_goes_on(pmd: Testpmd) -> None:
    """The two other ports forward, and the bad one is not there."""
    ports = pmd.ports()
    check("net_vmbpmd9" not in ports, f"there is a port: {ports}")
    near, far = ports["net_null0"], ports["net_null1"]
    pmd.command(f"set portlist {near},{far}")
    before = pmd.stats(far)["TX-packets"]
    pmd.command("start")
    wait_until("the other ports to forward", lambda: pmd.stats(far)["TX-packets"] > before, timeout_s=5)
    pmd.stop()


def _attach_bad(run: Run, bad: Bad) -> None:
    """At start-up, then at run time, twice: nothing of the first attempt is in the way of the second."""
    run.needs_vmbpmd("such arguments")
    devargs = f"net_vmbpmd9,{bad.arguments}"
    beside = [bad.beside] if bad.beside else []
    with run.testpmd(run.pair.only(*beside, devargs, *NULLS), ["--total-num-mbufs=4096"]) as pmd:
        _check_one_line(pmd.banner, bad)
        _check_goes_on(pmd)
        for _ in range(2):
            _check_one_line(pmd.command(f"port attach {devargs}"), bad)
        _check_goes_on(pmd)
        right = "net_vmbpmd9,role=host,link=other"
        check("is attached" in pmd.command(f"port attach {right}"), f"{right} is refused after {devargs}")


def _register_bad_devargs() -> None:
    for name, bad in BAD_DEVARGS.items():
        case(f"devargs/{name}")(lambda run, bad=bad: _attach_bad(run, bad))  # type: ignore[misc]


_register_bad_devargs()


def _check_refused(b: Bench, *lines: str) -> str:
    """These commands end in an error, said in a line or more; the prompt comes back."""
    printed = b.pmd.commands(*lines)
    check(_ERROR.search(printed) is not None, f"no error after {lines}: {printed}")
    return printed


@case("limits/mtu")
def limits_mtu(run: Run) -> None:
    """Beyond either bound: an error, and the MTU as it was; the greatest and the least are taken."""
    run.needs_vmbpmd("bounds")
    with bench(run) as b:
        for end in (b.host, b.guest):
            for mtu in (0, 20, 60000, 65535):
                _check_refused(b, f"port config mtu {end} {mtu}")
                check_equal(b.pmd.info(end)["MTU"], "1500", f"MTU of port {end} after {mtu}")
            for mtu in (68, run.pair.max_mtu, 1500):
                b.pmd.commands(f"port stop {end}", f"port config {end} rx_offload scatter on")
                printed = b.pmd.commands(f"port config mtu {end} {mtu}", f"port start {end}")
                check("ail" not in printed, f"MTU {mtu}: {printed}")
                check_equal(b.pmd.info(end)["MTU"], str(mtu), f"MTU of port {end}")
        b.pmd.wait_link(b.host, b.guest)
        b.check_traffic("after all that")


@case("limits/descriptors")
def limits_descriptors(run: Run) -> None:
    """Queue set-up refuses numbers out of range; with the former number the port starts again."""
    run.needs_vmbpmd("bounds")
    with bench(run) as b:
        for end in (b.host, b.guest):
            for queue, word in (("rxq", "rx"), ("txq", "tx")):
                for number in (1, 65535):
                    b.pmd.command(f"port stop {end}")
                    printed = _check_refused(b, f"port config {end} {queue} 0 ring_size {number}", f"port start {end}")
                    check(f"nb_{word}_desc" in printed, f"the line does not name nb_{word}_desc: {printed}")
                    printed = b.pmd.commands(f"port config {end} {queue} 0 ring_size 512", f"port start {end}")
                    check("Fail" not in printed, printed)
        b.pmd.wait_link(b.host, b.guest)
        b.check_traffic("after all that")


def _pool(run: Run, mbuf_size: int, mtu: int, *, scatter: bool, starts: bool) -> None:
    app = [f"--mbuf-size={mbuf_size}", "--disable-device-start"]
    with bench(run, app, started=False) as b:
        b.pmd.commands(f"port start {b.near}", f"port start {b.far}")
        for end in (b.host, b.guest):
            b.pmd.command(f"port config mtu {end} {mtu}")
            if scatter:
                b.pmd.command(f"port config {end} rx_offload scatter on")
            if starts:
                printed = b.pmd.command(f"port start {end}")
                check("Fail" not in printed, printed)
            else:
                _check_refused(b, f"port start {end}")
                b.pmd.command(f"show port info {end}")
        if starts:
            b.pmd.wait_link(b.host, b.guest)
            b.check_traffic("with that pool")
        else:
            time.sleep(0.1)
            check_equal(b.pmd.ports().keys() >= set(run.pair.ends), True, "both ends still there")


@case("limits/pool_too_small")
def limits_pool_too_small(run: Run) -> None:
    run.needs_vmbpmd("bounds")
    _pool(run, 192, 1500, scatter=False, starts=False)


@case("limits/pool_too_small_without_scatter")
def limits_pool_too_small_without_scatter(run: Run) -> None:
    """Frames of 1500 bytes need scatter where a buffer holds 1024."""
    run.needs_vmbpmd("bounds")
    _pool(run, 1024 + 128, 1500, scatter=False, starts=False)


@case("limits/pool_small_with_scatter")
def limits_pool_small_with_scatter(run: Run) -> None:
    run.needs_vmbpmd("bounds")
    _pool(run, 1024 + 128, 1500, scatter=True, starts=True)
