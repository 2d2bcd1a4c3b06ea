"""Carries the text of one request's generations to its client, whole or as server-sent events.

Invariant: what was aborted is never presented as finished: no body, and no end mark on a stream.
"""

import asyncio
from dataclasses import dataclass, field

from backend.emulator.serving import openai_answers as answers
from backend.emulator.serving import openai_protocol as protocol
from backend.emulator.serving.exchange import Exchange
from backend.emulator.serving.generation import Generation


@dataclass(slots=True)
class Delivery:
    """Carries the text of a request's generations to its client."""

    exchange: Exchange
    form: answers.AnswerForm
    prompt_tokens: int
    generations: list[Generation] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    output: asyncio.Event = field(default_factory=asyncio.Event)

    def _made(self) -> int:
        return sum(generation.generated for generation in self.generations)

    async def whole(self) -> None:
        """Wait for all generations and send one body; nothing when they were aborted."""
        while any(generation.finish_reason is None for generation in self.generations):
            self.output.clear()
            await self.output.wait()
        if any(generation.finish_reason == "abort" for generation in self.generations):
            return
        choices = [
            (head + generation.take(), generation.finish_reason, generation.stop_reason)
            for head, generation in zip(self.heads, self.generations, strict=True)
        ]
        counts = answers.usage(self.prompt_tokens, self._made())
        await self.exchange.answer(200, self.form.whole(choices, counts))

    async def stream(self, options: protocol.StreamOptions) -> None:
        """Send text as it is generated, as server-sent events; ends without [DONE] when aborted."""
        await self.exchange.start(200, b"text/event-stream; charset=utf-8")
        events = list(map(self.form.opening, range(len(self.generations)))) if self.form.chat else []
        running_usage = options.include_usage and options.continuous_usage_stats
        unfinished = dict(enumerate(self.generations))
        while unfinished:
            await self.output.wait()
            self.output.clear()
            for index, generation in [*unfinished.items()]:
                reason = generation.finish_reason
                if reason == "abort":
                    return
                text = self.heads[index] + generation.take()
                self.heads[index] = ""
                if reason is not None:
                    del unfinished[index]
                elif not text:
                    continue
                if reason is None and not running_usage:
                    events.append(self.form.token(index, text))
                    continue
                counts = answers.usage(self.prompt_tokens, self._made(), details=False) if running_usage else None
                events.append(self.form.piece(index, text, reason, stop=generation.stop_reason, counts=counts))
            await self.exchange.write(b"".join(events))
            events.clear()
        tail = answers.DONE
        if options.include_usage:
            tail = self.form.closing(answers.usage(self.prompt_tokens, self._made(), details=False)) + tail
        await self.exchange.write(tail, last=True)
