"""The process of the real model: `python -m backend.emulator.realmodel`.

One for all model servers of the emulator, because the weights take 0.8 GB. It prints {"port"} and answers there, a line
of JSON each: {"messages": [{"role", "content"}], "limit"} is answered by {"accepted"} and then {"text"} for every
token and {"end"}, or by {"busy"} while it answers somebody else. Invariants: the weights are loaded with the first
question; a client that hangs up ends its answer; the process ends when stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backend.emulator.realmodel.weights import weights

if TYPE_CHECKING:
    from backend.emulator.realmodel.llama import Llama

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the model's own chat template says where nobody else says anything."""
MOST_LETTERS = 6000
"""Of a longer message only the end is read."""
PATIENCE_S = 0.5
"""Seconds that the next client waits for its turn."""
_LINE_LIMIT = 2**22

Message = Mapping[str, str]


class RealModel:
    """Answers one client after the other."""

    def __init__(self) -> None:
        self._llama: Llama | None = None
        self._turn = asyncio.Lock()
        self._next_waits = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question; the connection is for that only."""
        try:
            question = json.loads(await reader.readline())
            if not await self._taken():
                await _say(writer, {"busy": True})
                return
            try:
                await _say(writer, {"accepted": True})
                await self._answer(question["messages"], question["limit"], writer)
            finally:
                self._turn.release()
        except (OSError, ValueError, KeyError, TypeError):
            pass
        finally:
            writer.close()

    async def _taken(self) -> bool:
        """Take the turn; one client waits a moment for it, because the answer before may be ending."""
        if self._turn.locked() and self._next_waits:
            return False
        self._next_waits = True
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._turn.acquire()
        except TimeoutError:
            return False
        finally:
            self._next_waits = False

    async def _answer(self, messages: Sequence[Message], limit: int, writer: asyncio.StreamWriter) -> None:
        texts = await asyncio.to_thread(self._texts, messages, limit)
        while (text := await asyncio.to_thread(next, texts, None)) is not None:
            if text:
                await _say(writer, {"text": text})
        await _say(writer, {"end": True})

    def _texts(self, messages: Sequence[Message], limit: int) -> Iterator[str]:
        if self._llama is None:
            from backend.emulator.realmodel.llama import Llama

            path = weights()
            if path is None:
                raise OSError("the weights are gone")
            self._llama = Llama(path)
        words = self._llama.words
        end = words.id("<|im_end|>")
        return words.decode(self._llama.answer(prompt(self._llama, messages), limit, end))


def prompt(llama: Llama, messages: Sequence[Message]) -> list[int]:
    """The messages in the model's chat template, up to where its answer begins."""
    words = llama.words
    start, end = words.id("<|im_start|>"), words.id("<|im_end|>")
    found: list[int] = []
    if not messages or messages[0]["role"] != "system":
        messages = [{"role": "system", "content": SYSTEM}, *messages]
    for message in messages:
        text = message["content"][-MOST_LETTERS:]
        found += [start, *words.encode(f"{message['role']}\n{text}"), end, *words.encode("\n")]
    return [*found, start, *words.encode("assistant\n")]


async def _say(writer: asyncio.StreamWriter, what: Mapping[str, object]) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()
    if writer.transport.is_closing():
        raise ConnectionResetError


async def main() -> None:
    """Answer until stdin closes."""
    loop = asyncio.get_running_loop()
    owner = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(owner), sys.stdin)
    server = await asyncio.start_server(RealModel().serve, "127.0.0.1", 0, limit=_LINE_LIMIT)
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await owner.read()
    server.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
