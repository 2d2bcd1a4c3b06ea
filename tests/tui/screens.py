"""Looks at the app as its user does: the text of the screen, waited for, and compared with the one that was kept.

Invariant: nothing here waits for a time; what is waited for is a state, and where it never comes the screen is told.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from tui import full_screen
from tui.full_screen import FullScreen

GOLDENS = Path(__file__).parent / "goldens"
"""Kept screens, one text file each; ``MCIG_GOLDENS=write pytest tests/tui`` writes them anew."""
MOVING = (
    (re.compile(r"127\.0\.0\.1:\d{4,5}"), "127.0.0.1:PORT"),
    (re.compile(r"(/[\w.-]+)+/mcig/"), "HOME/"),
)
"""What differs from run to run."""
PATIENCE_S = 30.0
"""Seconds that a state may take to come on the busiest machine."""
LOOK_EVERY_S = 0.02
STUCK_S = 8.0
"""Seconds without a change after which a screen that is not the kept one counts as another."""
STILL_S = 0.5
"""Seconds without a change after which a screen that is to be kept counts as whole."""


class Stage(FullScreen):
    """One screen alone, with all that an app of mcig has; keeps what is copied, and ends with the screen."""

    CSS_PATH = Path(full_screen.__file__).parent / FullScreen.CSS_PATH

    def __init__(self, alone: Screen[None]) -> None:
        super().__init__(pictures=Path("pictures"))
        self.alone = alone
        self.copied: list[str] = []

    def on_mount(self) -> None:
        self.push_screen(self.alone, lambda _: self.exit())

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)


def text_of(app: App[Any]) -> str:
    """The screen in front as text, without the blanks at the ends of lines."""
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip).rstrip() for strip in strips]
    text = "\n".join(lines).rstrip() + "\n"
    for pattern, word in MOVING:
        text = pattern.sub(word, text)
    return text


def words_of(app: App[Any]) -> str:
    """The screen in front as one line of words."""
    return " ".join(text_of(app).split())


async def _reached(app: App[Any], true: Callable[[], bool], within_s: float, *, unless_still: bool = False) -> bool:
    """Whether something comes to hold; ``unless_still`` gives up once the screen has long stood still."""
    late, shown, since = time.monotonic() + within_s, "", time.monotonic()
    while not true():
        if app._exception is not None:
            raise app._exception
        now = time.monotonic()
        if unless_still and (text := text_of(app)) != shown:
            shown, since = text, now
        if now > late or (unless_still and now > since + STUCK_S):
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True


async def until(pilot: Pilot[Any], true: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Let the app go on until something holds; fails with the screen's text where it never does."""
    assert await _reached(pilot.app, true, within_s), f"it never came to that:\n{text_of(pilot.app)}"
    await pilot.pause()


async def until_said(pilot: Pilot[Any], *said: str) -> str:
    """Wait until the screen says all of it, on however many lines; gives its words."""
    app = pilot.app
    came = await _reached(app, lambda: all(words in words_of(app) for words in said), PATIENCE_S)
    assert came, f"never said {[words for words in said if words not in words_of(app)]}:\n{text_of(app)}"
    return words_of(app)


async def same_as_kept(pilot: Pilot[Any], name: str) -> None:
    """Wait until the screen is the kept one; fails where it never is."""
    app = pilot.app
    path = GOLDENS / f"{name}-{app.size.width}x{app.size.height}.txt"
    if os.environ.get("MCIG_GOLDENS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(await still(app), encoding="utf-8")
    if not path.exists():
        pytest.fail(f"no golden {path.name}; look at this and keep it with MCIG_GOLDENS=write:\n{await still(app)}")
    kept = path.read_text(encoding="utf-8")
    if not await _reached(app, lambda: text_of(app) == kept, PATIENCE_S, unless_still=True):
        lines = difflib.unified_diff(kept.splitlines(), text_of(app).splitlines(), path.name, "the screen", lineterm="")
        pytest.fail("\n".join(lines))


async def still(app: App[Any]) -> str:
    """The screen's text once it has stopped changing."""
    text, since = text_of(app), time.monotonic()
    while time.monotonic() < since + STILL_S:
        await asyncio.sleep(LOOK_EVERY_S)
        if (now := text_of(app)) != text:
            text, since = now, time.monotonic()
    return text
