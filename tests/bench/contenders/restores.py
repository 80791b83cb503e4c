"""Restore to a started server that has replayed a stretch of WAL."""
import os
import shutil
import time

from . import bench as benches
from . import postgres, process


def run(bench):
    phase = bench.results.begin("restore", f"restore, {bench.options.wal_gigabytes:g} GB of WAL to replay")
    cluster, backrest = bench.big, bench.pgbackrest
    base, segments, end = take_backups(bench)
    into = os.path.join(postgres.own(os.path.join(bench.data, "restored")), "pg")

    def server(**settings):
        """Until recovery is over and it takes commands. It takes questions earlier, but then nothing is restored yet."""
        restored = postgres.Cluster(into, bench.sockets)
        running.append(restored)
        begin = time.monotonic()
        restored.start(*(f"{name}={value}" for name, value in settings.items()))
        process.wait_until("recovery ends", restored.recovered, 3600, watch=[restored.server])
        seconds = time.monotonic() - begin
        check(restored)
        return seconds

    def check(restored):
        if not restored.reached(end):
            raise process.Failed(f"recovery ended before {end}: {restored.lsn()}")

    running = []

    def remove():
        for restored in running:
            restored.drop()
        running.clear()
        for path in os.listdir(os.path.dirname(into)):
            path = os.path.join(os.path.dirname(into), path)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.unlink(path)

    bench.closing.callback(remove)

    def with_stele():
        restored = postgres.Cluster(into, bench.sockets)
        figures = bench.stele.restore(into, restored.port)
        check(restored)
        return figures

    def stop_stele():
        restored = postgres.Cluster(into, bench.sockets)
        restored.tool("pg_ctl", "-D", into, "-m", "immediate", "-w", "stop")
        remove()

    def with_pgbackrest():
        begin = time.monotonic()
        backrest.restore(postgres.own(into))
        files = time.monotonic() - begin
        return {"files_seconds": files, "replay_seconds": server()}

    def copy_local():
        """Not a contender for the files: the copy is made before the time begins."""
        process.run(["cp", "-a", base, into])
        for name in os.listdir(segments):
            process.run(["cp", "-a", os.path.join(segments, name), os.path.join(into, "pg_wal", name.removesuffix(".partial"))])
        open(os.path.join(into, "recovery.signal"), "w").close()
        if os.geteuid() == 0:
            shutil.chown(os.path.join(into, "recovery.signal"), postgres.USER, postgres.USER)

    def with_local():
        return {"replay_seconds": server(restore_command="/bin/false", archive_mode="off")}

    contenders = [("stele", None, with_stele, stop_stele), ("local pg_wal", copy_local, with_local, remove)]
    if backrest:
        contenders.append(("pgbackrest", None, with_pgbackrest, remove))
    # The source is gone, as it is when one restores.
    bench.stele.stop_agent()
    cluster.stop()
    try:
        bench.alternate(phase.part("database"), contenders)
    finally:
        cluster.start()
        bench.stele.start_agent()
        bench.stele.streams()
        for path in (base, segments):
            shutil.rmtree(path)


def take_backups(bench):
    """A snapshot by each, then the WAL to replay, at hand for each. Gives the base backup the folder with its later segments, and where they end."""
    cluster, backrest = bench.big, bench.pgbackrest
    receive = bench.receive_wal(cluster)
    if backrest:
        cluster.configure(archive_command=backrest.archive_command())
    cluster.settle()
    bench.stele.snapshot(full=False)
    if backrest:
        backrest.backup("incr")
    copy = bench.base_backup(cluster, "plain")
    copy.clean()
    copy.backup()
    postgres.make_wal(cluster, bench.options.wal_gigabytes, seed=1)
    end = cluster.sql("SELECT pg_switch_wal()")
    cluster.sql("CHECKPOINT")
    bench.stele.streams()
    receive.catch_up(end)
    if backrest:
        backrest.wait_archived()
    cluster.configure(archive_command=benches.DISCARD)
    cluster.sql(f"SELECT pg_drop_replication_slot('{receive.slot}')")
    return copy.dir, receive.dir, end
