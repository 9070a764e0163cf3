# SPDX-License-Identifier: BSD-3-Clause
"""scripts/demo.sh does what the README says, and leaves nothing behind, also when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tap import Run, case, check, check_equal, say
from testpmd import wait_until

_DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.sh"


class Demo:
    """One run of it, in a session of its own, with SIGINT as a shell leaves it. Everything of its has its process number."""

    def __init__(self, run: Run) -> None:
        self._out = run.scratch / "demo.out"
        self._scratch = run.scratch / "demo"
        self._scratch.mkdir(exist_ok=True)
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [str(_DEMO), "--seconds", "1"], env=os.environ | {"TMPDIR": str(self._scratch)}, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def printed(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    def left_behind(self) -> list[str]:
        pid = self.process.pid
        places = (("/run/netns", f"vmbdemo-{pid}-*"), ("/run/dpdk", f"vmbdemo-{pid}"), ("/sys/class/net", f"vmb{pid}?"),
                  ("/run", f"vmbpmd.{pid}.*"), (str(self._scratch), "*"))
        found = [str(path) for folder, pattern in places for path in Path(folder).glob(pattern)]
        return found + [_command(path) for path in Path("/proc").glob("[0-9]*") if _session(path) == pid]


def _session(process: Path) -> int:
    try:
        state, _, _, session, *_ = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # gone meanwhile
        return 0
    return 0 if state == "Z" else int(session)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    except OSError:
        return f"process {process.name}"


@contextmanager
def _demo(run: Run) -> Iterator[Demo]:
    run.needs_vmbpmd("demo")
    demo = Demo(run)
    try:
        yield demo
        check_equal(demo.left_behind(), [], "left behind")
    finally:
        if demo.process.poll() is None:
            demo.process.terminate()
            demo.process.wait(30)
        run.log(demo.printed())


@case("demo/shows_traffic")
def demo_shows_traffic(run: Run) -> None:
    with _demo(run) as demo:
        status = demo.process.wait(100)
        printed = demo.printed()
        check_equal(status, 0, f"status of the demo, which printed\n{printed}\nstatus")
        rows = re.findall(r"^ +(64|1518)  (?:host to guest|guest to host) +([\d.]+) +([\d.]+)$", printed, re.M)
        check_equal([row[0] for row in rows], ["64", "64", "1518", "1518"], f"sizes in the table of\n{printed}\nsizes")
        for words in ("100 of 100 answered", "bits/sec at the receiver", "none dropped at either end"):
            check(words in printed, f"no '{words}' in\n{printed}")


@case("demo/leaves_nothing_when_interrupted")
def demo_leaves_nothing_when_interrupted(run: Run) -> None:
    """The signal comes to the script alone: nobody else ends what it has started."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        for at in ("mean round trip", "one way            Mpps"):  # before iperf3, and before the first row
            with _demo(run) as demo:
                wait_until(f"the demo to print '{at}'", lambda: at in demo.printed(), 60)
                demo.process.send_signal(signum)
                check_equal(demo.process.wait(20), 128 + signum, f"status after {signum.name} at '{at}'")
                check("== done" not in demo.printed(), "it went on to its end")
            say(f"{signum.name} at '{at}'")
