"""One run: its directory, databases, contenders and results; whatever happens, everything is stopped and removed."""
import contextlib
import os
import shutil
import tempfile

from . import pgbackrest, pgtools, postgres, process, report, stele

DISCARD = "/bin/true"  # archive_command of all who need no archive


class Bench:
    def __init__(self, options, source_tree):
        self.options, self.source = options, source_tree
        self.programs = options.programs or os.path.join(source_tree, "build", options.preset, "bin")
        self.results = report.Results(options)
        self.closing = contextlib.ExitStack()
        self.big = self.stele = self.pgbackrest = None

    def __enter__(self):
        self.kept = os.path.abspath(self.options.work) if self.options.work else None
        parent = self.kept or os.environ.get("TMPDIR", "/tmp")
        os.makedirs(parent, exist_ok=True)
        self.work = tempfile.mkdtemp(prefix="stele-bench-", dir=parent)
        os.chmod(self.work, 0o755)
        self.closing.callback(shutil.rmtree, self.work, ignore_errors=True)
        self.sockets = postgres.own(os.path.join(self.work, "s"))
        self.data = postgres.own(os.path.join(self.work, "data"))
        return self

    def __exit__(self, *failure):
        self.closing.close()
        return False

    def say(self, text):
        self.results.say(text)

    def prepare(self):
        """The big cluster runs, with Stele beside it and pgBackRest's stanza when it takes part."""
        keep = postgres.own(self.kept) if self.options.keep else self.data
        registry = os.path.join(self.programs, "stele-demo-registry")
        self.big = postgres.database(keep, self.options.gigabytes, registry, self.sockets, self.say)
        self.closing.callback(self.close_big)
        self.big.start()
        self.results.facts["database_bytes"] = self.big.size()
        self.stele = self.new_stele(self.big, "stele")
        if not self.options.without_pgbackrest:
            self.pgbackrest = pgbackrest.PgBackRest(self.big, os.path.join(self.work, "pgbackrest"))
            self.pgbackrest.set_up()
        self.results.facts["versions"] = {
            "postgresql": postgres.version(self.big.bin), "stele": self.stele.version(),
            **({"pgbackrest": self.pgbackrest.version()} if self.pgbackrest else {})}

    def close_big(self):
        """The database is left as a later run wants it: stopped, without slots."""
        if self.options.keep and self.big.server and self.big.server.alive():
            self.big.configure(synchronous_standby_names="", archive_command=DISCARD)
            process.wait_until("slots are free", lambda: self.big.sql("SELECT count(*) FROM pg_replication_slots WHERE active") == "0", 60)
            self.big.sql("SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots")
        self.big.stop()

    def new_stele(self, cluster, name):
        """Enrolled, streaming, and behind its first snapshot, which it takes by itself."""
        instance = stele.Stele(cluster, os.path.join(self.work, name), self.programs, self.source)
        self.closing.callback(instance.stop)
        instance.set_up()
        instance.start_agent()
        instance.streams()
        instance.snapshot(full=False)
        return instance

    def base_backup(self, cluster, form):
        return pgtools.BaseBackup(cluster, os.path.join(self.data, "copy-" + form), form)

    def receive_wal(self, cluster):
        instance = pgtools.ReceiveWal(cluster, tempfile.mkdtemp(prefix="receivewal-", dir=self.data))
        self.closing.callback(instance.stop)
        instance.set_up()
        return instance

    def alternate(self, phase, contenders, before_turn=None, repeat=None):
        """Each contender once a turn, each turn beginning with another one. A contender is (name, prepare, action, afterwards); only the
        action is measured."""
        for turn in range(repeat or self.options.repeat):
            if before_turn:
                before_turn(turn)
            shift = turn % len(contenders)
            for name, prepare, action, afterwards in contenders[shift:] + contenders[:shift]:
                if prepare:
                    prepare()
                os.sync()
                self.results.add(phase, name, process.measure(action))
                if afterwards:
                    afterwards()
