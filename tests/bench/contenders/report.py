"""What was measured, as a table for people and as JSON."""
import json
import os
import platform
import statistics
import sys
import time

COLUMNS = [  # figure, heading, format
    ("seconds", "seconds", "{:.2f}"), ("files_seconds", "files s", "{:.2f}"), ("replay_seconds", "replay s", "{:.2f}"),
    ("commits_per_second", "commits/s", "{:,.0f}"), ("latency_ms", "latency ms", "{:.3f}"), ("cpu", "CPU s", "{:.2f}"),
    ("stored_bytes", "stored MB", "{:,.1f}"), ("peak_memory", "agent MiB", "{:.0f}")]
SCALE = {"stored_bytes": 1e6, "peak_memory": 1 << 20}
SETTINGS = {
    "stele": "agent and receiver with TLS 1.3 on loopback, zstd 2 (log 1), AES-256-GCM, a worker for each core; snapshot --full in full snapshots",
    "pgbackrest": "zst 3, aes-256-cbc, process-max 2, start-fast, archive-async; repository on the same disk",
    "pg_basebackup": "-c fast, WAL streamed; >/dev/null: tar on standard output without WAL",
    "pg_receivewal": "--synchronous with a slot as synchronous standby; without it for catching up",
    "postgresql": "shared_buffers 512MB, max_wal_size 16GB, autovacuum off, data checksums, fsync on",
    "cache": "everything that is read is in the page cache; a CHECKPOINT and sync() before each measurement"}


class Part:
    """One table: contenders and their runs."""

    def __init__(self, title):
        self.title, self.runs = title, {}

    def median(self, contender, figure):
        values = [run[figure] for run in self.runs.get(contender, []) if figure in run]
        return statistics.median(values) if values else None

    def table(self):
        columns = [c for c in COLUMNS if any(c[0] in run for runs in self.runs.values() for run in runs)]
        rows = [[self.title] + [heading for _, heading, _ in columns] + ["times"]]
        for name in self.runs:
            medians = [(self.median(name, figure), figure, form) for figure, _, form in columns]
            cells = ["-" if value is None else form.format(value / SCALE.get(figure, 1)) for value, figure, form in medians]
            rows.append([name] + cells + [str(len(self.runs[name]))])
        return rows

    def to_json(self):
        figures = [c[0] for c in COLUMNS]
        return {"title": self.title, "contenders": {
            name: {"median": {f: self.median(name, f) for f in figures if self.median(name, f) is not None}, "runs": runs}
            for name, runs in self.runs.items()}}


class Phase:
    def __init__(self, name, title):
        self.name, self.title, self.parts, self.notes = name, title, [], {}

    def part(self, title):
        self.parts.append(Part(title))
        return self.parts[-1]

    def note(self, name, value):
        self.notes[name] = value

    def costs(self, database_bytes):
        """Full snapshots: the fixed cost and the cost of a GB apart, from the two sizes."""
        if self.name != "snapshot" or len(self.parts) < 2:
            return []
        small, big = self.notes["empty_bytes"] / 1e9, database_bytes / 1e9
        rows = [["cost", "fixed s", "s per GB", "CPU s per GB", "MB stored per GB"]]
        for name in self.parts[1].runs:
            (t0, t1), (c0, c1), (b0, b1) = ([part.median(name, f) for part in self.parts] for f in ("seconds", "cpu", "stored_bytes"))
            per = (t1 - t0) / (big - small)
            rows.append([name, f"{t0 - per * small:.2f}", f"{per:.2f}", f"{(c1 - c0) / (big - small):.2f}", f"{(b1 - b0) / (big - small) / 1e6:,.0f}"])
        return rows


def lines_of(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))) for row in rows]


class Results:
    def __init__(self, options):
        self.options, self.phases, self.begun = options, [], time.monotonic()
        with open("/proc/cpuinfo") as info:
            model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
        self.facts = {"machine": {"cores": len(os.sched_getaffinity(0)), "processor": model, "kernel": platform.release()},
                      "gigabytes": options.gigabytes, "wal_gigabytes": options.wal_gigabytes, "repeat": options.repeat, "settings": SETTINGS}

    def say(self, text):
        print(f"[{time.monotonic() - self.begun:5.0f}s] {text}", file=sys.stderr, flush=True)

    def begin(self, name, title):
        self.say(title)
        self.phases.append(Phase(name, title))
        return self.phases[-1]

    def add(self, part, contender, figures):
        part.runs.setdefault(contender, []).append(figures)
        shown = [f"{heading} {form.format(figures[f] / SCALE.get(f, 1))}" for f, heading, form in COLUMNS if f in figures]
        self.say(f"  {part.title}: {contender}: {', '.join(shown)}")

    def text(self):
        machine, versions = self.facts["machine"], self.facts.get("versions", {})
        out = [f"{machine['cores']} cores, {machine['processor']}, Linux {machine['kernel']}; "
               + ", ".join(f"{name} {version}" for name, version in versions.items()),
               f"database {self.facts.get('database_bytes', 0) / 1e9:.2f} GB; medians of alternated runs"]
        for phase in self.phases:
            out += ["", phase.title]
            for part in phase.parts:
                out += ["", *lines_of(part.table())]
            costs = phase.costs(self.facts["database_bytes"])
            out += ["", *lines_of(costs)] if costs else []
        return "\n".join(out)

    def to_json(self):
        phases = [{"name": p.name, "title": p.title, **p.notes, "parts": [part.to_json() for part in p.parts],
                   "costs": [dict(zip(("contender", "fixed_seconds", "seconds_per_gb", "cpu_seconds_per_gb", "stored_mb_per_gb"), row))
                             for row in p.costs(self.facts["database_bytes"])[1:]]} for p in self.phases]
        return json.dumps({**self.facts, "seconds": round(time.monotonic() - self.begun), "phases": phases}, indent=1, ensure_ascii=False)
