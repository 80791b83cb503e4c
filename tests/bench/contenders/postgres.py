"""PostgreSQL clusters on unix sockets, run as user postgres, and the registry rows in them."""
import glob
import json
import os
import re
import shutil
import subprocess
import time

from . import process

USER = "postgres"
BYTES_OF_MEMBER = 215  # a row with its five index entries
SETTINGS = """
listen_addresses = ''
wal_level = replica
max_wal_senders = 10
max_replication_slots = 10
max_slot_wal_keep_size = -1
max_wal_size = 16GB
checkpoint_timeout = 1h
shared_buffers = {shared_buffers}
maintenance_work_mem = 256MB
autovacuum = off
archive_mode = on
archive_command = '/bin/true'
include 'here.conf'
"""


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise process.Failed("no PostgreSQL under /usr/lib/postgresql")
    return found[-1]


def own(path):
    """Gives a directory to the user that runs PostgreSQL."""
    os.makedirs(path, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(path, USER, USER)
    return path


class Cluster:
    """One data directory and, between start() and stop(), its server."""

    def __init__(self, data, sockets):
        self.data, self.sockets = data, sockets
        self.port = process.free_port()
        self.bin = programs()
        self.log = data + ".log"
        self.server = None

    def create(self, shared_buffers="512MB"):
        self.tool("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.write(SETTINGS.format(shared_buffers=shared_buffers))

    def tool(self, name, *arguments, **options):
        return process.run([os.path.join(self.bin, name), *arguments], user=USER, **options)

    def start(self, *options, seconds=600, ready=True):
        """Until it takes connections (`ready`), or only until it was started."""
        here = os.path.join(self.data, "here.conf")
        with open(here, "w") as conf:
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.sockets}'\n")
        os.chmod(here, 0o644)
        argv = [os.path.join(self.bin, "postgres"), "-D", self.data]
        for option in options:
            argv += ["-c", option]
        self.server = process.Background(argv, self.log, user=USER)
        if ready:
            process.wait_until("PostgreSQL starts", self.accepts, seconds, watch=[self.server])

    def accepts(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as pid:
                lines = pid.read().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.server.process.pid) and lines[7].startswith("ready")

    def stop(self):
        """A fast shutdown: clean, so that the directory can be used again."""
        if self.server and self.server.alive():
            self.server.process.send_signal(2)
        if self.server:
            self.server.stop(120)
        self.server = None

    def drop(self):
        """An immediate shutdown, and everything is removed."""
        if self.server and self.server.alive():
            self.server.process.send_signal(3)
        if self.server:
            self.server.stop()
        self.server = None
        shutil.rmtree(self.data, ignore_errors=True)
        if os.path.exists(self.log):
            os.unlink(self.log)

    def conninfo(self, user="postgres"):
        return f"host={self.sockets} port={self.port} user={user} dbname=postgres"

    def sql(self, *statements):
        """The last statement's first field; each statement is its own transaction."""
        arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo()]
        for statement in statements:
            arguments += ["-c", statement]
        return self.tool("psql", *arguments).strip()

    def session(self):
        """A connection for many small questions, as in a wait that must not itself be what is measured. Use it with `with`."""
        return Session([os.path.join(self.bin, "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo()])

    def configure(self, **settings):
        """ALTER SYSTEM and reload."""
        changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()]
        self.sql(*changes, "SELECT pg_reload_conf()")

    def settle(self):
        """What earlier work left dirty is written now, not in somebody's measured time."""
        self.sql("CHECKPOINT")
        os.sync()

    def lsn(self):
        return self.sql("SELECT pg_current_wal_flush_lsn()")

    def recovered(self):
        return self.sql("SELECT pg_is_in_recovery()") == "f"

    def reached(self, lsn):
        return self.sql(f"SELECT pg_current_wal_lsn() >= '{lsn}'") == "t"

    def size(self):
        """Bytes of the files that a snapshot reads."""
        return int(self.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))

    def replicates(self, application):
        return self.sql(f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{application}' AND state = 'streaming'") == "1"

    def wait_confirmed(self, application, lsn, watch):
        """Until this standby has confirmed everything before `lsn`."""
        question = f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{application}' AND flush_lsn >= '{lsn}'"
        with self.session() as session:
            process.wait_until(f"{application} confirms {lsn}", lambda: session.ask(question) == "1", watch=watch)


class Session:
    """One psql that is asked again and again; each question gives one line."""

    def __init__(self, argv):
        self.psql = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **process.as_user(USER))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.psql.stdin.close()
        self.psql.wait()

    def ask(self, question):
        self.psql.stdin.write(question + ";\n")
        self.psql.stdin.flush()
        answer = self.psql.stdout.readline()
        if not answer:
            raise process.Failed(f"psql ended at: {question}")
        return answer.strip()


def database(directory, gigabytes, registry, sockets, say):
    """The cluster with so many GB of registry rows, stopped: the one in `directory`, or a new one."""
    data = os.path.join(directory, f"registry-{gigabytes:g}gb")
    cluster = Cluster(data, sockets)
    facts = data + ".json"
    if os.path.exists(facts):
        say(f"using the database in {data}")
        with open(os.path.join(data, "postgresql.auto.conf"), "w"):
            pass  # of an interrupted run
        return cluster
    shutil.rmtree(data, ignore_errors=True)
    members = max(int(gigabytes * 1e9 / BYTES_OF_MEMBER), 1000)
    say(f"making a database of {members} members in {data}")
    begin = time.monotonic()
    cluster.create()
    # Without WAL and without fsync; what is measured later begins with a clean, synced cluster.
    cluster.start("wal_level=minimal", "max_wal_senders=0", "archive_mode=off", "fsync=off", "maintenance_work_mem=1GB")
    try:
        process.run([registry, "--conninfo", cluster.conninfo(), "--members", str(members), "--no-checks"])
        cluster.sql("VACUUM (FREEZE)")
    finally:
        cluster.stop()
    os.sync()
    with open(facts, "w") as out:
        json.dump({"members": members, "seconds": round(time.monotonic() - begin, 1)}, out)
    return cluster


def members_of(cluster):
    with open(cluster.data + ".json") as facts:
        return json.load(facts)["members"]


def change_rows(cluster, turn):
    """One row in a hundred, spread over the whole table."""
    cluster.sql(f"UPDATE registry.member SET phone = '13' || lpad((id % 1000000000)::text, 9, '0') WHERE id % 100 = {turn % 100}")


def make_wal(cluster, gigabytes, seed):
    """Writes so much WAL: updates of members in random order, in transactions of 2,000."""
    begin = cluster.lsn()
    members = members_of(cluster)
    for turn in range(100_000):
        statement = (f"UPDATE registry.member SET phone = '15' || lpad((id % 1000000000)::text, 9, '0') WHERE id IN (SELECT "
                     f"1 + mod(abs(hashint8(g + {seed}::bigint * 1000000007 + {turn} * 2000::bigint))::bigint, {members}) FROM generate_series(1, 2000) g)")
        cluster.sql(statement)
        if float(cluster.sql(f"SELECT pg_current_wal_lsn() - '{begin}'::pg_lsn")) >= gigabytes * 1e9:
            return
    raise process.Failed("the workload writes no WAL")


def version(bin_directory):
    text = process.run([os.path.join(bin_directory, "postgres"), "--version"])
    return re.search(r"[0-9.]+", text).group(0)
