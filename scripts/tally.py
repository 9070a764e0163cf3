#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up single test cases of one or more `meson test` runs; the last line is `N passed, N failed`.

A case is a GoogleTest case, a TAP test point, or a program that has no cases (meson's protocol `exitcode`). Failed are
also: a skipped case that is not on the list of allowed skips; a program that crashed, timed out, or failed although no
case of it did; one whose cases are unknown or none; one that meson knows and that did not run. Ends with status 1 when
anything failed.

The list of allowed skips has a line per case: its name as printed here, a tab, the reason. Lines that begin with # are
comments. An allowed skip counts neither as passed nor as failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

GTEST_STATUSES = (0, 1)  # GoogleTest's own exit statuses; after any other its cases are not to be trusted


@dataclass(frozen=True)
class Case:
    name: str      # program/Suite.Case
    outcome: str   # passed, failed, skipped
    why: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, nargs="?", help="build folder")
    parser.add_argument("--log", action="append", default=[], metavar="BASE",
                        help="what `meson test --logbase` was given; may be repeated (testlog)")
    parser.add_argument("--suite", action="append", default=[], help="the suites that were to run (all)")
    parser.add_argument("--allow", type=Path, metavar="FILE", help="the list of allowed skips")
    parser.add_argument("--self-test", action="store_true", help="test this script")
    options = parser.parse_args()
    if options.self_test:
        return 0 if unittest.main(argv=[sys.argv[0]], exit=False).result.wasSuccessful() else 1
    if options.build is None:
        parser.error("a build folder is needed")
    try:
        allowed = allowed_skips(options.allow.read_text(encoding="utf-8")) if options.allow else {}
    except (OSError, ValueError) as error:
        print(error)
        print("0 passed, 1 failed")
        return 1
    return report(cases_of(options.build, options.log or ["testlog"], set(options.suite)), allowed)


def allowed_skips(text: str) -> dict[str, str]:
    allowed = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.partition("\t")
        if not name.strip() or not reason.strip():
            raise ValueError(f"allowed skips, line {number}: wants a test's name, a tab and a reason, not {line!r}")
        allowed[name.strip()] = reason.strip()
    return allowed


def report(cases: Iterable[Case], allowed: dict[str, str]) -> int:
    passed = failed = 0
    for case in cases:
        if case.outcome == "passed":
            passed += 1
        elif case.outcome == "skipped" and case.name in allowed:
            print(f"SKIPPED {case.name}: {allowed[case.name]}")
        else:
            failed += 1
            what = "skipped, and not allowed to" if case.outcome == "skipped" else case.why or "failed"
            print(f"FAILED  {case.name}: {what}")
    if passed + failed == 0:
        failed = 1
        print("FAILED  no test ran")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


# --- what meson left behind


def cases_of(build: Path, logs: list[str], suites: set[str]) -> list[Case]:
    """Every case of every program that was to run."""
    cases: list[Case] = []
    seen: set[str] = set()
    protocols: dict[str, str] = {}
    try:
        for test in json.loads((build / "meson-info" / "intro-tests.json").read_text(encoding="utf-8")):
            if not suites or suites & {suite.rpartition(":")[2] for suite in test["suite"]}:
                protocols[test["name"]] = test["protocol"]
    except (OSError, ValueError) as error:
        return [Case(str(build), "failed", f"meson does not know its tests: {error}")]
    for base in logs:
        json_logs = sorted((build / "meson-logs").glob(f"{base}*.json"))
        if not json_logs:
            cases.append(Case(base, "failed", "meson test wrote no log"))
        for log in json_logs:  # meson appends the name of --setup to the base
            suites_xml = junit_suites(log.with_suffix(".junit.xml"))
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
                run = json.loads(line)
                name = run["name"].rpartition(" / ")[2]
                seen.add(name)
                cases += cases_of_program(name, protocols.get(name, "exitcode"), run, suites_xml)
    cases += [Case(name, "failed", "did not run") for name in protocols if name not in seen]
    return cases


