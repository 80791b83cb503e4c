"""What is measured: the receiver with its fleet, and Prometheus beside it."""
import json
import os
import subprocess

from contenders.process import Background, Failed, free_port, wait_until

from . import clients


class Fleet:
    """stele-fleet-load: a receiver with so many living databases."""

    def __init__(self, programs, databases, days):
        self.page_port = free_port()
        self.process = subprocess.Popen([os.path.join(programs, "stele-fleet-load"), "--databases", str(databases), "--days", str(days), "--page-port", str(self.page_port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = self._line()
        self.pid, self.metrics_port, self.databases = ready["pid"], ready["metrics_port"], ready["databases"]

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"stele-fleet-load ended with {self.process.wait()}")
        return json.loads(line)

    def acknowledgements(self, count):
        """Milliseconds until each of so many frames was acknowledged."""
        self.process.stdin.write(f"ack {count}\n")
        self.process.stdin.flush()
        return self._line()

    def surveyed(self):
        """Whether the page can tell of each database what can be restored (nothing, for those without a snapshot)."""
        told = clients.json_of(self.page_port, "/data/fleet.json")["databases"]
        return sum(d["to"] is not None for d in told) > 0.9 * len(told)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Prometheus:
    """A real Prometheus that scrapes the receiver every five seconds: its own page, and the receiver's series as it tells them on."""
    federate = "/federate?match%5B%5D=%7Bjob%3D%22receiver%22%7D"

    def __init__(self, directory, receiver_port):
        self.port = free_port()
        config = os.path.join(directory, "prometheus.yml")
        with open(config, "w") as out:
            out.write("global: {scrape_interval: 5s, scrape_timeout: 5s}\nscrape_configs:\n"
                      f"  - {{job_name: receiver, static_configs: [{{targets: ['127.0.0.1:{receiver_port}']}}]}}\n")
        self.background = Background(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/prometheus", f"--web.listen-address=127.0.0.1:{self.port}"],
                                     os.path.join(directory, "prometheus.log"))
        self.pid = self.background.process.pid
        wait_until("Prometheus has scraped the receiver", self._scraped, 120, 0.5, [self.background])

    def _scraped(self):
        try:
            status, _, body = clients.Connection(self.port).get(self.federate)
        except OSError:
            return False
        return status == 200 and b"stele_recovery_point_seconds" in body

    def stop(self):
        self.background.stop()
