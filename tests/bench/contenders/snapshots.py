"""Full snapshots of an empty and of the big cluster, and the next snapshot after a change."""
import os

from . import bench as benches
from . import pgbackrest, postgres


def contenders_of(bench, cluster, stele, backrest, full):
    """One snapshot each, of an idle server without anything left to write."""
    def with_archive():
        cluster.configure(archive_command=backrest.archive_command())
        cluster.settle()

    def without_archive():
        cluster.configure(archive_command=benches.DISCARD)

    out = [("stele", cluster.settle, lambda: stele.snapshot(full), None)]
    if backrest:
        kind = "full" if full else "incr"
        out.append(("pgbackrest", with_archive, lambda: backrest.backup(kind), without_archive))
    for form in ("plain", "zstd", "null") if full else ("null",):
        copy = bench.base_backup(cluster, form)
        out.append((copy.name, cluster.settle, copy.backup, copy.clean))
    return out


def run_full(bench):
    phase = bench.results.begin("snapshot", "full snapshot")
    empty = postgres.Cluster(os.path.join(bench.data, "empty"), bench.sockets)
    bench.closing.callback(empty.drop)
    empty.create("64MB")
    empty.start()
    beside = bench.new_stele(empty, "stele-empty")
    backrest = None
    if bench.pgbackrest:
        backrest = pgbackrest.PgBackRest(empty, os.path.join(bench.work, "pgbackrest-empty"))
        backrest.set_up()
    phase.note("empty_bytes", empty.size())
    bench.alternate(phase.part("empty cluster"), contenders_of(bench, empty, beside, backrest, True), repeat=bench.options.repeat)
    beside.stop()
    empty.drop()
    bench.alternate(phase.part("database"), contenders_of(bench, bench.big, bench.stele, bench.pgbackrest, True))


def run_next(bench):
    phase = bench.results.begin("next", "next snapshot, 1 % of the members changed, spread out")
    contenders = contenders_of(bench, bench.big, bench.stele, bench.pgbackrest, False)
    for name, prepare, action, afterwards in contenders:
        if name == "pgbackrest":  # what "incr" is taken against
            prepare(), action(), afterwards()

    def change(turn):
        postgres.change_rows(bench.big, turn)
        bench.stele.streams()

    bench.alternate(phase.part("database"), contenders, before_turn=change)
