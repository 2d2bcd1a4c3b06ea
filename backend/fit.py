"""Whether a model fits the memory of the GPU that serves it.

A rule of thumb to refuse what cannot start before GPUs are paid for: vLLM takes nine tenths of a GPU's memory, keeps
the weights and some room to work there, and does not start when the rest cannot hold the KV cache of one longest
request.
Invariants: pure; where the catalogue knows neither the model nor the GPU nothing is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from backend import catalog
from backend.catalog import KnownModel

USED = 0.9
"""Part of the GPU's memory that vLLM takes by default (``--gpu-memory-utilization``)."""
ROOM_GIB = 3.0
"""Memory for activations and adapters beside weights and KV cache; an 8B model was seen to need 3.3 at a context of
29,000 tokens (vllm-project/vllm#10517)."""
GIB = 2**30
_SIZE = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z])")
_BYTES = (
    (re.compile(r"awq|gptq|int4|4bit|w4a16|nvfp4|mxfp4"), 0.5),
    (re.compile(r"fp8|int8|8bit|w8a8|w8a16"), 1.0),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a model needs of one GPU."""

    weights_gib: float
    known: KnownModel | None
    """What the catalogue says of it; ``None`` when only the size in its name is known."""


def need(model_id: str) -> Need | None:
    """Estimate from a repository's name, such as ``meta-llama/Llama-3.1-8B-Instruct``; ``None`` without a size."""
    name = model_id.rpartition("/")[2].lower()
    known = catalog.model(model_id)
    if known is not None:
        billions = known.billions
    elif sizes := _SIZE.findall(name):
        billions = max(float(size) * int(times or 1) for times, size in sizes)
    else:
        return None
    width = next((count for pattern, count in _BYTES if pattern.search(name)), 2.0)
    return Need(billions * 1e9 * width / GIB, known)


def room(needed: Need, accelerator: str) -> float | None:
    """GiB left for the KV cache on one GPU, negative when not even the weights fit; ``None`` for an unknown GPU."""
    memory = catalog.gpu_memory(accelerator)
    return None if memory is None else memory * USED - ROOM_GIB - needed.weights_gib


def longest_context(needed: Need, accelerator: str) -> int | None:
    """Tokens of the longest request that one GPU can hold; ``None`` when it cannot be said."""
    left = room(needed, accelerator)
    return None if left is None or needed.known is None else max(0, int(left * GIB / needed.known.kv_bytes))