def junit_suites(file: Path) -> list[ElementTree.Element]:
    try:
        return list(ElementTree.parse(file).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return []


def cases_of_program(name: str, protocol: str, run: dict, suites_xml: list[ElementTree.Element]) -> list[Case]:
    result, status = run["result"], run["returncode"]
    ended = f"the program ended with {result}, status {status}"
    good = result in ("OK", "EXPECTEDFAIL")
    if result == "SKIP":
        return [Case(name, "skipped")]
    if protocol == "exitcode":
        return [Case(name, "passed" if good else "failed", ended)]
    cases = [] if protocol == "gtest" and status not in GTEST_STATUSES else list(junit_cases(name, suites_xml))
    if not cases:
        cases.append(Case(name, "failed", "ran no case" if good else ended))
    elif not good and all(case.outcome != "failed" for case in cases):
        cases.append(Case(name, "failed", f"no case failed, but {ended}"))
    return cases


def junit_cases(program: str, suites_xml: list[ElementTree.Element]) -> Iterable[Case]:
    """The cases of one program. meson calls a suite "project.project:suite / program" (TAP), plus ".Suite" (GoogleTest);
    without the middle where all tests are in one suite."""
    of_program = re.compile(rf"[^.]+\.(.* / )?{re.escape(program)}(\.(?P<suite>.*))?")
    for suite in suites_xml:
        match = of_program.fullmatch(suite.get("name", ""))
        for case in suite.iter("testcase") if match else ():
            own_name = case.get("name", "")
            title = f"{match['suite']}.{own_name}" if match["suite"] else re.sub(r"^\d+ +(- +)?", "", own_name)
            failure = next((child for child in case if child.tag in ("failure", "error")), None)
            skipped = case.find("skipped") is not None or case.get("status") == "notrun"
            if failure is not None:
                why = (failure.get("message") or failure.text or "").strip()
                yield Case(f"{program}/{title}", "failed", " ".join(why.splitlines()[:3]))
            else:
                yield Case(f"{program}/{title}", "skipped" if skipped else "passed")


# --- tests of this script


class TallyTest(unittest.TestCase):
    def tally(self, runs: list[dict], tests: dict[str, str], junit: str = "", suites: set[str] = frozenset()) -> dict[str, str]:
        """Outcome of each case, by name."""
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder)
            (build / "meson-info").mkdir()
            (build / "meson-logs").mkdir()
            intro = [{"name": name, "suite": ["p:unit"], "protocol": protocol} for name, protocol in tests.items()]
            (build / "meson-info" / "intro-tests.json").write_text(json.dumps(intro))
            (build / "meson-logs" / "testlog-asan.json").write_text("\n".join(json.dumps(run) for run in runs))
            (build / "meson-logs" / "testlog-asan.junit.xml").write_text(f"<testsuites>{junit}</testsuites>")
            cases = cases_of(build, ["testlog"], set(suites))
            self.assertEqual(len({case.name for case in cases}), len(cases))
            return {case.name: case.outcome for case in cases}

    @staticmethod
    def run_of(name: str, result: str = "OK", returncode: int = 0) -> dict:
        return {"name": f"p:unit / {name}", "result": result, "returncode": returncode}

    SUITE = ('<testsuite name="p.p:unit / ring.Wrap"><testcase name="Twice" status="run"/>'
             '<testcase name="Thrice" status="run"><failure message="no"/></testcase>'
             '<testcase name="Off" status="notrun"/>'
             '<testcase name="Later" status="run"><skipped message="why"/></testcase></testsuite>')

    def test_gtest_cases_count_one_by_one(self) -> None:
        got = self.tally([self.run_of("ring", "FAIL", 1)], {"ring": "gtest"}, self.SUITE)
        self.assertEqual(got, {"ring/Wrap.Twice": "passed", "ring/Wrap.Thrice": "failed", "ring/Wrap.Off": "skipped",
                               "ring/Wrap.Later": "skipped"})

    def test_a_crash_voids_the_cases(self) -> None:
        got = self.tally([self.run_of("ring", "FAIL", -11)], {"ring": "gtest"}, self.SUITE)
        self.assertEqual(got, {"ring": "failed"})

    def test_a_failure_after_all_cases_passed_counts(self) -> None:
        suite = '<testsuite name="p.ring.Wrap"><testcase name="Twice" status="run"/></testsuite>'
        got = self.tally([self.run_of("ring", "FAIL", 1)], {"ring": "gtest"}, suite)
        self.assertEqual(got, {"ring/Wrap.Twice": "passed", "ring": "failed"})

    def test_no_cases_is_a_failure(self) -> None:
        self.assertEqual(self.tally([self.run_of("ring")], {"ring": "gtest"}), {"ring": "failed"})

    def test_a_program_with_a_longer_name_is_another(self) -> None:
        suite = '<testsuite name="p.p:unit / ring_x.Wrap"><testcase name="Twice" status="run"/></testsuite>'
        got = self.tally([self.run_of("ring_x"), self.run_of("ring")], {"ring": "gtest", "ring_x": "gtest"}, suite)
        self.assertEqual(got, {"ring_x/Wrap.Twice": "passed", "ring": "failed"})

    def test_tap_points(self) -> None:
        suite = ('<testsuite name="p.p:e2e / e2e"><testcase name="1 - one"/><testcase name="2 two"><failure/></testcase>'
                 '<testcase name="3 three"><skipped/></testcase></testsuite>')
        got = self.tally([self.run_of("e2e", "FAIL", 1)], {"e2e": "tap"}, suite)
        self.assertEqual(got, {"e2e/one": "passed", "e2e/two": "failed", "e2e/three": "skipped"})

    def test_exit_codes_skips_and_what_did_not_run(self) -> None:
        got = self.tally([self.run_of("a"), self.run_of("b", "TIMEOUT", -9), self.run_of("c", "SKIP", 77)],
                         dict.fromkeys("abcd", "exitcode"))
        self.assertEqual(got, {"a": "passed", "b": "failed", "c": "skipped", "d": "failed"})

    def test_other_suites_need_not_run(self) -> None:
        self.assertEqual(self.tally([], {"a": "exitcode"}, suites={"stress"}), {})

    def test_allowed_skips(self) -> None:
        self.assertEqual(allowed_skips("# why\n\na/B.C\tno device here\n"), {"a/B.C": "no device here"})
        for bad in ("a/B.C\n", "a/B.C \t \n", "\treason\n"):
            with self.assertRaises(ValueError):
                allowed_skips(bad)


if __name__ == "__main__":
    sys.exit(main())
