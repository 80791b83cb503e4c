"""Processes of a benchmark: run, measure, wait, stop. Everything that is started here is a descendant of this program until it ends."""
import ctypes
import os
import pwd
import resource
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A command, a wait or a check did not end as it must."""


def adopt_orphans():
    """Daemons of our programs (pg_ctl's server, pgBackRest's async processes) become our children, so that their CPU time is ours too."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failed("prctl(PR_SET_CHILD_SUBREAPER) failed")


def as_user(user):
    """Popen arguments to become `user`; none when we are not root: then everything runs as we do."""
    if user is None or os.geteuid() != 0:
        return {}
    home = pwd.getpwnam(user).pw_dir
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": [], "cwd": "/", "env": {**os.environ, "HOME": home}}


def run(argv, user=None, pass_fds=(), stdout=subprocess.PIPE, env=None):
    """Runs to the end and gives its standard output. Failed with what it said when it does not exit with 0."""
    arguments = as_user(user)
    if env:
        arguments["env"] = {**arguments.get("env", os.environ), **env}
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, pass_fds=pass_fds, **arguments)
    if done.returncode != 0:
        said = (done.stderr or "") + (done.stdout or "")
        raise Failed(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{said[-2000:]}")
    return done.stdout


class Background:
    """A program that runs until stop(). Its output goes to a file, whose end is told when it dies."""

    def __init__(self, argv, log, user=None):
        self.name = os.path.basename(argv[0])
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **as_user(user))

    def alive(self):
        return self.process.poll() is None

    def check(self):
        if not self.alive():
            with open(self.log, errors="replace") as text:
                raise Failed(f"{self.name} ended with {self.process.returncode}:\n{text.read()[-2000:]}")

    def stop(self, seconds=30):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def peak_memory(self):
        """Largest resident size so far, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def wait_until(what, condition, seconds=300, pause=0.01, watch=()):
    """Asks until it is so; Failed when one of the watched programs ends or the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        for program in watch:
            program.check()
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(pause)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds():
    """CPU seconds (user and system) by program, of all descendants of this process so far; those that ended and were waited for by us
    are "tools". What a server's finished children used is in the server's figure."""
    processes = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        fields = rest.split()
        processes[int(pid)] = (int(fields[1]), name, sum(map(int, fields[11:15])) / TICKS)
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = {"tools": ours.ru_utime + ours.ru_stime}
    for pid, (parent, name, seconds) in processes.items():
        while parent in processes and parent != os.getpid():
            parent = processes[parent][0]
        if parent == os.getpid():
            used[name] = used.get(name, 0.0) + seconds
    return used


def measure(action):
    """Runs it; {"seconds", "cpu", "cpu_of"} together with what it returned (a dictionary of more figures, or nothing)."""
    before, begin = cpu_seconds(), time.monotonic()
    more = action() or {}
    seconds, after = time.monotonic() - begin, cpu_seconds()
    by_program = {name: round(after[name] - before.get(name, 0.0), 2) for name in after}
    # A program that ended meanwhile has moved into "tools" with all that it had used before.
    gone = sum(before[name] for name in before if name not in after)
    by_program["tools"] = round(by_program["tools"] - gone, 2)
    return {"seconds": seconds, "cpu": sum(by_program.values()), "cpu_of": {n: s for n, s in by_program.items() if s > 0}, **more}


def directory_bytes(path):
    total = 0
    for root, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                pass
    return total
