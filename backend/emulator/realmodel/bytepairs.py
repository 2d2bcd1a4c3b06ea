"""SmolLM2's tokens: byte-level byte-pair encoding with the vocabulary that comes with the weights.

Invariant: the text of a text's tokens is the text. Words are split as GPT-2 splits them, with every digit by itself
(llama.cpp's pre-tokenizer `smollm`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def _letters() -> dict[int, str]:
    """GPT-2's letter for every byte: printable ones stand for themselves, the others for letters from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in set(plain))
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}


class BytePairs:
    """One vocabulary and its merges; special tokens are met only where the caller puts them."""

    def __init__(self, tokens: Sequence[str], merges: Iterable[str]) -> None:
        self._tokens = tokens
        self._ids = {token: number for number, token in enumerate(tokens)}
        self._ranks = {tuple(merge.split(" ", 1)): rank for rank, merge in enumerate(merges)}
        self._letters = _letters()
        self._bytes = {letter: byte for byte, letter in self._letters.items()}

    def id(self, token: str) -> int:
        """The number of one token, such as `<|im_start|>`; raises KeyError."""
        return self._ids[token]

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's tokens."""
        return [self._ids[piece] for word in _WORDS.findall(text) for piece in self._merged(word)]

    def decode(self, numbers: Iterable[int]) -> Iterator[str]:
        """The text of each token in turn, empty while a character is not whole."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for number in numbers:
            yield decoder.decode(bytes(self._bytes[letter] for letter in self._tokens[number]))

    def _merged(self, word: str) -> list[str]:
        pieces = [self._letters[byte] for byte in word.encode()]
        while len(pieces) > 1:
            pairs = pairwise(pieces)
            rank, at = min((self._ranks.get(pair, len(self._ranks)), place) for place, pair in enumerate(pairs))
            if rank == len(self._ranks):
                break
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return pieces
