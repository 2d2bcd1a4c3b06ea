"""Somebody at a terminal of their own: the same questions line by line, terminals that show no full screen, ctrl+c."""

from __future__ import annotations

import pytest

from tests.journeys.terminal import Terminal

ENTER, CTRL_C, CTRL_N = "\r", "\x03", "\x0e"
LEFT_FULL_SCREEN = b"\x1b[?1049l"


@pytest.mark.long
def test_the_questions_line_by_line_end_with_an_answered_prompt(new_terminal: Terminal) -> None:
    typing = new_terminal.typing("apply", "--plain", "--speed", "max")
    typing.accept_until("[y/N]")
    typing.type("y" + ENTER)
    assert typing.end() == 0, typing.text
    assert "Applied rehearsal" in typing.text
    assert "served by" in typing.text
    assert LEFT_FULL_SCREEN not in typing.raw


@pytest.mark.parametrize(("term", "columns", "lines"), [("dumb", 100, 30), ("xterm-256color", 60, 15)])
def test_where_no_full_screen_is_to_be_had_questions_are_asked(
    terminal: Terminal, term: str, columns: int, lines: int
) -> None:
    typing = terminal.typing(term=term, columns=columns, lines=lines)
    typing.accept_until("Project id")
    typing.type(CTRL_C)
    assert typing.end() == 130
    assert "Traceback" not in typing.text
    assert "answers are kept" in typing.text
    assert LEFT_FULL_SCREEN not in typing.raw


def test_ctrl_c_on_a_page_leaves_a_clean_terminal_and_says_how_to_go_on(terminal: Terminal) -> None:
    typing = terminal.typing()
    typing.until("Rehearse")
    typing.type("r")
    typing.until("Project id")
    typing.type(CTRL_N)
    typing.until("GPU quota")
    typing.type(CTRL_C)
    assert typing.end() == 130
    after = typing.raw.rpartition(LEFT_FULL_SCREEN)[2].decode()
    assert "Your answers are kept; `mcig` goes on with them." in after
    assert "Traceback" not in typing.text
    assert b"\x1b[?25h" in typing.raw
