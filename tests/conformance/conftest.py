"""Emulated clouds for the programs of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.tools import Tools
from tests.warm.client import Warm, await_end


@pytest.fixture(scope="package")
def shared_tools(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Tools]:
    """One emulated cloud, and one gcloud that is loaded."""
    with warm.standing_in():
        made = Tools(tmp_path_factory.mktemp("conformance"), warm)
    yield made
    made.close()
    await_end()


@pytest.fixture
def tools(shared_tools: Tools) -> Tools:
    """The cloud with an empty world in which the recipe's APIs are enabled."""
    shared_tools.reset()
    return shared_tools
