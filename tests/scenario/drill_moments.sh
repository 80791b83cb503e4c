#!/usr/bin/env bash
# Drills at many random moments under load; each must hold exactly the transactions committed by then.
#
#   tests/scenario/drill_moments.sh [MOMENTS]      (default 10; ctest takes two)
#
# BUILD (default build/dev) is the build directory. A failing moment prints its seed.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ ${1:-10} =~ ^[1-9][0-9]*$ ]] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
STELE_DRILL_MOMENTS=${1:-10} "${BUILD:-build/dev}/bin/scenario_drill" --gtest_filter='Moments.*'
