#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Includes point one way: checks each #include "..." of lib/, drivers/ and app/ against the table in
doc/architecture.md that says which folder may include which. Prints TAP, one line per folder of the table.

usage: include_direction.py [root of the project]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Where the build looks for #include "...", beside the including file's own folder.
ROOTS = ("lib/vmbpkt", "lib/vmbpkt/include", "drivers/net/vmbpmd")
CHECKED = ("lib", "drivers", "app")
SUFFIXES = (".c", ".cpp", ".h", ".hpp")

Table = dict[str, set[str]]


def read_table(text: str) -> Table:
    """Rows of the first table below "## Layers": | `folder` | what it is | `folder` `folder` ... |"""
    section = text.partition("\n## Layers\n")[2].partition("\n## ")[0]
    table: Table = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = re.findall(r"`([^`]+)`", cells[0])
        if line.startswith("|") and names:
            table[names[0]] = set(re.findall(r"`([^`]+)`", cells[-1]))
    return table


def folder_of(file: str, table: Table) -> str | None:
    """The row that a file belongs to: the longest that it lies in."""
    rows = [row for row in table if file.startswith(row + "/")]
    return max(rows, key=len, default=None)


def includes(file: Path) -> list[tuple[int, str]]:
    pattern = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(number, match[1]) for number, line in enumerate(lines, 1) if (match := pattern.match(line))]


def resolve(root: Path, including: Path, name: str) -> list[str]:
    """Where the compiler may find it; more than one place is a mistake, too. Its own folder comes first, as it does
    there."""
    own = including.parent / name
    places = [own] if own.is_file() else [root / place / name for place in ROOTS if (root / place / name).is_file()]
    return [place.resolve().relative_to(root).as_posix() for place in places]


def judge(table: Table, source: str, name: str, targets: list[str]) -> str | None:
    """What is wrong with `source` including `name`; None: nothing."""
    here = folder_of(source, table)
    if here is None:
        return "lies in no folder of the table"
    if len(targets) != 1:
        return f'"{name}" is found in {len(targets)} places: {", ".join(targets) or "it must be below an include root"}'
    there = folder_of(targets[0], table)
    if there is None:
        return f'"{name}" lies in no folder of the table'
    if there != here and there not in table[here]:
        return f'"{name}" is of {there}, which {here} may not include'
    return None


def violations(root: Path, table: Table) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {row: [] for row in table}
    for top in CHECKED:
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in SUFFIXES or not file.is_file():
                continue
            source = file.relative_to(root).as_posix()
            row = folder_of(source, table) or top
            for number, name in includes(file):
                if wrong := judge(table, source, name, resolve(root, file, name)):
                    found.setdefault(row, []).append(f"{source}:{number}: {wrong}")
    return found


def table_mistakes(root: Path, table: Table) -> list[str]:
    """The table itself: every name is a row, and no two folders may include each other, directly or round about."""
    wrong = [f"{row}: `{name}` has no row" for row in table for name in table[row] if name not in table]
    order: list[str] = []
    rest = dict(table)
    while free := [row for row in rest if not (rest[row] & rest.keys()) - {row}]:
        order += free
        for row in free:
            del rest[row]
    if rest:
        wrong.append(f"these include each other in a circle: {', '.join(rest)}")
    return wrong


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    table = read_table((root / "doc/architecture.md").read_text(encoding="utf-8"))
    results = {"the table": table_mistakes(root, table) if table else ["doc/architecture.md has no table of folders"]}
    results |= violations(root, table)
    print(f"1..{len(results)}")
    for number, (what, wrong) in enumerate(results.items(), 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {what}")
        for line in wrong:
            print(f"# {line}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
