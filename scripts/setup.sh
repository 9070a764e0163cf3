#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to a built plugin; safe to run again, and quick when there is nothing to do.
#
# usage: scripts/setup.sh [--checks] [--hugepages N] [--no-build | --no-tests]
#   --checks       also install what scripts/check.sh, the fuzz targets and clang builds need
#   --hugepages N  how many 2 MB hugepages to have (default 1024); never lowers what is there
#   --no-build     prepare the machine and the headers only
#   --no-tests     build the plugin and the library only, which is sooner done
set -euo pipefail
unset VMB_BUILD # the build folder made here is build/
# shellcheck source=scripts/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

build_packages=(g++ meson ninja-build pkg-config python3 dpkg-dev
  libnuma-dev libgtest-dev libgmock-dev libbenchmark-dev libpcap-dev nlohmann-json3-dev)
dpdk_packages=(dpdk dpdk-dev libdpdk-dev) # dpdk-dev has dpdk-testpmd
tool_packages=(iproute2 iputils-ping iperf3 tcpdump ethtool gnuplot-nox)
check_packages=(clang clang-format clang-tidy libclang-rt-14-dev shellcheck)

# The driver-side headers that the sources include; what these include comes along.
driver_headers=(ethdev_driver.h ethdev_vdev.h dev_driver.h bus_driver.h bus_vdev_driver.h bus_vmbus_driver.h)

checks=no build=yes hugepages=1024 targets=()
while (($#)); do
  case $1 in
    --checks) checks=yes ;;
    --no-build) build=no ;;
    --no-tests) targets=(lib/vmbpkt/libvmbpkt.so.0 drivers/net/vmbpmd/librte_net_vmbpmd.so) ;;
    --hugepages)
      hugepages=${2:-}
      [[ $hugepages =~ ^[0-9]{1,7}$ ]] || die "--hugepages wants a number of 2 MB pages, not '$hugepages'"
      shift
      ;;
    -h | --help)
      sed -n '3,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument '$1': see scripts/setup.sh --help" ;;
  esac
  shift
done

exec </dev/null
steps=5 step_no=0
step() { say "[$((step_no += 1))/$steps] $*"; }
note() { say "      $*"; }
as_root() { ((EUID == 0)); }

# The line of the log that says why.
reason() { { grep -aE '^E: |ERROR: ' "$log" || tail -n 1 "$log"; } | tail -n 1; }
apt_reason() {
  grep -aoE "Temporary failure resolving.*|Could not (resolve|connect).*|.*Network is unreachable|.*timed out.*" "$log" |
    tail -n 1 | grep . || reason
}

# --- packages --------------------------------------------------------------------------------------------------

# DPDK that was not packaged by Debian (PKG_CONFIG_PATH, /usr/local) is used as it is.
own_dpdk() {
  have pkg-config && pkg-config --exists libdpdk || return 1
  ! dpkg-query -S "$(pkg-config --variable=pcfiledir libdpdk)/libdpdk.pc" >/dev/null 2>&1
}

missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qxF "$package installed" <<<"$installed" || printf '%s\n' "$package"
  done
}

