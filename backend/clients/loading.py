"""Importing large packages from several threads.

Invariant: one import at a time in the whole process. Packages with import cycles of their own (requests has some) show
themselves half made to a second thread that imports them meanwhile.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterable
from typing import Any

_one_at_a_time = threading.RLock()


def load(module: str) -> Any:
    """Import a module; large ones take up to two seconds of CPU, so call it in a thread."""
    with _one_at_a_time:
        return importlib.import_module(module)


def prefetch(modules: Iterable[str]) -> None:
    """Begin to import packages in the background, in this order; a failure shows at the first real use."""

    def run() -> None:
        for module in modules:
            with contextlib.suppress(ImportError):
                load(module)

    threading.Thread(target=run, name="import", daemon=True).start()
