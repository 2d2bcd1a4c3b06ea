"""The tables of docs/watching.md are the code's."""

from __future__ import annotations

import pytest

from backend.explain import TABLE
from tests.faults import FAULTS
from tests.readme import WATCHING, WATCHING_PARTS, written


@pytest.mark.parametrize("part", WATCHING_PARTS)
def test_the_tables_are_current(part: str) -> None:
    text = WATCHING.read_text(encoding="utf-8")
    assert written(text, {"MCIG_HOME": "/nowhere"}, [part]) == text, "run `python tests/readme.py`"


def test_every_fault_is_explained_by_a_row_of_the_table() -> None:
    assert set(FAULTS.values()) <= {row.name for row in TABLE}
