# SPDX-License-Identifier: BSD-3-Clause
"""Test Anything Protocol out, and what a case may ask of its run."""

from __future__ import annotations

import fnmatch
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pair import Pair
from testpmd import Testpmd


class Skip(Exception):
    """The case cannot run here; its text says why."""


@dataclass
class Run:
    """What every case is given."""

    pair: Pair
    long: bool
    seconds: float            # of each case that runs for a length of time
    scratch: Path             # a folder of its own, deleted afterwards
    memory: tuple[str, ...]
    log: Callable[[str], None]
    frames: dict[int, list[bytes]] = field(default_factory=dict)  # captured once per MTU

    def testpmd(self, eal: Sequence[str], app: Sequence[str] = (), *, lcores: int = 2) -> Testpmd:
        return Testpmd(eal, app, memory=self.memory, lcores=lcores, log=self.log)

    def needs_vmbpmd(self, what: str) -> None:
        if not self.pair.is_vmbpmd:
            raise Skip(f"the stand-in pair has no {what}")

    def times(self, short: int, long: int) -> int:
        return long if self.long else short


Case = Callable[[Run], None]
_cases: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    def add(body: Case) -> Case:
        assert name not in _cases, name
        _cases[name] = body
        return body

    return add


def chosen(only: Sequence[str]) -> dict[str, Case]:
    """Cases whose name matches one of the patterns, or begins with one; all when there are none."""
    return {n: c for n, c in _cases.items() if not only or any(fnmatch.fnmatch(n, o) or n.startswith(o) for o in only)}


def check(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def check_equal(got: object, expected: object, what: str) -> None:
    check(got == expected, f"{what}: {got!r}, expected {expected!r}")


def say(text: str) -> None:
    for line in text.splitlines():
        print(f"# {line}")
    sys.stdout.flush()


def run_all(cases: dict[str, Case], run: Run, case_timeout_s: int) -> bool:
    """Run the cases one after another; True when none failed."""
    print(f"1..{len(cases)}", flush=True)
    failures = 0
    for number, (name, body) in enumerate(cases.items(), 1):
        run.log(f"\n===== {name}\n")
        began = time.monotonic()
        outcome, remark = "ok", ""
        try:
            with _at_most(case_timeout_s):
                body(run)
        except Skip as why:
            remark = f" # SKIP {why}"
        except Exception:  # a case may fail in any way; the next one runs all the same
            outcome = "not ok"
            failures += 1
            say(traceback.format_exc())
        print(f"{outcome} {number} - {name}{remark}", flush=True)
        say(f"{time.monotonic() - began:.1f} s")
    return failures == 0


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def expired(*_: object) -> None:
        raise TimeoutError(f"the case took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
