#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to real traffic across a vmbpmd host/guest pair in the packaged dpdk-testpmd. Takes a minute or
# so beyond the set-up; leaves nothing behind, also when interrupted; ends with a status other than 0 if anything failed.
#
# usage: scripts/demo.sh [--pair memif] [--seconds N]
#   --pair memif  the same traffic across DPDK's own net_memif in place of vmbpmd, to compare
#   --seconds N   length of each measurement (default 3)
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

pair=vmbpmd seconds=3
while (($#)); do
  case $1 in
    --pair) pair=${2:-} ;;
    --seconds) seconds=${2:-} ;;
    -h | --help)
      sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument '$1': see scripts/demo.sh --help" ;;
  esac
  (($# >= 2)) || die "$1 wants a value: see scripts/demo.sh --help"
  shift 2
done
[[ $pair == vmbpmd || $pair == memif ]] || die "--pair is vmbpmd or memif, not '$pair'"
[[ $seconds =~ ^[1-9][0-9]?$ ]] || die "--seconds is 1 to 99, not '$seconds'"
((EUID == 0)) || die "network namespaces and hugepages need root: run this as root"

demo=vmbdemo-$$ # names the namespaces and testpmd's files
near=$demo-near far=$demo-far

# --- testpmd, driven through its prompt --------------------------------------------------------------------------

work=$(mktemp -d)
log=$work/testpmd.log
errors=$work/testpmd.errors # apart, so that no line falls into the middle of a prompt
pmd_pid=""

# pmd_start <number of forwarding lcores> <EAL arguments...>: testpmd at its prompt, its ports started.
pmd_start() {
  local lcores=$1 cpus map memory
  shift
  mapfile -t cpus < <(allowed_cpus)
  ((${#cpus[@]} >= 2)) || die "this takes two CPUs and may use only ${#cpus[@]}: give this shell another with taskset"
  # Lcore 0 sleeps at the prompt. One forwarding lcore leaves the first CPU to ping and iperf3; two take both.
  case $lcores in
    1) map="0@${cpus[0]},1@${cpus[1]}" ;;
    2) map="0@${cpus[0]},1@${cpus[0]},2@${cpus[1]}" ;;
  esac
  memory=$(eal_memory_args 512)
  # shellcheck disable=SC2086 # several words
  stdbuf -oL "$TESTPMD" --lcores "$map" --no-pci ${memory:---in-memory} --file-prefix "$demo" "$@" \
    -- -i --nb-cores="$lcores" --total-num-mbufs=16384 --disable-link-check --no-flush-rx --mask-event=intr_lsc \
    <"$work/prompt" >"$log" 2>"$errors" &
  pmd_pid=$!
  exec {prompt}>"$work/prompt" # testpmd leaves when this is closed, so also when this script is killed
  wait_for "testpmd's prompt" pmd_has_answered 0
}

pmd_stop() {
  [[ -n $pmd_pid ]] || return 0
  exec {prompt}>&-
  for _ in {1..50}; do
    kill -0 "$pmd_pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pmd_pid" 2>/dev/null || true
  wait "$pmd_pid" 2>/dev/null || true
  pmd_pid=""
}

# pmd <command>: type it and print what testpmd answers.
pmd() {
  local before
  before=$(stat -c %s "$log")
  printf '%s\n' "$1" >&"$prompt"
  wait_for "testpmd to answer '$1'" pmd_has_answered "$before"
  tail -c "+$((before + 1))" "$log"
}

pmd_has_answered() { tail -c "+$(($1 + 1))" "$log" | grep -q 'testpmd> $'; }

# wait_for <what> <command...>: until the command succeeds, testpmd is gone, or 20 seconds are over.
wait_for() {
  local what=$1 end=$((SECONDS + 20))
  shift
  until "$@"; do
    kill -0 "$pmd_pid" 2>/dev/null || die "testpmd ended while waiting for $what: $(pmd_complaint)"
    ((SECONDS < end)) || die "20 s have passed waiting for $what: $(pmd_complaint)"
    sleep 0.05
  done
}

# The line of testpmd's that says most about a failure.
pmd_complaint() {
  grep -ahE -m 1 '^vmbpmd: |Cause:|EAL: .*([Ff]ail|[Ee]rror|[Cc]annot)' "$errors" "$log" || tail -n 1 "$errors"
}

link_is_up() { pmd "show port info $1" | grep -q '^Link status: up'; }
wait_for_link() { for port in "$@"; do wait_for "the link of port $port" link_is_up "$port"; done; }

# stat_of <port> <name>: a figure of `show port stats`, like RX-packets.
stat_of() { pmd "show port stats $1" | grep -oE "$2: +[0-9]+" | grep -oE '[0-9]+$'; }

allowed_cpus() {
  local range
  while read -r range; do
    seq "${range%-*}" "${range#*-}"
  done < <(awk '/^Cpus_allowed_list/ {gsub(",", "\n", $2); print $2}' /proc/self/status)
}

# --- the two ends ------------------------------------------------------------------------------------------------

pair_args() {
  case $pair in
    vmbpmd) printf '%s\n' -d "$plugin" --vdev=net_vmbpmd0,role=host,link=demo --vdev=net_vmbpmd1,role=guest,link=demo ;;
    memif) printf '%s\n' "--vdev=net_memif0,role=server,id=0,socket=$demo" "--vdev=net_memif1,role=client,id=0,socket=$demo" ;;
  esac
}

# --- what is shown -----------------------------------------------------------------------------------------------

in_ns() { ip netns exec "$@"; }

# namespace <name> <tap device> <number>: the device moves in and becomes 10.9.0.<number>.
namespace() {
  ip netns add "$1"
  ip link set "$2" netns "$1"
  in_ns "$1" ip link set "$2" up
  in_ns "$1" ip address add "10.9.0.$3/24" dev "$2"
}

server_listens() { [[ -n $(in_ns "$far" ss -Hltn "sport = 5201") ]]; }

show_tcp() {
  local tap0=vmb$$a tap1=vmb$$b answer figure port
  say "  namespace near: tap0 <-> host port === guest port <-> tap1 :namespace far"
  pmd_start 1 "--vdev=net_tap0,iface=$tap0" "${pair_eal[@]}" "--vdev=net_tap1,iface=$tap1"
  wait_for_link 1 2
  namespace "$near" "$tap0" 1
  namespace "$far" "$tap1" 2
  pmd start >/dev/null

  answer=$(in_ns "$near" ping -n -q -c 100 -i 0.01 -W 2 10.9.0.2) || die "ping failed: $(grep loss <<<"$answer")"
  figure=$(awk -F'[/ ]' '/^rtt/ {print $8}' <<<"$answer")
  grep -q ' 0% packet loss' <<<"$answer" || die "ping lost packets: $(grep loss <<<"$answer")"
  say "  ping    100 of 100 answered, mean round trip $figure ms"

  in_ns "$far" iperf3 -s -1 >"$work/server" 2>&1 &
  wait_for "iperf3's server" server_listens
  answer=$(in_ns "$near" iperf3 -f m -c 10.9.0.2 -t "$seconds" 2>&1) || die "iperf3 failed: $(tail -n 1 <<<"$answer")"
  figure=$(awk '$NF == "receiver" {print $5, $6, "in", $3, "s,", $7, $8}' <<<"$answer")
  [[ -n $figure ]] || die "iperf3 gave no figure: $(tail -n 1 <<<"$answer")"
  say "  iperf3  $figure at the receiver"

  for port in 1 2; do
    for figure in RX-missed RX-errors RX-nombuf TX-errors; do
      (($(stat_of "$port" "$figure") == 0)) || die "port $port lost frames: $figure is $(stat_of "$port" "$figure")"
    done
  done
  say "  frames  $(stat_of 1 TX-packets) host to guest, $(stat_of 1 RX-packets) guest to host, none dropped at either end"
  pmd_stop
}

# one_way <bytes> <source port> <sending end> <receiving end>: what the receiving end counted, as a line of the table.
one_way() {
  local bytes=$1 what=$5 answer pps bps
  pmd "set portlist $2,$3,$4,4" >/dev/null
  pmd start >/dev/null
  sleep 0.5
  pmd "show port stats $4" >/dev/null # rates count from here
  sleep "$seconds"
  answer=$(pmd "show port stats $4")
  pmd stop >/dev/null
  pps=$(grep -oE 'Rx-pps: +[0-9]+' <<<"$answer" | grep -oE '[0-9]+$')
  bps=$(grep -oE 'Rx-bps: +[0-9]+' <<<"$answer" | grep -oE '[0-9]+$')
  ((pps > 0)) || die "no $bytes-byte frames arrived, $what"
  ((bps / pps / 8 == bytes || bps / pps / 8 == bytes - 1)) || die "frames of $bytes bytes arrived as $((bps / pps / 8)) bytes, $what"
  awk -v b="$bytes" -v w="$what" -v p="$pps" -v r="$bps" 'BEGIN {printf "  %6d  %-14s  %7.2f  %7.2f\n", b, w, p / 1e6, r / 1e9}'
}

show_rates() {
  local bytes source
  say "  net_null source -> one end on one lcore, the other end -> net_null sink on another; $seconds s each"
  pmd_start 2 "${pair_eal[@]}" --vdev=net_null0,size=64 --vdev=net_null1,size=1518 --vdev=net_null2,no-rx=1
  wait_for_link 0 1
  say "   bytes  one way            Mpps   Gbit/s"
  for source in 2 3; do
    bytes=$((source == 2 ? 64 : 1518))
    one_way "$bytes" "$source" 0 1 "host to guest"
    one_way "$bytes" "$source" 1 0 "guest to host"
  done
  pmd_stop
}

# --- all of it ---------------------------------------------------------------------------------------------------

# forget <name of a demo>: its namespaces with what runs in them, and EAL's files.
forget() {
  local name
  for name in "$1-near" "$1-far"; do
    [[ -e /run/netns/$name ]] || continue
    ip netns pids "$name" | xargs -r kill 2>/dev/null || true
    ip netns delete "$name" || true
  done
  rm -rf -- "/run/dpdk/$1"
}

clean_up() {
  pmd_stop
  forget "$demo"
  rm -rf -- "$work"
}

# What demos left behind that had no chance to clean up.
forget_killed() {
  local path name
  for path in /run/netns/vmbdemo-*-near; do
    name=${path##*/}
    name=${name%-near}
    [[ ! -e $path || -d /proc/${name#vmbdemo-} ]] || forget "$name"
  done
}

on_exit clean_up
forget_killed

say "== set-up"
if [[ $pair == vmbpmd ]]; then
  "$VMB_ROOT/scripts/setup.sh" --no-tests
  plugin=$(safe_plugin)
else
  "$VMB_ROOT/scripts/setup.sh" --no-build
fi
mapfile -t pair_eal < <(pair_args)
mkfifo "$work/prompt"

say "== TCP/IP between two network namespaces, across a $pair pair"
show_tcp
say "== frames as fast as they go, across a $pair pair"
show_rates
say "== done"
