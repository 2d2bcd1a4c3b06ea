"""A stack that a run on another machine holds: taken over by a yes at a terminal or beforehand, and else never."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest

from backend import presets
from backend.clients.connect import Connection
from backend.engine.events import Outcome
from backend.errors import LockHeld
from backend.lock import Owner
from backend.places import Places, write_private
from backend.spec import Target
from backend.stack import Stack
from tui.commands.taking_over import carry_out
from tui.console import Console
from tui.interrupts import Interrupts
from tui.invocation import Invocation


class Terminal(io.StringIO):
    """A stream that somebody sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.of({"MCIG_HOME": str(tmp_path)})
    owner = replace(Owner.me(), host="elsewhere", user="somebody")
    write_private(found.lock("rehearsal"), json.dumps(asdict(owner)))
    return found


async def outcome(asked: Invocation, *, take_over: bool = False) -> Outcome:
    """How a run of a stack with nothing in it ends."""
    spec = presets.load(presets.find("rehearsal", asked.places))
    connection = Connection(Target.EMULATOR, "demo-project", None, "a toy cloud", "", "")
    stack = Stack(spec, connection=connection, clients=cast("Any", None), declare=lambda _: (), places=asked.places)
    made = await stack.plan()
    result = await carry_out(asked, stack, made, emit=lambda _: None, ignore=(), take_over=take_over)
    return result.outcome


def invocation(places: Places, typed: str, *, terminal: bool = True, yes: bool = False) -> Invocation:
    stream = Terminal if terminal else io.StringIO
    console = Console({}, out=stream(), err=io.StringIO(), stdin=stream(typed))
    return Invocation({}, places, console, Interrupts(print), yes=yes)


def said(asked: Invocation) -> str:
    return " ".join(cast("io.StringIO", asked.console.out).getvalue().split())


async def test_a_yes_at_the_terminal_takes_it_over(places: Places) -> None:
    asked = invocation(places, "y\n")
    assert await outcome(asked) is Outcome.SUCCEEDED
    assert "rehearsal: somebody@elsewhere, process" in said(asked)
    assert "Take it over? [y/N] taking over from a run on another host: somebody@elsewhere" in said(asked)


@pytest.mark.parametrize(
    ("typed", "terminal", "yes"),
    [
        pytest.param("\n", True, False, id="no"),
        pytest.param("y\n", True, True, id="a yes to the plan alone"),
        pytest.param("y\n", False, False, id="nobody there"),
    ],
)
async def test_without_it_the_refusal_says_how(places: Places, typed: str, *, terminal: bool, yes: bool) -> None:
    with pytest.raises(LockHeld) as refused:
        await outcome(invocation(places, typed, terminal=terminal, yes=yes))
    assert "mcig apply rehearsal --take-over" in refused.value.fix


async def test_asked_for_beforehand_nobody_is_asked(places: Places) -> None:
    asked = invocation(places, "", terminal=False)
    assert await outcome(asked, take_over=True) is Outcome.SUCCEEDED
    assert "Take it over?" not in said(asked)
