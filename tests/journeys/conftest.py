"""Journeys start with an empty home and leave no process behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.terminal import Terminal
from tests.warm.client import Warm


@pytest.fixture
def terminal(tmp_path: Path, warm: Warm) -> Iterator[Terminal]:
    """A terminal with an empty home; its emulator is stopped at the end."""
    made = Terminal(tmp_path, warm)
    yield made
    made.close()


@pytest.fixture
def new_terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal whose commands load everything themselves, as a person's do."""
    made = Terminal(tmp_path)
    yield made
    made.close()
