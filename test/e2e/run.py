#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""End-to-end tests: a vmbpmd pair in the packaged dpdk-testpmd. Prints TAP; needs root; cleans up after itself."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import cases_data
import cases_demo
import cases_errors
import cases_life
import netns
import pair as pairs
import tap

COMMON_SH = Path(__file__).resolve().parents[2] / "scripts" / "common.sh"
CASE_MODULES = (cases_data, cases_life, cases_errors, cases_demo)  # importing them is what registers their cases


def main() -> int:
    options = _options()
    cases = tap.chosen(options.only)
    if options.list:
        print("\n".join(cases))
        return 0
    if not cases:
        print(f"Bail out! no case is called {' or '.join(options.only)}; --list names them")
        return 1
    if os.geteuid() != 0:
        print("Bail out! root is needed, for namespaces and DPDK's memory")
        return 1
    _forget_killed_runs()
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGHUP, _interrupted)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"vmbe2e-{os.getpid()}-")))
        log = stack.enter_context(open(options.log or scratch / "log", "w", encoding="utf-8"))
        plugin_line = f"PLUGIN={shlex.quote(str(options.plugin.resolve()))} safe_plugin" if options.plugin else "echo"
        memory, plugin = stack.enter_context(_common_sh("eal_memory_args", plugin_line))
        run = tap.Run(
            pair=pairs.memif(scratch) if options.pair == "memif" else pairs.vmbpmd(Path(plugin)),
            long=options.long,
            seconds=options.seconds or (60.0 if options.long else 3.0),
            scratch=scratch,
            memory=tuple(memory.split()) or ("--in-memory",),  # EAL 22.11 refuses --in-memory beside --no-huge
            log=lambda text: print(text, end="", file=log, flush=True),
        )
        all_passed = tap.run_all(cases, run, options.case_timeout or (3600 if options.long else 120))
    return 0 if all_passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugin", type=Path, help="librte_net_vmbpmd.so; needed unless --pair memif")
    parser.add_argument("--pair", choices=("vmbpmd", "memif"), default="vmbpmd", help="memif tries the tests themselves")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a case, its beginning or a pattern")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", dest="long", action="store_false", help="the default")
    length.add_argument("--long", dest="long", action="store_true", help="the full lengths")
    parser.add_argument("--seconds", type=float, help="length of the timed cases (3, with --long 60)")
    parser.add_argument("--case-timeout", type=int, help="seconds that a case may take (120, with --long 3600)")
    parser.add_argument("--log", type=Path, help="keep what was typed and printed in this file")
    parser.set_defaults(long=False)
    options = parser.parse_args()
    if options.pair == "vmbpmd" and not options.list and (options.plugin is None or not options.plugin.is_file()):
        parser.error(f"--plugin: no such file: {options.plugin}")
    return options


@contextmanager
def _common_sh(*lines: str) -> Iterator[list[str]]:
    """What each line prints in a shell that has sourced scripts/common.sh, which knows about hugepages and safe folders.
    The shell lives as long as the `with` block: a private copy of the plugin goes when it ends."""
    script = "".join(f'x=$({line}); printf "%s\\n" "$x"; ' for line in lines)
    argv = ["bash", "-c", f"set -euo pipefail; source {shlex.quote(str(COMMON_SH))}; {script} read -r _ || true"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        printed = [shell.stdout.readline() for _ in lines]
        if "" in printed:
            raise RuntimeError(f"{COMMON_SH.name} failed at: {lines[printed.index('')]}")
        yield [line.strip() for line in printed]


def _forget_killed_runs() -> None:
    """What runs left behind that had no chance to clean up; everything of theirs carries their process number."""
    for folder in ("/run/netns", "/run/dpdk", tempfile.gettempdir()):
        for path in Path(folder).glob("vmbe2e-*-*"):
            if Path("/proc", path.name.split("-")[1]).exists():
                continue
            if folder == "/run/netns":
                netns.delete(path.name)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _interrupted(*_: object) -> NoReturn:
    sys.exit(1)  # unwinds every `with`, so that processes and namespaces go


if __name__ == "__main__":
    sys.exit(main())
