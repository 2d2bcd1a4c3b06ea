"""Importing the packages whose message types serve as schemas.

Invariant: one import at a time in the whole process. Packages with import cycles of their own show themselves half made
to a second thread that imports them meanwhile.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

_one_at_a_time = threading.RLock()


def load(module: str) -> Any:
    """Import a module; large ones take up to a second of CPU, so call it in a thread."""
    with _one_at_a_time:
        return importlib.import_module(module)
