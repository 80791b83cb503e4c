"""Those who ask: scrapers, open pages, and what they saw. Sockets are read into one buffer, so that the asking costs little beside the answer."""
import gzip
import json
import os
import re
import socket
import threading
import time


class Connection:
    """One kept connection, HTTP/1.1 GET."""

    def __init__(self, port):
        self.port, self.socket, self.buffer = port, None, bytearray(1 << 18)

    def get(self, path, headers=()):
        """(status, headers as text, body's length, body when it is wanted by keep)."""
        for attempt in (0, 1):
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            try:
                lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
                self.socket.sendall("\r\n".join(lines).encode())
                return self._answer()
            except (ConnectionError, EOFError):
                # A server ends what was idle for long.
                self.close()
                if attempt:
                    raise

    def _answer(self):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        status = int(text.split(" ", 2)[1])
        if re.search(r"(?im)^transfer-encoding: *chunked", text):
            return status, text, self._chunks(rest)
        length = re.search(r"(?im)^content-length: *(\d+)", text)
        wanted = int(length.group(1)) if length and status != 304 else 0
        body = bytearray(rest)
        while len(body) < wanted:
            got = self.socket.recv_into(self.buffer, min(len(self.buffer), wanted - len(body)))
            if got == 0:
                raise EOFError
            body += memoryview(self.buffer)[:got]
        return status, text, body

    def _chunks(self, data):
        body = bytearray()
        while True:
            while b"\r\n" not in data:
                data += self._more()
            size, _, data = data.partition(b"\r\n")
            size = int(size, 16)
            while len(data) < size + 2:
                data += self._more()
            if size == 0:
                return body
            body += data[:size]
            data = data[size + 2:]

    def _more(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise EOFError
        return piece

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Askers:
    """So many threads that ask until the end of the `with`; each call of `once` is timed."""

    def __init__(self, count, pause, make):
        self.times, self.failures, self.stopping = [], [], threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(pause, make), daemon=True) for _ in range(count)]

    def _run(self, pause, make):
        once = make()
        while not self.stopping.is_set():
            begin = time.monotonic()
            try:
                wait = once() or pause
            except (OSError, EOFError, ValueError) as failure:
                self.failures.append(repr(failure))
                return
            taken = time.monotonic() - begin
            self.times.append(taken)
            self.stopping.wait(max(0.0, wait - taken))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)


GZIP = ("Accept-Encoding: gzip",)  # as Prometheus asks


def scraper(port, path="/metrics", headers=GZIP):
    """For Askers: a scrape."""
    def make():
        connection = Connection(port)

        def once():
            status, _, body = connection.get(path, headers)
            if status != 200 or not body:
                raise ValueError(f"{path}: {status}")
        return once
    return make


class PageLoad:
    """What open pages were told."""

    def __init__(self):
        self.lock, self.polls, self.unchanged, self.bytes = threading.Lock(), 0, 0, 0

    def add(self, polls, unchanged, length):
        with self.lock:
            self.polls, self.unchanged, self.bytes = self.polls + polls, self.unchanged + unchanged, self.bytes + length


def page(port, load):
    """For Askers: a page that is open, as receiver/page/web/app.js asks."""
    def make():
        connection, tags, state = Connection(port), {}, {"lines": None, "at": 0.0, "size": 0}

        def ask(path):
            headers = [*GZIP, f"If-None-Match: {tags[path]}"] if path in tags else GZIP
            status, head, body = connection.get(path, headers)
            tag = re.search(r"(?im)^etag: *(\S+)", head)
            if tag:
                tags[path] = tag.group(1)
            load.add(1, status == 304, len(body))
            return None if status == 304 else body

        def once():
            fleet = ask("/data/fleet.json")
            if fleet is not None:
                fleet = gzip.decompress(fleet)
                state["size"] = len(fleet)
                state["told"] = re.search(rb'"lines":(\d+)', fleet).group(1)
            if state["lines"] != state["told"] or time.monotonic() - state["at"] > 30:
                ask("/data/lines.json")
                state["lines"], state["at"] = state["told"], time.monotonic()
            return min(15, max(2, state["size"] / 100_000))
        return once
    return make


def cpu_seconds(pid):
    """Time on a processor of all its living threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as text:
                total += int(text.read().split()[0])
        except OSError:
            continue
    return total / 1e9


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as text:
        return int(text.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def json_of(port, path):
    connection = Connection(port)
    status, _, body = connection.get(path)
    connection.close()
    if status != 200:
        raise ValueError(f"{path}: {status}")
    return json.loads(body)
