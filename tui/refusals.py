"""What it means when the gateway answers a prompt with an error, and what to do next.

The statuses are those of Google's load balancer and of vLLM's server; where both give one, the more likely is told.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    502: Meaning("no model server could be reached through the gateway", ASK_STATUS),
    503: Meaning("no model server is ready in any region, or all of them are full", ASK_STATUS),
    504: Meaning("the answer did not come within the timeout", "fewer tokens, or a longer `timeout_s`"),
}
_CUT = Meaning("the answer was cut off on its way", f"ask again; {ASK_STATUS}")
_OTHER = Meaning("the gateway does not say why", ASK_STATUS)


def meaning(status: int) -> Meaning:
    """What an HTTP status means for a prompt that was not answered in full.

    >>> meaning(504).fix, meaning(200).cause
    ('fewer tokens, or a longer `timeout_s`', 'the answer was cut off on its way')
    """
    return _CUT if status == 200 else _MEANINGS.get(status, _OTHER)
