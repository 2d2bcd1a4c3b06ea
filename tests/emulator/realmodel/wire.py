"""The real model's process as its clients see it: a server on loopback that says what a test wants it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(speak: Speak) -> AsyncIterator[int]:
    """Serve every connection by `speak`; gives the port."""
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    yield port
    server.close()


def saying(*lines: object, asked: list[object] | None = None) -> Speak:
    """Answer a question with these lines; what was asked is noted."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = json.loads(await reader.readline())
        if asked is not None:
            asked.append(question)
        for line in lines:
            writer.write(json.dumps(line).encode() + b"\n")
        writer.close()

    return speak
