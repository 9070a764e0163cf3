#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The checks that need no running: formatting of all tracked C and C++ files, clang-tidy over lib/ and drivers/ as
# build/compile_commands.json compiles them, shellcheck over the scripts.
#
# usage: scripts/check.sh [--fix] [--no-tidy]
#   --fix      format the files instead of complaining about them
#   --no-tidy  leave out clang-tidy, which takes most of the time
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
cd -- "$VMB_ROOT"

format=(--dry-run -Werror) tidy=yes
while (($#)); do
  case $1 in
    --fix) format=(-i) ;;
    --no-tidy) tidy=no ;;
    *) die "unknown argument '$1': scripts/check.sh [--fix] [--no-tidy]" ;;
  esac
  shift
done

# Formatting and findings differ between versions, so the version counts: Debian 12's.
tool() {
  local name
  for name in "$1-14" "$1"; do
    if have "$name" && [[ $("$name" --version) == *"version 14."* ]]; then
      printf '%s\n' "$name"
      return
    fi
  done
  die "no $1 14 here: run scripts/setup.sh --checks"
}

# tracked <pattern>...: the files of the project, those about to be added too; without git, all that are there.
tracked() {
  git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null | while read -r file; do
    [[ ! -f $file ]] || printf '%s\n' "$file"
  done
}

# Sources below lib/ and drivers/ that the build compiles, once each.
compiled_sources() {
  python3 - "$VMB_BUILD/compile_commands.json" "$VMB_ROOT" <<'PY'
import json, os, sys
files = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(open(sys.argv[1]))}
mine = (os.path.relpath(f, sys.argv[2]) for f in files)
print("\n".join(sorted(f for f in mine if f.startswith(("lib/", "drivers/")))))
PY
}

failed=()
git rev-parse --git-dir >/dev/null 2>&1 || die "not a git checkout, so there is no saying which files are the project's: clone it"

mapfile -t sources < <(tracked '*.c' '*.h' '*.cpp' '*.hpp')
clang_format=$(tool clang-format)
((${#sources[@]} == 0)) || "$clang_format" "${format[@]}" "${sources[@]}" || failed+=(clang-format)

mapfile -t scripts < <(tracked 'scripts/*.sh' 'test/*.sh')
have shellcheck || die "no shellcheck here: run scripts/setup.sh --checks"
shellcheck -x "${scripts[@]}" || failed+=(shellcheck)

tidied="clang-tidy left out"
if [[ $tidy == yes ]]; then
  [[ -f $VMB_BUILD/compile_commands.json ]] || die "no compile_commands.json in $VMB_BUILD: run scripts/setup.sh"
  clang_tidy=$(tool clang-tidy)
  mapfile -t compiled < <(compiled_sources)
  ((${#compiled[@]} == 0)) ||
    printf '%s\0' "${compiled[@]}" | xargs -0 -P "$(nproc)" -n 1 "$clang_tidy" --quiet -p "$VMB_BUILD" \
      --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-error \
      2> >(grep -vE '^[0-9]+ warnings? (generated|treated)' >&2) || failed+=(clang-tidy)
  tidied="${#compiled[@]} sources with clang-tidy"
fi

checked="${#sources[@]} files with clang-format, $tidied, ${#scripts[@]} scripts with shellcheck"
((${#failed[@]} == 0)) || die "FAILED (${failed[*]}): $checked"
say "checked and clean: $checked"
