#!/usr/bin/env bash
# Runs a test program built with a sanitizer; fails when that program, or any other that it started, was reported.
#
#   tests/sanitizers/run.sh PROGRAM [ARGUMENT...]
#
# Exit codes alone would not show every report: tests kill the programs that they start, or expect them to fail. So all of
# them write their reports into one directory, which is empty at the end of a good test.
set -uo pipefail
[ $# -gt 0 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
chmod 1777 "$reports"  # PostgreSQL's user runs programs of ours too
common="log_path=$reports/report:log_exe_name=1"
export ASAN_OPTIONS="$common:detect_leaks=1:check_initialization_order=1:strict_init_order=1"
export UBSAN_OPTIONS="$common:print_stacktrace=1"
export TSAN_OPTIONS="$common:second_deadlock_stack=1:suppressions=$here/tsan.supp"
setpriv --pdeathsig KILL -- "$@"
code=$?
shopt -s nullglob
for report in "$reports"/report*; do
  echo "--- $(basename "$report")"
  cat "$report"
done >&2
[ -z "$(ls -A "$reports")" ] || { echo "a sanitizer reported the above" >&2; exit 66; }
exit "$code"
