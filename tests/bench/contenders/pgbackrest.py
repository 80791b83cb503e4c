"""pgBackRest with zst level 3, aes-256-cbc and two processes, its repository on the same disk."""
import os

from . import postgres, process

STANZA = "bench"


class PgBackRest:
    name = "pgbackrest"

    def __init__(self, cluster, directory):
        self.cluster, self.dir = cluster, postgres.own(directory)
        self.config = os.path.join(directory, "pgbackrest.conf")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def command(self, *arguments):
        return ["pgbackrest", "--config", self.config, "--stanza", STANZA, *arguments]

    def tool(self, *arguments):
        return process.run(self.command(*arguments), user=postgres.USER)

    def set_up(self):
        for part in ("repo", "log", "lock", "spool"):
            postgres.own(self.path(part))
        with open(self.config, "w") as out:
            out.write(CONFIG.format(dir=self.dir, data=self.cluster.data, sockets=self.cluster.sockets, port=self.cluster.port))
        os.chmod(self.config, 0o644)
        self.tool("stanza-create")

    def archive_command(self):
        return " ".join(self.command("archive-push", "%p"))

    def backup(self, kind):
        before = process.directory_bytes(self.path("repo/backup"))
        self.tool("--type", kind, "backup")
        return {"stored_bytes": process.directory_bytes(self.path("repo/backup")) - before}

    def archived(self):
        """Every finished segment is in the repository."""
        status = os.path.join(self.cluster.data, "pg_wal/archive_status")
        return not any(name.endswith(".ready") for name in os.listdir(status))

    def wait_archived(self):
        process.wait_until("WAL is archived", self.archived, pause=0.02)

    def restore(self, into):
        self.tool("--pg1-path", into, "--type=default", "--archive-mode=off", "restore")

    def version(self):
        return process.run(["pgbackrest", "version"]).split()[-1]


CONFIG = """[global]
repo1-path={dir}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=not-for-real-use
repo1-retention-full=99
compress-type=zst
compress-level=3
process-max=2
start-fast=y
archive-async=y
spool-path={dir}/spool
log-path={dir}/log
lock-path={dir}/lock
log-level-console=error
log-level-file=off
[bench]
pg1-path={data}
pg1-socket-path={sockets}
pg1-port={port}
pg1-user=postgres
"""
