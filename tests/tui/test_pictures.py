"""The README's pictures show the screens as they are."""

from __future__ import annotations

import pytest

from tests.pictures import FOLDER, made

MOST_BYTES = 150_000


@pytest.mark.parametrize("name", ["home", "balancing", "run", "prompt"])
async def test_a_picture_is_current(name: str) -> None:
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert await made(name) == kept, f"look at it and keep it: python tests/pictures.py {name}"


def test_pictures_are_small() -> None:
    assert all(path.stat().st_size < MOST_BYTES for path in FOLDER.glob("*.svg"))
