#!/usr/bin/env bash
# The main job, end to end, on this machine: a member registry is streamed off-site, an operator makes a mistake, the host is destroyed, and
# the database comes back - just before the mistake, and with the last acknowledged commit.
#
#   ./demo.sh [--keep] [--members N]
#
# --keep leaves everything running and prints how to look at it. Installs what is missing and builds first.
set -euo pipefail
cd "$(dirname "$0")"

keep=no
members=300000
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=yes ;;
    --members) members=${2:?--members N} && shift ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done

scripts/install-packages.sh
preset=${STELE_PRESET:-release}
echo "building (preset $preset)"
[ -e "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" --target stele-agent stele-receiver stele-restore stele-demo-registry stele-demo-workload stele-demo-ledger-check |
  tail -n 1

bin=$PWD/build/$preset/bin
pg=$(printf "%s\n" /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
work=$(mktemp -d "${TMPDIR:-/tmp}/stele-demo-XXXXXX")
chmod 755 "$work"
declare -A pid_of=()
servers=()
# shellcheck source=demo/common.sh
. demo/common.sh
# shellcheck source=demo/configuration.sh
. demo/configuration.sh
how_to_look() {
  cat <<TEXT

Everything is left running in $work:
  $pg/psql -h $work/pg -p $new_port -U postgres postgres    # the rebuilt server; registry.member, registry.organisation
  $bin/stele-agent --config $work/agent.toml status
  $bin/stele-receiver --config $work/receiver.toml status
  $bin/stele-restore --config $work/restore.toml list
  curl http://127.0.0.1:$agent_metrics_port/metrics         # the agent; the receiver: port $receiver_metrics_port
The recovery key's passphrase is "$passphrase". To end it:
  kill ${pid_of[workload]:-} ${pid_of[agent]:-} ${pid_of[receiver]:-}
$(for data in "${servers[@]}"; do [ ! -e "$data/postmaster.pid" ] || echo "  $([ "$(id -u)" -eq 0 ] && echo 'runuser -u postgres -- ')$pg/pg_ctl -D $data stop"; done)
  rm -rf $work
TEXT
}
trap clean_up EXIT
trap 'exit 130' INT TERM

mkdir "$work/pg" "$work/agent" "$work/offsite"
[ "$(id -u)" -ne 0 ] || chown postgres "$work/pg"
data=$work/pg/data
old_port=$(free_port)
new_port=$(free_port)
before_port=$(free_port)
receiver_port=$(free_port)
receiver_metrics_port=$(free_port)
agent_metrics_port=$(free_port)
passphrase="demo passphrase, not for real use"
ledger=$work/ledger.tsv

restore() { "$bin/stele-restore" --config "$work/restore.toml" "$@" --passphrase-fd 3 3<<<"$passphrase"; }
json() { python3 -c 'import json, sys; print(eval("data" + sys.argv[1], {"data": json.load(sys.stdin)}))' "$1"; }
conninfo() { echo "host=$work/pg port=$1 user=postgres dbname=postgres"; }
streaming() { [ "$(sql "$1" "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'stele' AND state = 'streaming'")" = 1 ]; }
synchronous() { [ "$(sql "$1" "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'stele' AND sync_state = 'sync'")" = 1 ]; }
acknowledged() { grep -c '^acknowledged' "$ledger" 2>/dev/null || true; }
enrol() { # NUMBER: the agent asks, the authority signs
  "$bin/stele-agent" --config "$work/agent.toml" enroll --request "$work/agent/request-$1" >/dev/null
  restore enroll --request "$work/agent/request-$1" --authority-key "$work/safe/authority.key" --recipient "$work/safe/recovery.pub" \
    --recipient "$work/safe2/recovery.pub" --directory "$work/safe/enrolment-$1" >/dev/null
  cp "$work/safe/enrolment-$1/enrolment.rec" "$work/agent/enrolment"
  cp "$work/safe/enrolment-$1/recipients.rec" "$work/agent/recipients"
}
protect() { # PORT: agent up, commits wait for it
  start_program agent "$bin/stele-agent" --config "$work/agent.toml" run
  wait_until 30 "the agent streams" streaming "$1"
  sql "$1" "ALTER SYSTEM SET synchronous_standby_names = 'stele'"
  sql "$1" "SELECT pg_reload_conf()" >/dev/null
  wait_until 30 "the agent is the synchronous standby" synchronous "$1"
}
work_on() { # PORT RUN
  start_program workload "$bin/stele-demo-workload" --conninfo "$(conninfo "$1")" --ledger "$ledger" --run "$2" --members "$members" --clients 4 --pause-us 1000
}

step "Keys and certificates"
scripts/make-test-certs.sh "$work/tls" --receiver demo-receiver --agent 440000 --operator '*' >/dev/null
authority_public_key=$(restore --json keygen --directory "$work/safe" --label "safe 1" | json '["keys"][0]["public_key"]')
restore keygen --directory "$work/safe2" --authority "$work/safe/authority.pub" --label "safe 2" >/dev/null
write_receiver_config
write_agent_config "$old_port"
write_restore_config
enrol 1
say "an authority (offline), two recovery keys (offline), the agent's keys, enrolled by the authority"

step "The receiver, off-site: it holds no key that opens anything"
start_program receiver "$bin/stele-receiver" --config "$work/receiver.toml" run
wait_until 20 "the receiver answers" curl -fs "http://127.0.0.1:$receiver_metrics_port/metrics"

step "PostgreSQL with a registry of $(thousands "$members") invented members"
as_postgres "$pg/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C --data-checksums >/dev/null
as_postgres tee -a "$data/postgresql.conf" >/dev/null <<CONF
port = $old_port
listen_addresses = ''
unix_socket_directories = '$work/pg'
max_slot_wal_keep_size = 4GB
CONF
start_postgres "$data"
sql "$old_port" "CREATE ROLE stele LOGIN REPLICATION; GRANT pg_monitor TO stele"
say "$("$bin/stele-demo-registry" --conninfo "$(conninfo "$old_port")" --members "$members")"
sql "$old_port" "SELECT '       ' || name || '  ' || identity_number || '  ' || household_type FROM registry.member WHERE id <= 3 ORDER BY id"

step "The agent as synchronous standby: a commit returns when it is durable off-site"
protect "$old_port"
work_on "$old_port" before
wait_until 30 "commits" eval '[ "$(acknowledged)" -gt 200 ]'
say "4 clients let members join, move and retire; each acknowledged commit is recorded outside the database"

step "A snapshot, while they work"
at=$(now_ms)
"$bin/stele-agent" --config "$work/agent.toml" snapshot | sed 's/^/       /'
say "took $(seconds_since "$at") s; off-site now: $(du -sh "$work/offsite/store" | cut -f1)"
sleep 3

step "Moment T, then an operator's mistake"
moment_lsn=$(sql "$old_port" "SELECT pg_current_wal_insert_lsn()")
moment=$(sql "$old_port" "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
before=$(sql "$old_port" "SELECT count(*) FROM registry.member WHERE id <= $members")
deleted=$(sql "$old_port" "WITH gone AS (DELETE FROM registry.member WHERE household_type = '外地农村' RETURNING id) SELECT count(*) FROM gone WHERE id <= $members")
say "T = $moment"
say "DELETE FROM registry.member WHERE household_type = '外地农村'    -- $(thousands "$deleted") members gone"
sleep 3

step "Disaster: kill -9 for PostgreSQL and agent; data directory, WAL and spool removed"
kill -9 "${pid_of[agent]}"
wait "${pid_of[agent]}" 2>/dev/null || true
unset 'pid_of[agent]'
kill_postgres "$data"
disaster=$(now_ms)
stop_program workload
last=$(grep '^acknowledged' "$ledger" | sort -t "$(printf '\t')" -k 8 | tail -n 1 | cut -f 8)
all=$(acknowledged)
rm -rf "$data" "$work/agent"
mkdir "$work/agent"
say "$(thousands "$all") commits were acknowledged, the last at $last; what is left is $work/offsite"

step "Restore to T"
at=$(now_ms)
restore --json run --into "$work/pg/before" --target-time "$moment" --port "$before_port" --start >"$work/before.json"
servers+=("$work/pg/before")
rto_before=$(seconds_since "$at")
members_before=$(sql "$before_port" "SELECT count(*) FROM registry.member WHERE id <= $members")
"$bin/stele-demo-ledger-check" --json --ledger "$ledger" --conninfo "$(conninfo "$before_port")" --until "$moment_lsn" >"$work/before-check.json" ||
  fail "acknowledged commits are missing: $(cat "$work/before-check.json")"
say "running after $rto_before s"

step "Restore to the last acknowledged commit"
at=$(now_ms)
restore --json run --into "$work/pg/latest" --port "$new_port" --start >"$work/latest.json"
servers+=("$work/pg/latest")
rto_latest=$(seconds_since "$at")
members_latest=$(sql "$new_port" "SELECT count(*) FROM registry.member WHERE id <= $members")
"$bin/stele-demo-ledger-check" --json --ledger "$ledger" --conninfo "$(conninfo "$new_port")" >"$work/latest-check.json" ||
  fail "acknowledged commits are missing: $(cat "$work/latest-check.json")"
say "running after $rto_latest s"

field() { json "[\"$2\"]" <"$work/$1-check.json"; }
row() { printf '       %-44s %16s %16s\n' "$@"; }
printf '\n'
row "" "restored to T" "restored to latest"
row "members before the mistake" "$(thousands "$before")" "$(thousands "$before")"
row "members that came back" "$(thousands "$members_before")" "$(thousands "$members_latest")"
row "commits acknowledged until then" "$(thousands "$(field before acknowledged)")" "$(thousands "$(field latest acknowledged)")"
row "of these found in the restored database" "$(thousands "$(field before found)")" "$(thousands "$(field latest found)")"
row "missing (RPO)" "$(field before missing)" "$(field latest missing)"
row "seconds until the server answered (RTO)" "$rto_before" "$rto_latest"
say "(the second keeps the mistake: its commit was acknowledged too)"
[ "$members_before" = "$before" ] || fail "restored to T: $members_before members instead of $before"
[ "$members_latest" = "$((before - deleted))" ] || fail "restored to latest: $members_latest members instead of $((before - deleted))"

step "Protection goes on: the rebuilt server is enrolled again, streams on its new branch, takes its first snapshot"
stop_postgres "$work/pg/before"
write_agent_config "$new_port"
enrol 2
protect "$new_port"
work_on "$new_port" after
wait_until 30 "commits on the rebuilt server" eval '[ "$(acknowledged)" -gt $((all + 200)) ]'
"$bin/stele-agent" --config "$work/agent.toml" snapshot | sed 's/^/       /'
restore list | sed 's/^/       /'
say "unprotected from the disaster until now: $(seconds_since "$disaster") s (with two restores and their checks)"
[ "$keep" = yes ] || stop_program workload
printf '\n%sdone in %s s%s\n' "$bold" "$(($(date +%s) - begun))" "$plain"
