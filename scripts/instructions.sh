#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Instructions per frame of each end's tx_burst and rx_burst, counted by callgrind over build/test/bench/nic_bench: the same
# on every run and every machine, where time is not. Loops for any CPU, no hugepages. Installs valgrind where there is none.
#
# usage: scripts/instructions.sh
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
(($# == 0)) || die "no arguments are taken: see $0"

"$VMB_ROOT/scripts/setup.sh" >&2
have valgrind || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y valgrind >&2 || die "no valgrind: apt-get install valgrind"
bench=$VMB_BUILD/test/bench/nic_bench
work=$(mktemp -d)
remove_work() { rm -rf -- "$work"; }
on_exit remove_work

export VMB_BENCH_ITERATIONS=2000

# counted <benchmark> <function>: instructions inside it, in all iterations
counted() {
  valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect="vmbpmd::$2*" \
    "$bench" --benchmark_filter="^$1/" >"$work/log" 2>&1 || die "callgrind: $(tail -n 1 "$work/log")"
  awk '/^summary:|^totals:/ {print $2; exit}' "$work/out"
}

say "instructions per frame, plain loops (callgrind)"
say "$(printf '%-16s %6s %6s %10s %10s' direction bytes burst tx_burst rx_burst)"
for direction in host_to_guest guest_to_host; do
  sender=Guest
  [[ $direction == guest_to_host ]] || sender=Host
  for bytes in 64 1518; do
    for burst in 1 32; do
      frames=$((VMB_BENCH_ITERATIONS * burst))
      tx=$(counted "$direction/$bytes/$burst" "$sender::tx_burst")
      rx=$(counted "$direction/$bytes/$burst" "End::rx_burst")
      say "$(printf '%-16s %6d %6d %10d %10d' "$direction" "$bytes" "$burst" $((tx / frames)) $((rx / frames)))"
    done
  done
done
