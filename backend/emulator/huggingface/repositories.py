"""What the emulated hub says of a repository.

The real hub holds more than a million repositories, so every well-formed name is taken for one unless a setting says
that it is absent. Known families carry their real gate and size; everything else is open and of unknown size.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from backend.emulator import faults, settings
from backend.emulator.world import World

Json = dict[str, Any]
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
"""What a repository may be called."""
_GATED = re.compile(r"(meta-llama|google/(gemma|medgemma|paligemma|embeddinggemma)|black-forest-labs/FLUX)", re.ASCII)
_ADAPTER = re.compile(r"lora|adapter|finetune|_r\d+$", re.IGNORECASE)
_RANK = re.compile(r"_r(\d+)$")
_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
_LLAMA_8B = _LLAMA | {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32}
_LLAMA_70B = _LLAMA | {"hidden_size": 8192, "num_attention_heads": 64, "num_hidden_layers": 80}
_KNOWN: dict[str, tuple[int, Json]] = {
    "meta-llama/Llama-3.1-8B": (8_030_261_248, _LLAMA_8B),
    "meta-llama/Llama-3.1-8B-Instruct": (8_030_261_248, _LLAMA_8B),
    "meta-llama/Llama-3.1-70B-Instruct": (70_553_706_496, _LLAMA_70B),
    "meta-llama/Llama-3.3-70B-Instruct": (70_553_706_496, _LLAMA_70B),
}
"""Parameters and ``config.json`` of models whose figures are published."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A model's or an adapter's repository."""

    name: str
    gate: str
    """One of ``settings.GATES``."""
    revision: str
    """Its newest commit."""
    files: dict[str, bytes | None]
    """What it holds; ``None`` for weights, which the emulated hub has not."""

    @property
    def gated(self) -> str | bool:
        """How the hub's API tells of the gate: access by hand, or none."""
        return False if self.gate == "open" else "manual"

    def view(self) -> Json:
        """The repository as the hub's API shows it; also to those who may not read its files."""
        view: Json = {
            "_id": self.revision[:24],
            "id": self.name,
            "modelId": self.name,
            "author": self.name.partition("/")[0],
            "sha": self.revision,
            "lastModified": "2024-09-25T17:00:57.000Z",
            "createdAt": "2024-07-18T08:56:00.000Z",
            "private": False,
            "gated": self.gated,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": file} for file in self.files],
        }
        if self.name in _KNOWN:
            count = _KNOWN[self.name][0]
            view["safetensors"] = {"parameters": {"BF16": count}, "total": count}
        return view


def repository(world: World, name: str) -> Repository | None:
    """The repository of a name; ``None`` where there is none."""
    if not NAME.fullmatch(name) or settings.value(world, f"model.{name}") == "absent":
        return None
    usual = "granted" if _GATED.match(name) else "open"
    gate = settings.value(world, f"model.{name}.gated") or usual
    if gate != "open" and next(faults.playing(world, "hf-gated"), None) is not None:
        gate = "refused"
    return Repository(name, gate, hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), _files(name))


def _files(name: str) -> dict[str, bytes | None]:
    files: dict[str, bytes | None] = {".gitattributes": b"", "README.md": f"# {name}\n".encode()}
    if _ADAPTER.search(name):
        rank = _RANK.search(name)
        config: Json = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": int(rank[1]) if rank else 16}
        return files | {"adapter_config.json": _json(config), "adapter_model.safetensors": None}
    known = _KNOWN.get(name)
    config = known[1] if known else {}
    return files | {"config.json": _json(config), "tokenizer.json": b"{}", "model.safetensors": None}


def _json(value: Json) -> bytes:
    return json.dumps(value, indent=2).encode()
