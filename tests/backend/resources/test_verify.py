"""The final check: an answer through every address, patience with what is not ready, none with what is refused."""

import asyncio
from typing import Any

import pytest

from backend.clients.answers import Answer, Ask
from backend.engine.events import Action
from backend.errors import PromptError
from backend.resources import verify as module
from backend.resources.gateway import GatewayRow
from backend.resources.objects import Seen
from backend.resources.verify import Verify, verify
from backend.spec import ClusterSpec, GatewaySpec
from tests.backend.kubes import FakeClients, Notes

ADDRESSES = {"10.156.0.7": "europe-west3", "10.150.0.9": "us-east4"}
Json = dict[str, Any]


class TheGateway(GatewayRow):
    """A gateway whose addresses are known without asking."""

    facts: dict[str, str]

    async def observe(self) -> Seen | None:
        return Seen({}, self.facts)


def row_of(spec: GatewaySpec, facts: dict[str, str] | None = None) -> Verify:
    clients = FakeClients({}).as_clients()
    gateway = TheGateway.__new__(TheGateway)
    gateway.spec, gateway.facts = spec, ADDRESSES if facts is None else facts
    return verify(spec, clients, gateway)


class Gateway:
    """Answers prompts in turn, by address; the last answer stays."""

    def __init__(self, *answers: Answer | Exception | tuple[int, str]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Ask]] = []

    async def __call__(self, relay: Any, kubes: Any, ask: Ask, *, address: str, region: str, **_: Any) -> Answer:
        turn = sum(known == address for known, _ in self.asked)
        self.asked.append((address, ask))
        answer = self.answers[min(turn, len(self.answers) - 1)]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Answer):
            return answer
        status, text = answer
        told, error = (text, "") if status == 200 else ("", text)
        return Answer(status, address, region, ask.model, "id", text=told, error=error)


@pytest.fixture(autouse=True)
def metric_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every cluster's model servers report the policy's metric; gives the clusters that were looked at."""
    looked: list[str] = []

    async def reported(spec: GatewaySpec, cluster: ClusterSpec, *_: Any) -> None:
        looked.append(cluster.name)

    monkeypatch.setattr(module, "metric_reported", reported)
    return looked


@pytest.fixture
def instantly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other without a pause."""
    monkeypatch.setattr("backend.engine.poll.SHORTEST_PAUSE_S", 0.0)


async def test_every_address_is_asked_and_its_answer_told(spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway((200, "Naples."))
    monkeypatch.setattr(module, "prompt", gateway)
    row = row_of(spec)
    told = row.detail(await row.wait(Notes()))["answers"]
    assert [(answer["region"], answer["address"], answer["text"]) for answer in told] == [
        ("europe-west3", "10.156.0.7", "Naples."),
        ("us-east4", "10.150.0.9", "Naples."),
    ]
    assert {ask.model for _, ask in gateway.asked} == {"food-review-1"}
    assert {ask.objective for _, ask in gateway.asked} == {"food-review"}


@pytest.mark.parametrize(("mode", "looked"), [("CUSTOM_METRICS", {"gke-west", "gke-east"}), ("IN_FLIGHT", set())])
async def test_the_metric_is_looked_for_where_traffic_is_balanced_by_it(
    spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch, metric_looks: list[str], mode: str, looked: set[str]
) -> None:
    monkeypatch.setattr(module, "prompt", Gateway((200, "Naples.")))
    await row_of(GatewaySpec.model_validate(spec.to_data() | {"balancing": {"mode": mode}})).wait(Notes())
    assert set(metric_looks) == looked


@pytest.mark.usefixtures("instantly")
@pytest.mark.parametrize("status", [404, 429, 502, 503, 504])
async def test_what_is_not_ready_yet_is_asked_again(
    spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    gateway = Gateway(PromptError("the relay is starting"), (status, "not yet"), (200, "Naples."))
    monkeypatch.setattr(module, "prompt", gateway)
    notes = Notes()
    assert all(answer.ok for answer in await row_of(spec).wait(notes))
    assert notes.texts.count(f"us-east4 answers {status}: not yet") == 1
    assert len(gateway.asked) == 6


@pytest.mark.usefixtures("instantly")
async def test_an_answer_that_broke_off_is_asked_for_again(spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    half = Answer(200, "10.156.0.7", "europe-west3", "m", "id", text="Nap", error="the answer broke off")
    monkeypatch.setattr(module, "prompt", Gateway(half, (200, "Naples.")))
    assert all(answer.ok for answer in await row_of(spec).wait(Notes()))


async def test_a_refusal_ends_it_with_the_servers_words(spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "prompt", Gateway((400, "max_tokens is too large")))
    with pytest.raises(PromptError, match="answered 400: max_tokens is too large") as caught:
        await row_of(spec).wait(Notes())
    assert caught.value.cause
    assert caught.value.fix


@pytest.mark.usefixtures("instantly")
async def test_no_address_is_asked_any_more_after_a_refusal(spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    late, refusing = Gateway((503, "not yet")), Gateway((503, "not yet"), (400, "max_tokens is too large"))

    async def prompt(*asked: Any, address: str, **more: Any) -> Answer:
        await asyncio.sleep(0)
        return await (refusing if address == "10.156.0.7" else late)(*asked, address=address, **more)

    monkeypatch.setattr(module, "prompt", prompt)
    with pytest.raises(PromptError, match="answered 400"):
        await row_of(spec).wait(Notes())
    asked = len(late.asked)
    assert asked
    await asyncio.sleep(0.01)
    assert len(late.asked) == asked


async def test_a_region_without_an_address_fails(spec: GatewaySpec) -> None:
    with pytest.raises(PromptError, match="no address in us-east4"):
        await row_of(spec, {"10.156.0.7": "europe-west3"}).wait(Notes())


async def test_it_leaves_nothing_and_has_nothing_to_delete(spec: GatewaySpec) -> None:
    row = row_of(spec)
    assert await row.observe() is None
    assert row.removal(None).action is Action.NO_OP
    assert row.only_after_change
