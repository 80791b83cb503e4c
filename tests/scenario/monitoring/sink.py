#!/usr/bin/env python3
"""What Alertmanager tells, kept: sink.py PORT NOTES_FILE [METRICS_FILE]

Every alert of every webhook message becomes one JSON line of NOTES_FILE: {"receiver": PATH, "status": ..., "labels": ..., "annotations": ...}.
GET /metrics answers METRICS_FILE, in the place of a restore host's Pushgateway. Loopback only.
"""
import http.server, json, sys


class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[2], "a", encoding="utf-8") as notes:
            for alert in message["alerts"]:
                kept = {key: alert[key] for key in ("status", "labels", "annotations")}
                notes.write(json.dumps({"receiver": self.path.strip("/"), **kept}, ensure_ascii=False) + "\n")
        self.answer(b"")

    def do_GET(self):
        with open(sys.argv[3], "rb") as metrics:
            self.answer(metrics.read())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
