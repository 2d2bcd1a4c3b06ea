"""What can be done with a run depends on how it stands: recorded or live, under way, ended well or badly."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from backend.engine import journal
from backend.engine.events import Failure, Verb
from tui.progress import Progress
from tui.run_ways import Ways
from tui.runs import RecordedRun, RunSource

JOURNALS = Path(__file__).parent / "journals"
KNOWN = {"pause", "pace", "stop", "retry", "others", "remains", "change", "destroy", "ask_model", "watch", "copy"}


def standing(
    name: str,
    *,
    live: bool = True,
    cut: int | None = None,
    failure: Failure | None = None,
    verb: Verb = Verb.APPLY,
    guard: str = "",
) -> set[str]:
    """What is offered after a recorded run, or after so many of its events, as if it were the engine's."""
    events = list(journal.read(JOURNALS / f"{name}.jsonl"))
    run: RunSource = RecordedRun(events, pace=math.inf)
    progress = Progress(run.facts)
    for event in events[:cut]:
        progress(event)
    if live:
        run = cast("RunSource", SimpleNamespace(verb=verb, guard=guard))
    ways = Ways(run, progress, failure, going_on=cut is not None and failure is None, reopens=True)
    return {action for action in KNOWN if ways.offer(action)}


@pytest.mark.parametrize(
    ("offered", "wanted"),
    [
        (standing("succeeded"), {"ask_model", "watch"}),
        (standing("succeeded", guard="passed"), {"ask_model", "watch", "destroy"}),
        (standing("succeeded", verb=Verb.DESTROY), set()),
        (standing("succeeded", cut=20), {"stop"}),
        (standing("failed"), {"retry", "change", "destroy", "copy"}),
        (standing("failed", verb=Verb.DESTROY), {"retry", "change", "copy"}),
        (standing("succeeded", cut=0, failure=Failure("locked")), {"retry", "change", "destroy", "copy"}),
        (standing("succeeded", live=False), {"retry"}),
        (standing("succeeded", live=False, cut=20), {"pause", "pace"}),
        (standing("failed", live=False), {"retry", "copy"}),
    ],
)
def test_what_is_offered(offered: set[str], wanted: set[str]) -> None:
    assert offered == wanted


def test_what_needs_no_run_can_always_be_done() -> None:
    run = cast("RunSource", SimpleNamespace(verb=Verb.APPLY, guard=""))
    assert Ways(run, Progress(()), None, going_on=True, reopens=False).offer("leave")
