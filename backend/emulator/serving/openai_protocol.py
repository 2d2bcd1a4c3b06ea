"""Requests of vLLM's OpenAI-compatible API: what is accepted, what is refused, and in which words.

Invariant: forms are vLLM v0.8.5's; where a later release answers differently the image's version decides.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.emulator.serving.vllm_args import ServerConfig

Json = dict[str, Any]


class ApiError(Exception):
    """A request that the server refuses, with the HTTP status and vLLM's error type."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class StreamOptions(BaseModel):
    """`stream_options` of a request."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class GenerationRequest(BaseModel):
    """Fields that completions and chat completions share; unknown ones are accepted, as vLLM does."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = 1
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = 0.0
    frequency_penalty: float | None = 0.0
    repetition_penalty: float | None = None
    stop: str | list[str] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    max_tokens: int | None = None

    def stop_words(self) -> tuple[str, ...]:
        """The stop strings as a tuple."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class CompletionRequest(GenerationRequest):
    """Body of POST /v1/completions."""

    prompt: str | list[int] | list[str] | list[list[int]]
    max_tokens: int | None = 16
    echo: bool = False


class ChatMessage(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[Json] | None = None

    def text(self) -> str:
        """The message's text parts joined."""
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
        return self.content or ""


class ChatRequest(GenerationRequest):
    """Body of POST /v1/chat/completions."""

    messages: list[ChatMessage]
    max_completion_tokens: int | None = None


class LoadAdapterRequest(BaseModel):
    """Body of POST /v1/load_lora_adapter and /v1/unload_lora_adapter."""

    lora_name: str | None = None
    lora_path: str | None = None


RequestT = TypeVar("RequestT", bound=BaseModel)


def parse_body(kind: type[RequestT], headers: Mapping[bytes, bytes], body: bytes) -> RequestT:
    """Return the validated body; raises ApiError 415 or 400 with the text that FastAPI's validation gives in vLLM."""
    media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise ApiError(415, "HTTPException", "Unsupported Media Type: Only 'application/json' is allowed")
    try:
        data = json.loads(body)
    except ValueError as error:
        position = getattr(error, "pos", 0)
        reason = getattr(error, "msg", "invalid UTF-8")
        problem: Json = {"type": "json_invalid", "loc": ("body", position), "msg": "JSON decode error", "input": {}}
        raise _bad_request(str([{**problem, "ctx": {"error": reason}}])) from None
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise _bad_request(str(problems)) from None


def _bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequestError", message)


def check_terms(request: GenerationRequest) -> None:
    """Raise ApiError 400 for sampling parameters that vLLM refuses."""
    if request.stream_options is not None and not request.stream:
        raise _bad_request("Stream options can only be defined when `stream=True`.")
    if request.n < 1:
        raise _bad_request(f"n must be at least 1, got {request.n}.")
    if request.temperature is not None and request.temperature < 0:
        raise _bad_request(f"temperature must be non-negative, got {request.temperature}.")
    if request.top_p is not None and not 0 < request.top_p <= 1:
        raise _bad_request(f"top_p must be in (0, 1], got {request.top_p}.")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise _bad_request(f"max_tokens must be at least 1, got {request.max_tokens}.")
    if request.max_tokens is not None and request.min_tokens > request.max_tokens:
        raise _bad_request(
            f"min_tokens must be less than or equal to max_tokens={request.max_tokens}, got {request.min_tokens}."
        )
    if any(not word for word in request.stop_words()):
        raise _bad_request("stop cannot contain an empty string.")


def output_budget(config: ServerConfig, prompt_tokens: int, max_tokens: int | None) -> int:
    """Return how many tokens may be generated; raises ApiError 400 when the context length does not allow it."""
    limit = config.max_model_len
    if max_tokens is None:
        if prompt_tokens >= limit:
            raise _bad_request(
                f"This model's maximum context length is {limit} tokens. However, you requested {prompt_tokens} tokens "
                "in the messages, Please reduce the length of the messages."
            )
        return limit - prompt_tokens
    if prompt_tokens + max_tokens > limit:
        raise _bad_request(
            f"This model's maximum context length is {limit} tokens. However, you requested "
            f"{prompt_tokens + max_tokens} tokens ({prompt_tokens} in the messages, {max_tokens} in the completion). "
            "Please reduce the length of the messages or completion."
        )
    return max_tokens


def chat_prompt(model: str, messages: list[ChatMessage]) -> str:
    """Return the messages as the model's chat template writes them: Llama 3's, or ChatML for other families."""
    if "llama" in model.lower():
        parts = [f"<|start_header_id|>{m.role}<|end_header_id|>\n\n{m.text()}<|eot_id|>" for m in messages]
        return "<|begin_of_text|>" + "".join(parts) + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    return "".join(f"<|im_start|>{m.role}\n{m.text()}<|im_end|>\n" for m in messages) + "<|im_start|>assistant\n"


def sampling_text(terms: GenerationRequest, max_tokens: int) -> str:
    """Return the text of vLLM's SamplingParams, as its request log prints it."""

    def chosen(value: float | None, default: float) -> float:
        return default if value is None else value

    temperature = float(chosen(terms.temperature, 1.0))
    greedy = temperature == 0.0
    return (
        f"SamplingParams(n={terms.n}, presence_penalty={float(chosen(terms.presence_penalty, 0.0))}, "
        f"frequency_penalty={float(chosen(terms.frequency_penalty, 0.0))}, "
        f"repetition_penalty={float(chosen(terms.repetition_penalty, 1.0))}, temperature={temperature}, "
        f"top_p={1.0 if greedy else float(chosen(terms.top_p, 1.0))}, "
        f"top_k={-1 if greedy else int(chosen(terms.top_k, -1))}, min_p={float(chosen(terms.min_p, 0.0))}, "
        f"seed={terms.seed}, stop={list(terms.stop_words())}, stop_token_ids=[], bad_words=[], "
        f"include_stop_str_in_output={terms.include_stop_str_in_output}, ignore_eos={terms.ignore_eos}, "
        f"max_tokens={max_tokens}, min_tokens={terms.min_tokens}, logprobs=None, prompt_logprobs=None, "
        "skip_special_tokens=True, spaces_between_special_tokens=True, truncate_prompt_tokens=None, "
        "guided_decoding=None, extra_args=None)"
    )
