"""The two ends of the real model that need none of its packages: who keeps its process, and who asks it.

Invariant: whatever happens to the process, a question is answered by somebody: None means that it is not the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from backend.emulator.realmodel.weights import NAME, missing
from backend.emulator.serving.child import Child, python_env

MARK = f"[{NAME}]"
"""First token of every answer of the real model."""
_ACCEPT_S = 2.0
_END_S = 1.0


class RealModelProcess:
    """Keeps the one process, as long as it is wanted."""

    def __init__(self, told: Callable[[int | None], None]) -> None:
        """`told` gets the loopback port at which it answers, and None when it does no more."""
        self._told = told
        self._child: Child | None = None
        self._change: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self._child.exit_code is None else None

    def want(self, wanted: bool) -> None:
        """Have it run, again too when it has ended, or not; returns at once."""
        if wanted != (self.pid is not None) and (self._change is None or self._change.done()):
            self._change = asyncio.create_task(self._start() if wanted else self._stop())

    async def close(self) -> None:
        """End it, in the middle of an answer too."""
        if self._change is not None:
            await asyncio.gather(self._change, return_exceptions=True)
        await self._stop()

    async def _start(self) -> None:
        if missing() is not None:
            return

        def hear(line: str) -> None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._told(int(json.loads(line)["port"]))

        command = [sys.executable, "-m", "backend.emulator.realmodel"]
        env = {**python_env(), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with contextlib.suppress(OSError):
            self._child = await Child.start(command, env=env, on_line=hear)

    async def _stop(self) -> None:
        if self._child is not None:
            self._told(None)
            await self._child.stop(_END_S)
            self._child = None


class RealAnswer(Iterator[str]):
    """An answer that comes token by token; the next one is empty while it is not there yet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._texts = deque([MARK])
        self._reading = asyncio.create_task(self._read(reader))

    def __next__(self) -> str:
        """The next token, empty when it is not there yet."""
        if self._texts:
            return self._texts.popleft()
        if self._reading.done():
            raise StopIteration
        return ""

    def close(self) -> None:
        """Let the model stop; nobody reads on."""
        self._reading.cancel()
        self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        first = True
        with contextlib.suppress(OSError, ValueError):
            while text := json.loads(await reader.readline() or b"{}").get("text"):
                self._texts.append(f" {text}" if first else text)
                first = False


async def ask(port: int, messages: Sequence[Mapping[str, str]], limit: int) -> RealAnswer | None:
    """Ask the real model; None when it answers somebody else or not at all."""
    try:
        async with asyncio.timeout(_ACCEPT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(json.dumps({"messages": [*messages], "limit": limit}).encode() + b"\n")
            accepted = "accepted" in json.loads(await reader.readline() or b"{}")
    except (OSError, TimeoutError, ValueError):
        return None
    if accepted:
        return RealAnswer(reader, writer)
    writer.close()
    return None
