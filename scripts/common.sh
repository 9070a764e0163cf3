# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts share: messages, where things are, and what EAL wants to be told about this machine.
# Source it after `set -euo pipefail`; it takes over the EXIT trap (add to it with on_exit).
#
#   VMB_ROOT   the project's folder
#   VMB_BUILD  the build folder              (default: build/; from the environment if set there)
#   VMB_SDK    driver-side DPDK headers      (.dpdk-sdk/<DPDK version>/)
#   PLUGIN     the plugin as built           (give EAL what safe_plugin prints, not this)
#   TESTPMD    DPDK's test application       (default: dpdk-testpmd; from the environment if set there)
#
# A whole run:  "$TESTPMD" $(eal_memory_args) -d "$(safe_plugin)" --vdev net_vmbpmd0 -- --auto-start

# shellcheck disable=SC2034  # variables here are for those who source this
VMB_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VMB_BUILD=${VMB_BUILD:-$VMB_ROOT/build}
VMB_SDK=$VMB_ROOT/.dpdk-sdk
PLUGIN=$VMB_BUILD/drivers/net/vmbpmd/librte_net_vmbpmd.so
TESTPMD=${TESTPMD:-dpdk-testpmd}

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
# One line: what is wrong, and what to do about it.
die() {
  warn "$*"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# on_exit <command...>: run it when this script ends, however it ends; the last one given runs first.
VMB_ON_EXIT=()
on_exit() { VMB_ON_EXIT=("$(printf '%q ' "$@")" "${VMB_ON_EXIT[@]}"); }
run_on_exit() {
  local status=$? command
  trap '' INT TERM HUP
  for command in "${VMB_ON_EXIT[@]}"; do eval "$command" || true; done
  exit "$status"
}
trap run_on_exit EXIT
# Without these bash goes on when a signal came to it alone and the command it waits for ended well.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the plugin ------------------------------------------------------------------------------------------------

# world_writable_part <path>: print the first of the path and its parents that anybody may write to; 1 if none.
# This is EAL's own rule for `-d` (links resolved, the sticky bit makes no difference).
world_writable_part() {
  local path mode
  path=$(realpath -e -- "$1") || return
  while :; do
    mode=$(stat -c %a -- "$path")
    if ((8#$mode & 2)); then
      printf '%s\n' "$path"
      return 0
    fi
    [[ $path != / ]] || return 1
    path=$(dirname -- "$path")
  done
}

# loadable_from <path>: EAL accepts a plugin there, and the file system lets code run.
loadable_from() {
  local options
  ! world_writable_part "$1" >/dev/null || return 1
  options=$(findmnt -nro OPTIONS --target "$1" 2>/dev/null || true)
  [[ ",$options," != *,noexec,* ]]
}

# Where private copies may live; the first that is there, ours to write to and loadable from is taken.
private_bases() { printf '%s\n' /run /var/lib ${XDG_RUNTIME_DIR:+"$XDG_RUNTIME_DIR"} ${HOME:+"$HOME"}; }

# Private copies are named after the script's process ($$ is the script's, in subshells too), so that the script's
# exit finds its own, and the next script those of a script that was killed.
remove_private_copies() {
  local base copy pid
  while read -r base; do
    for copy in "$base"/vmbpmd.[0-9]*.??????; do
      [[ -d $copy && -O $copy ]] || continue
      pid=${copy##*/vmbpmd.}
      pid=${pid%.*}
      [[ $pid != "$$" && -d /proc/$pid ]] || rm -rf -- "$copy"
    done
  done < <(private_bases)
}
on_exit remove_private_copies

# Print the path from which EAL will load the plugin: the build folder's own file where every parent is safe,
# else that of a private copy, which goes when this script ends. The plugin is one file: libvmbpkt is inside.
safe_plugin() {
  local base copy
  [[ -f $PLUGIN ]] || die "there is no plugin at $PLUGIN: run scripts/setup.sh"
  if loadable_from "$PLUGIN"; then
    realpath -- "$PLUGIN"
    return
  fi
  while read -r base; do
    if [[ -d $base && -w $base ]] && loadable_from "$base"; then
      copy=$(mktemp -d "$base/vmbpmd.$$.XXXXXX") # for its owner only
      install -m 0644 -- "$PLUGIN" "$copy/"
      printf '%s\n' "$copy/${PLUGIN##*/}"
      return
    fi
  done < <(private_bases)
  die "EAL refuses a plugin below $(world_writable_part "$PLUGIN" || echo "a noexec mount") and no private folder was found for a copy: run as root, or build elsewhere"
}

# --- memory ----------------------------------------------------------------------------------------------------

# Free hugepage memory that EAL can reach, in MB: pages of each size that has a hugetlbfs mount we can write to.
huge_free_mb() {
  local total=0 seen=" " mount type options size_kb free
  local -A kb=([K]=1 [M]=1024 [G]=1048576)
  while read -r _ mount type options _; do
    [[ $type == hugetlbfs && -w $mount ]] || continue
    if [[ $options =~ pagesize=([0-9]+)([KMG]) ]]; then
      size_kb=$((BASH_REMATCH[1] * ${kb[${BASH_REMATCH[2]}]}))
    else
      size_kb=$(awk '/^Hugepagesize:/ {print $2}' /proc/meminfo)
    fi
    [[ $seen != *" $size_kb "* ]] || continue
    seen+="$size_kb "
    free=$(cat "/sys/kernel/mm/hugepages/hugepages-${size_kb}kB/free_hugepages" 2>/dev/null || echo 0)
    total=$((total + free * size_kb / 1024))
  done </proc/mounts
  printf '%s\n' "$total"
}

# eal_memory_args [MB]: print the EAL arguments for a process that needs so much (768: a testpmd with two ports): none
# where there are hugepages for it, else --no-huge with a size. Several words, so leave it unquoted. Computed at each
# use, since pages come and go with other processes.
eal_memory_args() {
  local need=${1:-768}
  (($(huge_free_mb) < need)) || return 0
  printf -- '--no-huge -m %s\n' "$need"
}
