"""The scheduler of one emulated model server: batches, KV-cache blocks, a waiting queue, and tokens at a GPU's pace.

Why: what the gateway and the monitor react to (queue length, KV-cache use, latency) must come from the same causes as
on a GPU. Time is the event loop's and always real.

Invariant: the blocks in use are exactly those that the running requests' prompt and generated tokens fill; a request
that finishes, is preempted or whose client hung up holds none.
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence

from backend.emulator.serving.generation import Generation, Latency
from backend.emulator.serving.kvcache import KvCache, names
from backend.emulator.serving.vllm_args import ServerConfig
from backend.emulator.serving.vllm_metrics import Metrics


class Engine:
    """Runs generations in continuous batches; at most `max_num_seqs` at a time and while KV-cache blocks last."""

    def __init__(self, config: ServerConfig, metrics: Metrics, *, latency: Latency, seed: int) -> None:
        self._config = config
        self._metrics = metrics
        self._latency = latency
        self._rng = random.Random(seed)
        self._running: dict[Generation, None] = {}
        self._waiting: deque[Generation] = deque()
        self._cache = KvCache(config.gpu_blocks)
        self._slowness = 1.0
        self._halted = False
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._last_step = 0.0
        metrics.watch(lambda: len(self._running), lambda: len(self._waiting), self.cache_usage)

    @property
    def running(self) -> int:
        """Number of requests in the batch."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Number of requests in the queue."""
        return len(self._waiting)

    def cache_usage(self) -> float:
        """Fraction 0..1 of the KV-cache blocks in use."""
        return self._cache.usage

    def prefix(self, pieces: Sequence[str | int], adapter: int = 0) -> tuple[int, ...]:
        """The names of a prompt's full blocks, none where the server remembers no prompts."""
        return names(pieces, self._config.block_size, adapter) if self._config.prefix_caching else ()

    def add(self, generation: Generation) -> None:
        """Queue a generation; its `on_output` is called whenever text is ready or it has finished."""
        generation.arrived_at = asyncio.get_running_loop().time()
        self._waiting.append(generation)
        self._admit(generation.arrived_at)
        self._arm()
        self._note_adapters()

    def abort(self, generation: Generation) -> None:
        """Stop a generation whose client is gone and free its blocks; a finished one is left alone."""
        if generation.finish_reason is not None:
            return
        generation.finish("abort")
        if generation in self._running:
            self._leave(generation)
        elif generation in self._waiting:
            self._waiting.remove(generation)
        self._metrics.finished("abort")
        self._admit(asyncio.get_running_loop().time())
        self._arm()
        self._note_adapters()

    def pace(self, slowness: float) -> None:
        """Take so many times longer from now on; infinite halts what is under way until the next call."""
        self._halted = math.isinf(slowness)
        if not self._halted:
            self._slowness = slowness
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._arm()

    def close(self) -> None:
        """Abort everything that is left."""
        for generation in [*self._waiting, *self._running]:
            self.abort(generation)
            generation.on_output()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _normal(self, mean: float, deviation: float) -> float:
        return max(0.3 * mean, min(1.7 * mean, self._rng.gauss(mean, deviation))) * self._slowness

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._config.block_size)

    def _admit(self, now: float) -> None:
        active = {generation.adapter for generation in self._running if generation.adapter}
        skipped: list[Generation] = []
        while self._waiting and len(self._running) < self._config.max_num_seqs:
            generation = self._waiting[0]
            needed = self._blocks_for(generation.prompt_tokens + generation.generated)
            if not self._cache.fits(generation.prefix, needed):
                break
            self._waiting.popleft()
            if generation.adapter and generation.adapter not in active and len(active) >= self._config.max_loras:
                skipped.append(generation)
                continue
            if generation.adapter:
                active.add(generation.adapter)
            self._running[generation] = None
            generation.reused = self._reused(generation)
            generation.blocks = needed
            self._cache.hold(generation.prefix, needed)
            if not generation.admitted_at:
                generation.admitted_at = now
                self._metrics.queue_time.observe(now - generation.arrived_at)
                self._metrics.prompt_tokens.inc(generation.prompt_tokens)
                self._metrics.prefix_queries.inc(generation.prompt_tokens)
                self._metrics.prefix_hits.inc(generation.reused)
            generation.first_due = now + self._prefill(generation)
        self._waiting.extendleft(reversed(skipped))

    def _leave(self, generation: Generation) -> None:
        del self._running[generation]
        self._cache.release(generation.prefix, generation.blocks)
        generation.blocks = 0

    def _reused(self, generation: Generation) -> int:
        """Tokens of the prompt that are in the cache; the last one is never among them, as its successor is wanted."""
        most = (generation.prompt_tokens - 1) // self._config.block_size
        return min(self._cache.known(generation.prefix), most) * self._config.block_size

    def _prefill(self, generation: Generation) -> float:
        """Seconds until the first token: those of a whole prompt less what is in the cache, at least one step."""
        span = self._normal(*self._latency.first_token)
        if generation.reused:
            share = generation.reused / generation.prompt_tokens
            span += share * (self._normal(*self._latency.next_token) - span)
        return span * self._latency.slowdown(len(self._running))

    def _arm(self) -> None:
        """Set the timer to the next moment at which a token is due."""
        if not self._running or self._halted:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        loop = asyncio.get_running_loop()
        due = min(generation.first_due for generation in self._running)
        if any(generation.generated and generation.first_due <= self._last_step for generation in self._running):
            if self._timer is not None:
                return
            step = self._normal(*self._latency.next_token) * self._latency.slowdown(len(self._running))
            due = self._last_step + step
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_at(max(due, loop.time()), self._step)

    def _step(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        self._last_step = now
        produced = left = 0
        for generation in [*self._running]:
            if generation.first_due > now or generation not in self._running:
                continue
            before = generation.generated
            if self._advance(generation, now):
                left += 1
            produced += generation.generated - before
            generation.on_output()
        self._metrics.generation_tokens.inc(produced)
        if left:
            self._note_adapters()
        self._admit(now)
        self._arm()

    def _advance(self, generation: Generation, now: float) -> bool:
        """Give one generation its next token; return whether it left the batch."""
        token = next(generation.tokens, None)
        if token is None:
            generation.finish("stop")
        elif not token:
            generation.first_due = now + self._normal(*self._latency.next_token)
            return False
        else:
            if not self._reserve(generation):
                generation.tokens = _chain(token, generation.tokens)
                return True
            if not generation.generated:
                generation.first_token_at = now
                self._metrics.time_to_first_token.observe(now - generation.arrived_at)
                self._metrics.prefill_time.observe(now - generation.admitted_at)
            else:
                self._metrics.time_per_token.observe(now - generation.last_token_at)
            generation.last_token_at = now
            generation.append(token)
            if generation.finish_reason is None and generation.generated >= generation.max_tokens:
                generation.finish("length")
        if generation.finish_reason is None:
            return False
        self._leave(generation)
        self._count(generation, now)
        return True

    def _reserve(self, generation: Generation) -> bool:
        """Make room for one more token, preempting the youngest request when no block is free.

        Returns False when the generation itself was the youngest and went back to the queue.
        """
        while (
            self._blocks_for(generation.prompt_tokens + generation.generated + 1) > generation.blocks
            and self._cache.full
        ):
            youngest = next(reversed(self._running))
            self._leave(youngest)
            self._waiting.appendleft(youngest)
            self._metrics.preemptions.inc()
            if youngest is generation:
                return False
        needed = self._blocks_for(generation.prompt_tokens + generation.generated + 1) - generation.blocks
        if needed > 0:
            generation.blocks += needed
            self._cache.grow(needed)
        return True

    def _count(self, generation: Generation, now: float) -> None:
        metrics = self._metrics
        metrics.finished(generation.finish_reason or "stop")
        metrics.request_prompt_tokens.observe(generation.prompt_tokens)
        metrics.request_generation_tokens.observe(generation.generated)
        metrics.e2e_latency.observe(now - generation.arrived_at)
        metrics.inference_time.observe(now - generation.admitted_at)
        metrics.decode_time.observe(now - (generation.first_token_at or now))

    def _note_adapters(self) -> None:
        self._metrics.adapters(
            sorted({generation.adapter for generation in self._running if generation.adapter}),
            sorted({generation.adapter for generation in self._waiting if generation.adapter}),
        )


def _chain(token: str, rest: Iterator[str]) -> Iterator[str]:
    yield token
    yield from rest
