#!/usr/bin/env bash
# The kill test for any number of rounds: agent, receiver and PostgreSQL are killed with -9 at random moments while clients record every
# acknowledged commit; then everything but the store directory is destroyed and restored.
#
#   tests/scenario/kill_test.sh ROUNDS [SEED]
#
# BUILD (default build/dev) is the build directory. A failing run prints its seed. ROUNDS are played in runs of at most 25, so that each
# restore has something to say.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
rounds=$1
done=0
run=0
while [ "$done" -lt "$rounds" ]; do
  now=$((rounds - done < 25 ? rounds - done : 25))
  export STELE_KILL_ROUNDS=$now
  [ -z "${2:-}" ] || export STELE_KILL_SEED=$(($2 + run))
  "${BUILD:-build/dev}/bin/scenario_end_to_end" --gtest_filter='KillTest.*' --gtest_brief=1
  done=$((done + now))
  run=$((run + 1))
done
echo "$done rounds in $run runs: every acknowledged commit came back"
