"""One prompt being answered, and how fast the emulated GPU is.

Figures: first token after 100 +- 20 ms, next ones every 12 +- 2 ms, up to twice as slow from 16 concurrent requests on
(llm-d-inference-sim's latency profile of an 8B model on an H100). Invariant: text that may become part of a stop string
is held back until it is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Latency:
    """How fast the emulated GPU is; seconds, as mean and standard deviation of a normal distribution."""

    first_token: tuple[float, float] = (0.100, 0.020)
    next_token: tuple[float, float] = (0.012, 0.002)
    load_factor: float = 2.0
    load_limit: int = 16

    def slowdown(self, running: int) -> float:
        """Factor by which `running` concurrent requests slow each other down, 1 for a single one."""
        share = min(running - 1, self.load_limit - 1) / (self.load_limit - 1)
        return 1 + (self.load_factor - 1) * max(0.0, share)


@dataclass(slots=True, eq=False)
class Generation:
    """One prompt being answered: the request's terms, and what has been produced so far."""

    tokens: Iterator[str]
    """What is generated, token by token; an empty one is not there yet."""
    prompt_tokens: int
    max_tokens: int
    on_output: Callable[[], None]
    adapter: str | None = None
    stop: tuple[str, ...] = ()
    include_stop: bool = False
    min_tokens: int = 0
    generated: int = 0
    finish_reason: str | None = None
    stop_reason: str | None = None
    arrived_at: float = 0.0
    admitted_at: float = 0.0
    first_due: float = 0.0
    first_token_at: float = 0.0
    last_token_at: float = 0.0
    prefix: tuple[int, ...] = ()
    """Names of the full blocks of its prompt, see `kvcache`."""
    blocks: int = 0
    """KV-cache blocks that it holds, shared ones among them."""
    reused: int = 0
    """Tokens of its prompt that were in the cache when it was admitted."""
    _ready: list[str] = field(default_factory=list)
    _held: str = ""

    def take(self) -> str:
        """Return the text that became ready since the last call."""
        text = "".join(self._ready)
        self._ready.clear()
        return text

    def append(self, token: str) -> None:
        """Take in the next token; finishes with reason `stop` when it completes a stop string."""
        self.generated += 1
        if not self.stop:
            self._ready.append(token)
            return
        self._held += token
        if self.generated > self.min_tokens:
            found = [(self._held.find(word), word) for word in self.stop if word in self._held]
            if found:
                at, word = min(found)
                self._held = self._held[: at + len(word) if self.include_stop else at]
                self.stop_reason = word
                self.finish("stop")
                return
        keep = max(map(len, self.stop)) - 1
        cut = max(0, len(self._held) - keep)
        self._ready.append(self._held[:cut])
        self._held = self._held[cut:]

    def finish(self, reason: str) -> None:
        """Release the text that was held back for a stop string and note why generation ended."""
        self._ready.append(self._held)
        self._held = ""
        self.finish_reason = reason
