"""The ways on from Home: with which answers to begin, and what to do with a stack that was seen before.

Invariant: choosing changes nothing; what cannot be read is told and leaves Home in front.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.app import App

from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.kept import Kept
    from tui.session import Session

PRESETS = {"rehearse": "rehearsal", "setup": "two-region-h100"}
"""Presets that ways begin with."""
OF_STACKS = (
    ("watch", "Watch", "Where traffic goes, what is full and what is broken, as it happens."),
    ("apply", "Continue or check", "Look at the cloud and show what is still to be done."),
    ("ask", "Ask the model", "Send prompts through the gateway's addresses."),
    ("change", "Change the answers", "Open the pages with this stack's answers."),
    ("destroy", "Destroy", "Review what would be taken away; nothing goes before you say so."),
)
"""What can be done with a stack: purpose, title, text."""


async def draft_for(app: App[Any], session: Session, way: str) -> Kept | None:
    """The answers that a way begins with; ``None`` where somebody went back, or they cannot be read."""
    reference = PRESETS.get(way)
    if way == "preset" and (reference := await _chosen_preset(app, session)) is None:
        return None
    return await read(app, session, reference)


async def read(app: App[Any], session: Session, reference: str | None) -> Kept | None:
    """The answers of a preset or a stack, else those of the draft; in a thread, because the models are imported."""
    from tui.keeping import complain

    try:
        return await asyncio.to_thread(_read, session, reference)
    except UsageError as error:
        complain(app, error)
        return None


def _read(session: Session, reference: str | None) -> Kept | None:
    from backend import kept, presets
    from backend.draft import Draft

    if reference is None:
        return kept.read(session.places)
    source = presets.find(reference, session.places)
    return kept.Kept(Draft.of(presets.load(source, session.settings)))


async def purpose_of(app: App[Any], stack: str) -> str | None:
    """What to do with a stack; ``None`` where somebody went back."""
    from tui.screens.choosing import ChoosingScreen

    return await app.push_screen_wait(ChoosingScreen(f"Stack {stack}", OF_STACKS))


async def _chosen_preset(app: App[Any], session: Session) -> str | None:
    from backend import presets
    from tui.screens.choosing import ChoosingScreen

    found = [
        (source.name, source.name, source.description or ("your own" if source.kind == "user preset" else ""))
        for source in presets.presets(session.places)
    ]
    return await app.push_screen_wait(ChoosingScreen("Begin with which answers?", found))
