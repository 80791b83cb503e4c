#!/usr/bin/env bash
# Installs the Debian packages of packages.txt (or of another such list, given as argument) that are missing. Needs root (or sudo) only when
# something is missing.
set -euo pipefail
list=$(readlink -f "${1:-$(dirname "$0")/../packages.txt}")
missing=()
while read -r package; do
  # Node's own Debian package brings npm itself, and Debian's would throw it out.
  [ "$package" != npm ] || ! command -v npm >/dev/null || continue
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done < <(grep -v '^#' "$list")
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive

# Tests start their own Prometheus and Alertmanager: the servers of packages that are installed just now neither start nor come at the
# next boot. Other services, and these where they were here before, are left alone; so is a policy that the host has already.
quiet=()
for package in "${missing[@]}"; do
  case $package in prometheus | prometheus-alertmanager | prometheus-pushgateway) quiet+=("$package") ;; esac
done
policy=/usr/sbin/policy-rc.d
if [ ${#quiet[@]} -gt 0 ] && [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  "${as_root[@]}" tee $policy >/dev/null <<POLICY
#!/bin/sh
# Made by Stele's install-packages.sh for the time of one installation.
for word; do
  case " ${quiet[*]} " in *" \${word%.service} "*) exit 101 ;; esac
done
exit 0
POLICY
  "${as_root[@]}" chmod 0755 $policy
fi

"${as_root[@]}" apt-get update -q
# A cluster that Debian's package would start by itself is not wanted: tests start their own.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
for package in "${quiet[@]}"; do
  if command -v systemctl >/dev/null; then "${as_root[@]}" systemctl --quiet disable "$package.service" || true; fi
done
