# SPDX-License-Identifier: BSD-3-Clause
"""Ports come and go: either end first, stopped, started, detached, attached again, and nothing stays behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench import NULLS, Bench, Holdings, bench
from tap import Run, case, check, check_equal, say
from testpmd import wait_until

# What a process may hold more after many rounds than after the first ones.
_MORE_MAPPINGS = 2  # DPDK's heap grows by hugepages, each of them a mapping


# testpmd forwards only once every port that it has is started, but lets others come, stop and go meanwhile.


def _send_from(b: Bench, end: int) -> None:
    """Let one end be fed and polled, and the other one alone."""
    b.pmd.commands(f"set portlist {b.beside(end)},{end}", "start")


def _check_sends_nothing(b: Bench, end: int) -> None:
    check(not b.pmd.link_up(end), f"the link of port {end} is up")
    before = _sent(b, end)
    time.sleep(0.3)
    check_equal(_sent(b, end), before, f"frames sent by port {end}, whose link is down")


def _wait_for_sending(b: Bench, end: int, since: int, when: str) -> None:
    wait_until(f"port {end} to send {when}", lambda: _sent(b, end) > since, timeout_s=5)


def _sent(b: Bench, end: int) -> int:
    return b.pmd.stats(end)["TX-packets"]


def _one_starts_first(run: Run, first_is_host: bool) -> None:
    """Both are there; one is started, then the other, which is then stopped under traffic and started again."""
    with bench(run, started=False) as b:
        first, second = (b.host, b.guest) if first_is_host else (b.guest, b.host)
        b.pmd.commands(f"port start {b.near}", f"port start {b.far}", f"port start {first}")
        time.sleep(0.3)
        check(not b.pmd.link_up(first), "the link is up before the other end was started")
        b.pmd.command(f"port start {second}")
        b.pmd.wait_link(first, second)
        b.check_traffic("after the second end was started")
        if not run.pair.is_vmbpmd:
            return
        sent = _sent(b, first)
        _send_from(b, first)
        _wait_for_sending(b, first, sent, "to an end that is up")
        b.pmd.command(f"port stop {second}")
        b.pmd.wait_link(first, up=False)
        _check_sends_nothing(b, first)
        sent = _sent(b, first)
        b.pmd.command(f"port start {second}")
        b.pmd.wait_link(first, second)
        _wait_for_sending(b, first, sent, "once the other end is started again")
        b.pmd.stop()
        b.join_all()
        b.check_traffic("at the end")


@case("link/host_starts_first")
def host_starts_first(run: Run) -> None:
    _one_starts_first(run, first_is_host=True)


@case("link/guest_starts_first")
def guest_starts_first(run: Run) -> None:
    run.needs_vmbpmd("guest that starts before its host")
    _one_starts_first(run, first_is_host=False)


def _one_arrives_later(run: Run, early: str, late: str) -> None:
    """One end sends into nothing, then to an end that is attached but not started, then to one that is."""
    with run.testpmd(run.pair.only(early, *NULLS), ["--total-num-mbufs=16384"]) as pmd:
        b = Bench(pmd, run.pair)
        b.look()
        lonely = max(b.host, b.guest)
        _send_from(b, lonely)
        _check_sends_nothing(b, lonely)
        printed = pmd.command(f"port attach {late}")
        b.look()
        check(min(b.host, b.guest) >= 0, f"port attach {late}: {printed}")
        for _ in range(3):
            _check_sends_nothing(b, lonely)
        sent = _sent(b, lonely)
        pmd.command(f"port start {b.other(lonely)}")
        pmd.wait_link(b.host, b.guest)
        _wait_for_sending(b, lonely, sent, "once the other end is started")
        pmd.stop()
        b.join_all()
        b.check_traffic("after the other end had come")


@case("link/host_arrives_later")
def host_arrives_later(run: Run) -> None:
    run.needs_vmbpmd("guest that starts without a host")
    _one_arrives_later(run, run.pair.guest, run.pair.host)


@case("link/guest_arrives_later")
def guest_arrives_later(run: Run) -> None:
    run.needs_vmbpmd("host that sends before its guest has received")
    _one_arrives_later(run, run.pair.host, run.pair.guest)


@case("link/host_is_never_started")
def host_is_never_started(run: Run) -> None:
    """A guest starts and stops again and again beside a host that is only there."""
    with bench(run, started=False) as b:
        for _ in range(run.times(10, 100)):
            printed = b.pmd.command(f"port start {b.guest}")
            check("Fail" not in printed, printed)
            check(not b.pmd.link_up(b.guest), "the link is up, but the host was never started")
            time.sleep(0.02)
            b.pmd.command(f"port stop {b.guest}")
            check_equal(b.pmd.losses(b.guest), {}, "drop and error statistics")


def _rounds(run: Run, one_round: Callable[[Bench], None], short: int, long: int) -> None:
    """Do it many times, with traffic after each; afterwards the process holds no more than after the first two."""
    with bench(run) as b:
        held: Holdings | None = None
        count = run.times(short, long)
        for number in range(count + 2):
            b.check_traffic(f"before round {number}")
            one_round(b)
            b.pmd.wait_link(b.host, b.guest)
            if number == 1:
                held = _holdings_at_rest(b)
        b.check_traffic("after the last round")
        now = _holdings_at_rest(b)
        assert held is not None
        say(f"{count} rounds; held before {held}, after {now}")
        check_equal(now.mbufs_out, 0, "mbufs not given back")
        for name in ("descriptors", "threads", "memzones"):
            check_equal(getattr(now, name), getattr(held, name), f"{name} after {count} rounds")
        check(now.mappings <= held.mappings + _MORE_MAPPINGS, f"mappings: {now.mappings}, {held.mappings} before")


def _holdings_at_rest(b: Bench) -> Holdings:
    """With every port stopped; they are started again afterwards."""
    b.pmd.command("port stop all")
    held = Holdings.of(b.pmd)
    b.pmd.command("port start all")
    b.pmd.wait_link(b.host, b.guest)
    return held


def _restart(run: Run, *order: str) -> None:
    """`order` is like "stop host", "start host"."""

    def one_round(b: Bench) -> None:
        for step in order:
            verb, end = step.split()
            printed = b.pmd.command(f"port {verb} {b.host if end == 'host' else b.guest}")
            check("Fail" not in printed, printed)

    _rounds(run, one_round, 20, 100)


@case("restart/host")
def restart_host(run: Run) -> None:
    run.needs_vmbpmd("host that its guest finds again")
    _restart(run, "stop host", "start host")


@case("restart/guest")
def restart_guest(run: Run) -> None:
    _restart(run, "stop guest", "start guest")


@case("restart/both_in_turn")
def restart_both_in_turn(run: Run) -> None:
    """Each order of stopping, each order of starting."""
    run.needs_vmbpmd("guest that starts before its host")
    _restart(
        run,
        *("stop host", "stop guest", "start host", "start guest"),
        *("stop guest", "stop host", "start host", "start guest"),
        *("stop host", "stop guest", "start guest", "start host"),
        *("stop guest", "stop host", "start guest", "start host"),
    )


def _replace(b: Bench, end_name: str) -> None:
    """Detach one end and attach it anew."""
    end, devargs = (b.host, b.pair.host) if end_name == "host" else (b.guest, b.pair.guest)
    printed = b.pmd.commands(f"port stop {end}", f"port detach {end}", f"port attach {devargs}")
    check("is attached" in printed, printed)
    b.look()
    check(min(b.host, b.guest) >= 0, f"one end is missing after {printed}")
    b.pmd.command(f"port start {b.host if end_name == 'host' else b.guest}")


def _reattach(run: Run, ends: Sequence[str]) -> None:
    def one_round(b: Bench) -> None:
        for end in ends:
            _replace(b, end)
        b.join_all()

    _rounds(run, one_round, 20, 100)


@case("reattach/host")
def reattach_host(run: Run) -> None:
    run.needs_vmbpmd("host that its guest finds again")
    _reattach(run, ["host"])


@case("reattach/guest")
def reattach_guest(run: Run) -> None:
    _reattach(run, ["guest"])


@case("reattach/both")
def reattach_both(run: Run) -> None:
    _reattach(run, ["host", "guest"])


def _replace_under_traffic(run: Run, end_name: str) -> None:
    """One end comes and goes while the other one's lcore sends and receives without a pause."""
    with bench(run) as b:
        for number in range(run.times(15, 300)):
            stays = b.guest if end_name == "host" else b.host
            b.pmd.commands(f"set portlist {b.beside(stays)},{stays}", "start")
            sent = _sent(b, stays)
            _replace(b, end_name)
            b.pmd.wait_link(b.host, b.guest)
            _wait_for_sending(b, stays, sent, f"again in round {number}")
            b.pmd.stop()
            b.join_all()
            b.check_traffic(f"in round {number}")


@case("reattach/host_under_traffic")
def reattach_host_under_traffic(run: Run) -> None:
    run.needs_vmbpmd("guest that polls on while its host comes and goes")
    _replace_under_traffic(run, "host")


@case("reattach/guest_under_traffic")
def reattach_guest_under_traffic(run: Run) -> None:
    run.needs_vmbpmd("host that polls on while its guest comes and goes")
    _replace_under_traffic(run, "guest")
