"""A stack that moves on, end to end: the gateway always has somebody behind it, and nothing is left of before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backend import presets
from backend.clients import Clients
from backend.clients.connect import Connection
from backend.emulator.server import Emulator
from backend.engine.events import Action, Outcome, Verb
from backend.engine.plan import Plan
from backend.errors import UsageError
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from backend.stockout import Fallback, alternatives
from backend.surroundings import hugging_face_token

FOLLOW = {"verify", "relay@gke-west"}
"""Steps that any change brings with it."""


class Home:
    """One home and one emulated cloud, in which a specification is changed again and again."""

    def __init__(self, connection: Connection, places: Places, emulator: Emulator) -> None:
        self.connection, self.places, self.world = connection, places, emulator.world
        self.behind: list[int] = []
        """Ready endpoints behind the address that has least, each time the data plane changed."""
        apply = self.world.gateway.apply

        async def watched(frontends: Sequence[Any]) -> None:
            self.behind += [min((len(one.backends) for one in frontends), default=0)]
            await apply(frontends)

        self.world.gateway.apply = watched  # type: ignore[method-assign]

    def spec(self, *settings: str) -> GatewaySpec:
        """The rehearsal as it was last applied, with settings."""
        return presets.load(presets.find("rehearsal", self.places), settings)

    @asynccontextmanager
    async def stack(self, spec: GatewaySpec) -> AsyncIterator[Stack]:
        """A specification as a command opens it."""
        clients = Clients(self.connection, spec)

        def rows(of: GatewaySpec) -> Any:
            clients.know(of)
            return declare(of, clients, hf_token=hugging_face_token(of.target, {"HOME": "/nowhere"}))

        try:
            yield Stack(
                spec,
                connection=self.connection,
                clients=clients,
                declare=rows,
                places=self.places,
            )
        finally:
            await clients.close()

    async def plan(self, spec: GatewaySpec, verb: Verb = Verb.APPLY) -> Plan:
        async with self.stack(spec) as stack:
            return await stack.plan(verb)

    async def run(self, spec: GatewaySpec, verb: Verb = Verb.APPLY) -> Plan:
        """Plan, carry out, and give the plan."""
        async with self.stack(spec) as stack:
            made = await stack.plan(verb)
            result = await stack.apply(made, emit=lambda _: None)
        assert result.outcome is Outcome.SUCCEEDED, [step.error for step in result.failures]
        return made

    async def moves_on(self, spec: GatewaySpec) -> Plan:
        """Carry out a change of a stack that serves, which it never ceases to do; gives the plan."""
        self.behind.clear()
        made = await self.run(spec)
        assert self.behind, "the data plane changed"
        assert min(self.behind) > 0, self.behind
        assert not (await self.plan(spec)).changes
        return made


@pytest.fixture
def home(connection: Connection, tmp_path: Path, emulator: Emulator) -> Home:
    return Home(connection, Places.of({"MCIG_HOME": str(tmp_path / "home")}), emulator)


def fields(made: Plan) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Before and after of each changed field, by resource."""
    return {
        step.resource: {one.field.rpartition(": ")[2]: (one.before, one.after) for one in step.step.changes}
        for step in made.changes
        if step.resource not in FOLLOW
    }


async def test_another_model_takes_over_field_by_field(home: Home) -> None:
    await home.run(home.spec())
    made = await home.moves_on(
        home.spec("model.id=Qwen/Qwen2.5-7B-Instruct", "model.adapters=[{name: tunes, source: some/tunes}]")
    )
    told = fields(made)
    assert told.keys() == {"model-server@gke-west", "model-server@gke-east"}
    for changed in told.values():
        models = {one for field, one in changed.items() if field.startswith("spec.template.spec.containers[vllm].args")}
        assert models == {("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-7B-Instruct")}, changed
    async with home.stack(home.spec()) as stack:
        (answer, *_) = await stack.prompt("hello", model="tunes", region="us-east4")
    assert (answer.status, answer.error) == (200, "")


async def test_a_region_is_left_for_another_without_a_gap(home: Home) -> None:
    old = home.spec()
    await home.run(old)
    new = next(way.spec for way in alternatives(old, "gke-east") if way.kind is Fallback.REGION)
    (came,) = {one.name for one in new.clusters} - {"gke-west"}
    made = await home.moves_on(new)

    steps = [str(step.resource) for step in made.steps if step.action is not Action.NO_OP]
    going = [str(step.resource) for step in made.changes if step.action is Action.DELETE]
    assert f"cluster/{came}" in [step.resource for step in made.changes if step.action is Action.CREATE]
    assert {"cluster/gke-east", "node-pool/gke-east/h100", "export@gke-east", "subnet/us-east4"} <= set(going)
    assert ("us-east4", "us-east5") in {
        tuple(str(side).rpartition("/")[2] for side in change) for change in fields(made)["gateway"].values()
    }
    assert steps.index("gateway") < steps.index("verify") < min(map(steps.index, going))

    tables = home.world.tables
    left = [
        f"{name}/{key}"
        for name, table in tables.items()
        if name not in {"operations", "timers"}
        for key in table
        if "gke-east/" in f"{key}/" or key.startswith("us-east4")
    ]
    assert left == []


async def test_machines_are_added_and_taken_where_the_pool_is(home: Home) -> None:
    await home.run(home.spec())
    more = await home.moves_on(home.spec("clusters.gke-east.gpu_pool.nodes=2"))
    told = fields(more)
    assert told["node-pool/gke-east/h100"] == {"initialNodeCount": (1, 2)}
    assert told["model-server@gke-east"] == {"spec.replicas": (2, 4)}
    assert told.keys() == {"node-pool/gke-east/h100", "model-server@gke-east"}
    fewer = await home.moves_on(home.spec("clusters.gke-east.gpu_pool.nodes=1"))
    assert fields(fewer)["node-pool/gke-east/h100"] == {"initialNodeCount": (2, 1)}


async def test_the_gateway_leaves_the_fleets_config_cluster_only_after_a_destroy(home: Home) -> None:
    old = home.spec()
    await home.run(old)
    other = home.spec("config_cluster=gke-east")
    for verb in Verb:
        with pytest.raises(UsageError, match="is on gke-west and cannot move to gke-east") as caught:
            await home.plan(other, verb)
        assert "mcig destroy rehearsal" in caught.value.fix

    (feature,) = (row for key, row in home.world.tables["features"].items() if key.endswith("multiclusteringress"))
    config = feature["spec"]["multiclusteringress"]
    before = config["configMembership"]
    config["configMembership"] = before.replace("gke-west", "gke-east")
    made = {str(step.resource): step.action for step in (await home.plan(other)).steps}
    assert made["fleet-ingress"] is Action.NO_OP, "somebody has moved the fleet: the stack follows"
    assert (made["gateway"], made["gateway@gke-west"]) == (Action.CREATE, Action.DELETE)

    config["configMembership"] = before
    await home.run(old, Verb.DESTROY)
    await home.run(other)
    assert home.behind[-1] > 0
