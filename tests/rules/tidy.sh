#!/usr/bin/env bash
# Runs clang-tidy with .clang-tidy over the product's files, or over those named. Minutes for all of them, so by hand or by night.
#
#   tests/rules/tidy.sh [FILE...]
#
# BUILD (default build/dev) is a configured build directory. Needs Debian's clang-tidy-16.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-tidy-16 >/dev/null || { echo "clang-tidy-16 is missing: apt-get install clang-tidy-16" >&2; exit 2; }
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'core/*.cc' 'agent/*.cc' 'receiver/*.cc' 'restore/*.cc')
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy-16 --quiet -p "${BUILD:-build/dev}"
