# SPDX-License-Identifier: BSD-3-Clause
"""The packaged dpdk-testpmd, driven through its prompt.

One Testpmd is one process. Commands go in through a pipe, so that testpmd leaves by itself when this process dies; what
it prints comes back through a terminal, so that its stdio flushes each line, and its errors and logs through a pipe of
their own, so that they do not fall into the middle of a prompt. A command has ended when the next prompt is there.
Whatever happens, the process is gone when the `with` block ends.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PROMPT = "testpmd> "
DEFAULT_TIMEOUT_S = 20.0
# Statistics with one of these in their name stay at zero on a link that loses nothing.
LOSS = re.compile(
    r"err|drop|miss|bad|nombuf|no_mbuf|invalid|fail|discard|trunc|corrupt|refuse|reject|unknown|oversize|too_|lost|late|"
    r"overflow|fault",
    re.IGNORECASE,
)


class TestpmdError(Exception):
    """testpmd died, or did not answer in time."""


def wait_until(what: str, ready: Callable[[], bool], timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise TestpmdError(f"after {timeout_s:g} s still waiting: {what}")
        time.sleep(0.02)


def lcores_for(count: int) -> str:
    """Lcore 0 (the prompt, asleep in read) shares its CPU with forwarding lcore 1; further ones take the next CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    return ",".join([f"0@{cpus[0]}"] + [f"{n + 1}@{cpus[n % len(cpus)]}" for n in range(count)])


