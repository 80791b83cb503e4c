#!/usr/bin/env python3
"""Checks dashboards and asks every query of them to a running Prometheus; each must return data.

    queries.py PROMETHEUS_URL FOLDER   with data
    queries.py --check FOLDER          the files alone: unique ids, data source variable, title, unit, description, no overlap
"""
import glob, json, os, sys, time, urllib.parse, urllib.request

# What must not be there for the database to be well: the panels that list alerts and their like say so themselves.
MAY_BE_EMPTY = "may be empty"


def panels_of(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def check(name, dashboard):
    problems = []
    ids = [p["id"] for p in panels_of(dashboard)]
    if len(ids) != len(set(ids)):
        problems.append(f"{name}: two panels have one id")
    variables = [v["name"] for v in dashboard["templating"]["list"]]
    if "datasource" not in variables:
        problems.append(f"{name}: no variable datasource")
    taken = {}
    for panel in panels_of(dashboard):
        where = f"{name}: panel {panel['id']} {panel.get('title', '')!r}"
        grid = panel["gridPos"]
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                if taken.setdefault((x, y), panel["id"]) != panel["id"]:
                    problems.append(f"{where}: lies over panel {taken[x, y]}")
                    break
        if grid["x"] + grid["w"] > 24:
            problems.append(f"{where}: wider than the page")
        if not panel.get("title"):
            problems.append(f"{where}: no title")
        if panel["type"] == "row":
            continue
        if not panel.get("description"):
            problems.append(f"{where}: no description")
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            problems.append(f"{where}: no unit")
        if panel.get("datasource", {}).get("uid") != "${datasource}":
            problems.append(f"{where}: its data source is not the variable")
        refs = [t["refId"] for t in panel["targets"]]
        if not refs or len(refs) != len(set(refs)):
            problems.append(f"{where}: no query, or two with one refId")
    return problems


def replaced(query):
    for name, value in {"$site": "440000", "$database": "registry", "$instance": ".*", "$__rate_interval": "10s", "$__range": "1h"}.items():
        query = query.replace(name, value)
    return query


def ask(url, query):
    with urllib.request.urlopen(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def has_data(url, query, until):
    while True:
        result = ask(url, query)
        if any(sample["value"][1] != "NaN" for sample in result):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)


if __name__ == "__main__":
    folder = sys.argv[2]
    problems, asked = [], 0
    uids = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        name = os.path.basename(path)
        with open(path, encoding="utf-8") as file:
            dashboard = json.load(file)
        problems += check(name, dashboard)
        if uids.setdefault(dashboard["uid"], name) != name:
            problems.append(f"{name}: has the uid of {uids[dashboard['uid']]}")
        if sys.argv[1] == "--check":
            continue
        until = time.monotonic() + 60  # scrapes and rules of the first seconds
        for panel in panels_of(dashboard):
            for target in panel.get("targets", []):
                asked += 1
                if MAY_BE_EMPTY in panel["description"]:
                    ask(sys.argv[1], replaced(target["expr"]))  # a wrong query is an HTTP error
                elif not has_data(sys.argv[1], replaced(target["expr"]), until):
                    problems.append(f"{name}: {panel['title']}: no data: {target['expr']}")
    if not uids:
        problems.append(f"{folder}: no dashboard")
    print("\n".join(problems) if problems else f"{len(uids)} dashboards are well formed; {asked} queries had answers")
    sys.exit(1 if problems else 0)
