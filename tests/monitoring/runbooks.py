#!/usr/bin/env python3
"""Runs every command of the runbooks' ```sh blocks against running programs; prints those that do not work.

    runbooks.py FOLDER BIN ROOT PROMETHEUS_URL AGENT_METRICS RECEIVER_METRICS CONNINFO

BIN holds the programs, ROOT is the directory of tests/support/programs. What an operator's host has at well-known places is replaced:
/etc/stele, /var/lib/stele, the ports 9551, 9552 and 9090, and how psql and the programs find their server and configuration.
"""
import glob, os, re, stat, subprocess, sys, tempfile, time

folder, binaries, root, prometheus, agent, receiver, conninfo = sys.argv[1:8]
PLACES = [
    ("/etc/stele/tls/agent.pem", f"{root}/tls/agent-440000.pem"),
    ("/etc/stele/tls/receiver.pem", f"{root}/tls/receiver-test-receiver.pem"),
    ("/etc/stele/tls/", f"{root}/tls/"),
    ("/var/lib/stele", root),
    ("http://127.0.0.1:9090", prometheus),
    ("127.0.0.1:9551", agent),
    ("127.0.0.1:9552", receiver),
]


def commands():
    """Command -> the pages that have it."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.md"))):
        with open(path, encoding="utf-8") as page:
            blocks = re.findall(r"^```sh\n(.*?)^```", page.read(), re.M | re.S)
        if not blocks:
            found.setdefault("", []).append(os.path.basename(path))
        for line in "".join(blocks).splitlines():
            found.setdefault(line, []).append(os.path.basename(path))
    return found


def wrapper(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


def works(line, done):
    # `status` says by its exit code whether all is well, which it need not be; that it answers is what counts here.
    if re.match(r"stele-(agent|receiver) (status|check)\b", line):
        return done.stdout.strip() != "" and done.returncode <= 4 and done.returncode != 2
    return done.returncode == 0 and done.stdout.strip() != ""


def main():
    failed, count = 0, 0
    until = time.monotonic() + 60  # Prometheus has to scrape and to evaluate its rules first
    with tempfile.TemporaryDirectory() as tools:
        for name in ("agent", "receiver", "restore"):
            wrapper(tools, f"stele-{name}", f'exec "{binaries}/stele-{name}" --config "{root}/{name}.toml" "$@"')
        settings = dict(pair.split("=", 1) for pair in conninfo.split())
        environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", PGHOST=settings["host"], PGPORT=settings["port"],
                           PGUSER=settings["user"], PGDATABASE=settings["dbname"])
        for line, pages in commands().items():
            if line == "":
                print(f"{', '.join(pages)}: no command")
                failed += 1
                continue
            real = line
            for old, new in PLACES:
                real = real.replace(old, new)
            count += 1
            while True:
                done = subprocess.run(["bash", "-o", "pipefail", "-c", real], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
                if works(line, done) or time.monotonic() > until:
                    break
                time.sleep(0.5)
            if not works(line, done):
                print(f"{', '.join(pages)}: {line}\n  exit code {done.returncode}\n{done.stdout}{done.stderr}")
                failed += 1
    print(f"{count} commands, {failed} failed")
    return 1 if failed or count == 0 else 0


sys.exit(main())
