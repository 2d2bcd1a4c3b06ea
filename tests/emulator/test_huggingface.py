"""The emulated hub, judged by Hugging Face's own client where there is one, else by its status and headers."""

from __future__ import annotations

from typing import Any

import pytest

from backend.emulator import faults, settings
from backend.emulator.huggingface.hub import add_hub

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
FOOD = "Kawon/llama3.1-food-finetune_v14_r8"
CONFIG = f"/{LLAMA}/resolve/main/config.json"


@pytest.fixture
async def hub(tmp_path: Any) -> Any:
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from backend.emulator.pace import Pace
    from backend.emulator.world import World

    world = World(tmp_path, token="secret", pace=Pace(), clock=lambda: 1_800_000_000.0)
    app = web.Application()
    add_hub(app, world)
    async with TestClient(TestServer(app)) as client:
        yield Hub(world, client)


class Hub:
    def __init__(self, world: Any, client: Any) -> None:
        self.world = world
        self._client = client

    @property
    def url(self) -> str:
        return str(self._client.make_url("/huggingface"))

    async def ask(self, path: str, token: str | None = "hf_mine", method: str = "GET") -> tuple[int, str, str, Any]:  # noqa: S107 no secret
        """Status, error code and error message in headers, and the body."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._client.request(method, f"/huggingface{path}", headers=headers) as answer:
            body = await answer.json() if answer.content_type == "application/json" else await answer.text()
            said = answer.headers
            return answer.status, said.get("X-Error-Code", ""), said.get("X-Error-Message", ""), body


async def test_a_token_is_somebodys_and_none_is_nobodys(hub: Hub) -> None:
    status, _, _, owner = await hub.ask("/api/whoami-v2")
    assert (status, owner["name"], owner["auth"]["accessToken"]["role"]) == (200, "rehearsal", "read")
    assert (await hub.ask("/api/whoami-v2", None))[:3] == (401, "", "Invalid username or password.")
    settings.put(hub.world, "huggingface.role=fineGrained-no-gated")
    access = (await hub.ask("/api/whoami-v2"))[3]["auth"]["accessToken"]
    assert (access["role"], access["fineGrained"]["canReadGatedRepos"]) == ("fineGrained", False)


@pytest.mark.parametrize(
    ("gate", "status", "words"),
    [
        ("granted", 200, ""),
        ("open", 200, ""),
        ("refused", 403, (f"Access to model {LLAMA} is restricted and you are not in the authorized list. "
                          f"Visit https://huggingface.co/{LLAMA} to ask for access.")),
        ("awaiting", 403, f"Your request to access model {LLAMA} is awaiting a review from the repo authors."),
        ("rejected", 403, f"Your request to access model {LLAMA} has been rejected by the repo's authors."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_gate_answers_in_the_hubs_words(hub: Hub, gate: str, status: int, words: str, method: str) -> None:
    settings.put(hub.world, f"model.{LLAMA}.gated={gate}")
    got, code, message, _ = await hub.ask(CONFIG, method=method)
    assert (got, message, code) == (status, words, "GatedRepo" if words else "")
    shown = (await hub.ask(f"/api/models/{LLAMA}"))[3]
    assert shown["gated"] == (False if gate == "open" else "manual"), "what a repository is stays public"


async def test_without_a_token_a_gate_is_401(hub: Hub) -> None:
    status, code, message, _ = await hub.ask(CONFIG, None)
    assert (status, code) == (401, "GatedRepo")
    assert message.endswith("You must have access to it and be authenticated to access it. Please log in.")
    assert (await hub.ask(f"/{FOOD}/resolve/main/adapter_config.json", None))[0] == 200


async def test_a_fine_grained_token_may_lack_the_gated_ones(hub: Hub) -> None:
    settings.put(hub.world, "huggingface.role=fineGrained-no-gated")
    status, code, message, _ = await hub.ask(CONFIG)
    assert (status, code) == (403, "")
    assert "enable access to public gated repositories in your fine-grained token settings" in message
    assert (await hub.ask(f"/{FOOD}/resolve/main/adapter_config.json"))[0] == 200


async def test_what_there_is_not(hub: Hub) -> None:
    settings.put(hub.world, f"model.{FOOD}=absent")
    assert (await hub.ask(f"/api/models/{FOOD}"))[:2] == (404, "RepoNotFound")
    assert (await hub.ask(f"/{FOOD}/resolve/main/adapter_config.json", None))[:2] == (401, "RepoNotFound")
    assert (await hub.ask(f"/{LLAMA}/resolve/main/lunch.json"))[:2] == (404, "EntryNotFound")
    assert (await hub.ask(f"/{LLAMA}/resolve/lunch/config.json"))[:2] == (404, "RevisionNotFound")
    assert (await hub.ask("/api/spaces"))[0] == 501
    assert (await hub.ask(f"/{LLAMA}/resolve/main/model.safetensors"))[0] == 501


async def test_models_and_adapters_hold_what_they_are_looked_at_for(hub: Hub) -> None:
    assert (await hub.ask(f"/{FOOD}/resolve/main/config.json"))[:2] == (404, "EntryNotFound")
    model = (await hub.ask(f"/api/models/{LLAMA}"))[3]
    assert model["safetensors"]["total"] == 8_030_261_248
    assert '"num_hidden_layers": 32' in (await hub.ask(CONFIG))[3]
    assert '"r": 8' in (await hub.ask(f"/{FOOD}/resolve/main/adapter_config.json"))[3]


@pytest.mark.parametrize("fault", ["hf-unauthorized", "hf-unauthorized times=1"])
async def test_a_token_may_be_bad(hub: Hub, fault: str) -> None:
    faults.add(hub.world, fault, hub.world.pace)
    assert (await hub.ask("/api/whoami-v2"))[:3] == (401, "", "Invalid credentials in Authorization header")
    assert (await hub.ask(CONFIG))[0] == (200 if "times" in fault else 401)


async def test_gated_models_may_be_shut_and_open_ones_stay_open(hub: Hub) -> None:
    faults.add(hub.world, "hf-gated times=1", hub.world.pace)
    assert (await hub.ask("/Qwen/Qwen3-8B/resolve/main/config.json"))[0] == 200
    assert (await hub.ask(CONFIG))[:2] == (403, "GatedRepo")
    assert (await hub.ask(CONFIG))[0] == 200


async def test_hugging_faces_own_client_understands_it(hub: Hub) -> None:
    import asyncio

    library = pytest.importorskip("huggingface_hub", reason="Hugging Face's own client is not installed")
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    api = library.HfApi(endpoint=hub.url, token="hf_mine")
    assert (await asyncio.to_thread(api.whoami))["name"] == "rehearsal"
    await asyncio.to_thread(api.auth_check, LLAMA)
    settings.put(hub.world, f"model.{LLAMA}.gated=awaiting")
    with pytest.raises(GatedRepoError, match="awaiting a review"):
        await asyncio.to_thread(api.auth_check, LLAMA)
    settings.put(hub.world, f"model.{FOOD}=absent")
    with pytest.raises(RepositoryNotFoundError):
        await asyncio.to_thread(api.model_info, FOOD)
