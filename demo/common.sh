# shellcheck shell=bash disable=SC2154  # sourced; the variables are demo.sh's
# Sourced by demo.sh: talking, waiting, PostgreSQL by its own pid, and cleaning up whatever happens.

bold=$(tput bold 2>/dev/null || true)
plain=$(tput sgr0 2>/dev/null || true)
step_number=0
begun=$(date +%s)

step() {
  step_number=$((step_number + 1))
  printf '\n%s[%3ds] %d. %s%s\n' "$bold" "$(($(date +%s) - begun))" "$step_number" "$*" "$plain"
}
say() { printf '       %s\n' "$*"; }
fail() {
  printf '\ndemo: %s\n' "$*" >&2
  exit 1
}

# wait_until SECONDS WHAT COMMAND...: asks five times a second.
wait_until() {
  local seconds=$1 what=$2 end
  shift 2
  end=$(($(date +%s) + seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || fail "$what: not within $seconds s"
    sleep 0.2
  done
}

free_port() {
  # Below the kernel's range for outgoing connections, which would take a port again before its server does.
  python3 -c '
import random, socket
while True:
    s, port = socket.socket(), random.randint(10240, 32767)
    try:
        s.bind(("127.0.0.1", port))
        print(port)
        break
    except OSError:
        pass'
}

now_ms() { date +%s%3N; }
seconds_since() { awk -v a="$1" -v b="$(now_ms)" 'BEGIN { printf "%.1f", (b - a) / 1000 }'; }
thousands() { sed ':a; s/\B[0-9]\{3\}\>/,&/; ta' <<<"$1"; }

# PostgreSQL does not run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

# sql PORT STATEMENT
sql() { as_postgres "$pg/psql" -X -A -t -q -v ON_ERROR_STOP=1 -h "$work/pg" -p "$1" -U postgres -d postgres -c "$2"; }

start_postgres() { # DATA
  as_postgres "$pg/pg_ctl" -D "$1" -l "$work/pg/server.log" -w -t 60 start >/dev/null || fail "PostgreSQL does not start: $(tail -5 "$work/pg/server.log")"
  servers+=("$1")
}

stop_postgres() { # DATA
  [ ! -e "$1/postmaster.pid" ] || as_postgres "$pg/pg_ctl" -D "$1" -m immediate -t 30 stop >/dev/null 2>&1 || true
}

# kill -9 for the postmaster and everything it started, as when the host dies.
kill_postgres() { # DATA
  local postmaster children
  postmaster=$(head -1 "$1/postmaster.pid")
  kill -STOP "$postmaster"
  children=$(ps -o pid= --ppid "$postmaster")
  # shellcheck disable=SC2086  # a list of pids
  kill -9 "$postmaster" $children
  wait_until 10 "PostgreSQL dies" eval "! kill -0 $postmaster"
}

start_program() { # NAME ARGUMENTS...: in the background, log in NAME.log; its pid in pid_of[NAME]
  local name=$1
  shift
  "$@" >>"$work/$name.log" 2>&1 &
  pid_of["$name"]=$!
}

stop_program() { # NAME
  local pid=${pid_of[$1]:-}
  [ -n "$pid" ] || return 0
  unset "pid_of[$1]"
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

clean_up() {
  local status=$? name data
  trap - EXIT INT TERM
  set +e
  if [ "$keep" = yes ] && [ "$status" -eq 0 ]; then
    how_to_look
    exit 0
  fi
  if [ "$status" -ne 0 ]; then
    printf '\ndemo: failed (exit code %s); the ends of the logs:\n' "$status" >&2
    for name in receiver agent workload; do
      [ -s "$work/$name.log" ] && { echo "--- $name.log" && tail -n 15 "$work/$name.log"; } >&2
    done
  fi
  for name in "${!pid_of[@]}"; do stop_program "$name"; done
  for data in "${servers[@]}"; do stop_postgres "$data"; done
  rm -rf "$work"
  [ "$status" -ne 0 ] || printf '\neverything is stopped and removed (./demo.sh --keep leaves it running)\n'
  exit "$status"
}
