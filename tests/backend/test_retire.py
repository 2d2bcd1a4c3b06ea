"""What leaves the specification leaves the cloud, after the gateway works without it, and never before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from backend import presets
from backend.engine.apply import Result, Run
from backend.engine.apply import apply as carry_out
from backend.engine.events import Action, Outcome, Verb
from backend.engine.plan import plan
from backend.engine.resource import About, Note, Resource, ResourceId, Step
from backend.errors import OperationFailed, Unavailable, UsageError
from backend.places import Places, write_private
from backend.retire import Retirement, refuse_moves, refuse_renames, retired
from backend.spec import GatewaySpec
from backend.stockout import Fallback, alternatives

Log = list[tuple[str, str]]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places.of({"MCIG_HOME": str(tmp_path / "home")})


@pytest.fixture
def old(places: Places) -> GatewaySpec:
    return presets.load(presets.find("rehearsal", places))


def moved(spec: GatewaySpec, cluster: str) -> GatewaySpec:
    return next(way.spec for way in alternatives(spec, cluster) if way.kind is Fallback.REGION)


class Row(Resource[str]):
    """A row of a world that is a dictionary of ids to the stack that made them."""

    def __init__(
        self,
        name: str,
        world: dict[str, str],
        log: Log,
        *,
        within: str | None = None,
        after: Sequence[str] = (),
        fails: bool = False,
    ) -> None:
        self.id = ResourceId(name)
        self.within = None if within is None else ResourceId(within)
        self.depends_on = frozenset(map(ResourceId, after))
        self._world, self._log, self._fails = world, log, fails

    @property
    def about(self) -> About:
        return About(f"Make {self.id}", estimate_s=5, usd_per_hour=1.0)

    async def observe(self) -> str | None:
        if f"silent {self.within}" in self._world:
            raise Unavailable(f"{self.within} says nothing")
        return self._world.get(self.id)

    def diff(self, observed: str | None) -> Step:
        return self.create() if observed is None else self.no_op()

    def removal(self, observed: str | None) -> Step:
        return self.no_op("not made by mcig: left") if observed == "somebody" else super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        if self._fails:
            raise OperationFailed(f"{self.id} broke")
        self._world[self.id] = "mcig"
        self._log.append(("made", self.id))

    async def wait(self, note: Note) -> str:
        return self._world[self.id]

    async def delete(self, note: Note) -> None:
        self._world.pop(self.id, None)
        self._log.append(("deleted", self.id))


class Cloud:
    """A small recipe over a dictionary, and runs as separate commands make them."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.world: dict[str, str] = {}
        self.log: Log = []
        self.breaks: set[str] = set()

    def declare(self, spec: GatewaySpec) -> list[Resource[Any]]:
        def row(name: str, *, within: str | None = None, after: Sequence[str] = ()) -> Row:
            return Row(name, self.world, self.log, within=within, after=after, fails=name in self.breaks)

        rows = [row(f"subnet/{region}") for region in spec.regions]
        rows += [row(f"cluster/{one.name}") for one in spec.clusters]
        for one in spec.targets:
            home = f"cluster/{one.name}"
            rows += [
                row(f"node-pool/{one.name}", within=home),
                row(f"model-server@{one.name}", within=home, after=[f"node-pool/{one.name}"]),
                row(f"export@{one.name}", within=home, after=[f"model-server@{one.name}"]),
            ]
        needs = [f"export@{one.name}" for one in spec.targets] + [f"subnet/{region}" for region in spec.regions]
        rows.append(row("gateway", within=f"cluster/{spec.config_cluster}", after=needs))
        return [*rows]

    async def run(self, spec: GatewaySpec, verb: Verb = Verb.APPLY, *, die: bool = False) -> Result:
        retirement = Retirement(self.places, spec, self.declare)
        rows = [*self.declare(spec), *retirement.rows(verb)]
        made = await plan(rows, verb)
        if verb is Verb.APPLY:
            retirement.remember()
            write_private(self.places.stack(spec.name), presets.dump(spec))
        if die:
            return Result(Outcome.CANCELLED, (), 0.0)
        result = await carry_out(made, rows, run=Run("r", spec.name, "emulator"), emit=lambda _: None)
        if result.outcome is Outcome.SUCCEEDED:
            retirement.forget()
        return result

    async def actions(self, spec: GatewaySpec, verb: Verb = Verb.APPLY) -> dict[str, Action]:
        retirement = Retirement(self.places, spec, self.declare)
        made = await plan([*self.declare(spec), *retirement.rows(verb)], verb, passing=(Unavailable,))
        return {step.resource: step.action for step in made.steps}


@pytest.fixture
def cloud(places: Places) -> Cloud:
    return Cloud(places)


