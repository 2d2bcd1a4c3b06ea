"""Which Pod was last given prompts that begin alike: the endpoint picker's guess of who holds their KV blocks.

Invariant: at most `CAPACITY` prefixes are remembered, the longest unused ones are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict

BLOCK = 64
"""Bytes of a prompt that make one block (the endpoint picker's default)."""
CAPACITY = 31_250
"""Blocks remembered (the endpoint picker's default for one server)."""


def blocks(body: bytes) -> list[int]:
    """Chained hashes of a request's prompt, block by block; a part of the body is enough."""
    start = max(body.find(b'"prompt"'), body.find(b'"messages"'))
    if start < 0:
        return []
    prompt = body[start:]
    found: list[int] = []
    last = 0
    for at in range(0, len(prompt) - BLOCK + 1, BLOCK):
        last = hash((last, prompt[at : at + BLOCK]))
        found.append(last)
    return found


class Prefixes:
    """Who was given which prefix last."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._holders: OrderedDict[tuple[int, str], None] = OrderedDict()

    def share(self, wanted: list[int], address: str) -> float:
        """Share 0..1 of the blocks, from the first on, that the Pod was given before."""
        known = 0
        for block in wanted:
            if (block, address) not in self._holders:
                break
            known += 1
        return known / len(wanted) if wanted else 0.0

    def remember(self, given: list[int], address: str) -> None:
        """Note that the Pod gets these blocks now."""
        for block in given:
            self._holders[block, address] = None
            self._holders.move_to_end((block, address))
        while len(self._holders) > self._capacity:
            self._holders.popitem(last=False)
