"""A small Llama on the CPU, in numpy: SmolLM2-135M from its GGUF file.

The figures of the network come from the file. Invariant: everything is float32; one float64 makes it ten times slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from gguf import GGUFReader, dequantize

from backend.emulator.realmodel.bytepairs import BytePairs

MOST_PROMPT = 1500
"""Tokens of a prompt that are read; memory for reading grows with their square."""
AGAIN, LOOKS_BACK = 1.15, 64
"""How much less likely a token becomes that is among the last so many of the answer: small models run in circles."""

Array: TypeAlias = Any
"""An array of float32; numpy, an extra's, need not be installed where types are checked."""


@dataclass(frozen=True, slots=True)
class _Shape:
    layers: int
    heads: int
    kv_heads: int
    context: int
    epsilon: float
    rope_base: float


class Llama:
    """One model in memory; answers one prompt at a time."""

    def __init__(self, path: Path) -> None:
        """Load the weights, which takes seconds; raises OSError and ValueError."""
        reader = GGUFReader(path)

        def figure(name: str) -> Any:
            return reader.fields[name].contents()

        self._shape = _Shape(
            layers=figure("llama.block_count"),
            heads=figure("llama.attention.head_count"),
            kv_heads=figure("llama.attention.head_count_kv"),
            context=figure("llama.context_length"),
            epsilon=figure("llama.attention.layer_norm_rms_epsilon"),
            rope_base=figure("llama.rope.freq_base"),
        )
        self._weights: dict[str, Array] = {
            each.name: dequantize(each.data, each.tensor_type).astype(np.float32, copy=False) for each in reader.tensors
        }
        self.words = BytePairs(figure("tokenizer.ggml.tokens"), figure("tokenizer.ggml.merges"))

    def answer(self, prompt: Sequence[int], limit: int, end: int) -> Iterator[int]:
        """The likeliest tokens after the prompt, one by one, until `end` or `limit`; of a long prompt the last part."""
        taken = [*prompt][-MOST_PROMPT:]
        limit = min(limit, self._shape.context - len(taken))
        memory = _Memory(self._shape, len(taken) + limit, self._weights["token_embd.weight"].shape[1])
        said: list[int] = []
        while len(said) < limit:
            likely = self._step(taken, memory)
            again = likely[said[-LOOKS_BACK:]]
            likely[said[-LOOKS_BACK:]] = np.where(again > 0, again / AGAIN, again * AGAIN)
            taken = [int(np.argmax(likely))]
            if taken[0] == end:
                return
            said += taken
            yield taken[0]

    def _step(self, tokens: Sequence[int], memory: _Memory) -> Array:
        """Take in tokens; return how likely each next one is."""
        weights, shape = self._weights, self._shape
        flow = weights["token_embd.weight"][list(tokens)]
        turns = memory.turns(len(tokens))
        for layer in range(shape.layers):
            block = f"blk.{layer}"
            inner = self._normed(flow, f"{block}.attn_norm")
            wanted, keys, values = (inner @ weights[f"{block}.attn_{name}.weight"].T for name in "qkv")
            seen = memory.attend(layer, wanted, keys, values, turns)
            flow = flow + seen @ weights[f"{block}.attn_output.weight"].T
            inner = self._normed(flow, f"{block}.ffn_norm")
            gate = inner @ weights[f"{block}.ffn_gate.weight"].T
            gate /= 1 + np.exp(-gate)
            gate *= inner @ weights[f"{block}.ffn_up.weight"].T
            flow = flow + gate @ weights[f"{block}.ffn_down.weight"].T
        memory.length += len(tokens)
        likely: Array = weights["token_embd.weight"] @ self._normed(flow[-1], "output_norm")
        return likely

    def _normed(self, flow: Array, name: str) -> Array:
        size = np.sqrt(np.mean(flow * flow, axis=-1, keepdims=True) + np.float32(self._shape.epsilon))
        normed: Array = flow / size * self._weights[f"{name}.weight"]
        return normed


class _Memory:
    """Keys and values of everything that one answer has taken in."""

    def __init__(self, shape: _Shape, capacity: int, width: int) -> None:
        self._shape = shape
        self._head = width // shape.heads
        size = (shape.layers, shape.kv_heads, capacity, self._head)
        self._keys, self._values = np.empty(size, np.float32), np.empty(size, np.float32)
        self.length = 0

    def turns(self, count: int) -> tuple[Array, Array]:
        """Cosines and sines by which the next tokens' keys are turned."""
        powers = np.arange(0, self._head, 2, dtype=np.float32) / self._head
        places = np.arange(self.length, self.length + count, dtype=np.float32)
        angles = np.outer(places, np.float32(self._shape.rope_base) ** -powers).astype(np.float32)
        return np.cos(angles), np.sin(angles)

    def attend(self, layer: int, wanted: Array, keys: Array, values: Array, turns: tuple[Array, Array]) -> Array:
        """Take in keys and values; return what the tokens see of all up to themselves."""
        count, end = len(wanted), self.length + len(wanted)
        self._keys[layer, :, self.length : end] = _turned(self._split(keys), turns)
        self._values[layer, :, self.length : end] = self._split(values)
        shared = self._shape.heads // self._shape.kv_heads
        asked = _turned(self._split(wanted), turns).reshape(self._shape.kv_heads, shared * count, self._head)
        scores = asked @ self._keys[layer, :, :end].transpose(0, 2, 1) / np.float32(self._head**0.5)
        if count > 1:
            scores = scores.reshape(self._shape.heads, count, end)
            later = np.arange(end) > self.length + np.arange(count)[:, None]
            scores[:, later] = -np.inf
            scores = scores.reshape(self._shape.kv_heads, shared * count, end)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ self._values[layer, :, :end]).reshape(self._shape.heads, count, self._head)
        joined: Array = seen.transpose(1, 0, 2).reshape(count, -1)
        return joined

    def _split(self, flow: Array) -> Array:
        return flow.reshape(len(flow), -1, self._head).transpose(1, 0, 2)


def _turned(heads: Array, turns: tuple[Array, Array]) -> Array:
    """Rotary positions on neighbouring pairs, the order in which GGUF keeps a Llama's rows."""
    cosines, sines = turns
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = np.empty_like(heads)
    turned[..., 0::2] = even * cosines - odd * sines
    turned[..., 1::2] = even * sines + odd * cosines
    return turned
