"""Something else is wanted later: the plan says which fields, and applying it changes these and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backend import presets
from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine.events import Event, Outcome, StepFinished
from backend.engine.plan import LEFT_OUT, Plan
from backend.errors import Conflict, UsageError
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from backend.surroundings import hugging_face_token

SERVERS = {"model-server@gke-west", "model-server@gke-east"}
FOLLOW = {"verify", "relay@gke-west"}
"""Steps that any change brings with it."""
IMAGE = "vllm/vllm-openai:v0.9.0"
IMAGE_USERS = SERVERS | {"pool@gke-west", "pool@gke-east"}
"""The endpoint picker reads a metric whose name follows the image."""
CHANGES: list[tuple[str, str, set[str], tuple[str, Any, Any]]] = [
    ("timeout", "timeout_s=60", {"backend-policy"}, ("timeoutSec", 100, 60)),
    ("target", "balancing.max_utilization_percent=70", {"backend-policy"}, ("maxUtilizationPercent", 60, 70)),
    ("replicas", "model.replicas=1", SERVERS, ("spec.replicas", 2, 1)),
    ("adapters", "model.adapters=[]", SERVERS, ("configmap.yaml", ..., ...)),
    ("probe", "health_check.path=/v1/models", {"health-policy"}, ("requestPath", "/health", "/v1/models")),
    ("mode", "balancing.mode=IN_FLIGHT", {"backend-policy"}, ("balancingMode", "CUSTOM_METRICS", "IN_FLIGHT")),
    (
        "image",
        f"model.image={IMAGE}",
        SERVERS | {"pool@gke-west", "pool@gke-east"},
        ("[vllm].image", "vllm/vllm-openai:v0.8.5", IMAGE),
    ),
]
"""What changes, how it is asked for, the resources that it concerns, and a field of each; one after the other."""


class Home:
    """One home and one emulated cloud, in which a specification is changed again and again."""

    def __init__(self, connection: Connection, places: Places) -> None:
        self.connection = connection
        self.places = places

    @asynccontextmanager
    async def stack(self, *settings: str) -> AsyncIterator[Stack]:
        """The rehearsal as it was last applied, with settings."""
        spec = presets.load(presets.find("rehearsal", self.places), settings)
        clients = Clients(self.connection, spec)
        try:
            token = hugging_face_token(spec.target, {"HOME": "/nowhere"})

            def rows(of: GatewaySpec) -> Any:
                clients.know(of)
                return declare(of, clients, hf_token=token)

            yield Stack(spec, connection=self.connection, clients=clients, declare=rows, places=self.places)
        finally:
            await clients.close()

    async def plan(self, *settings: str, only: str | None = None) -> Plan:
        """What applying would do."""
        async with self.stack(*settings) as stack:
            return await stack.plan(only=only)

    async def apply(self, *settings: str, only: str | None = None) -> set[str]:
        """Apply, and say which resources were worked on."""
        told: list[Event] = []
        async with self.stack(*settings) as stack:
            result = await stack.apply(await stack.plan(only=only), emit=told.append)
        assert result.outcome is Outcome.SUCCEEDED, [step.error for step in result.failures]
        ended = [event.payload for event in told if isinstance(event.payload, StepFinished)]
        return {step.resource for step in ended if step.action != "no-op"}


@pytest.fixture
def home(connection: Connection, tmp_path: Path) -> Home:
    return Home(connection, Places.of({"MCIG_HOME": str(tmp_path / "home")}))


@pytest.mark.long
async def test_each_kind_of_change_is_told_by_field_and_made_alone(home: Home) -> None:
    await home.apply()
    for what, setting, resources, (field, before, after) in CHANGES:
        plan = await home.plan(setting)
        updates = {step.resource: step for step in plan.changes if step.resource not in FOLLOW}
        assert updates.keys() == resources, what
        assert {step.action for step in updates.values()} == {"update"}, what
        found = [change for step in updates.values() for change in step.step.changes if change.field.endswith(field)]
        assert found, what
        for change in found:
            assert ... in {before, after} or (change.before, change.after) == (before, after), what
        worked_on = await home.apply(setting)
        assert worked_on - FOLLOW == resources, what
        assert not (await home.plan()).changes, f"{what}: what was applied is what is kept as the stack"


async def test_one_step_alone_and_only_on_firm_ground(home: Home) -> None:
    with pytest.raises(UsageError, match="no resource backendpolicy") as unknown:
        await home.plan(only="backendpolicy")
    assert "backend-policy" in unknown.value.cause
    with pytest.raises(Conflict, match="needs services") as early:
        await home.plan(only="cluster/gke-west")
    assert "mcig apply rehearsal --only services" in early.value.fix
    assert await home.apply(only="services") == {"services"}
    await home.apply()
    changes = ("timeout_s=60", "health_check.path=/v1/models")
    plan = await home.plan(*changes, only="backend-policy")
    assert [step.resource for step in plan.changes] == ["backend-policy"]
    assert {str(step.resource): step.step.reason for step in plan.left_out}["health-policy"] == LEFT_OUT
    assert await home.apply(*changes, only="backend-policy") == {"backend-policy"}
    assert [step.resource for step in (await home.plan()).changes if step.action == "update"] == ["health-policy"]
