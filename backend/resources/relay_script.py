"""The relay: a small HTTP server in the VPC that forwards prompts to the gateway's addresses, and to nothing else.

Runs as ``python3 relay.py`` in a Pod, from a ConfigMap; needs the standard library of Python 3.9 and nothing more, and
the project never imports it. A request to ``/to/ADDRESS:PORT/REST`` goes to ``http://ADDRESS:PORT/REST``; the answer
comes back piece by piece, with the time to its first byte in ``x-mcig-relay-ttfb-ms``. Invariants: a target that is not
in ALLOWED_TARGETS is refused, a redirect is passed on and never followed, and of the request's headers only those in
FORWARDED go on. What the relay itself has to say carries ``x-mcig-relay-error``.

As ``python3 relay.py --ask`` it sends one request to the relay that runs beside it, for those who may run a command in
the Pod but not use the API server's proxy: a line of JSON on stdin (method, path, headers, body), on stdout a line of
JSON (status, headers) and then the body.

Environment: PORT (8080), BIND (0.0.0.0), ALLOWED_TARGETS (ADDRESS:PORT,...), UPSTREAM_TIMEOUT_S (3630).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FORWARDED = ("Accept", "Content-Type", "X-Request-Id", "X-Gateway-Inference-Objective")
NOT_PASSED_BACK = frozenset(
    (
        "connection",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
PIECE = 65536
LONGEST_BODY = 64 * 1024 * 1024
BROKEN_OFF = (OSError, http.client.HTTPException)
"""What is raised where a connection ends in the middle, or does not speak HTTP."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect for the asker to see: its target need not be an allowed one."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


class Refused(Exception):
    """A request that the relay does not forward."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def pieces(answer: Any) -> Iterator[bytes]:
    """An answer as it comes; raises one of BROKEN_OFF where it ends before the length that it told."""
    length, came = answer.length, 0
    while came != length and (piece := answer.read1(PIECE)):
        came += len(piece)
        yield piece
    if length is not None and came < length:
        raise http.client.IncompleteRead(b"", length - came)


class Relay(BaseHTTPRequestHandler):
    """One connection of an asker."""

    protocol_version = "HTTP/1.1"
    allowed: frozenset[str] = frozenset()
    timeout_s = 3630.0
    opener = urllib.request.build_opener(NoRedirects)

    def handle_any(self) -> None:
        """Answer a health check, forward, or say why not."""
        try:
            if self.path == "/healthz":
                self.say(200, {"status": "ok"})
            else:
                self.forward()
        except Refused as refusal:
            self.close_connection = True
            self.say(refusal.status, {"error": str(refusal)}, {"X-Mcig-Relay-Error": "1"})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

    def forward(self) -> None:
        """Send the request on and the answer back; raises Refused."""
        if not self.path.startswith("/to/"):
            raise Refused(404, "ask for /to/ADDRESS:PORT/PATH or /healthz")
        target, _, rest = self.path[len("/to/") :].partition("/")
        if target not in self.allowed:
            raise Refused(403, f"{target} is none of this gateway's addresses")
        headers = {name: self.headers[name] for name in FORWARDED if self.headers[name] is not None}
        request = urllib.request.Request(
            f"http://{target}/{rest}", data=self.body(), headers=headers, method=self.command
        )
        began = time.monotonic()
        try:
            answer = self.opener.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as error:
            answer = error
        except BROKEN_OFF as error:
            raise Refused(502, f"no connection to {target}: {getattr(error, 'reason', error)}") from error
        with answer:
            self.pass_back(answer, began)

    def pass_back(self, answer: Any, began: float) -> None:
        """Stream an answer; its headers wait for the first piece, to tell when it came.

        One that breaks off, with its first piece or later, is passed back as one that breaks off.
        """
        broken: Exception | None = None
        rest = pieces(answer)
        try:
            piece = next(rest, b"")
        except BROKEN_OFF as error:
            piece, broken = b"", error
        waited_ms = (time.monotonic() - began) * 1000
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in NOT_PASSED_BACK:
                self.send_header(name, value)
        self.send_header("X-Mcig-Relay-Ttfb-Ms", f"{waited_ms:.1f}")
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        chunked = answer.headers["Content-Length"] is None and not bodiless
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            if broken is not None:
                raise broken
            while piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                piece = next(rest, b"")
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except BROKEN_OFF:
            self.close_connection = True

    def body(self) -> bytes | None:
        """The request's body, ``None`` when it has none; raises Refused."""
        coding, length = self.headers["Transfer-Encoding"], self.headers["Content-Length"]
        if coding is not None:
            return self.chunked_body()
        if length is None:
            return None
        return self.rfile.read(self.allowed_size(length, 10))

    def chunked_body(self) -> bytes:
        """A body whose length was not told before."""
        body = bytearray()
        while size := self.allowed_size(self.rfile.readline(64).decode("ascii", "replace").partition(";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(8)
            self.allowed_size(str(len(body)), 10)
        while self.rfile.readline(PIECE).strip():
            pass
        return bytes(body)

    def allowed_size(self, text: str, base: int) -> int:
        """A number of bytes to read; raises Refused when it is none, or too large."""
        try:
            size = int(text.strip(), base)
        except ValueError:
            raise Refused(400, f"{text!r} is no length of a body") from None
        if not 0 <= size <= LONGEST_BODY:
            raise Refused(413, f"a body has at most {LONGEST_BODY} bytes")
        return size

    def say(self, status: int, content: dict[str, str], headers: dict[str, str] | None = None) -> None:
        """Answer for the relay itself."""
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Write nothing for each request: health checks come every second."""


class Server(ThreadingHTTPServer):
    """A thread for each connection; none keeps the process alive."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of an asker that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until told to end."""
    Relay.allowed = frozenset(filter(None, os.environ.get("ALLOWED_TARGETS", "").split(",")))
    Relay.timeout_s = float(os.environ.get("UPSTREAM_TIMEOUT_S", "3630"))
    bind, port = os.environ.get("BIND", "0.0.0.0"), int(os.environ.get("PORT", "8080"))  # noqa: S104 - a Pod's own address
    server = Server((bind, port), Relay)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"relay on port {server.server_address[1]} for {len(Relay.allowed)} addresses\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.2)


def ask() -> None:
    """Send what stdin says to this Pod's relay, and write the answer as it comes."""
    wanted = json.loads(sys.stdin.readline())
    url = f"http://127.0.0.1:{os.environ.get('PORT', '8080')}{wanted['path']}"
    request = urllib.request.Request(
        url, data=wanted["body"].encode(), headers=wanted["headers"], method=wanted["method"]
    )
    opener = urllib.request.build_opener(NoRedirects, urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=float(os.environ.get("UPSTREAM_TIMEOUT_S", "3630")))
    except urllib.error.HTTPError as error:
        answer = error
    except BROKEN_OFF as error:
        sys.exit(f"no answer of the relay: {getattr(error, 'reason', error)}")
    out = sys.stdout.buffer
    with answer:
        out.write(json.dumps({"status": answer.status, "headers": dict(answer.headers.items())}).encode() + b"\n")
        out.flush()
        try:
            for piece in pieces(answer):
                out.write(piece)
                out.flush()
        except BROKEN_OFF as error:
            sys.exit(f"the answer broke off: {error}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--ask"]:
        ask()
    else:
        main()
