"""What an earlier form of a stack's specification declared and the present one does not: taken away at the end.

A region that leaves the specification leaves a cluster, a subnet and more behind. They are planned as deletions that
come after the gateway has answered in its new form, so that it is never without a backend; nothing is deleted that does
not carry the stack's marks. Invariant: an earlier specification is kept until all that only it declared is gone, so a
run that dies in between forgets nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backend.engine.events import Action, Verb
from backend.engine.graph import graph
from backend.engine.resource import About, Note, Resource, ResourceId, Step
from backend.errors import UsageError
from backend.places import Places, write_private
from backend.spec import ClusterSpec, GatewaySpec

Rows = Sequence[Resource[Any]]
Declare = Callable[[GatewaySpec], Rows]
INGRESS = ResourceId("fleet-ingress")
GATEWAY = ResourceId("gateway")
VERIFY = ResourceId("verify")
SERVING = "model-server@"


def retired(old: GatewaySpec, new: GatewaySpec) -> tuple[ClusterSpec, ...]:
    """The clusters that a specification no longer has."""
    names = {cluster.name for cluster in new.clusters}
    return tuple(cluster for cluster in old.clusters if cluster.name not in names)


def refuse_moves(old: GatewaySpec, new: GatewaySpec) -> None:
    """Raise ``UsageError`` when a cluster is to be in another region under its old name."""
    regions = {cluster.name: cluster.region for cluster in old.clusters}
    for cluster in new.clusters:
        before = regions.get(cluster.name, cluster.region)
        if before != cluster.region:
            raise UsageError(
                f"cluster {cluster.name} is in {before} and cannot move to {cluster.region}",
                cause="the old cluster serves until the new one does, and two clusters of one name cannot stand in one "
                "fleet",
                fix=f"give the cluster in {cluster.region} another name; the one in {before} is removed afterwards, or "
                f"`mcig destroy {new.name}` first",
            )


_RENAMED: Mapping[str, Callable[[GatewaySpec], str]] = {
    "model.name": lambda spec: spec.model.name,
    "objective.name": lambda spec: spec.objective.name,
    "pool.name": lambda spec: spec.pool.name,
    "pool.namespace": lambda spec: spec.pool.namespace,
    "gateway.name": lambda spec: spec.gateway.name,
}


def refuse_renames(old: GatewaySpec, new: GatewaySpec) -> None:
    """Raise ``UsageError`` when Kubernetes objects are to have another name or namespace."""
    for path, name in _RENAMED.items():
        if name(old) != name(new):
            raise UsageError(
                f"{path} is {name(old)} and cannot become {name(new)}",
                cause="Kubernetes objects cannot be renamed; those under the new name would stand beside the old ones",
                fix=f"set {path} back to {name(old)}; or `mcig destroy {old.name}` takes the stack away as it is, then "
                "apply this specification",
            )


def former(places: Places, spec: GatewaySpec) -> list[GatewaySpec]:
    """Earlier specifications of a stack in the same project, the latest first; unreadable ones are passed over."""
    from backend import spec_yaml

    found: list[GatewaySpec] = []
    for path in [places.stack(spec.name), *sorted(places.retired(spec.name).glob("*.yaml"))]:
        try:
            old = spec_yaml.load(path.read_text(encoding="utf-8"), str(path), name=spec.name)
        except (OSError, UsageError):
            continue
        if (old.target, old.project) == (spec.target, spec.project) and old not in (spec, *found):
            found.append(old)
    return found


class Retirement:
    """The rows that only earlier specifications declare."""

    def __init__(self, places: Places, spec: GatewaySpec, declare: Declare) -> None:
        """Read the earlier specifications; raises ``UsageError`` for what can neither move nor be renamed."""
        self._places, self._spec = places, spec
        self._new = declare(spec)
        self._old: list[Rows] = []
        self._elsewhere: list[tuple[GatewaySpec, Rows]] = []
        for old in former(places, spec):
            refuse_moves(old, spec)
            refuse_renames(old, spec)
            self._old.append(declare(old))
            if old.config_cluster != spec.config_cluster:
                self._elsewhere.append((old, self._old[-1]))

    async def check(self) -> None:
        """Raise ``UsageError`` when the gateway is to leave the cluster that is the fleet's config cluster.

        Where the fleet has another one anyway, as after the refusal to take it over, there is no gateway to leave.
        """
        for old, rows in self._elsewhere:
            row = next(row for row in rows if row.id == INGRESS)
            observed = await row.observe()
            if observed is not None and row.diff(observed).action is not Action.UPDATE:
                raise UsageError(
                    f"the gateway of {old.name} is on {old.config_cluster} and cannot move to "
                    f"{self._spec.config_cluster}",
                    cause=f"a fleet has one config cluster, {old.config_cluster} is this fleet's, and a gateway stops "
                    "answering when the fleet changes it",
                    fix=f"set config_cluster back to {old.config_cluster}; or `mcig destroy {old.name}` takes the "
                    "stack away as it is, then apply this specification",
                )

    def rows(self, verb: Verb) -> tuple[Resource[Any], ...]:
        """What is to go, each in its place in the order of a run of ``verb``."""
        known = {(row.id, row.within) for row in self._new}
        taken = {row.id for row in self._new}
        found: list[Resource[Any]] = []
        for rows in self._old:
            leaving = [row for row in rows if (row.id, row.within) not in known]
            known |= {(row.id, row.within) for row in leaving}
            found += _adapted(leaving, rows, self._new, taken, verb)
            taken |= {row.id for row in found}
        return tuple(found)

    def remember(self) -> None:
        """Keep the specification that was applied last while something of it is left."""
        saved = self._places.stack(self._spec.name)
        if self._old and saved.exists():
            text = saved.read_text(encoding="utf-8")
            name = hashlib.sha256(text.encode()).hexdigest()[:12]
            write_private(self._places.retired(self._spec.name) / f"{name}.yaml", text)

    def forget(self) -> None:
        """Drop the earlier specifications: nothing of them is left."""
        for path in self._places.retired(self._spec.name).glob("*.yaml"):
            path.unlink(missing_ok=True)


class Retired(Resource[Any]):
    """A row whose wanted state is absence."""

    def __init__(
        self, row: Resource[Any], name: ResourceId, home: Resource[Any] | None, after: frozenset[ResourceId], verb: Verb
    ) -> None:
        """Wrap a row; ``home`` is the row that it lives in, ``after`` what must be done before it may go."""
        self.id = name
        self._row, self._home = row, home
        if verb is Verb.APPLY:
            self.depends_on = after
        else:
            self.delete_after = after
            self.within, self.outside = row.within, row.outside

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        title = f"Remove {self._row.id}, which the specification no longer has"
        return replace(
            self._row.about, title=title, command="", departures=(), estimate_s=0.0, estimate_p90_s=None, usd_per_hour=0
        )

    async def observe(self) -> Any | None:
        """Look at the row, unless what it lives in is gone."""
        if self._home is not None and await self._home.observe() is None:
            return None
        return await self._row.observe()

    def diff(self, observed: Any | None) -> Step:
        """Delete it where it is there and was made for the stack."""
        step = self._row.removal(observed)
        if step.action is Action.NO_OP:
            return self.no_op(step.reason)
        return Step(self.id, Action.DELETE, reason="no longer in the specification")

    def removal(self, observed: Any | None) -> Step:
        """Delete it where it is there and was made for the stack."""
        return self.diff(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Take it away."""
        await self._row.delete(note)

    async def wait(self, note: Note) -> None:
        """Nothing: it is gone."""

    async def delete(self, note: Note) -> None:
        """Take it away."""
        await self._row.delete(note)


def _adapted(leaving: Rows, old: Rows, new: Rows, taken: set[ResourceId], verb: Verb) -> list[Resource[Any]]:
    order = graph(old, Verb.DESTROY)
    homes = {row.id: row for row in (*new, *old)}
    names = {row.id: _free(row, taken) for row in leaving}
    if verb is Verb.APPLY:
        first = {row.id for row in new if row.id in {GATEWAY, VERIFY} or row.id.startswith(SERVING)}
    else:
        first = {row.id for row in new if row.id == GATEWAY}
    found: list[Resource[Any]] = []
    for row in leaving:
        after = frozenset(names[before] for before in order[row.id] if before in names) | first
        home = None if row.within is None else homes[row.within]
        found.append(Retired(row, names[row.id], home, after, verb))
    return found


def _free(row: Resource[Any], taken: set[ResourceId]) -> ResourceId:
    """The row's own id, or one beside it where the new specification uses that for something else."""
    name = row.id
    while name in taken:
        name = ResourceId(f"{name}@{(row.within or 'former').rpartition('/')[2]}")
    return name