async def test_a_region_is_left_after_the_gateway_has_moved(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    new = moved(old, "gke-east")
    cloud.log.clear()
    assert (await cloud.run(new)).outcome is Outcome.SUCCEEDED

    assert [one.name for one in retired(old, new)] == ["gke-east"]
    deleted = [name for what, name in cloud.log if what == "deleted"]
    assert set(deleted) == {
        "export@gke-east",
        "model-server@gke-east",
        "node-pool/gke-east",
        "cluster/gke-east",
        "subnet/us-east4",
    }
    assert deleted.index("export@gke-east") < deleted.index("model-server@gke-east") < deleted.index("cluster/gke-east")
    assert cloud.log.index(("made", "model-server@gke-east-us-east5")) < cloud.log.index(("deleted", "export@gke-east"))
    assert not any("gke-west" in name for _, name in cloud.log), "what was won elsewhere is not touched"
    assert set((await cloud.actions(new)).values()) == {Action.NO_OP}
    assert not any(name.rpartition("/")[2] == "gke-east" for name in await cloud.actions(new)), "forgotten"


async def test_the_gateways_cluster_stays_and_gives_up_what_served(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    new = moved(old, "gke-west")
    assert (await cloud.run(new)).outcome is Outcome.SUCCEEDED
    assert {name for name in cloud.world if name.endswith(("gke-west", "europe-west3"))} == {"cluster/gke-west"}
    assert cloud.world["gateway"] == "mcig"


async def test_nothing_goes_while_the_new_form_does_not_work(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    new = moved(old, "gke-east")
    cloud.breaks = {"model-server@gke-east-us-east5"}
    before = set(cloud.world)
    assert (await cloud.run(new)).outcome is Outcome.FAILED
    assert before <= set(cloud.world)
    cloud.breaks = set()
    assert (await cloud.run(new)).outcome is Outcome.SUCCEEDED
    assert "cluster/gke-east" not in cloud.world


async def test_a_run_that_dies_forgets_nothing(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    first, second = moved(old, "gke-east"), moved(old, "gke-west")
    await cloud.run(first, die=True)
    await cloud.run(second, die=True)
    assert (await cloud.actions(second))["node-pool/gke-west"] is Action.DELETE
    await cloud.run(first)
    assert set(cloud.world) == {row.id for row in cloud.declare(first)}


async def test_what_somebody_else_made_stays(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    cloud.world["cluster/gke-east"] = "somebody"
    new = moved(old, "gke-east")
    assert (await cloud.actions(new))["cluster/gke-east"] is Action.NO_OP
    await cloud.run(new)
    assert cloud.world["cluster/gke-east"] == "somebody"
    assert "model-server@gke-east" not in cloud.world


async def test_destroy_takes_what_is_left_of_before_along(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    new = moved(old, "gke-east")
    await cloud.run(new, die=True)
    cloud.log.clear()
    assert (await cloud.run(new, Verb.DESTROY)).outcome is Outcome.SUCCEEDED
    assert cloud.world == {}
    assert cloud.log.index(("deleted", "gateway")) < cloud.log.index(("deleted", "export@gke-east"))


async def test_destroy_takes_a_region_of_before_along_that_says_nothing(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    new = moved(old, "gke-east")
    await cloud.run(new, die=True)
    cloud.world["silent cluster/gke-east"] = "for good"
    actions = await cloud.actions(new, Verb.DESTROY)
    assert actions["cluster/gke-east"] is Action.DELETE
    assert actions["export@gke-east"] is Action.NO_OP


async def test_another_project_is_another_stack(cloud: Cloud, old: GatewaySpec) -> None:
    await cloud.run(old)
    elsewhere = moved(old, "gke-east").model_copy(update={"project": "other-project"})
    assert Action.DELETE not in (await cloud.actions(elsewhere)).values()


def test_a_cluster_cannot_move_under_its_name(old: GatewaySpec) -> None:
    new = moved(old, "gke-east")
    clusters = tuple(
        one.model_copy(update={"name": "gke-east"}) if one.name.startswith("gke-east") else one for one in new.clusters
    )
    with pytest.raises(UsageError, match="gke-east is in us-east4 and cannot move to us-east5") as caught:
        refuse_moves(old, new.model_copy(update={"clusters": clusters}))
    assert "another name" in caught.value.fix


@pytest.mark.parametrize("path", ["model.name", "objective.name", "pool.name", "pool.namespace", "gateway.name"])
def test_what_kubernetes_cannot_rename_is_refused(places: Places, old: GatewaySpec, path: str) -> None:
    new = presets.load(presets.find("rehearsal", places), [f"{path}=another"])
    with pytest.raises(UsageError, match=f"{path} is .* and cannot become another") as caught:
        refuse_renames(old, new)
    assert "mcig destroy rehearsal" in caught.value.fix
    refuse_renames(old, old)
