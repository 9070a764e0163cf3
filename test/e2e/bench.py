# SPDX-License-Identifier: BSD-3-Clause
"""The arrangement that most cases use: source and sink, host, guest, sink and source, in one testpmd.

    net_null0 <-> host  on one lcore, and  guest <-> net_null1  on another

A net_null port gives frames without end and swallows what it is sent. `quiet()` makes one give nothing, `mute()` makes
testpmd leave out the stream towards it, so that nothing ever receives from the end beside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pair import Pair
from tap import Run, check
from testpmd import Testpmd, wait_until

NULLS = ("net_null0,size=64", "net_null1,size=64")


@dataclass
class Bench:
    """Port numbers are asked for once; look() asks again after ports have come and gone."""

    pmd: Testpmd
    pair: Pair
    host: int = -1
    guest: int = -1
    near: int = -1
    far: int = -1

    def look(self) -> None:
        ports = self.pmd.ports()
        self.host, self.guest = (ports.get(name, -1) for name in self.pair.ends)
        self.near, self.far = ports.get("net_null0", -1), ports.get("net_null1", -1)

    def join_all(self) -> None:
        self.pmd.command(f"set portlist {self.near},{self.host},{self.guest},{self.far}")

    def other(self, end: int) -> int:
        return self.guest if end == self.host else self.host

    def beside(self, end: int) -> int:
        return self.near if end == self.host else self.far

    def quiet(self, null: int) -> None:
        self._defer(null, "rxq")

    def mute(self, null: int) -> None:
        self._defer(null, "txq")

    def _defer(self, null: int, queue: str) -> None:
        self.pmd.commands(f"port stop {null}", f"port {null} {queue} 0 deferred_start on", f"port start {null}")

    def received(self) -> tuple[int, int]:
        return tuple(self.pmd.stats(end)["RX-packets"] for end in (self.host, self.guest))  # type: ignore[return-value]

    def check_traffic(self, when: str) -> None:
        """Both ends receive while both send; leaves with forwarding stopped."""
        before = self.received()
        self.pmd.command("start")
        wait_until(
            f"frames to arrive at both ends {when}",
            lambda: all(now > then + 1000 for now, then in zip(self.received(), before)),
            timeout_s=5,
        )
        self.pmd.stop()


@contextmanager
def bench(run: Run, app: Sequence[str] = (), *, started: bool = True) -> Iterator[Bench]:
    stopped = () if started else ("--disable-device-start",)
    with run.testpmd(run.pair.vdevs(*NULLS), ["--total-num-mbufs=16384", *stopped, *app]) as pmd:
        made = Bench(pmd, run.pair)
        made.look()
        check(min(made.host, made.guest, made.near, made.far) >= 0, f"not all four ports are there: {pmd.banner}")
        made.join_all()
        if started:
            pmd.wait_link(made.host, made.guest)
        yield made


@dataclass(frozen=True)
class Holdings:
    """What a process holds that a port could leave behind."""

    descriptors: int
    threads: int
    mappings: int
    memzones: int
    mbufs_out: int

    @staticmethod
    def of(pmd: Testpmd) -> Holdings:
        """Asked while no port is started, else mbufs in rings count as lost."""
        process = Path(f"/proc/{pmd.pid}")
        pool = pmd.command("dump_mempool mb_pool_0")
        size, cached, common = (
            int(re.search(rf"\b{name}=(\d+)", pool)[1])  # type: ignore[index]
            for name in ("populated_size", "total_cache_count", "common_pool_count")
        )
        return Holdings(
            descriptors=len(list((process / "fd").iterdir())),
            threads=len(list((process / "task").iterdir())),
            mappings=len((process / "maps").read_text(encoding="utf-8").splitlines()),
            memzones=len(re.findall(r"^Zone ", pmd.command("dump_memzone"), re.M)),
            mbufs_out=size - cached - common,
        )


def keep_growing(what: str, count: Sequence[str], pmd: Testpmd, ports: Sequence[int], seconds: float) -> None:
    """Each of these statistics of these ports grows every half second for that long."""
    before: list[int] | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        now = [pmd.stats(port)[name] for port, name in zip(ports, count)]
        if before is not None:
            for port, name, one, other in zip(ports, count, before, now):
                check(other > one, f"{what}: {name} of port {port} stands at {other}")
        before = now
