"""What it means when the gateway answers a prompt with an error, and what to do next.

The statuses are those of Google's load balancer and of vLLM's server; where both give one, the more likely is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.clients.answers import Answer

NO_BACKEND = "no healthy upstream"
"""What GKE's load balancers say, with 503, where no backend is healthy."""
NO_ROUTE = "fault filter abort"
"""What GKE's load balancers say, with 404, where no route or no backend takes a request."""
ASK_STATUS = "`mcig status` tells what is not ready, and why"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Why a prompt was not answered, most likely, and the next step."""

    cause: str
    fix: str


_MEANINGS = {
    400: Meaning("the model server refuses the prompt or its parameters", "a shorter prompt, or fewer tokens"),
    404: Meaning("no model server serves that model or adapter", f"choose another one; {ASK_STATUS}"),
    413: Meaning("the prompt is too long", "a shorter prompt"),
    429: Meaning("every model server is full", "ask again in a moment; more model servers or another region help"),
    500: Meaning("the model server failed while it answered", f"ask again; {ASK_STATUS}"),
    502: Meaning("nobody answers at the gateway's address, or no model server behind it", ASK_STATUS),
    503: Meaning("no model server is ready in any region, or all of them are full", ASK_STATUS),
}
_NO_BACKEND = Meaning("no model server is ready in any region", ASK_STATUS)
_NO_ROUTE = Meaning("the gateway has no backend for the request: its route, or the pool behind it, is gone", ASK_STATUS)
_TIMED_OUT = Meaning(
    "the answer took longer than the gateway's timeout, `timeout_s`",
    "fewer tokens, or a longer timeout; `mcig status` tells what is down",
)
_CUT = Meaning("the model server failed in the middle of it, or the way to it broke", f"ask again; {ASK_STATUS}")
_OTHER = Meaning("the gateway does not say why", ASK_STATUS)


def meaning(answer: Answer) -> Meaning:
    """What it means that a prompt was not answered in full."""
    if answer.timed_out or answer.status == 504:
        return _TIMED_OUT
    if answer.status == 200:
        return _CUT
    if answer.status == 503 and answer.error == NO_BACKEND:
        return _NO_BACKEND
    if answer.status == 404 and answer.error == NO_ROUTE:
        return _NO_ROUTE
    return _MEANINGS.get(answer.status, _OTHER)


def outcome(answer: Answer) -> str:
    """The status, and with a good one whether the answer came to its end.

    >>> from backend.clients.answers import Answer
    >>> outcome(Answer(200, "10.0.0.7", "us-east4", "llama", "id", error="it broke off"))
    '200, cut off'
    """
    return f"{answer.status}, cut off" if answer.status == 200 and not answer.ok else str(answer.status)
