"""Prompts and their answers, as a panel shows them: each as it comes, and how many answers each Pod gave.

Invariant: who served an answer is told only where it is known, and else why it is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from tui.plain import tokens_per_s
from tui.refusals import meaning, outcome

if TYPE_CHECKING:
    from backend.address import Address
    from backend.clients.answers import Answer

UNKNOWN = "unknown"
PRIVATE = (
    "The gateway's addresses are private to the VPC network: a Pod or a VM in it reaches them, in any region. "
    "No key is asked for."
)
_BAR = 28
"""Columns of the longest bar."""


@dataclass(slots=True)
class Exchange:
    """One prompt through one address, and its answer as far as it has come."""

    prompt: str
    model: str
    region: str
    address: str
    at: datetime
    text: str = ""
    answer: Answer | None = None
    """How it ended; ``None`` while it is being answered."""


@dataclass
class Conversation:
    """A listener that keeps what was asked and answered, the oldest first."""

    prompt: str = ""
    model: str = ""
    exchanges: list[Exchange] = field(default_factory=list)
    fresh: int = 0
    """Counts what has changed, so that a screen knows when to draw."""

    def begins(self, address: Address) -> None:
        """A prompt goes out through an address."""
        now = datetime.now().astimezone()
        self.exchanges.append(Exchange(self.prompt, self.model, address.region, address.address, now))
        self.fresh += 1

    def token(self, text: str) -> None:
        """A piece of the answer has come."""
        self.exchanges[-1].text += text
        self.fresh += 1

    def ends(self, answer: Answer) -> None:
        """The answer is complete, or has failed."""
        self.exchanges[-1].answer = answer
        self.fresh += 1


def told(exchange: Exchange, *, going_on: bool) -> Content:
    """One exchange: through which address, the answer, and who served it how fast."""
    parts: list[Content | str | tuple[str, str]] = [
        (exchange.region, "bold"), (f"  {exchange.address}  {exchange.model}\n", "$quiet"),
    ]  # fmt: skip
    parts.append(exchange.text.strip())
    answer = exchange.answer
    if answer is None:
        parts.append(("▌" if going_on else "\n■ stopped", "$primary"))
        return Content.assemble(*parts)
    parts.append("\n" if exchange.text.strip() else "")
    if answer.ok:
        parts += [(f"✓ {answer.status}", "$text-success"), f"  {_server(answer)}"]
    else:
        why = meaning(answer)
        parts += [(f"✗ {outcome(answer)}", "$text-error"), f"  {answer.error}"]
        parts += [f"\n  {_server(answer)}"] if answer.status == 200 else []
        parts.append(f"\n  cause: {why.cause}\n  fix: {why.fix}")
    if found := figures(answer):
        parts += ["\n  ", (", ".join(found), "$quiet")]
    return Content.assemble(*parts)


def _server(answer: Answer) -> str:
    if answer.served_by is not None:
        return f"served by {answer.served_by.pod} on {answer.served_by.cluster}"
    return f"served by an unknown Pod: {answer.served_by_reason}"


def figures(answer: Answer) -> list[str]:
    """How fast an answer was, and how many tokens it took."""
    found: list[str] = []
    if answer.ttft_s is not None:
        found.append(f"first token {answer.ttft_s * 1000:.0f} ms")
    if answer.way_s is not None:
        found.append(f"way to the relay {answer.way_s * 1000:.0f} ms")
    if (rate := tokens_per_s(answer.to_json())) is not None:
        found.append(f"{rate:.0f} tokens/s")
    usage = answer.usage or {}
    if "prompt_tokens" in usage and "completion_tokens" in usage:
        found.append(f"{usage['prompt_tokens']} tokens in, {usage['completion_tokens']} out")
    return found


def short(pod: str) -> str:
    """The end of a Pod's name, which tells the Pods of one Deployment apart."""
    return f"…{pod.rpartition('-')[2]}" if "-" in pod else pod


def spread(answers: Sequence[Answer], expected: int, *, stopped: bool = False) -> Content:
    """How the answers spread over clusters and Pods, a bar each, by the address they came through."""
    lines: list[Content] = []
    failed = sum(not answer.ok for answer in answers)
    head = f"{len(answers)} of {expected} asked" + (f", {failed} failed" if failed else "")
    head += ", stopped" if stopped else ""
    lines += [Content.styled(head, "bold"), Content("")]
    for region in dict.fromkeys(answer.region for answer in answers):
        mine = [answer for answer in answers if answer.region == region]
        lines.append(Content.assemble(("through ", "$quiet"), (region, "bold"), f"  {_usual(mine)}"))
        counts = Counter(_short_server(answer) for answer in mine)
        most = max(counts.values())
        for server, count in sorted(counts.items()):
            bar = "█" * max(round(_BAR * count / most), 1)
            share = f" {count}  {100 * count / len(mine):.0f} %"
            lines.append(Content.assemble(f"  {server:<24} ", (bar, "$primary"), share))
        lines.append(Content(""))
    failures = {(outcome(answer), meaning(answer)): None for answer in answers if not answer.ok}
    for how, why in failures:
        lines.append(Content.assemble((f"✗ {how}  ", "$text-error"), why.cause, f"\n  fix: {why.fix}"))
    return Content("\n").join(lines)


def _short_server(answer: Answer) -> str:
    if not answer.ok:
        return f"✗ {outcome(answer)}"
    return UNKNOWN if answer.served_by is None else f"{answer.served_by.cluster} {short(answer.served_by.pod)}"


def _usual(answers: Iterable[Answer]) -> str:
    times = sorted(answer.ttft_s for answer in answers if answer.ttft_s is not None)
    if not times:
        return ""
    middle, last = times[len(times) // 2], times[-1]
    return f"first token {middle * 1000:.0f} ms usually, {last * 1000:.0f} ms at worst"


def reach(addresses: Sequence[Address], *, model: str, curl: str, rehearsal: bool) -> Content:
    """How an application reaches the gateway, as commands and code that may be copied."""
    parts: list[Content | str | tuple[str, str]] = [PRIVATE, "\n\n"]
    for address in addresses:
        parts += [(f"{address.region:<14}", "bold"), f"{address.address:<16}", (f"{address.base_url}\n", "$primary")]
    if rehearsal:
        parts.append(("These base URLs are doors on this machine to the emulated addresses.\n", "$quiet"))
    parts += [("\ncurl\n", "bold"), curl, "\n\n", ("Python, with the openai package\n", "bold")]
    base = addresses[0].base_url if addresses else "http://ADDRESS/v1"
    parts.append(
        "from openai import OpenAI\n"
        f'client = OpenAI(base_url="{base}", api_key="none")\n'
        f'print(client.completions.create(model="{model}", prompt="Hello", max_tokens=16).choices[0].text)\n'
    )
    return Content.assemble(*parts)
