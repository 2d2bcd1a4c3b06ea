"""Uvicorn for a process that serves several applications, or ends when its stdin does.

Invariant: it handles no signal and writes no log; its owner decides when it ends.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn


class HttpServer(uvicorn.Server):
    """One application on sockets that are open already."""

    def __init__(self, app: Any, *, drain_s: int, http: Any = "httptools") -> None:
        """`drain_s` is how long answers under way may take once it shall end; `http` is uvicorn's protocol."""
        config = uvicorn.Config(
            app,
            http=http,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=drain_s,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
