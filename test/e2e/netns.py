# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces, their own traffic (ping, iperf3), and a capture of it. All of it ends with the `with` block."""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000
_SO_RCVBUFFORCE = 33
_ETH_P_ALL = 3
_SHORTEST_FRAME = 60  # what a NIC pads to, without the FCS


@dataclass(frozen=True)
class Namespace:
    name: str

    def run(self, *argv: str, timeout_s: float = 60.0) -> str:
        """A command inside; a failure carries what the command printed."""
        inside = ["ip", "netns", "exec", self.name, *argv]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=timeout_s)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)} in {self.name}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def set_up(self, device: str, number: int, mtu: int = 1500) -> None:
        """Bring a device up as 10.9.0.<number> and fd09::<number>."""
        self.run("ip", "link", "set", device, "mtu", str(mtu), "up")
        self.run("ip", "address", "add", f"10.9.0.{number}/24", "dev", device)
        self.run("ip", "address", "add", f"fd09::{number}/64", "dev", device, "nodad")

    def take(self, device: str) -> None:
        _ip("link", "set", device, "netns", self.name)


def _ip(*argv: str) -> None:
    subprocess.run(["ip", *argv], check=True, capture_output=True, text=True)


def delete(name: str) -> None:
    _ip("netns", "delete", name)


@contextmanager
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    names = [f"vmbe2e-{os.getpid()}-{side}" for side in "ab"]
    with ExitStack() as undo:
        for name in names:
            _ip("netns", "add", name)
            undo.callback(delete, name)
        yield Namespace(names[0]), Namespace(names[1])


def ping(source: Namespace, address: str, *, count: int = 1, size: int = 56) -> float:
    """All of `count` must be answered; returns the mean round trip in microseconds."""
    printed = source.run("ping", "-n", "-c", str(count), "-i", "0.01", "-W", "2", "-s", str(size), address)
    received = re.search(r"(\d+) received", printed)
    if received is None or int(received[1]) != count:
        raise RuntimeError(f"ping {address} with {size} bytes: not all of {count} came back\n{printed}")
    mean = re.search(r"= [\d.]+/([\d.]+)/", printed)
    return float(mean[1]) * 1000 if mean else 0.0


@contextmanager
def iperf3_server(where: Namespace, runs: int) -> Iterator[None]:
    """A server for that many runs, one after another."""
    argv = ["ip", "netns", "exec", where.name, "sh", "-c", f"for i in $(seq {runs}); do iperf3 -s -1 || exit; done"]
    with ExitStack() as undo:
        server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        undo.callback(server.wait)
        undo.callback(os.killpg, server.pid, 15)
        yield


def iperf3(client: Namespace, address: str, *argv: str) -> float:
    """One transfer; returns Gbit/s as the receiver counted them."""
    for _ in range(50):
        # iperf3 -J ends with status 0 also when it failed; a server between two runs refuses for a moment.
        result = json.loads(client.run("iperf3", "-J", "-c", address, *argv))
        if "error" not in result:
            end = result["end"]
            return float(end.get("sum_received", end.get("sum"))["bits_per_second"]) / 1e9
        time.sleep(0.1)
    raise RuntimeError(f"iperf3 to {address}: {result['error']}")


class Capture:
    """Every frame that a device of a namespace sends or receives, as the wire would show it."""

    def __init__(self, where: Namespace, device: str) -> None:
        self.frames: list[bytes] = []
        self._socket = _packet_socket(where, device)
        self._stop = False
        self._thread = threading.Thread(target=self._collect)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()
        self._socket.close()

    def _collect(self) -> None:
        while True:
            try:
                self.frames.append(self._socket.recv(65536).ljust(_SHORTEST_FRAME, b"\0"))
            except TimeoutError:
                if self._stop:
                    return
            except OSError:  # the device is gone: the run is being taken down
                return


def _packet_socket(where: Namespace, device: str) -> socket.socket:
    """A packet socket stays in the namespace that it was opened in; this thread comes back."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path: str) -> None:
        with open(path, "rb") as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {path}")

    with open("/proc/self/ns/net", "rb") as home:
        enter(f"/run/netns/{where.name}")
        try:
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
            opened.settimeout(0.2)
            opened.bind((device, 0))
        finally:
            if libc.setns(home.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back")
    return opened


def capture_mixed_traffic(mtu: int) -> list[bytes]:
    """Real frames of many lengths from 60 bytes to mtu + 14: ARP, ICMP and ICMPv6 with fragments, TCP, UDP."""
    with namespaces() as (near, far):
        _ip("link", "add", "wire0", "netns", near.name, "type", "veth", "peer", "name", "wire0", "netns", far.name)
        for where, number in ((near, 1), (far, 2)):
            where.run("ethtool", "-K", "wire0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            where.set_up("wire0", number, mtu)
        with Capture(near, "wire0") as capture, iperf3_server(far, 5):
            longest4, longest6 = mtu - 28, mtu - 48
            step = max(longest4 // 40, 1)
            sizes4 = [*range(0, 60, 5), *range(60, longest4, step), longest4 - 1, longest4, 2 * mtu]
            sizes6 = [*range(0, 60, 10), *range(60, longest6, 2 * step), longest6, 2 * mtu]
            pings = [f"ping -n -c 1 -W 2 -s {size} 10.9.0.2" for size in sizes4]
            pings += [f"ping -n -c 1 -W 2 -s {size} fd09::2" for size in sizes6]
            near.run("sh", "-c", " && ".join(pings))
            iperf3(near, "10.9.0.2", "-n", "2M")
            iperf3(near, "fd09::2", "-n", "1M")
            iperf3(near, "10.9.0.2", "-R", "-n", "300K", "-M", "536")
            iperf3(near, "10.9.0.2", "-u", "-b", "0", "-n", "20K", "-l", "64")
            iperf3(near, "fd09::2", "-u", "-b", "0", "-n", "1M", "-l", str(longest6))
        return capture.frames