install_packages() {
  local wanted=("${build_packages[@]}" "${tool_packages[@]}") missing
  own_dpdk || wanted+=("${dpdk_packages[@]}")
  [[ $checks == no ]] || wanted+=("${check_packages[@]}")
  step "packages: ${#wanted[@]} needed ..."
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  ((${#missing[@]})) || { note "all installed"; return; }
  as_root || die "not root, so these packages cannot be installed: run 'apt-get install ${missing[*]}' as root, then this again"
  note "installing with apt-get: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 update >>"$log" 2>&1 ||
    note "apt-get update had complaints; going on with the package lists it got"
  apt-get -q -y --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install "${missing[@]}" >>"$log" 2>&1 ||
    die "apt-get could not install them ($(apt_reason)): see to the network or the package sources, then run this again; log: $log"
}

# --- driver-side headers ---------------------------------------------------------------------------------------

dpdk_include_dirs() { pkg-config --cflags-only-I libdpdk | tr ' ' '\n' | sed -n 's/^-I//p'; }

# has_headers <header>...: each is in one of the folders read from stdin.
has_headers() {
  local dirs dir header
  mapfile -t dirs
  for header in "$@"; do
    for dir in "${dirs[@]}"; do [[ ! -e $dir/$header ]] || continue 2; done
    return 1
  done
}

# source_lists: package sources for Debian's source packages, in the order in which to try them, one list a line
# (entries separated by ';'). First the mirrors this machine uses, as apt itself reads its configuration (.list and
# .sources alike), then Debian's own.
source_lists() {
  local entries release_info suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  # shellcheck disable=SC2016  # these are for apt to expand, not for the shell
  for release_info in --release-info --no-release-info; do # without: package lists may have been cleaned away
    entries=$(apt-get indextargets "$release_info" --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)' \
      'Created-By: Packages' 2>/dev/null |
      awk '($1 == "Debian" || $1 == "$(ORIGIN)") && $2 == "main" {print "deb-src " $3 " " $4 " main;"}' | sort -u | tr -d '\n')
    [[ -n $entries ]] && printf '%s\n' "$entries" && break
  done
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-bookworm}")
  printf "deb-src [signed-by=$keyring] http://deb.debian.org/%s main;" "debian $suite" "debian $suite-updates" \
    "debian-security $suite-security"
  printf '\n'
}

# fetch_source <folder> <source package> <version>: unpack it there. apt verifies signatures and checksums; its
# sources, lists and caches are private to the folder, so that the machine's own stay as they are.
fetch_source() {
  local dir=$1 what=$2=$3 lists entries
  mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/source"
  cat >"$dir/apt.conf" <<CONF
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
  if as_root && id _apt >/dev/null 2>&1; then # apt downloads as this user
    chmod 0755 "$dir"
    chown _apt "$dir/source"
  fi
  mapfile -t lists < <(source_lists)
  for entries in "${lists[@]}"; do
    tr ';' '\n' <<<"$entries" >"$dir/sources.list"
    apt-get -q -c "$dir/apt.conf" update >>"$log" 2>&1 || true # a mirror may lack sources; the next line tells
    (cd "$dir/source" && apt-get -q -c "$dir/apt.conf" source --only-source "$what") >>"$log" 2>&1 && return
  done
  return 1
}

# collect_headers <source tree> <to>: the driver-side headers, and those they include that are not installed.
collect_headers() {
  local tree=$1 to=$2 queue=("${driver_headers[@]}") header file
  while ((${#queue[@]})); do
    header=${queue[0]}
    queue=("${queue[@]:1}")
    [[ ! -e $to/$header ]] || continue
    file=$(find "$tree/lib" "$tree/drivers/bus" -name "$header" -print -quit)
    [[ -n $file ]] || die "this DPDK's source has no $header: vmbpmd supports DPDK 22.11 (Debian 12)"
    install -m 0644 "$file" "$to/$header"
    while read -r header; do
      dpdk_include_dirs | has_headers "$header" || queue+=("$header")
    done < <(sed -nE 's/^#include <((rte|ethdev|bus|dev)_[a-z0-9_]+\.h)>.*/\1/p' "$file")
  done
}

prepare_headers() {
  local version source package stamp work
  version=$(pkg-config --modversion libdpdk)
  step "driver-side headers for DPDK $version ..."
  if dpdk_include_dirs | has_headers "${driver_headers[@]}"; then
    note "installed with DPDK"
    return
  fi
  ! own_dpdk || die "DPDK $version in $(pkg-config --variable=prefix libdpdk) has no driver-side headers: build it with -Denable_driver_sdk=true, or unset PKG_CONFIG_PATH to use Debian's"
  read -r package source < <(dpkg-query -W -f '${source:Package} ${source:Version}\n' libdpdk-dev)
  stamp="$package $source"
  if [[ $(cat "$VMB_SDK/$version/SOURCE" 2>/dev/null) == "$stamp" ]] &&
    has_headers "${driver_headers[@]}" <<<"$VMB_SDK/$version"; then
    note "already in .dpdk-sdk/$version"
    return
  fi
  note "taking them from Debian's source package $stamp"
  work=$(mktemp -d "$VMB_SDK/fetch.XXXXXX")
  on_exit rm -rf -- "$work"
  fetch_source "$work" "$package" "$source" ||
    die "could not fetch $stamp ($(apt_reason)): with a network that reaches a Debian mirror, 'apt-get install --only-upgrade ${dpdk_packages[*]}' and run this again; log: $log"
  mkdir "$work/headers"
  collect_headers "$(find "$work/source" -mindepth 1 -maxdepth 1 -type d)" "$work/headers"
  printf '%s\n' "$stamp" >"$work/headers/SOURCE"
  rm -rf -- "${VMB_SDK:?}/$version"
  mv -- "$work/headers" "$VMB_SDK/$version"
  rm -rf -- "$work"
  note "$(find "$VMB_SDK/$version" -name '*.h' | wc -l) headers in .dpdk-sdk/$version; the download is deleted"
}

# --- hugepages -------------------------------------------------------------------------------------------------

# reserve_pages <file>: raise the pool to $hugepages, spending at most half of the memory that is free now.
reserve_pages() {
  local pool=$1 now spare target
  now=$(<"$pool")
  ((now < hugepages)) || return 0
  spare=$(($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) / 2 / 2048))
  target=$((hugepages - now <= spare ? hugepages : now + spare))
  ((target == hugepages)) || note "$hugepages hugepages would take more than half of the free memory: asking for $target"
  if { printf '%s\n' "$target" >"$pool"; } 2>/dev/null; then
    note "2 MB hugepages reserved until the next boot: $now before, $(<"$pool") now"
  else
    warn "the kernel refuses hugepages ($(as_root && echo 'a container?' || echo 'not root')): 'echo $target > $pool' as root on the host gives them"
  fi
}

mount_hugetlbfs() {
  ! findmnt -n -t hugetlbfs /dev/hugepages >/dev/null || return 0
  if { mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages; } >>"$log" 2>&1; then
    note "mounted hugetlbfs at /dev/hugepages until the next boot"
  else
    warn "hugetlbfs cannot be mounted at /dev/hugepages ($(as_root && echo 'a container?' || echo 'not root')): 'mount -t hugetlbfs hugetlbfs /dev/hugepages' as root on the host does it"
  fi
}

prepare_hugepages() {
  local pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages args
  step "hugepages: $hugepages of 2 MB ..."
  if [[ ! -r $pool ]]; then
    warn "this kernel has no 2 MB hugepages: a kernel with CONFIG_HUGETLBFS has them"
  else
    reserve_pages "$pool"
    mount_hugetlbfs
  fi
  args=$(eal_memory_args 768)
  if [[ -z $args ]]; then
    note "$(huge_free_mb) MB free"
  else
    note "too few are free ($(huge_free_mb) MB): the scripts go on with '$args', which works but is slower"
  fi
}

# --- build -----------------------------------------------------------------------------------------------------

# What the build folder was made for, "<source folder>|<DPDK version>|<build type>"; nothing if it is no build folder.
build_made_for() {
  python3 - "$VMB_BUILD" 2>/dev/null <<'PY' || true
import json, os, sys
info = os.path.join(sys.argv[1], "meson-info")
load = lambda name: json.load(open(os.path.join(info, name + ".json")))
dpdk = [d["version"] for d in load("intro-dependencies") if d["name"] == "libdpdk"]
kind = [o["value"] for o in load("intro-buildoptions") if o["name"] == "buildtype"]
assert os.path.exists(os.path.join(sys.argv[1], "build.ninja"))
print(load("meson-info")["directories"]["source"], dpdk[0], kind[0], sep="|")
PY
}

configure_build() {
  local version wanted made_for
  version=$(pkg-config --modversion libdpdk)
  wanted="$VMB_ROOT|$version|release"
  step "configuring build/ ..."
  made_for=$(build_made_for)
  if [[ $made_for == "$wanted" ]]; then
    ninja -C "$VMB_BUILD" build.ninja >>"$log" 2>&1 || die "meson could not configure the build: $(reason); log: $log"
    note "already configured"
    return
  fi
  if [[ -n $made_for ]]; then
    note "it was made for $made_for: making it anew"
  elif [[ -n $(ls -A "$VMB_BUILD" 2>/dev/null) && ! -d $VMB_BUILD/meson-private ]]; then
    die "$VMB_BUILD is in the way, and no meson build folder: move it away and run this again"
  fi
  rm -rf -- "$VMB_BUILD"
  meson setup --buildtype=release "$VMB_BUILD" "$VMB_ROOT" >>"$log" 2>&1 ||
    die "meson could not configure the build: $(reason); log: $log"
}

build_all() {
  local quiet=(--quiet)
  step "building (release) ..."
  [[ ! -t 1 ]] || quiet=()
  ninja "${quiet[@]}" -C "$VMB_BUILD" "${targets[@]}" || die "the build failed: the compiler's words stand above"
  [[ -f $PLUGIN ]] || die "the build made no plugin at $PLUGIN: see drivers/net/vmbpmd/meson.build"
}

# --- all of it -------------------------------------------------------------------------------------------------

[[ -r /etc/debian_version ]] || die "this is not Debian: on Debian 12 run it as it is; elsewhere install DPDK 22.11 with -Denable_driver_sdk=true and use meson"
mkdir -p "$VMB_SDK" 2>/dev/null || die "cannot write to $VMB_ROOT: run as the owner of this folder, or copy it to one of yours"
log=$VMB_SDK/setup.log
exec {lock}>"$VMB_SDK/lock"
flock -w 900 "$lock" || die "another setup.sh has been at work in this tree for 15 minutes: wait for it, or end it"
: >"$log"
rm -rf -- "$VMB_SDK"/fetch.??????
[[ $build == yes ]] || steps=3

say "vmbpmd set-up. It changes on this machine: missing Debian packages are installed, 2 MB hugepages are reserved"
say "up to $hugepages, and hugetlbfs is mounted at /dev/hugepages. All else stays in .dpdk-sdk/ and build/ here."
install_packages
prepare_headers
prepare_hugepages
if [[ $build == no ]]; then
  say "ready to build: meson setup build --buildtype=release && ninja -C build"
  exit 0
fi
configure_build
build_all
if unsafe=$(world_writable_part "$PLUGIN"); then
  note "anybody may write to $unsafe, where EAL loads no plugins from: the scripts load a private copy"
fi
say "ready: $PLUGIN"
