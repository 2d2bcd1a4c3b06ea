"""The draft on disk: what was being written when the app was closed.

Invariants: one draft a home, readable by its owner only; the token is not in it; a file that cannot be read is as good
as none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from backend.draft import Draft
from backend.fields import PAGES
from backend.places import Places, write_private


@dataclass(frozen=True)
class Kept:
    """A draft and where in the wizard it was left."""

    draft: Draft
    page: str = PAGES[0].name
    """Name of the page in front."""
    visited: tuple[str, ...] = ()


def path(places: Places) -> Path:
    """Where the draft is."""
    return places.state / "draft.json"


def keep(places: Places, kept: Kept) -> None:
    """Write the draft down; raises ``OSError``."""
    told = {**kept.draft.to_keep(), "page": kept.page, "visited": list(kept.visited)}
    write_private(path(places), json.dumps(told, indent=1))


def read(places: Places) -> Kept | None:
    """The draft of last time; ``None`` without one that can be used."""
    names = {page.name for page in PAGES}
    try:
        told = json.loads(path(places).read_text(encoding="utf-8"))
        draft = Draft.kept(told)
        draft.check()
        page = told["page"] if told.get("page") in names else PAGES[0].name
        return Kept(draft, page, tuple(name for name in told.get("visited", ()) if name in names))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(places: Places) -> None:
    """Drop the draft: what it said was applied."""
    path(places).unlink(missing_ok=True)
