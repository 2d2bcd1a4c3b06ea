"""Several calls in one request: `multipart/mixed`, each part an HTTP request of its own, answered in the same order.

Google sees every part as a call for itself; only the credentials of the whole count for parts that have none. A part's
answer carries its `Content-ID` with `response-` before it.
Reference: https://cloud.google.com/compute/docs/api/how-tos/batch.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser, Parser
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from backend.emulator.google.errors import invalid

LARGEST = 1000
"""Calls that one request may hold."""
_METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Part:
    """One call of a batch."""

    content_id: str
    """As sent, with its angle brackets; empty without one."""
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    authorization: str | None
    """The part's own credentials, where it has some."""
    body: bytes


def parts(content_type: str, body: bytes) -> list[Part]:
    """The calls of a batch. Raises ApiError 400 for a body that is none."""
    message = BytesParser().parsebytes(
        b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n" + body
    )
    pieces = message.get_payload()
    if message.get_content_type() != "multipart/mixed" or not isinstance(pieces, list):
        raise invalid("Failed to parse batch request, error: 0 items processed. The body is not multipart/mixed.")
    if len(pieces) > LARGEST:
        raise invalid(f"The batch request could not be processed: {len(pieces)} calls exceed the limit of {LARGEST}.")
    return [_part(piece) for piece in pieces if isinstance(piece, Message)]


def _part(piece: Message[str, str]) -> Part:
    line, _, rest = str(piece.get_payload()).lstrip().partition("\n")
    words = line.split()
    if len(words) != 3 or words[0] not in _METHODS or not words[1].startswith("/"):
        raise invalid(f"Failed to parse batch request, error: '{line.strip()}' is not the first line of a request.")
    inner = Parser().parsestr(rest)
    target = urlsplit(words[1])
    return Part(
        content_id=str(piece.get("Content-ID", "")),
        method=words[0],
        path=target.path,
        query=tuple(parse_qsl(target.query, keep_blank_values=True)),
        authorization=inner.get("Authorization"),
        body=str(inner.get_payload()).strip().encode(),
    )


def answer(answers: list[tuple[Part, int, bytes]]) -> tuple[str, bytes]:
    """Content type and body of the answer to a batch."""
    boundary = f"batch_{uuid.uuid4().hex}"
    lines: list[bytes] = []
    for part, code, body in answers:
        head = [f"--{boundary}", "Content-Type: application/http"]
        if part.content_id:
            head.append(f"Content-ID: <response-{part.content_id.strip('<>')}>")
        head += ["", f"HTTP/1.1 {code} {HTTPStatus(code).phrase}", "Content-Type: application/json; charset=UTF-8"]
        lines += [*(line.encode() for line in head), b"Content-Length: %d" % len(body), b"", body]
    lines += [f"--{boundary}--".encode(), b""]
    return f"multipart/mixed; boundary={boundary}", b"\r\n".join(lines)
