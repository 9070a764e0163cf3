#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The tests at their full lengths, again and again for as long as is asked: stress tests, then end-to-end tests with a
# minute for each timed case and hundreds of restarts. One round takes about half an hour. The last line is
# `N passed, N failed`; the status is other than 0 if anything failed. Run it as root.
#
# usage: scripts/soak.sh [--hours N | --rounds N] [--seconds N] [--only NAME]
#   --hours N    begin no further round after so many hours
#   --rounds N   so many rounds (default 1)
#   --seconds N  length of each timed end-to-end case (60), and of each stress test (60)
#   --only NAME  end-to-end cases of this name only, and no stress tests (test/e2e/run.py --list)
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

hours="" rounds=1 seconds=60 only=""
while (($#)); do
  case $1 in
    --hours) hours=${2:-} rounds="" ;;
    --rounds) rounds=${2:-} hours="" ;;
    --seconds) seconds=${2:-} ;;
    --only) only=${2:-} ;;
    -h | --help)
      sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument '$1': see scripts/soak.sh --help" ;;
  esac
  (($# >= 2)) || die "$1 wants a value: see scripts/soak.sh --help"
  shift 2
done
[[ ${hours:-$rounds} =~ ^[1-9][0-9]{0,3}$ ]] || die "--hours and --rounds are 1 to 9999, not '${hours:-$rounds}'"
[[ $seconds =~ ^[1-9][0-9]{0,4}$ ]] || die "--seconds is 1 to 99999, not '$seconds'"
((EUID == 0)) || die "network namespaces and hugepages need root: run this as root"
exec </dev/null

"$VMB_ROOT/scripts/setup.sh"

log=$VMB_BUILD/soak.log
passed=0 failed=0 round=0

# count <TAP...>: add a run's cases up.
count() {
  passed=$((passed + $(grep -c '^ok ' "$1" || true)))
  failed=$((failed + $(grep -cE '^not ok |^Bail out' "$1" || true)))
}

stress() {
  local status=0
  VMB_STRESS_SECONDS=$seconds meson test -C "$VMB_BUILD" --logbase vmb-soak --print-errorlogs \
    --timeout-multiplier 0 --suite stress || status=1
  ((status == 0)) && passed=$((passed + 1)) || failed=$((failed + 1))
}

end_to_end() {
  local arguments=(--plugin "$PLUGIN" --long --seconds "$seconds" --log "$VMB_BUILD/soak-e2e.log") status=0
  [[ -z $only ]] || arguments+=(--only "$only")
  python3 "$VMB_ROOT/test/e2e/run.py" "${arguments[@]}" | tee "$log" || status=$?
  count "$log"
  ((status == 0 || failed > 0)) || failed=1
}

more_to_do() {
  if [[ -n $hours ]]; then ((SECONDS < hours * 3600)); else ((round < rounds)); fi
}

while more_to_do; do
  say "== round $((round += 1)), after $((SECONDS / 60)) min"
  [[ -n $only ]] || stress
  end_to_end
  say "$passed passed, $failed failed so far"
done
say "$passed passed, $failed failed"
((failed == 0))
