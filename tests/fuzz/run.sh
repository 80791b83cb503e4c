#!/usr/bin/env bash
# Builds the fuzz programs and runs every target: tests/fuzz/run.sh [SECONDS_PER_TARGET=60] [TARGET...]
# The corpus grows in build/fuzz/corpus; what breaks a target is left in build/fuzz/findings and makes this script fail.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
cmake --preset fuzz >/dev/null
ninja -C build/fuzz -j"${JOBS:-2}" fuzz fuzz_seeds
corpus=build/fuzz/corpus findings=build/fuzz/findings
mkdir -p "$corpus" "$findings"
names=$(build/fuzz/bin/fuzz_seeds tests/compat/v1 "$corpus")
failed=0
for target in ${*:-$names}; do
  echo "== $target"
  STELE_FUZZ_TARGET=$target build/fuzz/bin/fuzz "$corpus/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="$findings/$target-" -verbosity=0 -print_final_stats=1 || failed=1
done
exit $failed
