#!/usr/bin/env bash
# What `cmake --install` leaves is a working installation: programs that start, examples they read, units whose programs are there.
#
#   tests/rules/install.sh BUILD_DIR
set -euo pipefail
build=$(cd "$1" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
fail() { echo "install: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$prefix" > "$prefix/log" || { cat "$prefix/log"; fail "cmake --install failed"; }
for program in stele-agent stele-receiver stele-restore; do
  "$prefix/bin/$program" --version > /dev/null || fail "$program does not start"
done
for file in share/stele/{agent,receiver,restore}.toml share/doc/stele/README.md share/doc/stele/runbooks/SteleSpoolFull.md lib/sysusers.d/stele.conf; do
  [ -s "$prefix/$file" ] || fail "$file is missing"
done

# Units carry the paths of the configured prefix; here the same units are checked below the temporary one.
configured=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
sed -i "s#$configured/#$prefix/#" "$prefix"/lib/systemd/system/*.service
for unit in "$prefix"/lib/systemd/system/*.service; do
  program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")
  [ -x "$program" ] || fail "$(basename "$unit") starts $program, which is not there"
done
systemd-analyze verify --man=no "$prefix"/lib/systemd/system/*.service "$prefix"/lib/systemd/system/*.timer || fail "systemd does not take a unit"
systemd-sysusers --dry-run "$prefix/lib/sysusers.d/stele.conf" || fail "systemd-sysusers does not take the user"
