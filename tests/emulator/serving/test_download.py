"""What a model server prints of the hub's answer when it asks for its model; Hugging Face's client is the judge."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from backend.emulator import faults, settings
from backend.emulator.huggingface.hub import PREFIX, add_hub
from backend.emulator.pace import Pace
from backend.emulator.serving.download import SITE, Refusal, refusal
from backend.emulator.serving.vllm_args import parse_server
from backend.emulator.world import World

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
TOKEN = "hf_mine"


class Hub:
    """An emulated hub that listens."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url

    async def refusal(self, model: str = LLAMA, token: str | None = TOKEN) -> Refusal | None:
        """What a model server with a token is told."""
        words = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", model]
        return await refusal(parse_server("vllm/vllm-openai:v0.8.5", words, {}), self.url, token)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    world = World(tmp_path, token="secret", pace=Pace(), clock=lambda: 1_800_000_000.0)
    app = web.Application()
    add_hub(app, world)
    async with TestServer(app) as server:
        yield Hub(world, str(server.make_url(PREFIX)))


async def test_who_may_have_the_model_goes_on(hub: Hub) -> None:
    assert await hub.refusal() is None
    faults.add(hub.world, "hf-gated", hub.world.pace)
    assert await hub.refusal("Qwen/Qwen3-8B", None) is None
    assert await hub.refusal("/models/llama") is None


@pytest.mark.parametrize(
    ("trouble", "token", "raised", "ends"),
    [
        ("gated=refused", TOKEN, "GatedRepoError: 403 Client Error.", "to ask for access."),
        ("gated=awaiting", TOKEN, "GatedRepoError: 403 Client Error.", "is awaiting a review from the repo authors."),
        ("hf-gated", TOKEN, "GatedRepoError: 403 Client Error.", "to ask for access."),
        ("gated=granted", None, "GatedRepoError: 401 Client Error.", "Please log in."),
        ("hf-unauthorized", TOKEN, "HfHubHTTPError: 401 Client Error: Unauthorized for url", "Authorization header"),
        ("role=fineGrained-no-gated", TOKEN, "HfHubHTTPError: (Request ID", "installation#offline-mode'."),
        ("model=absent", TOKEN, "RepositoryNotFoundError: 404 Client Error.", "`token=<your_token>`"),
    ],
)  # fmt: skip
async def test_a_refusal_is_told_as_the_real_server_tells_it(
    hub: Hub, trouble: str, token: str | None, raised: str, ends: str
) -> None:
    play(hub.world, trouble)
    found = await hub.refusal(token=token)
    assert found is not None
    assert found.raised[0].startswith(f"huggingface_hub.errors.{raised}")
    assert found.told.endswith(ends)
    assert TOKEN not in f"{found}"


@pytest.mark.parametrize("trouble", ["gated=refused", "gated=awaiting", "gated=rejected", "role=fineGrained-no-gated"])
async def test_the_words_are_those_of_hugging_faces_client(hub: Hub, trouble: str, tmp_path: Path) -> None:
    library = pytest.importorskip("huggingface_hub", reason="Hugging Face's own client is not installed")
    play(hub.world, trouble)
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    found = await hub.refusal()
    assert found is not None
    what: dict[str, Any] = {"endpoint": hub.url, "token": TOKEN, "cache_dir": tmp_path}
    with pytest.raises((HfHubHTTPError, LocalEntryNotFoundError)) as caught:
        await asyncio.to_thread(library.hf_hub_download, LLAMA, "config.json", **what)
    raised = [caught.value, *([caught.value.__cause__] if isinstance(caught.value, LocalEntryNotFoundError) else [])]
    told = [f"huggingface_hub.errors.{type(one).__name__}: {one}".replace(hub.url, SITE) for one in reversed(raised)]
    assert [*map(plain, found.raised)] == [*map(plain, told)]


def play(world: World, trouble: str) -> None:
    """Let something be wrong: a fault, or a setting of the hub."""
    if trouble in faults.KINDS:
        faults.add(world, trouble, world.pace)
        return
    name, _, value = trouble.partition("=")
    path = {"gated": f"model.{LLAMA}.gated", "model": f"model.{LLAMA}", "role": "huggingface.role"}[name]
    settings.put(world, f"{path}={value}")


def plain(text: str) -> str:
    """A text without the id of its request and the differences in white space."""
    return " ".join(re.sub(r"Root=[^)]*", "ID", text).split())
