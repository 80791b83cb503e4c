"""Synchronous commits: how many a second with eight clients, how long one takes with one client."""
import os
import re

from . import postgres, process

INSERT = """\\set member random(1, {members})
INSERT INTO registry.movement (member, kind, from_organisation, to_organisation) VALUES (:member, '转会', 1, 2);
"""


def run(bench):
    phase = bench.results.begin("commit", "synchronous commits of one small insert")
    cluster = bench.big
    script = os.path.join(bench.sockets, "insert.sql")
    with open(script, "w") as out:
        out.write(INSERT.format(members=postgres.members_of(cluster)))
    receive = bench.receive_wal(cluster)
    bench.stele.stop_agent()

    def protect(application, start):
        cluster.settle()
        if start:
            start()
            cluster.configure(synchronous_standby_names=application)
            process.wait_until(f"{application} is synchronous", lambda: cluster.sql(
                f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{application}'") == "sync")
        pgbench(cluster, script, 8, 1)  # warm

    def leave(stop):
        cluster.configure(synchronous_standby_names="")
        if stop:
            stop()

    def start_stele(spool="file"):
        bench.stele.start_agent(spool)
        bench.stele.streams()

    standbys = [("no standby", None, None, None), ("pg_receivewal", "pg_receivewal", receive.start, receive.stop),
                ("stele", "stele", start_stele, bench.stele.stop_agent),
                # One durable copy, off-site, as pg_receivewal has; with the spool there are two.
                ("stele, no spool", "stele", lambda: start_stele("none"), bench.stele.stop_agent)]
    for clients in (8,) if bench.options.smoke else (8, 1):
        contenders = [(name, lambda a=application, s=start: protect(a, s), lambda: pgbench(cluster, script, clients, bench.options.seconds),
                       lambda s=stop: leave(s)) for name, application, start, stop in standbys]
        bench.alternate(phase.part(f"{clients} client{'s' if clients > 1 else ''}"), contenders)
    receive.remove()
    start_stele()


def pgbench(cluster, script, clients, seconds):
    out = cluster.tool("pgbench", "-n", "-M", "prepared", "-f", script, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds),
                       "-h", cluster.sockets, "-p", str(cluster.port), "-U", "postgres", "postgres")
    figures = {"commits_per_second": float(re.search(r"tps = ([0-9.]+)", out).group(1)),
               "latency_ms": float(re.search(r"latency average = ([0-9.]+) ms", out).group(1))}
    failed = re.search(r"number of failed transactions: (\d+)", out)
    if failed and failed.group(1) != "0":
        raise process.Failed(f"pgbench: {failed.group(0)}")
    return figures
