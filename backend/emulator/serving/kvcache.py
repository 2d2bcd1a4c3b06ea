"""The KV-cache blocks of one emulated model server, and the prompts whose blocks are still there: prefix caching.

As in vLLM: a full block of a prompt is named by its tokens and all tokens before it, requests share blocks of one name,
and a block that nobody holds any more keeps its content until its space is wanted, the longest unused first and of one
prompt the last first. Generated tokens are not kept. Invariants: the blocks in use are those that somebody holds, each
counted once; used and remembered ones together never exceed the capacity.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile


def names(pieces: Sequence[str | int], block_size: int, owner: int = 0) -> tuple[int, ...]:
    """The names of a prompt's full blocks; `owner` tells adapters apart, whose blocks differ."""
    found: list[int] = []
    last = owner
    for at in range(0, len(pieces) - block_size + 1, block_size):
        last = hash((last, *pieces[at : at + block_size]))
        found.append(last)
    return tuple(found)


class KvCache:
    """So many blocks, held or free."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._holders: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def usage(self) -> float:
        """Fraction 0..1 of the blocks that are held."""
        return self._used / self._capacity

    @property
    def full(self) -> bool:
        """Whether every block is held."""
        return self._used >= self._capacity

    def known(self, prefix: Sequence[int]) -> int:
        """How many of a prompt's blocks, from the first on, are there."""
        there = takewhile(lambda name: name in self._holders or name in self._idle, prefix)
        return sum(1 for _ in there)

    def fits(self, prefix: Sequence[int], blocks: int) -> bool:
        """Whether a request that needs so many blocks, those of its prompt among them, finds them."""
        return self._used + blocks - sum(name in self._holders for name in prefix) <= self._capacity

    def hold(self, prefix: Sequence[int], blocks: int) -> None:
        """Give a request its blocks, which must fit."""
        for name in prefix:
            count = self._holders.get(name, 0)
            self._holders[name] = count + 1
            self._used += not count
            self._idle.pop(name, None)
        self.grow(blocks - len(prefix))

    def grow(self, blocks: int) -> None:
        """Give a request more blocks, of nobody else's."""
        self._used += blocks
        while len(self._idle) > self._capacity - self._used:
            self._idle.popitem(last=False)

    def release(self, prefix: Sequence[int], blocks: int) -> None:
        """Take back the blocks of a request; its prompt is remembered."""
        self._used -= blocks - len(prefix)
        for name in reversed(prefix):
            self._holders[name] -= 1
            if not self._holders[name]:
                del self._holders[name]
                self._used -= 1
                self._idle[name] = None
