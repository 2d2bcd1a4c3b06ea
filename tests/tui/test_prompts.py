"""The same questions in a plain terminal, typed at a real questionary through a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from backend import kept
from backend.presets import Places
from tui.console import Console
from tui.interrupts import Interrupts
from tui.invocation import Invocation
from tui.prompts import ask

ENTER, DOWN, SPACE, CTRL_C, CTRL_U = "\r", "\x1b[B", " ", "\x03", "\x15"
QUESTIONS = 40
"""More than there are without the settings that are usually left as they are."""


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def invocation(tmp_path: Path, said: io.StringIO) -> Invocation:
    environ = {"HOME": str(tmp_path), "MCIG_HOME": str(tmp_path / "mcig")}
    console = Console(environ, out=said, err=said)
    return Invocation(environ, Places.of(environ), console, Interrupts(console.warn))


def test_enter_alone_rehearses(keys: PipeInput, invocation: Invocation, said: io.StringIO) -> None:
    keys.send_text(ENTER * QUESTIONS)
    spec = ask(invocation).spec(None)
    assert (spec.name, str(spec.target)) == ("rehearsal", "emulator")
    text = said.getvalue()
    for title in ("Project", "Regions & zones", "GPU pool", "Balancing", "Name & preset"):
        assert title in text
    assert "nothing here" in text


def test_a_wrong_answer_is_asked_again(keys: PipeInput, invocation: Invocation, said: io.StringIO) -> None:
    to_the_timeout = 20
    keys.send_text(ENTER * to_the_timeout + CTRL_U + "99999" + ENTER + CTRL_U + "240" + ENTER * QUESTIONS)
    spec = ask(invocation).spec(None)
    assert spec.timeout_s == 240
    assert "must be at most 3600" in said.getvalue()


def test_ctrl_c_keeps_the_answers(keys: PipeInput, invocation: Invocation, said: io.StringIO) -> None:
    keys.send_text(ENTER * 4 + CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        ask(invocation)
    assert kept.read(invocation.places) is not None
    assert "Your answers are kept" in said.getvalue()
