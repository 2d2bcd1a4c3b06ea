"""What a model server does first: it asks Hugging Face for its model's configuration, and ends when it may not have it.

No weights are fetched: who gets the configuration gets them too. Invariant: what is told of a refusal is the hub's
answer in the words of huggingface_hub and transformers, as vLLM prints them; an answer that says nothing of access
stops nobody.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from backend.emulator.serving.vllm_args import ServerConfig

SITE = "https://huggingface.co"
"""What the hub is called in logs."""
CONFIG = "config.json"
TIMEOUT_S = 10.0
_NOT_HERE = (
    "huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the file on the Hub and "
    "we cannot find the requested files in the local cache. Please check your connection and try again or make sure "
    "your Internet connection is on."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """That the hub did not let a model server in."""

    raised: tuple[str, ...]
    """What huggingface_hub raises, each because of the one before; one or more lines each."""
    told: str
    """What transformers makes of it, by which the server ends."""


async def refusal(config: ServerConfig, hub: str | None, token: str | None) -> Refusal | None:
    """Ask the hub at a URL as vLLM does before it loads a model; None when the server may go on.

    Models in folders are not asked for. An HF token is sent when there is one.
    """
    if hub is None or config.model.startswith(("/", ".")):
        return None
    try:
        status, headers = await asyncio.to_thread(_head, f"{hub}/{config.model}/resolve/main/{CONFIG}", token)
    except (OSError, http.client.HTTPException):
        return None
    return _read(config.model, status, headers)


def _head(url: str, token: str | None) -> tuple[int, Mapping[str, str]]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        connection.request("HEAD", parts.path, headers={"user-agent": "unknown/None; hf_hub/0.30.2", **headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def _read(model: str, status: int, headers: Mapping[str, str]) -> Refusal | None:
    code, message = headers.get("x-error-code", ""), headers.get("x-error-message", "")
    request, url = f"(Request ID: {headers.get('x-request-id', '')})", f"{SITE}/{model}/resolve/main/{CONFIG}"
    if code == "GatedRepo":
        error = f"{status} Client Error. {request}\n\nCannot access gated repo for url {url}.\n{message}"
        told = f"You are trying to access a gated repo.\nMake sure to have access to it at {SITE}/{model}.\n{error}"
        return Refusal((f"huggingface_hub.errors.GatedRepoError: {error}",), told)
    if code == "RepoNotFound":
        error = (
            f"{status} Client Error. {request}\n\nRepository Not Found for url: {url}.\n"
            "Please make sure you specified the correct `repo_id` and `repo_type`.\n"
            "If you are trying to access a private or gated repo, make sure you are authenticated. For more details, "
            f"see {SITE}/docs/huggingface_hub/authentication"
        )
        told = (
            f"{model} is not a local folder and is not a valid model identifier listed on '{SITE}/models'\n"
            "If this is a private repository, make sure to pass a token having permission to this repo either by "
            "logging in with `huggingface-cli login` or by passing `token=<your_token>`"
        )
        return Refusal((f"huggingface_hub.errors.RepositoryNotFoundError: {error}",), told)
    if status == HTTPStatus.UNAUTHORIZED:
        error = f"{status} Client Error: Unauthorized for url: {url} {request}\n\n{message}"
        told = f"There was a specific connection error when trying to load {model}:\n{error}"
        return Refusal((f"huggingface_hub.errors.HfHubHTTPError: {error}",), told)
    if status == HTTPStatus.FORBIDDEN:
        error = (
            f"{request}\n\n{status} Forbidden: {message}.\nCannot access content at: {url}.\n"
            "Make sure your token has the correct permissions."
        )
        told = (
            f"We couldn't connect to '{SITE}' to load the files, and couldn't find them in the cached files.\n"
            "Check your internet connection or see how to run the library in offline mode at "
            f"'{SITE}/docs/transformers/installation#offline-mode'."
        )
        return Refusal((f"huggingface_hub.errors.HfHubHTTPError: {error}", _NOT_HERE), told)
    return None
