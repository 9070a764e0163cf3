# SPDX-License-Identifier: BSD-3-Clause
"""The two ends under test: a vmbpmd host/guest pair, or, to try the tests themselves, a net_memif pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    host: str                 # devargs of each end, as --vdev and `port attach` take them
    guest: str
    alone: str                # a port that returns what it is sent
    eal: tuple[str, ...]      # what EAL needs to know the driver
    max_mtu: int
    reads_when_sending: bool  # a port that only sends still takes what its peer sends
    is_vmbpmd: bool
    ends: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", (device_name(self.host), device_name(self.guest)))

    def vdevs(self, *more: str) -> list[str]:
        """EAL arguments for both ends and more virtual devices."""
        return self.only(self.host, self.guest, *more)

    def only(self, *devargs: str) -> list[str]:
        return [*self.eal, *(f"--vdev={one}" for one in devargs)]


def device_name(devargs: str) -> str:
    return devargs.partition(",")[0]


def vmbpmd(plugin: Path) -> Pair:
    return Pair(
        host="net_vmbpmd0,role=host,link=a",
        guest="net_vmbpmd1,role=guest,link=a",
        alone="net_vmbpmd0",
        eal=("-d", str(plugin)),
        max_mtu=9000,
        reads_when_sending=True,
        is_vmbpmd=True,
    )


def memif(scratch: Path) -> Pair:
    socket = f"id=0,socket={scratch}/memif.sock"
    return Pair(
        host=f"net_memif0,role=server,{socket}",
        guest=f"net_memif1,role=client,{socket}",
        alone="net_ring0",
        eal=(),
        max_mtu=1500,
        reads_when_sending=False,
        is_vmbpmd=False,
    )
