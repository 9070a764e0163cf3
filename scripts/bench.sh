#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# vmbpmd beside other drivers on this machine: set-up, build, then build/app/vmbperf/vmbperf on two CPUs with the memory
# and the plugin it wants. Trust figures of an idle machine only: the last column of the table says how idle it was.
#
# usage: scripts/bench.sh [vmbperf options]      scripts/bench.sh --help names them
set -euo pipefail
unset VMB_BUILD
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

"$VMB_ROOT/scripts/setup.sh" >&2
vmbperf=$VMB_BUILD/app/vmbperf/vmbperf
[[ -x $vmbperf ]] || die "the build made no vmbperf: see app/vmbperf/meson.build"
for word in "$@"; do
  [[ $word != -h && $word != --help ]] || { "$vmbperf" --help; exit; }
done

allowed_cpus() {
  local range
  while read -r range; do
    seq "${range%-*}" "${range#*-}"
  done < <(awk '/^Cpus_allowed_list/ {gsub(",", "\n", $2); print $2}' /proc/self/status)
}

# two_cpus: of two cores, where there are two, for two threads of one core share what is measured.
two_cpus() {
  local first cpu cpus core=/sys/devices/system/cpu/cpu%s/topology/thread_siblings_list
  mapfile -t cpus < <(allowed_cpus)
  ((${#cpus[@]} >= 2)) || die "this takes two CPUs and may use only ${#cpus[@]}: give this shell another with taskset"
  first=${cpus[0]}
  for cpu in "${cpus[@]:1}"; do
    # shellcheck disable=SC2059 # the format is ours
    if ! cmp -s "$(printf "$core" "$first")" "$(printf "$core" "$cpu")"; then
      printf '%s %s\n' "$first" "$cpu"
      return
    fi
  done
  printf '%s %s\n' "$first" "${cpus[1]}"
}

pair=$(two_cpus)
memory=$(eal_memory_args 512)
plugin=$(safe_plugin)
# zero-copy memif and virtio-user want single-file segments, virtio-user's vector path 512 bits; nothing stays in /dev/hugepages or /run after --in-memory
# shellcheck disable=SC2086 # several words
"$vmbperf" --lcores "0@${pair% *},1@${pair#* }" ${memory:--m 512 --in-memory --single-file-segments --force-max-simd-bitwidth=512} --no-pci --no-telemetry \
  --file-prefix "vmbperf-$$" --log-level lib.eal:warning -d "$plugin" -- "$@"
