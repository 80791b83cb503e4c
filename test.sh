#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Arguments go to ctest (for example -R Journal).
set -euo pipefail
cd "$(dirname "$0")"
scripts/install-packages.sh
export CMAKE_COLOR_DIAGNOSTICS=ON
cmake --preset dev
cmake --build --preset dev
# Three at a time on two cores: scenario tests mostly wait.
exec ctest --test-dir build/dev --output-on-failure --no-tests=error -j3 "$@"
