"""PostgreSQL's own tools: pg_basebackup and pg_receivewal."""
import os
import shutil

from . import postgres, process


class BaseBackup:
    """pg_basebackup in one of its forms: files as they are ("plain"), compressed with zstd 3 by two threads ("zstd"), thrown away ("null")."""

    def __init__(self, cluster, directory, form):
        self.cluster, self.dir, self.form = cluster, directory, form
        self.name = {"plain": "pg_basebackup", "zstd": "pg_basebackup zstd:3", "null": "pg_basebackup >/dev/null"}[form]

    def clean(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def backup(self):
        arguments = ["-d", self.cluster.conninfo(), "-c", "fast"]
        if self.form == "null":
            with open(os.devnull, "wb") as null:
                self.cluster.tool("pg_basebackup", *arguments, "-D", "-", "-F", "tar", "-X", "none", stdout=null)
            return {"stored_bytes": 0}
        if self.form == "zstd":
            arguments += ["-F", "tar", "--compress=client-zstd:level=3,workers=2"]
        self.cluster.tool("pg_basebackup", *arguments, "-D", self.dir)
        return {"stored_bytes": process.directory_bytes(self.dir)}


class ReceiveWal:
    """pg_receivewal with a slot; with `synchronous` it syncs and reports every write."""
    name = "pg_receivewal"
    slot = "bench_receivewal"

    def __init__(self, cluster, directory):
        self.cluster, self.dir = cluster, postgres.own(directory)
        self.program = None

    def command(self, *options):
        return [os.path.join(self.cluster.bin, "pg_receivewal"), "-d", self.cluster.conninfo(), "-D", self.dir, "--slot", self.slot, *options]

    def set_up(self):
        self.cluster.sql(f"SELECT pg_create_physical_replication_slot('{self.slot}', true)")

    def start(self):
        self.program = process.Background(self.command("--synchronous"), self.dir + ".log", user=postgres.USER)
        process.wait_until("pg_receivewal streams", lambda: self.cluster.replicates("pg_receivewal"), watch=[self.program])

    def stop(self):
        if self.program:
            self.program.process.send_signal(2)
            self.program.stop()
        self.program = None

    def remove(self):
        self.stop()
        self.cluster.sql(f"SELECT pg_drop_replication_slot('{self.slot}')")
        shutil.rmtree(self.dir)

    def catch_up(self, end):
        process.run(self.command("--endpos", end), user=postgres.USER)
