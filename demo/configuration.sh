# shellcheck shell=bash disable=SC2154  # sourced; the variables are demo.sh's
# Sourced by demo.sh: the three configuration files, as an installation has them (config/*.toml explains every key).

write_receiver_config() {
  cat >"$work/receiver.toml" <<TOML
name = "demo-receiver"
listen = "127.0.0.1:$receiver_port"
[tls]
ca = "tls/ca.pem"
certificate = "tls/receiver-demo-receiver.pem"
key = "tls/receiver-demo-receiver.key"
crl = "tls/ca.crl"
[keys]
signing_key = "offsite/signing.key"
[store]
directory = "offsite/store"
disk_reserve = "256MiB"
[journal]
max_bytes = "512MiB"
file_bytes = "16MiB"
[[authority]]
label = "demo"
public_key = "$authority_public_key"
[[site]]
name = "440000"
databases = ["registry"]
authorities = ["demo"]
[metrics]
listen = "127.0.0.1:$receiver_metrics_port"
TOML
}

write_agent_config() { # PORT of PostgreSQL
  cat >"$work/agent.toml" <<TOML
site = "440000"
database = "registry"
[postgres]
conninfo = "host=$work/pg port=$1 user=stele dbname=postgres"
[keys]
agent_key = "agent/agent.key"
enrolment = "agent/enrolment"
recipients = "agent/recipients"
[spool]
directory = "agent/spool"
max_bytes = "512MiB"
file_bytes = "16MiB"
[policy]
ack = "receivers"
quorum = 1
on_full = "hold"
[[receiver]]
name = "demo-receiver"
address = "127.0.0.1:$receiver_port"
[tls]
ca = "tls/ca.pem"
certificate = "tls/agent-440000.pem"
key = "tls/agent-440000.key"
[log_stream]
as_of_interval = "1s"
[snapshot]
schedule = ""
fast_checkpoint = true
[metrics]
listen = "127.0.0.1:$agent_metrics_port"
[status]
interval = "1s"
TOML
}

write_restore_config() {
  cat >"$work/restore.toml" <<TOML
work_directory = "restore"
[store]
directory = "offsite/store"
[keys]
recovery_keys = ["safe/recovery.key"]
[[authority]]
label = "demo"
public_key = "$authority_public_key"
[postgres]
bin_directory = "$pg"
user = "$([ "$(id -u)" -eq 0 ] && echo postgres)"
TOML
}
