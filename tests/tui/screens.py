"""Looks at the app as its user does: the text of the screen, compared with the one that was kept."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

GOLDENS = Path(__file__).parent / "goldens"
"""Kept screens, one text file each; ``MCIG_GOLDENS=write pytest tests/tui`` writes them anew."""
MOVING = (
    (re.compile(r"127\.0\.0\.1:\d{4,5}"), "127.0.0.1:PORT"),
    (re.compile(r"(/[\w.-]+)+/mcig/"), "HOME/"),
)
"""What differs from run to run."""
PATIENCE_S = 20.0


def text_of(app: App[Any]) -> str:
    """The screen in front as text, without the blanks at the ends of lines."""
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips]
    text = "\n".join(lines).rstrip() + "\n"
    for pattern, word in MOVING:
        text = pattern.sub(word, text)
    return text


async def until(pilot: Pilot[Any], true: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Let the app go on until something holds; fails with the screen's text where it never does."""
    late = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < late, text_of(pilot.app)
        await pilot.pause(0.01)
    await pilot.pause()


def same_as_kept(name: str, app: App[Any]) -> None:
    """Fail unless the screen is the kept one."""
    size = f"{app.size.width}x{app.size.height}"
    path, text = GOLDENS / f"{name}-{size}.txt", text_of(app)
    if os.environ.get("MCIG_GOLDENS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if not path.exists():
        pytest.fail(f"no golden {path.name}; look at this and keep it with MCIG_GOLDENS=write:\n{text}")
    assert text == path.read_text(encoding="utf-8")
