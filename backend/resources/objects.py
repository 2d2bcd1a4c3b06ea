"""A set of Kubernetes objects of one cluster as one resource.

They go in by server-side apply under a field manager of the resource's own, after a strict dry run. Invariants: fields
are taken over from others only on objects that carry the stack's marks; an object of somebody else's is adopted as it
is, its differences are told and never mended, and it is never deleted. One of another stack's is used where it is as
wanted, and refused where it differs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.engine.events import Action
from backend.engine.resource import STATUS, About, Change, Note, Resource, ResourceId, Step
from backend.errors import NotFound
from backend.resources import marks
from backend.resources.compare import ABSENT, differences
from backend.resources.keys import DELETE_TIMEOUT_S, Key, gone, kubectl, look
from backend.resources.manifests import Object, is_ours, labels_of, marked
from backend.resources.ownership import dropped, owners, scaled_by_controller
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

KIND_TIMEOUT_S = 600.0
"""Longest wait until a new cluster knows a kind that GKE installs by itself."""
_LONGEST_VALUE = 40
"""Characters that are told of a value of somebody else's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Those of a resource's objects that exist."""

    objects: Mapping[Key, Object]
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was looked up beside the objects, such as the region of each address."""


class KubeObjects(Resource[Seen]):
    """A set of objects under one field manager."""

    def __init__(
        self,
        resource_id: str,
        spec: GatewaySpec,
        cluster: ClusterSpec,
        clients: Clients,
        *,
        manager: str,
        wanted: Sequence[Object],
        about: About,
        depends_on: Iterable[str] = (),
        timeout_s: float = 1200.0,
        lacks: Callable[[Seen], str | None] = lambda seen: None,
        anchor: Key | None = None,
    ) -> None:
        """Keep what is wanted.

        ``lacks`` says what existing objects still lack to be ready, and is pure. ``anchor`` is the object whose maker
        made the set: where it is somebody else's, nothing is added to the set either.
        """
        self.id = ResourceId(resource_id)
        self.within = ResourceId(f"cluster/{cluster.name}")
        self.depends_on = frozenset(map(ResourceId, depends_on))
        self.spec, self.cluster, self.clients = spec, cluster, clients
        self.manager = manager
        self.wanted = {Key.of(obj): marked(obj, spec) for obj in wanted}
        """What is to be there, in the order in which it is applied."""
        self.timeout_s = timeout_s
        self._about = about
        self._lacks = lacks
        self._anchor = anchor

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return self._about

    @property
    def kube(self) -> Kube:
        """The API server of the cluster that the objects live in."""
        return self.clients.kube(self.cluster.name)

    @property
    def manifests(self) -> tuple[Object, ...]:
        """What may be sent to a cluster of which nothing is known yet."""
        return tuple(self.wanted.values())

    def wants(self, observed: Seen) -> Mapping[Key, Object]:
        """What is to be there, given what is; overridden where a wanted object depends on what was looked up."""
        del observed
        return self.wanted

    async def observe(self) -> Seen | None:
        """Read the objects; ``None`` when there is none, or no API server to ask yet."""
        try:
            found = await look(self.kube, self.wanted, marks.labels(self.spec))
        except NotFound:
            return None
        return Seen(found) if found else None

    def diff(self, observed: Seen | None) -> Step:
        """Compare by value over the wanted fields; what is somebody else's is only told of."""
        if observed is None:
            return self.create()
        changes: list[Change] = []
        foreign: list[Change] = []
        told: list[str] = []
        adopted = ""
        for key, wanted in self.wants(observed).items():
            seen = observed.objects.get(key)
            if seen is None:
                (foreign if self._left_to_others(observed) else changes).append(Change(str(key), ABSENT, "present"))
                told += [f"{key} is absent"] if self._left_to_others(observed) else []
            elif is_ours(seen, self.spec):
                changes += _within(key, self.drift(wanted, seen))
            else:
                adopted = marks.adopted(self.spec, labels_of(seen))
                for change in differences_of_others(wanted, seen):
                    foreign += _within(key, [change])
                    told.append(f"{key}: {_told(change, owners(seen, change.field))}")
        if other := self._refused(observed):
            return self.update(*changes, *foreign, reason=marks.refused(other))
        reason = f"adopted; left as it is: {'; '.join(told)}" if told else adopted
        if not changes and (lack := self.lacks(observed)) is not None:
            changes.append(Change(STATUS, lack, "ready"))
        if changes:
            return self.update(*changes, reason=reason)
        return Step(self.id, Action.NO_OP, tuple(foreign), reason)

    def drift(self, wanted: Object, seen: Object) -> Iterator[Change]:
        """Differences of one existing object of ours, fields that are no longer wanted among them.

        The replicas that an autoscaler owns are none.
        """
        yield from differences(_without_owned_replicas(wanted, seen), seen)
        yield from dropped(wanted, seen, self.manager)

    def lacks(self, seen: Seen) -> str | None:
        """Say what the set still lacks to be ready; ``None`` when it is."""
        missing = [] if self._left_to_others(seen) else [str(key) for key in self.wanted if key not in seen.objects]
        return f"{', '.join(missing)} not there" if missing else self._lacks(seen)

    def _refused(self, seen: Seen) -> str:
        """The other stack whose objects would have to change; empty when none would."""
        wanted = self.wants(seen)
        differing = [
            obj for key, obj in seen.objects.items() if key in wanted and any(differences_of_others(wanted[key], obj))
        ]
        if self._left_to_others(seen) and self._anchor is not None and wanted.keys() - seen.objects.keys():
            differing.append(seen.objects[self._anchor])
        return next((other for obj in differing if (other := marks.other_stack(self.spec, labels_of(obj)))), "")

    def _left_to_others(self, seen: Seen) -> bool:
        """Whether somebody else made the set."""
        anchor = None if self._anchor is None else seen.objects.get(self._anchor)
        return anchor is not None and not is_ours(anchor, self.spec)

    def removal(self, observed: Seen | None) -> Step:
        """Delete what carries the stack's marks, leave everything else."""
        if observed is None:
            return self.no_op("absent")
        if not any(is_ours(obj, self.spec) for obj in observed.objects.values()):
            whose = [marks.whose(self.spec, labels_of(obj)) for obj in observed.objects.values()]
            return self.no_op(f"{' and '.join(dict.fromkeys(whose))}: left")
        return Step(self.id, Action.DELETE)

    async def apply(self, step: Step, note: Note) -> None:
        """Dry-run what is missing or differs, all of it first, then apply it.

        Raises ``Conflict`` where an object of another stack differs.
        """
        observed = await self.observe() or Seen({})
        if other := self._refused(observed):
            raise marks.refusal(other, f"{self.id} on {self.cluster.name}")
        todo: list[tuple[Object, bool]] = []
        for key, wanted in self.wants(observed).items():
            seen = observed.objects.get(key)
            if seen is None:
                todo += [] if self._left_to_others(observed) else [(wanted, False)]
            elif is_ours(seen, self.spec) and any(self.drift(wanted, seen)):
                todo.append((_without_owned_replicas(wanted, seen), True))
        await self.put(todo, note)

    async def put(self, objects: Sequence[tuple[Object, bool]], note: Note) -> None:
        """Apply objects, each with whether to take fields over, after a dry run of all of them."""
        watch = self.watch(note, f"applying {self.id}", KIND_TIMEOUT_S)

        async def accepted() -> bool | None:
            runs = (self.kube.apply(obj, manager=self.manager, dry_run=True, force=force) for obj, force in objects)
            try:
                await asyncio.gather(*runs)
            except NotFound as missing:
                watch.saw(f"the cluster does not take it yet: {missing.message}")
                return None
            return True

        await watch.until(accepted)
        for obj, force in objects:
            await self.kube.apply(obj, manager=self.manager, force=force)

    async def wait(self, note: Note) -> Seen:
        """Return once the whole set is ready; raises ``StepTimeout``."""
        watch = self.watch(note, f"{self.id} getting ready", self.timeout_s)

        async def ready() -> Seen | None:
            seen = await self.observe() or Seen({})
            lack = self.lacks(seen)
            if lack is None:
                return seen
            watch.saw(await self.explain(lack))
            return None

        return await watch.until(ready)

    def watch(self, note: Note, what: str, timeout_s: float) -> Watch:
        """A wait whose failure names the kubectl command that shows the objects and their events."""
        names = " ".join(f"{key.kind.plural}/{key.name}" for key in list(self.wanted)[-2:])
        look = f"{kubectl(self.clients.project, self.cluster)} describe -n {self.spec.pool.namespace} {names}"
        return Watch(note, what, timeout_s=timeout_s, look=look)

    async def explain(self, lack: str) -> str:
        """Say more about what is lacking, for people; may ask the cluster."""
        return lack

    async def delete(self, note: Note) -> None:
        """Delete what carries the stack's marks, the last applied first, and return once it is gone."""
        observed = await self.observe()
        mine = [] if observed is None else [key for key, obj in observed.objects.items() if is_ours(obj, self.spec)]
        for key in [key for key in reversed(self.wanted) if key in mine]:
            await self.kube.delete(key.kind, key.namespace, key.name)
        watch = self.watch(note, f"deleting {self.id}", DELETE_TIMEOUT_S)
        await watch.until(lambda: gone(self.kube, mine, watch))


def _within(key: Key, changes: Iterable[Change]) -> list[Change]:
    return [Change(f"{key}: {change.field}", change.before, change.after) for change in changes]


def _without_owned_replicas(wanted: Object, seen: Object) -> Object:
    if "replicas" not in wanted.get("spec", {}) or not scaled_by_controller(seen):
        return wanted
    return wanted | {"spec": {key: value for key, value in wanted["spec"].items() if key != "replicas"}}


def differences_of_others(wanted: Object, seen: Object) -> Iterator[Change]:
    """Differences of an object that is not ours; its marks are none."""
    yield from differences(_without_marks(_without_owned_replicas(wanted, seen)), seen)


def _without_marks(wanted: Object) -> Object:
    return wanted | {"metadata": {key: value for key, value in wanted["metadata"].items() if key != "labels"}}


def _told(change: Change, managers: Sequence[str]) -> str:
    """A difference that is left: what stands there, who set it, and what mcig would have set."""
    by = f" (set by {', '.join(managers)})" if managers else ""
    return f"{change.field} is {_short(change.before)}{by}, not {_short(change.after)}"


def _short(value: Any) -> str:
    text = str(value) if value == ABSENT else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
