#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""vmbperf from end to end: every mode over a vmbpmd pair and the floor, with every frame checked. Never asserts a time.
Prints TAP; needs root."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMON_SH = Path(__file__).resolve().parents[2] / "scripts" / "common.sh"
TIMEOUT = 120
SHORT = ("--rounds", "1", "--seconds", "0.05")
PAIRS = ("--drivers", "vmbpmd,floor")


@dataclass
class Bench:
    vmbperf: Path
    plugin: str
    memory: Sequence[str]
    scratch: Path

    def run(self, *options: str, lcores: int = 2) -> subprocess.CompletedProcess[str]:
        """Lcores have CPUs of their own where there are enough."""
        cpus = sorted(os.sched_getaffinity(0))
        pinned = ",".join(f"{i}@{cpus[i % len(cpus)]}" for i in range(lcores))
        eal = ["--lcores", pinned, *self.memory, "--no-pci", "--no-telemetry", "--file-prefix", f"smoke-{os.getpid()}",
               "--log-level", "lib.eal:warning", "-d", self.plugin]
        return subprocess.run([self.vmbperf, *eal, "--", *options], capture_output=True, text=True, timeout=TIMEOUT)

    def results(self, *options: str, lcores: int = 2) -> dict:
        file = self.scratch / "results.json"
        done = self.run(*options, "--json", str(file), lcores=lcores)
        assert done.returncode == 0, f"{done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return json.loads(file.read_text(encoding="utf-8"))


def every_mode_delivers_every_frame(bench: Bench) -> None:
    modes = ("one-way", "both-ways", "one-lcore", "latency")
    results = bench.results(*SHORT, *PAIRS, "--verify", "--mode", ",".join(modes), "--size", "64,1518,imix")
    cells = [cell for cell in results["cells"] if cell["driver"] != "null"]
    assert {cell["mode"] for cell in cells} == set(modes)
    assert {cell["driver"] for cell in cells} == {"vmbpmd", "floor"}
    for cell in cells:
        what = {key: cell[key] for key in ("driver", "direction", "mode", "frame_bytes")}
        assert cell["accepted"] > 0, what
        assert all(cell[fault] == 0 for fault in ("lost", "reordered", "changed", "out_of_place")), cell
        if cell["mode"] == "latency":
            assert 0 < cell["latency_ns"]["p50"] <= cell["latency_ns"]["p99"] <= cell["latency_ns"]["max"], cell
        else:
            assert cell["mpps"]["min"] <= cell["mpps"]["median"] <= cell["mpps"]["max"], cell


def json_has_machine_and_fields(bench: Bench) -> None:
    results = bench.results(*SHORT, *PAIRS, "--size", "64", "--touch", "none,header,all")
    assert {"cpu", "kernel", "dpdk", "build", "hugepages", "pinning"} <= set(results["machine"])
    fields = {"driver", "variant", "mode", "frame_bytes", "burst", "queues", "mpps", "gbps", "latency_ns", "cycles_tx",
              "cycles_rx"}
    for cell in results["cells"]:
        assert fields <= set(cell), cell
    assert {cell["touch"] for cell in results["cells"]} == {"none", "header", "all"}


def large_frames_have_ports_of_their_own(bench: Bench) -> None:
    results = bench.results(*SHORT, "--drivers", "vmbpmd,floor,memif", "--verify", "--size", "9014")
    assert {cell["driver"] for cell in results["cells"]} == {"vmbpmd", "floor"}
    assert any(absent["driver"].startswith("memif") and absent["reason"] for absent in results["absent"])


def several_queues_where_there_are_some(bench: Bench) -> None:
    results = bench.results(*SHORT, "--drivers", "floor", "--verify", "--size", "64", "--queues", "1,4")
    assert {cell["queues"] for cell in results["cells"] if cell["driver"] == "floor"} == {1, 4}


def one_lcore_is_enough_for_one_mode_only(bench: Bench) -> None:
    done = bench.run(*SHORT, *PAIRS, lcores=1)
    assert done.returncode == 1 and "two lcores are needed" in done.stderr, done.stderr
    results = bench.results(*SHORT, *PAIRS, "--mode", "one-lcore", "--verify", "--size", "64", lcores=1)
    assert all(cell["accepted"] > 0 for cell in results["cells"] if cell["driver"] != "null")


def bad_options_are_named_in_one_line(bench: Bench) -> None:
    for option in ("--size=1", "--burst=many", "--nonsense", "--drivers=e1000"):
        done = bench.run(option)
        assert done.returncode == 1 and done.stdout == "", option
        assert done.stderr.count("\n") == 1 and option.split("=")[0] in done.stderr, done.stderr


def page_stands_alone(bench: Bench) -> None:
    page = bench.scratch / "report.html"
    done = bench.run(*SHORT, *PAIRS, "--mode", "one-way,latency", "--size", "64,512,1518", "--report", str(page))
    if shutil.which("gnuplot") is None:
        assert done.returncode == 1 and "gnuplot-nox" in done.stderr, done.stderr
        return
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == text.count("</svg>") >= 3
    assert "http" not in text.replace("http://www.w3.org/", ""), "refers to another place"


CASES: tuple[Callable[[Bench], None], ...] = (
    every_mode_delivers_every_frame,
    json_has_machine_and_fields,
    large_frames_have_ports_of_their_own,
    several_queues_where_there_are_some,
    one_lcore_is_enough_for_one_mode_only,
    bad_options_are_named_in_one_line,
    page_stands_alone,
)


@contextmanager
def common_sh(*commands: str) -> Iterator[list[str]]:
    """A line of each command, which may use functions of scripts/common.sh. The plugin's private copy, if it makes one,
    goes with its shell: that one stays till the end."""
    script = f"set -euo pipefail; source {shlex.quote(str(COMMON_SH))}; " + "; echo; ".join(commands) + "; echo; read -r || true"
    with subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin and shell.stdout
        try:
            yield [shell.stdout.readline().strip() for _ in commands]
        finally:
            shell.stdin.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vmbperf", type=Path, required=True)
    parser.add_argument("--plugin", type=Path, required=True)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("Bail out! root is needed, for DPDK's memory")
        return 1
    failed = 0
    plugin_line = f"printf %s \"$(PLUGIN={shlex.quote(str(options.plugin.resolve()))}; safe_plugin)\""
    with (common_sh("printf %s \"$(eal_memory_args 512)\"", plugin_line) as (memory, plugin),
          tempfile.TemporaryDirectory(prefix="vmbperf-smoke-") as scratch):
        bench = Bench(options.vmbperf.resolve(), plugin,
                      memory.split() or ["-m", "512", "--in-memory", "--single-file-segments"], Path(scratch))
        print(f"1..{len(CASES)}")
        for number, case in enumerate(CASES, 1):
            try:
                case(bench)
                print(f"ok {number} - {case.__name__}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                failed += 1
                print(f"not ok {number} - {case.__name__}", flush=True)
                print("".join(f"# {line}\n" for line in str(problem).splitlines()), end="", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
