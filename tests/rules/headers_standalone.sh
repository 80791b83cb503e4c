#!/usr/bin/env bash
# Compiles every header of the product by itself, without precompiled headers: tests/rules/headers_standalone.sh [BUILD_DIR] [PATH...]
# Takes include directories and definitions from BUILD_DIR/compile_commands.json (default build/dev). Minutes, so not part of ./test.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/dev}
shift || true
[ -f "$build/compile_commands.json" ] || { echo "no $build/compile_commands.json: run cmake --preset dev first" >&2; exit 2; }
flags=$(python3 - "$build/compile_commands.json" <<'PY'
import json, shlex, sys
seen = {}
for entry in json.load(open(sys.argv[1])):
    words = shlex.split(entry["command"])
    for i, word in enumerate(words):
        if word in ("-isystem", "-I"):
            seen[word + " " + words[i + 1]] = None
        elif word.startswith(("-I", "-D")) and len(word) > 2:
            seen[word] = None
print(" ".join(shlex.quote(w) for key in seen for w in key.split(" ", 1)))
PY
)
mapfile -t headers < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else git ls-files -co --exclude-standard 'core/*.h' 'agent/*.h' 'receiver/*.h' 'restore/*.h'; fi)
[ "${#headers[@]}" -gt 0 ] || { echo "no headers found" >&2; exit 1; }
export flags
check() {
  if ! eval "clang++-16 -std=c++20 -fsyntax-only -Wno-pragma-once-outside-header $flags -x c++ '$1'" 2>/tmp/header.$$; then
    echo "$1 does not compile by itself:"; head -5 /tmp/header.$$; rm -f /tmp/header.$$; return 1
  fi
  rm -f /tmp/header.$$
}
export -f check
printf '%s\0' "${headers[@]}" | xargs -0 -n1 -P2 bash -c 'check "$0"' || { echo "some headers do not stand alone" >&2; exit 1; }
echo "${#headers[@]} headers stand alone"
