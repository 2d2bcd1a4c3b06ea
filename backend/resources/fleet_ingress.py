"""The row ``fleet-ingress``: the fleet's controller of multi-cluster gateways.

It is a feature that exists once in a fleet and has one config cluster. Invariant: a feature that has another config
cluster is never re-pointed here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from backend import catalog
from backend.clients import Clients
from backend.clients.google import Json
from backend.clients.kinds import GATEWAY, GATEWAY_CLASS, MULTI_CLUSTER_INGRESS, MULTI_CLUSTER_SERVICE
from backend.clients.names import INGRESS_FEATURE
from backend.engine.resource import About, Change, Departure, Note, Resource, Step
from backend.errors import AlreadyExists, Conflict, NotFound, PermissionDenied, ServiceDisabled, Unavailable
from backend.resources import marks
from backend.resources.fleet import INGRESS_ID, UNSAID, follow, in_words, linked, membership_id, short
from backend.resources.gke import dig
from backend.resources.removal import remove
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec

MULTI_CLUSTER = "-mc"
"""How the names of the classes of multi-cluster Gateways end."""
CONFIG_OBJECTS = (MULTI_CLUSTER_INGRESS, MULTI_CLUSTER_SERVICE)
"""What else lives on a config cluster by this feature."""
TIMEOUT_S = 20 * 60.0
SERVED_S = 8.0
"""Seconds that a config cluster has to say what else it serves."""


def same_membership(one: str, other: str) -> bool:
    """Compare two resource names of memberships; the project may be an id in one and a number in the other."""
    return one.partition("/locations/")[2] == other.partition("/locations/")[2] != ""


@dataclass(frozen=True, slots=True)
class Ingress:
    """The feature as it is, beside what it ought to point at."""

    feature: Json
    membership: str | None
    """Resource name of the config cluster's membership; ``None`` when it is not registered."""
    served: tuple[str, ...] = ()
    """Others' objects on the config cluster that the controller serves, in words."""

    @property
    def points_at(self) -> str:
        """Resource name of the membership that the feature has as config membership."""
        return dig(self.feature, f"spec.{INGRESS_FEATURE}.configMembership") or ""

    @property
    def state(self) -> str:
        """The controller's state: OK, WARNING, ERROR, or why there is none."""
        if dig(self.feature, "resourceState.state") in {"ENABLING", "DISABLING"}:
            return str(self.feature["resourceState"]["state"])
        return str(dig(self.feature, "state.state.code") or UNSAID)

    @property
    def description(self) -> str:
        """What the controller says of its state."""
        return str(dig(self.feature, "state.state.description") or "")