class Testpmd:
    """A testpmd with its ports configured and, unless told otherwise, started, but not forwarding yet."""

    _serial = 0

    def __init__(
        self,
        eal: Sequence[str],
        app: Sequence[str] = (),
        *,
        memory: Sequence[str] = ("--in-memory",),
        lcores: int = 2,
        log: Callable[[str], None] | None = None,
    ) -> None:
        Testpmd._serial += 1
        self.prefix = f"vmbe2e-{os.getpid()}-{Testpmd._serial}"
        self.argv = ["dpdk-testpmd", "--lcores", lcores_for(lcores), "--no-pci", *memory]
        self.argv += ["--file-prefix", self.prefix, *eal, "--", "-i", "--disable-link-check"]
        self.argv += [f"--nb-cores={lcores}", "--no-flush-rx", "--mask-event=intr_lsc", *app]
        self._log = log or (lambda _text: None)
        self._text = ""  # printed since the last prompt
        self._said = ""  # on stderr, likewise
        self.banner = ""

    # life

    def __enter__(self) -> Testpmd:
        self._log("$ " + " ".join(self.argv) + "\n")
        self._terminal, slave = pty.openpty()
        self._errors, errors = os.pipe()
        os.set_blocking(self._errors, False)
        self._process = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=slave, stderr=errors, start_new_session=True
        )
        os.close(slave)
        os.close(errors)
        try:
            self.banner = self._read_to_prompt(DEFAULT_TIMEOUT_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._process.poll() is None:
                self.quit()
        finally:
            self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def quit(self) -> None:
        """Leave in an orderly way; a bad exit status, or none in time, is an error."""
        self._send("quit")
        self._read_to_end(DEFAULT_TIMEOUT_S)
        status = self._process.wait(DEFAULT_TIMEOUT_S)
        if status != 0:
            raise TestpmdError(f"testpmd {_how_it_ended(status)} after quit")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        os.close(self._terminal)
        os.close(self._errors)
        shutil.rmtree(f"/run/dpdk/{self.prefix}", ignore_errors=True)

    # prompt

    def command(self, line: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """Type a line and return all that testpmd printed until its next prompt."""
        self._send(line)
        printed = self._read_to_prompt(timeout_s)
        echo, _, rest = printed.partition("\n")
        return rest if line in echo else printed

    def commands(self, *lines: str) -> str:
        return "".join(self.command(line) for line in lines)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise TestpmdError(f"testpmd had gone before: {line}") from None

    def _read_some(self, timeout_s: float) -> bool:
        """Take in what is there, waiting for it; False at the end of the output."""
        ready = select.select([self._terminal, self._errors], [], [], max(timeout_s, 0.0))[0]
        if self._errors in ready:
            self._said += self._read(self._errors) or ""
        if self._terminal in ready:
            printed = self._read(self._terminal)
            self._text += printed or ""
            return printed is not None
        return self._process.poll() is None

    def _read(self, descriptor: int) -> str | None:
        """None when there is nothing more, now or ever."""
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # EIO: the last writer to the terminal has closed; EAGAIN: nothing there now
            return None
        text = chunk.decode(errors="replace").replace("\r", "")
        self._log(text)
        return text if chunk else None

    def _read_to_prompt(self, timeout_s: float) -> str:
        """What was printed, then what was said beside it: errors and logs."""
        deadline = time.monotonic() + timeout_s
        while PROMPT not in self._text:
            if time.monotonic() > deadline:
                raise TestpmdError(f"no prompt after {timeout_s:g} s; last lines:\n{self._last_lines()}")
            if not self._read_some(deadline - time.monotonic()):
                status = self._process.wait(DEFAULT_TIMEOUT_S)
                raise TestpmdError(f"testpmd {_how_it_ended(status)}; last lines:\n{self._last_lines()}")
        printed, _, self._text = self._text.partition(PROMPT)
        said, self._said = self._said + (self._read(self._errors) or ""), ""
        return printed + said

    def _read_to_end(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self._read_some(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise TestpmdError(f"still there {timeout_s:g} s after quit; last lines:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return (self._text + self._said + (self._read(self._errors) or ""))[-2000:]

    # what it knows

    def ports(self) -> dict[str, int]:
        """Port number of each device name."""
        rows = re.findall(r"^(\d+)\s+(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\s+(\S+)", self.command("show port summary all"), re.M)
        return {name: int(number) for number, name in rows}

    def stats(self, port: int) -> dict[str, int]:
        """`show port stats`: RX-packets, RX-missed, ..., and the rates since the last call (Rx-pps, Rx-bps, ...)."""
        return _numbers(self.command(f"show port stats {port}"))

    def xstats(self, port: int) -> dict[str, int]:
        return _numbers(self.command(f"show port xstats {port}"))

    def clear_stats(self) -> None:
        self.commands("clear port stats all", "clear port xstats all")

    def info(self, port: int) -> dict[str, str]:
        return dict(re.findall(r"^([^:\n]+): (.*)$", self.command(f"show port info {port}"), re.M))

    def link_up(self, port: int) -> bool:
        return self.info(port)["Link status"] == "up"

    def wait_link(self, *ports: int, up: bool = True, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        state = "up" if up else "down"
        wait_until(f"links {ports} {state}", lambda: all(self.link_up(port) == up for port in ports), timeout_s)

    def losses(self, *ports: int, but: str = "(?!)") -> dict[str, int]:
        """Every drop and error statistic of these ports that is not zero, but for those that match."""
        found = {}
        for port in ports:
            for name, value in [*self.stats(port).items(), *self.xstats(port).items()]:
                if value and LOSS.search(name) and not re.search(but, name):
                    found[f"port {port} {name}"] = value
        return found

    def stop(self) -> dict[int, dict[str, int]]:
        """Stop forwarding; returns testpmd's own figures of each port since `start`."""
        printed = self.command("stop")
        blocks = re.split(r"-+ Forward statistics for port (\d+) +-+", printed)
        return {int(port): _numbers(block.split("+++")[0]) for port, block in zip(blocks[1::2], blocks[2::2])}

    @contextmanager
    def forwarding(self) -> Iterator[None]:
        self.command("start")
        yield
        self.stop()


def _numbers(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"([\w-]+):\s+(\d+)", text)}


def _how_it_ended(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
