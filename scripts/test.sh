#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to every test run: builds, then unit, stress (short) and end-to-end tests (short). The last line
# is `N passed, N failed`, over single test cases; the status is other than 0 if one failed. Run it as root.
# A skipped case counts as failed unless test/allowed_skips.txt has it, with the reason.
#
# usage: scripts/test.sh [--sanitize address|thread]
#   --sanitize KIND  the unit and stress tests, in a build of their own: address (with undefined behaviour) in build-asan,
#                    thread in build-tsan
set -euo pipefail
unset VMB_BUILD
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

sanitize=none
while (($#)); do
  case $1 in
    --sanitize)
      sanitize=${2:-}
      [[ $sanitize == address || $sanitize == thread ]] || die "--sanitize is address or thread, not '$sanitize'"
      shift
      ;;
    -h | --help)
      sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument '$1': see scripts/test.sh --help" ;;
  esac
  shift
done
exec </dev/null

# Whatever happens from here on, the last line is a tally.
tallied=no
untallied() { [[ $tallied == yes ]] || say "0 passed, 1 failed"; }
on_exit untallied

# tests <log> <meson test arguments...>: run them; what came of them is for the tally to say.
logs=()
tests() {
  local log=$1
  shift
  logs+=(--log "$log")
  meson test -C "$VMB_BUILD" --logbase "$log" --print-errorlogs "$@" || true
}

# forget_last_run: GoogleTest's results and meson's logs of an earlier run must not be taken for this one's.
forget_last_run() { rm -f -- "$VMB_BUILD"/*.xml "$VMB_BUILD"/meson-logs/vmb-*; }

plain() {
  VMB_BUILD=$VMB_ROOT/build
  say "== set-up and build"
  "$VMB_ROOT/scripts/setup.sh"
  forget_last_run
  say "== unit and stress tests"
  tests vmb-unit --no-suite e2e
  say "== end-to-end tests, in dpdk-testpmd"
  tests vmb-e2e --suite e2e --verbose
}

# configure_sanitized <value of b_sanitize>: b_lundef=off, for a plugin leaves the sanitizer's symbols to its program.
configure_sanitized() {
  [[ ! -f $VMB_BUILD/build.ninja ]] || return 0
  rm -rf -- "$VMB_BUILD"
  meson setup --buildtype=debugoptimized -Db_sanitize="$1" -Db_lundef=false "$VMB_BUILD" "$VMB_ROOT" ||
    die "meson could not configure $VMB_BUILD"
}

sanitized() {
  local setup=asan kinds=address,undefined arguments
  [[ $sanitize == address ]] || setup=tsan kinds=thread
  VMB_BUILD=$VMB_ROOT/build-$setup
  arguments=(--setup "$setup" --suite unit --suite stress)
  say "== set-up"
  "$VMB_ROOT/scripts/setup.sh" --no-build
  configure_sanitized "$kinds"
  if [[ $setup == tsan ]] && ! setarch -R true 2>/dev/null; then
    say "setarch -R is forbidden here (a container?): going on without, which needs vm.mmap_rnd_bits <= 28"
    arguments=("${arguments[@]:2}" --timeout-multiplier 8)
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$VMB_ROOT/test/tsan.supp
  fi
  forget_last_run
  say "== unit and stress tests, with $kinds sanitizers"
  tests "vmb-$setup" "${arguments[@]}"
  suites=(--suite unit --suite stress)
}

suites=()
case $sanitize in
  none) plain ;;
  *) sanitized ;;
esac

say "== summary, after $((SECONDS / 60)) min $((SECONDS % 60)) s"
tallied=yes
"$VMB_ROOT/scripts/tally.py" "$VMB_BUILD" "${logs[@]}" "${suites[@]}" --allow "$VMB_ROOT/test/allowed_skips.txt"
