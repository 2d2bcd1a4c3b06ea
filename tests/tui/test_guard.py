"""A guard that is passed is told, and destroying is offered to whoever is there to answer."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backend.places import Places
from tui.commands.guard import wants_destroy
from tui.console import Console
from tui.interrupts import Interrupts
from tui.invocation import Invocation


class Typed(io.StringIO):
    """A stream of a terminal."""

    def isatty(self) -> bool:
        return True


def asked(home: Path, answer: str, *, terminal: bool = True, yes: bool = False) -> tuple[bool, str]:
    environ = {"MCIG_HOME": str(home)}
    out = Typed() if terminal else io.StringIO()
    console = Console(environ, out=out, stdin=Typed(answer) if terminal else io.StringIO(answer))
    invocation = Invocation(environ, Places.of(environ), console, Interrupts(lambda _: None), yes=yes)
    wanted = wants_destroy(invocation, "demo", "about $6.00 were spent, and the guard is $5.00")
    return wanted, " ".join(out.getvalue().split())


@pytest.mark.parametrize(("answer", "wanted"), [("y\n", True), ("\n", False), ("", False)])
def test_destroying_is_offered_with_the_sum_and_the_limit(tmp_path: Path, answer: str, wanted: bool) -> None:
    agreed, text = asked(tmp_path, answer)
    assert agreed is wanted
    assert "guard: about $6.00 were spent, and the guard is $5.00. It is looked after only while mcig runs." in text
    assert "Destroy demo? [y/N]" in text


@pytest.mark.parametrize(("terminal", "yes"), [(False, False), (True, True)])
def test_where_nobody_answers_only_the_command_is_told(tmp_path: Path, terminal: bool, yes: bool) -> None:
    agreed, text = asked(tmp_path, "y\n", terminal=terminal, yes=yes)
    assert not agreed
    assert text.endswith("`mcig destroy demo` takes it away.")


def test_a_guard_that_is_not_passed_says_nothing(tmp_path: Path) -> None:
    environ = {"MCIG_HOME": str(tmp_path)}
    out = io.StringIO()
    invocation = Invocation(environ, Places.of(environ), Console(environ, out=out), Interrupts(lambda _: None))
    assert not wants_destroy(invocation, "demo", "")
    assert out.getvalue() == ""
