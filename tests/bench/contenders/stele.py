"""Stele as it is installed: agent, receiver and restore with their own keys and certificates, on loopback."""
import json
import os

from . import process

PASSPHRASE = "benchmark passphrase, not for real use"


class Stele:
    name = "stele"

    def __init__(self, cluster, directory, programs, source_tree):
        self.cluster, self.dir, self.bin, self.source = cluster, directory, programs, source_tree
        self.receiver = self.agent = None
        self.receiver_port, self.metrics_port = process.free_port(), process.free_port()
        os.makedirs(directory)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def program(self, name, *arguments):
        config = {"stele-agent": "agent.toml", "stele-receiver": "receiver.toml"}[name]
        return [os.path.join(self.bin, name), "--config", self.path(config), *arguments]

    def restore_tool(self, *arguments):
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        argv = [os.path.join(self.bin, "stele-restore"), "--config", self.path("restore.toml"), "--json", *arguments, "--passphrase-fd", str(read)]
        try:
            return json.loads(process.run(argv, pass_fds=[read]) or "{}")
        finally:
            os.close(read)

    def set_up(self):
        """Keys, certificates, configuration; the receiver runs."""
        process.run([os.path.join(self.source, "scripts/make-test-certs.sh"), self.path("tls"), "--receiver", "bench", "--agent", "440000", "--operator", "*"])
        for part in ("agent", "offsite"):
            os.makedirs(self.path(part))
        with open(self.path("restore.toml"), "w") as out:
            out.write(RESTORE.format(authority="", bin=self.cluster.bin, user="postgres" if os.geteuid() == 0 else ""))
        first = self.restore_tool("keygen", "--directory", self.path("safe"), "--label", "one")
        self.restore_tool("keygen", "--directory", self.path("safe2"), "--authority", self.path("safe/authority.pub"), "--label", "two")
        authority = AUTHORITY.format(key=first["keys"][0]["public_key"])
        with open(self.path("restore.toml"), "w") as out:
            out.write(RESTORE.format(authority=authority, bin=self.cluster.bin, user="postgres" if os.geteuid() == 0 else ""))
        with open(self.path("receiver.toml"), "w") as out:
            out.write(RECEIVER.format(port=self.receiver_port, metrics=self.metrics_port, authority=authority))
        self.configure_agent(spool="file")
        process.run(self.program("stele-agent", "enroll", "--request", self.path("agent/request")))
        self.restore_tool("enroll", "--request", self.path("agent/request"), "--authority-key", self.path("safe/authority.key"), "--recipient",
                          self.path("safe/recovery.pub"), "--recipient", self.path("safe2/recovery.pub"), "--directory", self.path("safe/enrolment"))
        for record in ("enrolment", "recipients"):
            os.rename(self.path("safe/enrolment", record + ".rec"), self.path("agent", record))
        self.receiver = process.Background(self.program("stele-receiver", "run"), self.path("receiver.log"))

    def configure_agent(self, spool):
        with open(self.path("agent.toml"), "w") as out:
            out.write(AGENT.format(conninfo=self.cluster.conninfo(), port=self.receiver_port, spool=spool))

    def start_agent(self, spool="file"):
        self.configure_agent(spool)
        self.agent = process.Background(self.program("stele-agent", "run"), self.path("agent.log"))

    def streams(self):
        """The agent is up and has confirmed everything that was written."""
        self.catch_up(self.cluster.lsn())

    def catch_up(self, end):
        self.cluster.wait_confirmed("stele", end, watch=[self.agent, self.receiver])

    def stop_agent(self):
        if self.agent:
            self.agent.stop()
        self.agent = None

    def stop(self):
        self.stop_agent()
        if self.receiver:
            self.receiver.stop()
        self.receiver = None

    def snapshot(self, full):
        """The command that an operator or the schedule gives; returns what the agent reports."""
        arguments = ["--json", "snapshot"] + (["--full"] if full else [])
        report = json.loads(process.run(self.program("stele-agent", *arguments)))
        return {"stored_bytes": report["sent_bytes"], "peak_memory": self.agent.peak_memory()}

    def restore(self, into, port):
        """To the latest moment, with a started server."""
        report = self.restore_tool("run", "--into", into, "--port", str(port), "--start")
        seconds = report["seconds"]
        return {"files_seconds": seconds["files"], "replay_seconds": seconds["log"] + seconds["recovery"], "log_seconds": seconds["log"]}

    def version(self):
        return process.run([os.path.join(self.bin, "stele-agent"), "--version"]).split()[-1]


AUTHORITY = """[[authority]]
label = "bench"
public_key = "{key}"
"""

RECEIVER = """name = "bench"
listen = "127.0.0.1:{port}"
[tls]
ca = "tls/ca.pem"
certificate = "tls/receiver-bench.pem"
key = "tls/receiver-bench.key"
crl = "tls/ca.crl"
[keys]
signing_key = "offsite/signing.key"
[store]
directory = "offsite/store"
disk_reserve = "256MiB"
{authority}[[site]]
name = "440000"
databases = ["registry"]
authorities = ["bench"]
[site.limits]
bytes_per_second = "unlimited"
chunk_queries_per_second = 1000000
[metrics]
listen = "127.0.0.1:{metrics}"
"""

AGENT = """site = "440000"
database = "registry"
[postgres]
conninfo = "{conninfo}"
[keys]
agent_key = "agent/agent.key"
enrolment = "agent/enrolment"
recipients = "agent/recipients"
[spool]
mode = "{spool}"
directory = "agent/spool"
max_bytes = "4GiB"
[policy]
ack = "receivers"
quorum = 1
on_full = "hold"
[[receiver]]
name = "bench"
address = "127.0.0.1:{port}"
[tls]
ca = "tls/ca.pem"
certificate = "tls/agent-440000.pem"
key = "tls/agent-440000.key"
[snapshot]
schedule = ""
fast_checkpoint = true
[metrics]
listen = ""
"""

RESTORE = """work_directory = "restore"
[store]
directory = "offsite/store"
[keys]
recovery_keys = ["safe/recovery.key"]
{authority}[postgres]
bin_directory = "{bin}"
user = "{user}"
"""
