"""A door in front of an emulated cloud that lets every request through and remembers it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    """The JSON; None without a body."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Where to send requests to, and what was sent."""

    url: str
    sent: list[Sent] = field(default_factory=list)


@contextmanager
def recording(upstream: str) -> Iterator[Recorder]:
    """A recorder in front of the server at a URL on loopback."""
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = urlsplit(self.path)
            told = json.loads(body) if body.strip() else None
            recorder.sent.append(Sent(self.command, target.path, dict(parse_qsl(target.query)), told))
            door = http.client.HTTPConnection(host, timeout=60)
            try:
                door.request(self.command, self.path, body, dict(self.headers))
                answer = door.getresponse()
                content = answer.read()
            finally:
                door.close()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the standard library's
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder = Recorder(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
