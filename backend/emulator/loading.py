"""Importing the packages whose message types serve as schemas.

Invariants: one import at a time in the whole process, because packages with import cycles of their own show themselves
half made to a second thread that imports them meanwhile; and what is there already is given without waiting for the
import of something else.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterable
from typing import Any

_one_at_a_time = threading.RLock()
_loaded: dict[str, Any] = {}


def load(module: str) -> Any:
    """Import a module; large ones take up to a second of CPU, so call it in a thread."""
    if module not in _loaded:
        with _one_at_a_time:
            _loaded[module] = importlib.import_module(module)
    return _loaded[module]


def prefetch(modules: Iterable[str]) -> None:
    """Begin to import packages in the background, in this order; a failure shows at the first real use."""

    def run() -> None:
        for module in modules:
            with contextlib.suppress(ImportError):
                load(module)

    threading.Thread(target=run, name="import", daemon=True).start()
