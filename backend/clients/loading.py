"""Importing large packages from several threads.

Invariant: one import at a time in the whole process. Packages with import cycles of their own (requests has some) show
themselves half made to a second thread that imports them meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import threading
from collections.abc import Iterable
from typing import Any

SESSIONS = "google.auth.transport.requests"
"""The package that every request to Google goes through."""

_one_at_a_time = threading.RLock()


def load(module: str) -> Any:
    """Import a module; large ones take a second of CPU and more, so call it in a thread.

    The collector rests meanwhile and never looks at what was imported: a third of the time would go there, and more at
    the program's end.
    """
    with _one_at_a_time:
        if module in sys.modules:
            return importlib.import_module(module)
        gc.disable()
        try:
            return importlib.import_module(module)
        finally:
            gc.freeze()
            gc.enable()


def prefetch(modules: Iterable[str]) -> None:
    """Begin to import packages in the background, in this order; a failure shows at the first real use."""

    def run() -> None:
        for module in modules:
            with contextlib.suppress(ImportError):
                load(module)

    threading.Thread(target=run, name="import", daemon=True).start()
