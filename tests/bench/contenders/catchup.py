"""The change log catching up after the line was away."""
from . import bench as benches
from . import postgres


def run(bench):
    phase = bench.results.begin("log", f"change log, catching up {bench.options.wal_gigabytes:g} GB")
    cluster, backrest = bench.big, bench.pgbackrest
    receive = bench.receive_wal(cluster)
    end = None

    def write(turn):
        """Nobody follows meanwhile; slots and archive_status keep what is owed."""
        nonlocal end
        bench.stele.stop_agent()
        cluster.configure(archive_command="" if backrest else benches.DISCARD)
        postgres.make_wal(cluster, bench.options.wal_gigabytes, seed=100 + turn)
        end = cluster.sql("SELECT pg_switch_wal()")
        cluster.settle()

    def with_stele():
        bench.stele.start_agent()
        bench.stele.catch_up(end)

    def with_pgbackrest():
        cluster.configure(archive_command=backrest.archive_command())
        backrest.wait_archived()

    contenders = [("stele", None, with_stele, bench.stele.stop_agent), ("pg_receivewal", None, lambda: receive.catch_up(end), None)]
    if backrest:
        contenders.append(("pgbackrest", None, with_pgbackrest, lambda: cluster.configure(archive_command="")))
    bench.alternate(phase.part("database"), contenders, before_turn=write)
    cluster.configure(archive_command=benches.DISCARD)
    receive.remove()
    bench.stele.start_agent()
    bench.stele.streams()
