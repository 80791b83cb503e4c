#!/usr/bin/env python3
"""Compares what the programs define with what monitoring/ says: METRICS.md, rules, rule tests, dashboards, runbooks.

    catalogue.py CATALOGUE_PROGRAM [ROOT]              prints every difference; exit 1 when there is one
    catalogue.py CATALOGUE_PROGRAM [ROOT] --self-test  checks that each comparison can fail

CATALOGUE_PROGRAM is build/.../stele-metrics-catalogue: it prints the definitions of agent and receiver from their own registries. What the
restore host reports of drills is looked for in the sources of restore/.
"""
import glob, json, os, re, shutil, subprocess, sys, tempfile

ROW = re.compile(r"^\| `(stele_\w+)` \| (\w+) \| (\w*) \| ([^|]*) \| ([^|]*) \| [^|]+ \| [^|]+ \| [^|]+ \|$", re.M)
METRIC = re.compile(r"\bstele_[a-z0-9_]+|\bstele:[a-z0-9_:]+")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def defined(program):
    out = {}
    for m in json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout):
        out[m["name"]] = (m["type"], m["unit"], ", ".join(m["labels"]), ", ".join(sorted(m["programs"])))
    return out


def alerts_of(text):
    """Name -> text of the rule."""
    parts = re.split(r"^ {6}- (?=alert: )", text, flags=re.M)[1:]
    return {re.match(r"alert: (\w+)", p).group(1): p for p in parts}


def expressions(text):
    """The PromQL in a rule file: `expr:` on one line or as a block."""
    return re.findall(r"^ +expr: (?!\|)(.*)$", text, re.M) + re.findall(r"^ +expr: \|-\n((?: {10}.*\n)+)", text, re.M)


def queries_of(dashboard):
    if isinstance(dashboard, dict):
        for key, value in dashboard.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from queries_of(value)
    elif isinstance(dashboard, list):
        for value in dashboard:
            yield from queries_of(value)


def compare(code, root):
    problems = []
    folder = os.path.join(root, "monitoring")
    rows = {}
    for name, kind, unit, labels, programs in ROW.findall(read(f"{folder}/METRICS.md")):
        if name in rows:
            problems.append(f"METRICS.md: {name} is there twice")
        rows[name] = (kind, unit, labels.strip(), programs.strip())
    drills = {n for n, row in rows.items() if row[3] == "restore host"}
    for name in sorted(set(code) - set(rows)):
        problems.append(f"METRICS.md: {name} is emitted and not described")
    for name in sorted(set(rows) - set(code) - drills):
        problems.append(f"METRICS.md: nobody emits {name}")
    for name in sorted(set(rows) & set(code)):
        if rows[name] != code[name]:
            problems.append(f"METRICS.md: {name} is {code[name]}, not {rows[name]}")
    sources = "".join(read(p) for p in glob.glob(f"{root}/restore/**/*.cc", recursive=True))
    if "stele_drill_success" in sources:
        problems += [f"METRICS.md: no source of restore/ names {n}" for n in sorted(drills) if n not in sources]

    known = set(rows)
    for name, row in rows.items():
        if row[0] == "histogram":
            known |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
    rules = {os.path.basename(p): read(p) for p in glob.glob(f"{folder}/prometheus/*.rules.yml")}
    for text in rules.values():
        known |= set(re.findall(r"- record: (\S+)", text))
    used = {}
    for file, text in rules.items():
        for expr in expressions(text):
            used.setdefault(file, []).append(expr)
    for path in glob.glob(f"{folder}/grafana/*.json"):
        used[os.path.basename(path)] = list(queries_of(json.loads(read(path))))
    for file, exprs in used.items():
        if not exprs:
            problems.append(f"{file}: it asks nothing")
        for expr in exprs:
            problems += [f"{file}: nobody emits {m}" for m in METRIC.findall(expr) if m not in known]

    alerts = {}
    for text in rules.values():
        alerts.update(alerts_of(text))
    tests = "".join(read(p) for p in glob.glob(f"{folder}/prometheus/tests/*.yml"))
    for name, text in alerts.items():
        for wanted in ("severity: ", "summary: ", "description: ", "summary_zh: ", "description_zh: ", f"/{name}.md"):
            if wanted not in text:
                problems.append(f"alert {name}: lacks {wanted}")
        cases = tests.count(f'alertname="{name}"')
        if cases == 0:
            problems.append(f"alert {name}: no rule test")
        if not os.path.exists(f"{folder}/runbooks/{name}.md"):
            problems.append(f"alert {name}: no runbook")
    for path in glob.glob(f"{folder}/runbooks/Stele*.md"):
        if os.path.basename(path)[:-3] not in alerts:
            problems.append(f"runbooks: there is no alert {os.path.basename(path)[:-3]}")
    inhibited = set(re.findall(r"Stele\w+", re.sub(r"#.*", "", read(f"{folder}/alertmanager/alertmanager.yml"))))
    problems += [f"alertmanager.yml: there is no alert {n}" for n in sorted(inhibited - set(alerts))]
    return problems


def self_test(code, root):
    """Each way to be wrong is found."""
    def edit(path, old, new):
        def change(copy):
            text = read(f"{copy}/monitoring/{path}")
            assert old in text, (path, old)
            with open(f"{copy}/monitoring/{path}", "w", encoding="utf-8") as f:
                f.write(text.replace(old, new, 1))
        return change
    wrongs = [
        edit("METRICS.md", "| `stele_lag_bytes`", "| `stele_lagging_bytes`"),
        edit("METRICS.md", "| `stele_lag_bytes` | gauge | bytes", "| `stele_lag_bytes` | counter | bytes"),
        edit("prometheus/stele-alerts.rules.yml", "(stele_degraded)", "(stele_degradation)"),
        edit("prometheus/stele-records.rules.yml", "record: stele:spool_used_ratio", "record: stele:spool_ratio"),
        edit("prometheus/tests/stele-spool.test.yml", 'alertname="SteleSpoolFull"', 'alertname="Other"'),
        edit("grafana/stele-fleet.json", "stele:recovery_point_seconds", "stele_recovery"),
        edit("alertmanager/alertmanager.yml", '"SteleSpoolFull"', '"SteleSpoolFullest"'),
        lambda copy: os.remove(f"{copy}/monitoring/runbooks/SteleDegraded.md"),
        lambda copy: shutil.copy(f"{copy}/monitoring/runbooks/SteleDegraded.md", f"{copy}/monitoring/runbooks/SteleInvented.md"),
    ]
    missed = 0
    for number, wrong in enumerate(wrongs):
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(f"{root}/monitoring", f"{copy}/monitoring")
            wrong(copy)
            if not compare(code, copy):
                print(f"self-test: change {number} was not noticed")
                missed += 1
    if not compare({**code, "stele_new_metric": ("gauge", "", "", "agent")}, root):
        print("self-test: a new metric in code was not noticed")
        missed += 1
    return missed


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    root = arguments[1] if len(arguments) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
    code = defined(arguments[0])
    if "--self-test" in sys.argv:
        sys.exit(1 if self_test(code, root) else 0)
    found = compare(code, root)
    print("\n".join(found) if found else f"{len(code)} metrics of the programs agree with monitoring/")
    sys.exit(1 if found else 0)
