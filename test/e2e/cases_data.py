# SPDX-License-Identifier: BSD-3-Clause
"""Frames get across: byte for byte, in order, none lost, also when the receiver is slow or one side never reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import netns
import pcapfile
from bench import Bench, bench, keep_growing
from pipe import SlowPipe
from tap import Run, case, check, check_equal, say
from testpmd import Testpmd, wait_until

MIN_FRAMES = 4 * 341 + 200  # more than four times the sections of a default port
WHOLE_FRAME_MBUF = 10240    # room for 9014 bytes and the headroom
_MORE_THAN_FITS = 5         # captures in a row, more than rings, sections and receiver hold
_PAUSE_S = 0.01             # of a slow reader, every 64 KiB
_SMALL_BURST = 8            # so that a slow receiver still polls often: one that is away for 100 ms may drop frames
# A lcore that shares its CPU is away at times, and a port that nobody polls for long drops what a flood brings.
UNPOLLED = "missed|unpolled"
PATIENT = ("set fwd io retry", "set burst tx delay 10 retry 1000000")  # testpmd drops nothing before 10 s are over


def frames_for(run: Run) -> list[bytes]:
    """A capture of real traffic, with the spread that the cases rely on."""
    mtu = run.pair.max_mtu
    if mtu not in run.frames:
        frames = netns.capture_mixed_traffic(mtu)
        frames *= -(-MIN_FRAMES // len(frames))
        lengths = {len(frame) for frame in frames}
        check_equal((min(lengths), max(lengths)), (60, mtu + 14), "shortest and longest frame captured")
        check(len(lengths) > 80, f"only {len(lengths)} different lengths captured")
        kinds = {_kind(frame) for frame in frames}
        check(kinds >= {"arp", "4-1", "4-6", "4-17", "6-58", "6-6", "6-17"}, f"captured only {sorted(kinds)}")
        say(f"captured {len(frames)} frames of {len(lengths)} lengths, {sum(map(len, frames))} bytes")
        run.frames[mtu] = frames
    return run.frames[mtu]


def _kind(frame: bytes) -> str:
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00":
        return f"4-{frame[23]}"
    if ethertype == b"\x86\xdd":
        return f"6-{frame[20]}"
    return "arp" if ethertype == b"\x08\x06" else ethertype.hex()


def _prepare(run: Run, pmd: Testpmd, ends: Sequence[int]) -> None:
    """The longest MTU and frames in several buffers at these ends; then every port is started."""
    for end in ends:
        lines = [f"port config mtu {end} {run.pair.max_mtu}"]
        if run.pair.is_vmbpmd:
            lines += [f"port config {end} rx_offload scatter on", f"port config {end} tx_offload multi_segs on"]
        for line in lines:
            printed = pmd.command(line)
            check("rror" not in printed and "ailed" not in printed, f"{line}: {printed}")
    printed = pmd.command("port start all")
    check("Fail" not in printed, printed)
    pmd.wait_link(*ends)
    pmd.commands(*PATIENT)


def _check_lossless(pmd: Testpmd, ends: Sequence[int]) -> None:
    """No drop or error at either end, and what one sent is what the other received."""
    one, other = ends
    for sender, receiver in ((one, other), (other, one)):
        for unit in ("packets", "bytes"):
            sent, received = pmd.stats(sender)[f"TX-{unit}"], pmd.stats(receiver)[f"RX-{unit}"]
            check_equal(received, sent, f"{unit} received by port {receiver}")
    check_equal(pmd.losses(*ends), {}, "drop and error statistics")


def _carry(run: Run, sender: str, mbuf_size: int, *, slow: bool = False) -> None:
    """A capture file in at one end, a capture file out at the other."""
    frames = frames_for(run) * (_MORE_THAN_FITS if slow else 1)
    source, sink = run.scratch / "in.pcap", run.scratch / "out.pcap"
    sink.unlink(missing_ok=True)
    pcapfile.write(source, frames)
    vdevs = run.pair.vdevs(f"net_pcap0,rx_pcap={source}", f"net_pcap1,tx_pcap={sink}")
    app = [f"--mbuf-size={mbuf_size}", "--total-num-mbufs=8192", "--disable-device-start"]
    app += [f"--burst={_SMALL_BURST}"] if slow else []
    with ExitStack() as stack:
        pipe = stack.enter_context(SlowPipe(sink)) if slow else None
        pmd = stack.enter_context(run.testpmd(vdevs, app))
        ports = pmd.ports()
        host, guest = (ports[name] for name in run.pair.ends)
        tx, rx = (host, guest) if sender == "host" else (guest, host)
        _prepare(run, pmd, (tx, rx))
        pmd.command(f"set portlist {ports['net_pcap0']},{tx},{rx},{ports['net_pcap1']}")
        if pipe is not None:
            pipe.slow(_PAUSE_S)
        pmd.command("start")
        if pipe is not None:
            _check_back_pressure(pmd, (tx, rx), len(frames))
            pipe.fast()
        _wait_for_all(pmd, ports["net_pcap1"], len(frames), (tx, rx))
        check_equal(sum(port["TX-dropped"] for port in pmd.stop().values()), 0, "frames that testpmd dropped")
        _check_lossless(pmd, (tx, rx))
        check_equal(pmd.stats(tx)["TX-bytes"], sum(map(len, frames)), "bytes sent")
    received = pcapfile.parse(pipe.data if pipe is not None else sink.read_bytes())
    check_equal(pcapfile.first_difference(frames, received), None, "first difference")


def _wait_for_all(pmd: Testpmd, sink: int, total: int, ends: Sequence[int]) -> None:
    """Until that many frames have been written; an error once nothing has come for two seconds."""
    arrived, idle_since = 0, time.monotonic()
    while arrived < total:
        before, arrived = arrived, pmd.stats(sink)["TX-packets"]
        if arrived > before:
            idle_since = time.monotonic()
        idle = time.monotonic() - idle_since
        check(idle < 2, f"{arrived} of {total} frames arrived, then no more; the ends say {pmd.losses(*ends)}")
        time.sleep(0.02)


def _check_back_pressure(pmd: Testpmd, ends: Sequence[int], total: int) -> None:
    """The receiver has taken little so far; the sender, who could be done long since, has had to wait for it."""
    time.sleep(0.5)
    received = pmd.stats(ends[1])["RX-packets"]
    sent = pmd.stats(ends[0])["TX-packets"]
    remark = f"{sent} of {total} frames sent, {received} received; the ends say {pmd.losses(*ends)}"
    check(received < sent < total, f"no back-pressure: {remark}")
    say(f"back-pressure: {remark}")


@case("pcap/host_to_guest")
def pcap_host_to_guest(run: Run) -> None:
    _carry(run, "host", 2176)


@case("pcap/guest_to_host")
def pcap_guest_to_host(run: Run) -> None:
    _carry(run, "guest", 2176)


@case("pcap/host_to_guest_in_one_buffer")
def pcap_host_to_guest_in_one_buffer(run: Run) -> None:
    _carry(run, "host", WHOLE_FRAME_MBUF)


@case("pcap/guest_to_host_in_one_buffer")
def pcap_guest_to_host_in_one_buffer(run: Run) -> None:
    _carry(run, "guest", WHOLE_FRAME_MBUF)


@case("pcap/host_to_slow_guest")
def pcap_host_to_slow_guest(run: Run) -> None:
    _carry(run, "host", 2176, slow=True)


@case("pcap/guest_to_slow_host")
def pcap_guest_to_slow_host(run: Run) -> None:
    _carry(run, "guest", 2176, slow=True)


@case("alone/pcap_comes_back")
def alone_pcap_comes_back(run: Run) -> None:
    frames = frames_for(run)
    source, sink = run.scratch / "in.pcap", run.scratch / "out.pcap"
    pcapfile.write(source, frames)
    vdevs = run.pair.only(run.pair.alone, f"net_pcap0,rx_pcap={source},tx_pcap={sink}")
    with run.testpmd(vdevs, ["--total-num-mbufs=16384", "--disable-device-start"], lcores=1) as pmd:
        ports = pmd.ports()
        port = ports[run.pair.alone]
        _prepare(run, pmd, [port])
        pmd.command(f"set portlist {ports['net_pcap0']},{port}")
        pmd.command("start")
        _wait_for_all(pmd, ports["net_pcap0"], len(frames), [port])
        pmd.stop()
        check_equal(pmd.losses(port), {}, "drop and error statistics")
    check_equal(pcapfile.first_difference(frames, pcapfile.parse(sink.read_bytes())), None, "first difference")


@case("alone/burst_goes_round")
def alone_burst_goes_round(run: Run) -> None:
    """One burst, sent on each time it comes back."""
    with run.testpmd(run.pair.only(run.pair.alone), ["--port-topology=loop"], lcores=1) as pmd:
        pmd.wait_link(0)
        pmd.commands(*PATIENT, "start tx_first")
        keep_growing("one burst", ["RX-packets"], pmd, [0], run.seconds)
        pmd.stop()
        check_equal(pmd.losses(0), {}, "drop and error statistics")


@case("alone/sends_for_ever")
def alone_sends_for_ever(run: Run) -> None:
    run.needs_vmbpmd("port that drops what its owner never receives")
    with run.testpmd(run.pair.only(run.pair.alone), ["--forward-mode=txonly"], lcores=1) as pmd:
        pmd.wait_link(0)
        pmd.command("start")
        keep_growing("txonly", ["TX-packets"], pmd, [0], run.seconds)
        pmd.stop()


def _tap(run: Run, lcores: int) -> None:
    """Two namespaces talk through tap0 <-> host, guest <-> tap1."""
    names = [f"vmbe2e{Path('/proc/self').resolve().name}{side}"[:15] for side in "ab"]
    vdevs = run.pair.vdevs(*(f"net_tap{n},iface={name}" for n, name in enumerate(names)))
    with netns.namespaces() as sides, run.testpmd(vdevs, ["--total-num-mbufs=16384"], lcores=lcores) as pmd:
        ports = pmd.ports()
        ends = host, guest = [ports[name] for name in run.pair.ends]
        pmd.wait_link(*ends)
        pmd.command(f"set portlist {ports['net_tap0']},{host},{guest},{ports['net_tap1']}")
        for number, (side, name) in enumerate(zip(sides, names), 1):
            side.take(name)
            side.set_up(name, number)
        if lcores > 1:  # alone, the lcore would wait in tx_burst for what its own rx_burst has to do
            pmd.commands(*PATIENT)
        pmd.command("start")
        near, far = sides
        targets = [(address, size) for address in ("10.9.0.2", "fd09::2") for size in (18, 1400)]
        for address, _ in targets:  # the kernel queues only a few packets for a neighbour it does not know yet
            netns.ping(near, address)
        pings = [netns.ping(near, address, count=20, size=size) for address, size in targets]
        with netns.iperf3_server(far, 2):
            there = netns.iperf3(near, "10.9.0.2", "-t", "1")
            back = netns.iperf3(near, "10.9.0.2", "-R", "-t", "1")
        say(f"ping {min(pings):.0f} us; iperf3 {there:.2f} Gbit/s there, {back:.2f} back")
        # The namespaces still say a word now and then, so equal counts are waited for.
        wait_until("both counts", lambda: pmd.stats(host)["RX-packets"] == pmd.stats(guest)["TX-packets"])
        wait_until("both counts", lambda: pmd.stats(guest)["RX-packets"] == pmd.stats(host)["TX-packets"])
        pmd.stop()
        check_equal(pmd.losses(*ends), {}, "drop and error statistics")


@case("tap/one_lcore")
def tap_one_lcore(run: Run) -> None:
    _tap(run, 1)


@case("tap/two_lcores")
def tap_two_lcores(run: Run) -> None:
    _tap(run, 2)


@case("flood/both_ways_loses_nothing")
def flood_both_ways(run: Run) -> None:
    """Both ends send as fast as they can; what they could send arrives, or is counted as missed."""
    with bench(run) as b:
        b.pmd.command("start")
        time.sleep(run.seconds)
        b.pmd.stop()
        b.quiet(b.near)
        b.quiet(b.far)
        b.pmd.command("start")  # nothing is sent any more: take what is still on its way
        wait_until("what is on its way", lambda: not _missing(b, b.host) and not _missing(b, b.guest), timeout_s=5)
        b.pmd.stop()
        check_equal(b.pmd.losses(b.host, b.guest, but=UNPOLLED), {}, "drop and error statistics")
        missed = [b.pmd.stats(end)["RX-missed"] for end in (b.host, b.guest)]
        say(f"frames received by host and guest: {b.received()}, missed: {missed}")


def _missing(b: Bench, end: int) -> int:
    """Frames that the other end sent and this one neither received nor counted as missed."""
    mine = b.pmd.stats(end)
    return b.pmd.stats(b.other(end))["TX-packets"] - mine["RX-packets"] - mine["RX-missed"]


def _one_sided(run: Run, end_name: str, only: str) -> None:
    """One end is never received from, or never sent to; the other does both, undisturbed, for as long as it takes."""
    with bench(run) as b:
        end = b.host if end_name == "host" else b.guest
        other = b.other(end)
        if only == "tx":
            b.mute(b.beside(end))
            grows = [(other, "RX-packets")]
            if run.pair.reads_when_sending:
                grows.append((other, "TX-packets"))
        else:
            b.quiet(b.beside(end))
            grows = [(end, "RX-packets"), (other, "TX-packets")]
        b.pmd.command("start")
        ports, names = zip(*grows)
        keep_growing(f"{only} only at the {end_name}", names, b.pmd, ports, run.seconds)
        say(f"testpmd's figures: {b.pmd.stop()[end]}")
        unused = "RX-packets" if only == "tx" else "TX-packets"
        check_equal(b.pmd.stats(end)[unused], 0, f"{only} only, but port {end} counted {unused}")
        check_equal(b.pmd.losses(other, but=UNPOLLED), {}, "drop and error statistics of the end that does both")


@case("one_sided/host_only_sends")
def host_only_sends(run: Run) -> None:
    _one_sided(run, "host", "tx")


@case("one_sided/guest_only_sends")
def guest_only_sends(run: Run) -> None:
    _one_sided(run, "guest", "tx")


@case("one_sided/host_only_receives")
def host_only_receives(run: Run) -> None:
    _one_sided(run, "host", "rx")


@case("one_sided/guest_only_receives")
def guest_only_receives(run: Run) -> None:
    _one_sided(run, "guest", "rx")


@case("one_sided/both_only_send")
def both_only_send(run: Run) -> None:
    """Nobody ever receives, and nobody is stopped by it."""
    run.needs_vmbpmd("port that takes what its peer sends while it only sends")
    with bench(run) as b:
        b.pmd.commands(f"set portlist {b.host},{b.guest}", "set fwd txonly", "start")
        keep_growing("txonly at both ends", ["TX-packets"] * 2, b.pmd, [b.host, b.guest], run.seconds)
        b.pmd.stop()
