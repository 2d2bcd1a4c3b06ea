"""How a stack stands, also when only parts of its load balancer are left."""

from __future__ import annotations

from pathlib import Path

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.emulator.server import Emulator
from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, PlannedStep, plan
from backend.engine.resource import About, ResourceId, Step
from backend.errors import Unavailable
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from backend.status import statuses, unread
from tests.backend.drills import Drilled
from tests.backend.engine.toys import Check, Hanging, Toy, ToyWorld


async def test_parts_that_a_vanished_gateway_left_are_told_of(
    spec: GatewaySpec, clients: Clients, connection: Connection, emulator: Emulator, tmp_path: Path
) -> None:
    name = "gkemcg1-default-cross-region-gateway-abcdefghijkl"
    emulator.world.tables["services"]["compute.googleapis.com"] = {"state": "ENABLED"}
    emulator.world.tables["urlMaps"][f"global/{name}"] = {"name": name, "selfLink": f"https://compute/{name}"}
    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    stack = Stack(spec, connection=connection, clients=clients, declare=lambda of: declare(of, clients), places=places)

    found = (await stack.status()).to_json()

    command = f"gcloud compute url-maps delete {name} --global --project=demo-project"
    assert found["leftovers"] == [{"kind": "url-maps", "name": name, "command": command}]
    assert found["addresses"] == []


async def test_a_silent_cluster_is_named_once_and_another_that_answers_is_not(spec: GatewaySpec) -> None:
    config, other = spec.config_cluster, next(one.name for one in spec.targets if one.name != spec.config_cluster)
    world = ToyWorld(values=dict.fromkeys((f"cluster/{config}", f"cluster/{other}", f"pool@{other}"), "new"))
    homes = [Toy(world, f"cluster/{name}") for name in (config, other)]
    rows = [
        *homes,
        *(Hanging(world, name, within=f"cluster/{config}") for name in (f"pool@{config}", "gateway")),
        Toy(world, f"pool@{other}", within=f"cluster/{other}"),
        Hanging(world, f"export@{other}", within=f"cluster/{other}"),
    ]
    made = await plan(rows, Verb.APPLY, limit_s=0.01)
    assert unread(made, spec) == f"{config}: no answer within 0.01 s"
    alone = await plan([*homes, Hanging(world, f"pool@{other}", within=f"cluster/{other}")], Verb.APPLY, limit_s=0.01)
    assert unread(alone, spec) == f"{other}: no answer within 0.01 s"


async def test_what_follows_changes_is_ready_where_nothing_but_a_drill_differs() -> None:
    world = ToyWorld(values={"policy": "new", "other": "new"})
    rows = [Drilled(world, "policy"), Toy(world, "other"), Check(world, "verify", "policy", "other")]

    async def states() -> list[str]:
        return [one.state for one in statuses(await plan(rows, Verb.APPLY), {"verify"})]

    assert await states() == ["drained", "ready", "ready"]
    world.values["other"] = "old"
    assert await states() == ["drained", "drifted", "absent"]


async def test_clusters_whose_names_begin_alike_are_two(spec: GatewaySpec) -> None:
    def step(name: str) -> PlannedStep:
        error = Unavailable(f"cannot read Service default/epp on {name}: no answer")
        error.cluster = name
        row = Step(ResourceId(f"pool@{name}"), Action.NO_OP)
        return PlannedStep(row, frozenset(), About(""), drifted=False, unseen=error)

    made = Plan(Verb.APPLY, (step("gke"), step("gke-2"), step("gke-2")))
    assert unread(made, spec) == "; ".join(
        f"cannot read Service default/epp on {name}: no answer" for name in ("gke", "gke-2")
    )
