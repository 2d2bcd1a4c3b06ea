"""What one emulated vLLM server is: its version and the command-line settings that change its behaviour.

Invariant: a `ServerConfig` is built from nothing but the Pod's image, command, args and environment, the things that
the real server would read. Secrets are not among them.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

DEFAULT_MODEL = "facebook/opt-125m"
"""Model that vLLM serves when none is named."""

DEFAULT_MAX_MODEL_LEN = 131_072
"""Context length in tokens of Llama 3.1, used when --max-model-len is absent."""

DEFAULT_GPU_BLOCKS = 27_086
"""KV-cache blocks of 16 tokens that remain on one 80 GB H100 beside an 8B model at 0.9 memory use (estimate)."""

LATEST = (0, 18, 1)
"""Version assumed for tags that name no release, such as `latest` or `nightly`."""


class ServerArgumentError(ValueError):
    """The command line is one that vLLM refuses; the real process prints this and exits with code 2."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter: the name clients ask for, where it comes from, and the model it sits on."""

    name: str
    source: str
    base_model: str


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of one model server; lengths in tokens."""

    version: tuple[int, int, int]
    model: str
    served_names: tuple[str, ...]
    port: int = 8000
    max_model_len: int = DEFAULT_MAX_MODEL_LEN
    max_num_seqs: int = 256
    block_size: int = 16
    gpu_blocks: int = DEFAULT_GPU_BLOCKS
    lora: bool = False
    max_loras: int = 1
    runtime_lora: bool = False
    adapters: tuple[Adapter, ...] = ()
    log_requests: bool = True
    log_access: bool = True
    max_log_len: int | None = None
    prefix_caching: bool = True

    @property
    def version_text(self) -> str:
        """The version as `GET /version` prints it."""
        return ".".join(map(str, self.version))


def image_version(image: str) -> tuple[int, int, int]:
    """Return the release that an image tag names, for example (0, 8, 5) for `vllm/vllm-openai:v0.8.5`."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", tag)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else LATEST


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ServerArgumentError(message)


def _parser() -> _Parser:
    parser = _Parser(prog="api_server.py", add_help=False)
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-model-len", type=_tokens)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-num-batched-tokens", type=int)
    parser.add_argument("--block-size", type=int, default=16)
    parser.add_argument("--num-gpu-blocks-override", type=int)
    parser.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--max-lora-rank", type=int)
    parser.add_argument("--max-cpu-loras", type=int)
    parser.add_argument("--lora-modules", nargs="+", default=[])
    parser.add_argument("--disable-log-requests", action="store_true")
    parser.add_argument("--enable-log-requests", action="store_true")
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    parser.add_argument("--max-log-len", type=int)
    return parser


def _tokens(text: str) -> int:
    factors = {"k": 1_000, "m": 1_000_000, "K": 1_024, "M": 1_048_576}
    factor = factors.get(text[-1:])
    return int(float(text[:-1]) * factor) if factor else int(text)


def _server_words(words: Sequence[str]) -> list[str]:
    """Drop the launcher (`python3 -m vllm.entrypoints.openai.api_server`, `vllm serve`), keep the server's words."""
    for index, word in enumerate(words):
        if word in {"vllm.entrypoints.openai.api_server", "serve"}:
            return list(words[index + 1 :])
    return list(words)


def _dashes(word: str) -> str:
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value if word.startswith("--") else word


def parse_server(image: str, words: Sequence[str], env: Mapping[str, str]) -> ServerConfig:
    """Return the settings of the server that `image` starts with the words of command and args.

    Flags may be shortened and written with underscores, as vLLM's parser allows (`--max-num-seq`, `--max_num_seqs`).
    Flags that do not matter here are ignored. Raises ServerArgumentError where vLLM would exit with code 2.
    """
    known, _ = _parser().parse_known_args([_dashes(word) for word in _server_words(words)])
    version = image_version(image)
    model = known.model or known.model_tag or DEFAULT_MODEL
    names = tuple(known.served_model_name or (model,))
    if known.max_num_seqs < 1:
        raise ServerArgumentError("max_num_seqs must be at least 1")
    max_model_len = known.max_model_len or DEFAULT_MAX_MODEL_LEN
    gpu_blocks = known.num_gpu_blocks_override or DEFAULT_GPU_BLOCKS
    if max_model_len > gpu_blocks * known.block_size:
        raise ServerArgumentError(
            f"The model's max seq len ({max_model_len}) is larger than the maximum number of tokens that can be stored "
            f"in KV cache ({gpu_blocks * known.block_size}). Try increasing `gpu_memory_utilization` or decreasing "
            "`max_model_len` when initializing the engine."
        )
    static = []
    for module in known.lora_modules:
        name, equals, source = module.partition("=")
        if not equals:
            raise ServerArgumentError(f"argument --lora-modules: invalid value: '{module}'")
        static.append(Adapter(name=name, source=source, base_model=names[0]))
    quiet_by_default = version >= (0, 10, 1)
    return ServerConfig(
        version=version,
        model=model,
        served_names=names,
        port=known.port,
        max_model_len=max_model_len,
        max_num_seqs=known.max_num_seqs,
        block_size=known.block_size,
        gpu_blocks=gpu_blocks,
        lora=known.enable_lora,
        max_loras=known.max_loras,
        runtime_lora=known.enable_lora and env.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "").lower() in {"1", "true"},
        adapters=tuple(static),
        log_requests=known.enable_log_requests if quiet_by_default else not known.disable_log_requests,
        log_access=not known.disable_uvicorn_access_log,
        max_log_len=known.max_log_len,
        prefix_caching=version >= (0, 8, 0) if known.enable_prefix_caching is None else known.enable_prefix_caching,
    )
