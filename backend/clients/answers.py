"""What is asked of the model, and what came back, as data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask of the model."""

    text: str
    model: str
    """The base model's or an adapter's name."""
    max_tokens: int = 64
    temperature: float = 0.0
    objective: str | None = None
    """InferenceObjective to name in the request's header."""

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers, but for its id."""
        named = {} if self.objective is None else {"x-gateway-inference-objective": self.objective}
        return {"Content-Type": "application/json", **named}

    @property
    def body(self) -> dict[str, Any]:
        """The request's body."""
        return {
            "model": self.model,
            "prompt": self.text,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def curl(self, base_url: str) -> str:
        """The same request as a command, for somebody who may reach the address."""
        headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        body = shlex.quote(json.dumps(self.body, ensure_ascii=False))
        return " \\\n  ".join([f"curl -sN {shlex.quote(f'{base_url}/completions')}", *headers, f"-d {body}"])


@dataclass(frozen=True, slots=True)
class ServedBy:
    """The model server that answered."""

    cluster: str
    pod: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one address."""

    status: int
    """HTTP status of the gateway's answer."""
    address: str
    region: str
    model: str
    request_id: str
    text: str = ""
    usage: Mapping[str, int] | None = None
    """Token counts, as the model server reports them."""
    ttft_s: float | None = None
    """Seconds to the first token, measured inside the VPC by the relay."""
    total_s: float | None = None
    """Seconds to the last token, measured here."""
    way_s: float | None = None
    """Seconds of the way to the relay and back, which are no part of ``ttft_s``."""
    served_by: ServedBy | None = None
    served_by_reason: str = ""
    """Why ``served_by`` is unknown; empty when it is known."""
    error: str = ""
    """What the gateway or the model server says when it did not answer."""
    timed_out: bool = False
    """Whether the load balancer gave the answer up, before or in the middle of it, because its timeout had passed."""

    @property
    def ok(self) -> bool:
        """Whether the model answered in full."""
        return self.status == 200 and not self.error

    def to_json(self) -> dict[str, Any]:
        """Give the answer as ``mcig prompt --json`` prints it."""
        served = self.served_by
        return {
            "status": self.status,
            "address": self.address,
            "region": self.region,
            "model": self.model,
            "request_id": self.request_id,
            "served_by": None if served is None else {"cluster": served.cluster, "pod": served.pod},
            "served_by_reason": self.served_by_reason,
            "text": self.text,
            "usage": None if self.usage is None else dict(self.usage),
            "ttft_s": self.ttft_s,
            "total_s": self.total_s,
            "way_s": self.way_s,
            "error": self.error,
            "timed_out": self.timed_out,
        }
