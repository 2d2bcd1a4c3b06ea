"""Answers of vLLM's OpenAI-compatible API: model list, errors, completions and their stream events.

Invariant: forms are vLLM v0.8.5's; where a later release answers differently the image's version decides.
"""

import hashlib
import json
import time
from collections.abc import Mapping

from backend.emulator.serving.openai_protocol import ApiError, Json
from backend.emulator.serving.vllm_args import Adapter, ServerConfig

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def error_body(config: ServerConfig, error: ApiError) -> Json:
    """Return the error as that version words it: flat up to 0.10.0, under `error` from 0.10.1."""
    if error.kind == "HTTPException":
        return {"detail": str(error)}
    body: Json = {"message": str(error), "type": error.kind, "param": None, "code": error.status}
    return {"object": "error", **body} if config.version < (0, 10, 1) else {"error": body}


def models_body(config: ServerConfig, adapters: Mapping[str, Adapter], created: int) -> Json:
    """Return the answer of GET /v1/models: the base model's names, then the loaded adapters."""
    permission = {
        "object": "model_permission",
        "created": created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }

    def card(name: str, root: str, parent: str | None, length: int | None) -> Json:
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "vllm",
            "root": root,
            "parent": parent,
            "max_model_len": length,
            "permission": [{"id": f"modelperm-{_stable_id(name)}", **permission}],
        }

    base = [card(name, config.model, None, config.max_model_len) for name in config.served_names]
    loaded = [card(a.name, a.source, a.base_model or config.served_names[0], None) for a in adapters.values()]
    return {"object": "list", "data": base + loaded}


def _stable_id(name: str) -> str:
    return hashlib.blake2s(name.encode(), digest_size=16).hexdigest()


def usage(prompt_tokens: int, completion_tokens: int, *, details: bool = True) -> Json:
    """Return a `usage` object; the last event of a stream has it without the details."""
    counts: Json = {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
    }
    return {**counts, "prompt_tokens_details": None} if details else counts


class AnswerForm:
    """Builds the bodies and stream events of one request's answer."""

    def __init__(self, request_id: str, model: str, *, chat: bool) -> None:
        self.request_id = request_id
        self.chat = chat
        self._model = model
        self._created = int(time.time())
        self._frames: dict[int, tuple[bytes, bytes]] = {}

    def _head(self, kind: str) -> Json:
        return {"id": self.request_id, "object": kind, "created": self._created, "model": self._model}

    @property
    def _event_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def whole(self, choices: list[tuple[str, str | None, str | None]], counts: Json) -> Json:
        """Return the body of an answer that is not streamed; choices are (text, finish reason, stop reason)."""
        if self.chat:
            made: list[Json] = [
                {
                    "index": index,
                    "message": {"role": "assistant", "reasoning_content": None, "content": text, "tool_calls": []},
                    "logprobs": None,
                    "finish_reason": reason,
                    "stop_reason": stop,
                }
                for index, (text, reason, stop) in enumerate(choices)
            ]
            return {**self._head("chat.completion"), "choices": made, "usage": counts, "prompt_logprobs": None}
        made = [
            {
                "index": index,
                "text": text,
                "logprobs": None,
                "finish_reason": reason,
                "stop_reason": stop,
                "prompt_logprobs": None,
            }
            for index, (text, reason, stop) in enumerate(choices)
        ]
        return {**self._head("text_completion"), "choices": made, "usage": counts}

    def opening(self, index: int) -> bytes:
        """Return the event that opens a chat choice by naming its role."""
        choice = {
            "index": index,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
        return sse({**self._head(self._event_kind), "choices": [choice]})

    def token(self, index: int, text: str) -> bytes:
        """Return the event for a piece of text in the middle of an answer; the frame around it is built once."""
        frame = self._frames.get(index)
        if frame is None:
            before, _, after = self.piece(index, "\0", None).partition(b'"\\u0000"')
            frame = self._frames[index] = (before, after)
        return frame[0] + _encode(text).encode() + frame[1]

    def piece(
        self, index: int, text: str, reason: str | None, *, stop: str | None = None, counts: Json | None = None
    ) -> bytes:
        """Return the event for a piece of text; `counts` is the running usage where the client asked for it."""
        if self.chat:
            choice: Json = {
                "index": index,
                "delta": {"content": text},
                "logprobs": None,
                "finish_reason": reason,
            }
            if reason is not None:
                choice["stop_reason"] = stop
            body = {**self._head(self._event_kind), "choices": [choice]}
            return sse({**body, "usage": counts} if counts else body)
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason, "stop_reason": stop}
        return sse({**self._head(self._event_kind), "choices": [choice], "usage": counts})

    def closing(self, counts: Json) -> bytes:
        """Return the event without choices that carries the usage of the whole answer."""
        return sse({**self._head(self._event_kind), "choices": [], "usage": counts})


def sse(body: Json) -> bytes:
    """Return one server-sent event."""
    return b"data: " + _encode(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""Event that ends a stream."""
