"""A set of Kubernetes objects of one cluster as one resource.

They go in by server-side apply under a field manager of the resource's own, after a strict dry run. Invariants: fields
are taken over from others only on objects that carry the stack's marks; an object of somebody else's is adopted as it
is, its differences are told and never mended, and it is never deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.clients.kinds import (
    BACKEND_POLICY,
    CONFIG_MAP,
    DEPLOYMENT,
    GATEWAY,
    HEALTH_CHECK_POLICY,
    INFERENCE_POOL,
    POD,
    SECRET,
    Kind,
)
from backend.engine.events import Action
from backend.engine.resource import About, Change, Note, Resource, ResourceId, Step
from backend.errors import NotFound, RateLimited, Unavailable
from backend.resources.compare import ABSENT, differences
from backend.resources.manifests import Object, is_ours, marked
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

KIND_TIMEOUT_S = 600.0
"""Longest wait until a new cluster knows a kind that GKE installs by itself."""
DELETE_TIMEOUT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object stands in its cluster."""

    kind: Kind
    namespace: str | None
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """The place of an object."""
        meta = obj["metadata"]
        return cls(Kind.of(obj), meta.get("namespace"), meta["name"])

    def __str__(self) -> str:
        return f"{self.kind.name}/{self.name}"


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
    ) -> None:
        """Keep what is wanted.

        ``lacks`` says what existing objects still lack to be ready, and is pure.
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

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return self._about

    @property
    def kube(self) -> Kube:
        """The API server of the cluster that the objects live in."""
        return self.clients.kube(self.cluster.name)

    def wants(self, observed: Seen) -> Mapping[Key, Object]:
        """What is to be there, given what is; overridden where a wanted object depends on what was looked up."""
        del observed
        return self.wanted

    async def observe(self) -> Seen | None:
        """Read the objects; ``None`` when there is none, or no API server to ask yet."""
        try:
            found = await look(self.kube, self.wanted)
        except NotFound:
            return None
        return Seen(found) if found else None

    def diff(self, observed: Seen | None) -> Step:
        """Compare by value over the wanted fields; what is somebody else's is only told of."""
        if observed is None:
            return self.create()
        changes: list[Change] = []
        foreign: list[str] = []
        adopted = False
        for key, wanted in self.wants(observed).items():
            seen = observed.objects.get(key)
            if seen is None:
                changes.append(Change(str(key), ABSENT, "present"))
            elif is_ours(seen, self.spec):
                changes += _within(key, self.drift(wanted, seen))
            else:
                adopted = True
                bare = wanted | {"metadata": {k: v for k, v in wanted["metadata"].items() if k != "labels"}}
                foreign += [change.field for change in _within(key, self.drift(bare, seen))]
        reason = f"adopted; differs in {', '.join(foreign)}" if foreign else "adopted" if adopted else ""
        if not changes and (lack := self.lacks(observed)) is not None:
            changes.append(Change("status", lack, "ready"))
        return self.update(*changes, reason=reason)

    def drift(self, wanted: Object, seen: Object) -> Iterator[Change]:
        """Differences of one existing object; the replicas that an autoscaler owns are none."""
        yield from differences(_without_owned_replicas(wanted, seen), seen)

    def lacks(self, seen: Seen) -> str | None:
        """Say what the set still lacks to be ready; ``None`` when it is."""
        missing = [str(key) for key in self.wanted if key not in seen.objects]
        return f"{', '.join(missing)} not there" if missing else self._lacks(seen)

    def removal(self, observed: Seen | None) -> Step:
        """Delete what carries the stack's marks, leave everything else."""
        if observed is None:
            return self.no_op("absent")
        if not any(is_ours(obj, self.spec) for obj in observed.objects.values()):
            return self.no_op("not made by mcig: left")
        return Step(self.id, Action.DELETE)

    async def apply(self, step: Step, note: Note) -> None:
        """Dry-run what is missing or differs, all of it first, then apply it."""
        observed = await self.observe()
        present = {} if observed is None else observed.objects
        todo: list[tuple[Object, bool]] = []
        for key, wanted in self.wanted.items():
            seen = present.get(key)
            if seen is None:
                todo.append((wanted, False))
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
            try:
                seen = await self.observe() or Seen({})
            except (Unavailable, RateLimited) as error:
                watch.saw(f"no answer: {error.cause or error.message}")
                return None
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


async def look(kube: Kube, keys: Iterable[Key]) -> dict[Key, Object]:
    """Read objects side by side: one list for each namespaced kind, one get for each of the others.

    Secrets and Pods are read one by one, so that nobody else's are.
    """
    wanted = list(keys)
    listed = {(key.kind, key.namespace) for key in wanted if key.kind in _LISTED or _several(key, wanted)}
    single = [key for key in wanted if (key.kind, key.namespace) not in listed]
    lists, objects = await asyncio.gather(
        asyncio.gather(*(kube.list(kind, namespace) for kind, namespace in listed)),
        asyncio.gather(*(kube.get(key.kind, key.namespace, key.name) for key in single)),
    )
    found = {Key.of(obj): obj for items in lists for obj in items}
    found |= {key: obj for key, obj in zip(single, objects, strict=True) if obj is not None}
    return {key: found[key] for key in wanted if key in found}


_LISTED = frozenset({BACKEND_POLICY, CONFIG_MAP, DEPLOYMENT, GATEWAY, HEALTH_CHECK_POLICY, INFERENCE_POOL})
"""Kinds of which several resources have objects in the same namespace: their lists are one request."""


def _several(key: Key, keys: Sequence[Key]) -> bool:
    alone = key.kind in {SECRET, POD} or key.namespace is None
    return not alone and sum((other.kind, other.namespace) == (key.kind, key.namespace) for other in keys) > 1


async def gone(kube: Kube, keys: Sequence[Key], watch: Watch) -> bool | None:
    """Give True once none of the objects exists, else tell the watch which remain."""
    try:
        left = await look(kube, keys)
    except NotFound:
        return True
    except (Unavailable, RateLimited) as error:
        watch.saw(f"no answer: {error.cause or error.message}")
        return None
    if left:
        watch.saw(f"waiting until {', '.join(map(str, left))} is gone")
    return None if left else True


def kubectl(project: str, cluster: ClusterSpec) -> str:
    """``kubectl`` with the context that gcloud gives a cluster."""
    return f"kubectl --context gke_{project}_{cluster.region}_{cluster.name}"


def _within(key: Key, changes: Iterable[Change]) -> list[Change]:
    return [Change(f"{key}: {change.field}", change.before, change.after) for change in changes]


def _without_owned_replicas(wanted: Object, seen: Object) -> Object:
    if "replicas" not in wanted.get("spec", {}) or not _scaled_by_controller(seen):
        return wanted
    return wanted | {"spec": {key: value for key, value in wanted["spec"].items() if key != "replicas"}}


def _scaled_by_controller(seen: Object) -> bool:
    """Whether an autoscaler set the replicas; a person's ``kubectl scale`` is drift."""
    return any(
        entry.get("subresource") == "scale"
        and not str(entry.get("manager", "")).startswith("kubectl")
        and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in seen["metadata"].get("managedFields") or ()
    )