class FleetIngress(Resource[Ingress]):
    """The fleet's multi-cluster gateway controller, with the stack's config cluster."""

    def __init__(self, spec: GatewaySpec, clients: Clients) -> None:
        self.id = INGRESS_ID
        self.depends_on = frozenset({membership_id(spec.config_cluster)})
        self._spec = spec
        self._config = spec.config
        self._clients = clients
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return About(
            title=f"Enable multi-cluster gateways with config cluster {self._config.name}",
            command=(
                f"gcloud container fleet ingress enable "
                f"--config-membership={self._clients.fleet.membership_name(self._config.name)} "
                f"--project={self._clients.project}"
            ),
            permissions=(
                "gkehub.features.create",
                "gkehub.features.get",
                "gkehub.features.delete",
                "gkehub.memberships.list",
                "gkehub.operations.get",
            ),
            departures=(
                Departure(
                    document="goes on as soon as gcloud returns, which waits two minutes at most",
                    mcig="waits until the config cluster has the gateway's GatewayClass, accepted",
                    because="the controller may need a quarter of an hour, and a Gateway before that is ignored",
                ),
            ),
            estimate_s=catalog.duration("fleet-ingress"),
        )

    async def observe(self) -> Ingress | None:
        """Give the feature and the membership it ought to point at."""
        self.unread = None
        try:
            feature, membership = await asyncio.gather(self._clients.fleet.feature(INGRESS_FEATURE), self._membership())
            if feature is None:
                return None
            ours = marks.ours(self._spec, feature.get("labels"))
            return Ingress(feature, membership, await self._served() if ours else ())
        except ServiceDisabled as error:
            self.unread = error
            return None

    def diff(self, observed: Ingress | None) -> Step:
        """Enable it, or say how it is not as it ought to be."""
        if observed is None:
            return self.create()
        if observed.state == "DISABLING":
            return self.create("the old one is being disabled")
        if not self._fits(observed):
            change = Change(f"spec.{INGRESS_FEATURE}.configMembership", observed.points_at, self._wanted(observed))
            return self.update(
                change,
                reason=f"refused: the fleet's config cluster is {short(observed.points_at)}, and mcig never moves it",
            )
        if observed.state == "ENABLING":
            return self.create("already under way")
        if observed.state != "OK":
            seen = "not known yet" if observed.state == UNSAID else observed.state
            return self.update(Change("state.state.code", seen, "OK"))
        return self.no_op(marks.adopted(self._spec, observed.feature.get("labels")))

    def removal(self, observed: Ingress | None) -> Step:
        """Disable it when it was enabled for this stack and serves nobody else."""
        if observed is not None and not self._ours(observed):
            return self.no_op(f"{marks.whose(self._spec, observed.feature.get('labels'))}: left")
        if observed is not None and observed.served:
            undo = f"gcloud container fleet ingress disable --project={self._clients.project}"
            return self.no_op(f"left: it serves {', '.join(observed.served)}; `{undo}` once nobody needs it")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Ask for the feature; raises ``Conflict`` when it has another config cluster."""
        seen = await self.observe()
        if seen is not None and seen.state == "DISABLING":
            await self._watch(note, "disabling the old feature").until_gone(self.observe)
            seen = None
        if seen is None:
            await self._create(note)
        elif not self._fits(seen):
            raise self._other_config(seen)

    async def wait(self, note: Note) -> Ingress:
        """Return once the controller runs and its GatewayClass is accepted on the config cluster."""
        doing = "enabling multi-cluster gateways"
        watch = self._watch(note, doing)
        if self._operation is not None:
            await follow(self._clients, watch, self._operation, doing)
            self._operation = None

        async def ok() -> Ingress | None:
            seen = await self.observe()
            state = "absent" if seen is None else seen.state
            if state == "OK":
                return seen
            said = f": {seen.description}" if seen is not None and seen.description else ""
            watch.saw(f"the multi-cluster gateway controller {in_words(state)}{said}")
            return None

        seen = await watch.until(ok)
        await watch.until(lambda: self._class_accepted(watch))
        return seen

    async def delete(self, note: Note) -> None:
        """Disable the feature and return once it is gone."""
        doing = "disabling multi-cluster gateways"
        watch = self._watch(note, doing)
        seen = await self.observe()
        if seen is None:
            return
        await remove(
            watch,
            doing,
            going=seen.state == "DISABLING",
            begun=self._operation,
            ask=lambda: self._clients.fleet.delete_feature(INGRESS_FEATURE),
            ended=lambda name: follow(self._clients, watch, name, doing),
        )
        await watch.until_gone(self.observe)

    def _ours(self, observed: Ingress) -> bool:
        return marks.ours(self._spec, observed.feature.get("labels"))

    def _fits(self, observed: Ingress) -> bool:
        return same_membership(observed.points_at, self._wanted(observed))

    def _wanted(self, observed: Ingress) -> str:
        return observed.membership or self._clients.fleet.membership_name(self._config.name)

    async def _served(self) -> tuple[str, ...]:
        kube = self._clients.kube(self._config.name)
        try:
            async with asyncio.timeout(SERVED_S):
                gateways, *configs = await asyncio.gather(
                    kube.list(GATEWAY), *(kube.list(kind) for kind in CONFIG_OBJECTS)
                )
        except NotFound:
            return ()
        except (Unavailable, PermissionDenied, TimeoutError):
            return (f"whatever is on {self._config.name}, which could not be asked",)
        found = [
            f"Gateway {_path(one)}"
            for one in gateways
            if dig(one, "spec.gatewayClassName").endswith(MULTI_CLUSTER) and not self._our_gateway(one)
        ]
        for kind, objects in zip(CONFIG_OBJECTS, configs, strict=True):
            found += [f"{kind.name} {_path(one)}" for one in objects]
        return tuple(found)

    def _our_gateway(self, gateway: Json) -> bool:
        meta = gateway["metadata"]
        named = (meta.get("namespace"), meta["name"]) == (self._spec.pool.namespace, self._spec.gateway.name)
        return named and marks.ours(self._spec, meta.get("labels"))

    async def _membership(self) -> str | None:
        found = linked(await self._clients.fleet.memberships(), self._clients.project, self._config)
        return None if found is None else str(found["name"])

    async def _create(self, note: Note) -> None:
        membership = await self._membership()
        if membership is None:
            raise NotFound(
                f"config cluster {self._config.name} is not in the fleet",
                cause="its membership was deleted while this run went on",
                fix="`mcig apply` again",
            )
        wanted = {"labels": marks.labels(self._spec), "spec": {INGRESS_FEATURE: {"configMembership": membership}}}
        try:
            operation = await self._clients.fleet.create_feature(INGRESS_FEATURE, wanted)
        except AlreadyExists:
            seen = await self.observe()
            if seen is not None and not self._fits(seen):
                raise self._other_config(seen) from None
        else:
            self._operation = operation["name"]
            note("enabling multi-cluster gateways", operation=operation["name"])

    def _other_config(self, seen: Ingress) -> Conflict:
        wanted = self._wanted(seen)
        return Conflict(
            f"the fleet's config cluster is {short(seen.points_at)}, not {short(wanted)}",
            cause="a fleet has one config cluster, and the gateways of others may depend on it",
            fix=(
                f"set config_cluster to that cluster; or move all gateways of the fleet with `gcloud container fleet "
                f"ingress update --config-membership={wanted} --project={self._clients.project}`"
            ),
        )

    async def _class_accepted(self, watch: Watch) -> bool | None:
        name = self._spec.gateway.gateway_class
        found = await self._clients.kube(self._config.name).get(GATEWAY_CLASS, None, name)
        conditions = dig(found, "status.conditions") or ()
        if any(one.get("type") == "Accepted" and one.get("status") == "True" for one in conditions):
            return True
        watch.saw(f"waiting until {self._config.name} has GatewayClass {name}")
        return None

    def _watch(self, note: Note, what: str) -> Watch:
        look = f"gcloud container fleet ingress describe --project={self._clients.project}"
        return Watch(note, what, timeout_s=TIMEOUT_S, look=look)


def _path(obj: Json) -> str:
    return f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
