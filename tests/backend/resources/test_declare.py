"""The whole recipe: its graph, and one stack's life from nothing to nothing on the emulated cloud."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.google import Google
from backend.clients.kinds import BACKEND_POLICY, HTTP_ROUTE
from backend.clients.kube import Kube
from backend.emulator.server import Emulator
from backend.engine.apply import Result, Run, apply
from backend.engine.events import Action, Event, Outcome, StepFinished, Verb
from backend.engine.graph import graph
from backend.engine.plan import Plan, plan
from backend.engine.resource import Resource, ResourceId
from backend.resources import declare
from backend.spec import GatewaySpec

HF_TOKEN = "hf_of_the_tests_0123456789"
Rows = tuple[Resource[Any], ...]
MOST_REQUESTS = 56
"""Requests of a plan with nothing to do; 60 are promised, and what asks for a guardrail needs four."""


@pytest.fixture
def spec(spec: GatewaySpec) -> GatewaySpec:
    """The stack with one model server on each cluster."""
    return GatewaySpec.model_validate(spec.to_data() | {"model": {"replicas": 1}})


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


@pytest.fixture
def rows(spec: GatewaySpec, clients: Clients, kubeconfig: Path) -> Rows:
    return declare(spec, clients, hf_token=SecretStr(HF_TOKEN), kubeconfig=kubeconfig)


def before(edges: Mapping[ResourceId, frozenset[ResourceId]], later: str) -> set[str]:
    """Everything that must be done before a row."""
    found: set[str] = set()
    waiting = [ResourceId(later)]
    while waiting:
        for name in edges[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def test_every_row_needs_what_it_needs(rows: Rows) -> None:
    edges = graph(rows, Verb.APPLY)
    both = ("gke-west", "gke-east")
    assert before(edges, "gateway") >= {"iam/mci-agent", "fleet-ingress"}
    assert before(edges, "cluster/gke-east") >= {"iam/node-sa", "services"}
    assert len(rows) == 33
    assert before(edges, "gateway") >= {f"export@{name}" for name in both} | {"subnet/europe-west3", "subnet/us-east4"}
    assert before(edges, "export@gke-east") >= {"pool@gke-east", "membership/gke-east", "fleet-ingress"}
    assert before(edges, "model-server@gke-west") >= {"secret/hf-token@gke-west", "node-pool/gke-west/h100"}
    assert not before(edges, "model-server@gke-west") & {"pool@gke-west", "fleet-ingress", "cluster/gke-east"}
    assert before(edges, "verify") >= {"relay@gke-west", "health-policy", "backend-policy", "model-server@gke-east"}


def test_the_load_balancer_goes_before_what_it_uses(rows: Rows) -> None:
    edges = graph(rows, Verb.DESTROY)
    for name in ("gke-west", "gke-east"):
        export = ResourceId(f"export@{name}")
        assert "gateway" in edges[export]
        assert export in edges[ResourceId(f"model-server@{name}")] & edges[ResourceId(f"pool@{name}")]
        assert f"export@{name}" in before(edges, "fleet-ingress")
        assert before(edges, f"cluster/{name}") >= {f"membership/{name}", f"node-pool/{name}/h100", "gateway"}
    assert before(edges, "subnet/us-east4") >= {"gateway", "cluster/gke-east"}


def test_every_row_says_what_it_is_and_costs(rows: Rows) -> None:
    for row in rows:
        about = row.about
        assert about.title
        assert about.command
        assert about.permissions
        assert about.estimate_s > 0
        for departure in about.departures:
            assert departure.document
            assert departure.mcig
            assert departure.because


def test_the_token_is_in_nothing_that_is_told(rows: Rows) -> None:
    assert HF_TOKEN not in repr([vars(row) for row in rows])
    assert HF_TOKEN not in repr([row.about for row in rows])


async def carry_out(made: Plan, rows: Rows) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    result = await apply(made, rows, run=Run("test", "two-regions", "emulator"), emit=events.append)
    return result, events


def failures(events: list[Event]) -> list[str]:
    ends = [event.payload for event in events if isinstance(event.payload, StepFinished)]
    return [f"{end.resource}: {end.error or end.reason}" for end in ends if end.outcome is not Outcome.SUCCEEDED]


async def test_a_stack_is_made_is_as_wanted_and_goes(  # noqa: PLR0917 - fixtures
    spec: GatewaySpec,
    clients: Clients,
    emulator: Emulator,
    rows: Rows,
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result, events = await carry_out(await plan(rows, Verb.APPLY), rows)
    assert failures(events) == []
    finished = {end.resource: end for end in result.finished}
    addresses = finished["gateway"].detail["addresses"]
    assert [place["region"] for place in addresses] == ["europe-west3", "us-east4"]
    answers = finished["verify"].detail["answers"]
    assert [(answer["status"], answer["served_by"]["cluster"]) for answer in answers] == [
        (200, "gke-west"),
        (200, "gke-east"),
    ]
    assert HF_TOKEN not in repr([event.to_json() for event in events])

    assert finished["kubeconfig/gke-east"].detail["context"] == "gke_demo-project_us-east4_gke-east"
    asked = counted(monkeypatch)
    again = await plan(declare(spec, clients, kubeconfig=kubeconfig), Verb.APPLY)
    assert {step.resource: step.step for step in again.steps if step.action is not Action.NO_OP} == {}
    assert len(asked) <= MOST_REQUESTS, "\n".join(sorted(asked))

    west = clients.kube("gke-west")
    await west.delete(HTTP_ROUTE, "default", f"{spec.pool.name}-default")
    slower = GatewaySpec.model_validate(spec.to_data() | {"timeout_s": 200})
    changed_rows = declare(slower, clients, kubeconfig=kubeconfig)
    changed = await plan(changed_rows, Verb.APPLY)
    moves = {step.resource: str(step.action) for step in changed.steps if step.action is not Action.NO_OP}
    assert moves == {"gateway": "update", "backend-policy": "update", "relay@gke-west": "update", "verify": "create"}
    _, events = await carry_out(changed, changed_rows)
    assert failures(events) == []
    policy = await west.get(BACKEND_POLICY, "default", "my-backend-policy")
    assert policy is not None
    assert policy["spec"]["default"]["timeoutSec"] == 200

    _, events = await carry_out(await plan(changed_rows, Verb.DESTROY), changed_rows)
    assert failures(events) == []
    kept = {"operations", "timers", "services", "iam"}
    assert {name: table for name, table in emulator.world.tables.items() if table and name not in kept} == {}
    assert "gke_demo" not in await asyncio.to_thread(kubeconfig.read_text)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests to Google's and to Kubernetes' APIs from now on."""
    asked: list[str] = []
    real: Callable[..., Any] = Kube._open
    google: Callable[..., Any] = Google._tried

    async def try_and_count(self: Google, service: Any, run: Any, *, doing: str, repeat: bool) -> Any:
        asked.append(f"{service.api}: {doing}")
        return await google(self, service, run, doing=doing, repeat=repeat)

    async def open_and_count(self: Kube, method: str, url: str, *args: Any, **options: Any) -> Any:
        asked.append(f"{method} {url}")
        return await real(self, method, url, *args, **options)

    monkeypatch.setattr(Kube, "_open", open_and_count)
    monkeypatch.setattr(Google, "_tried", try_and_count)
    return asked
