"""The row ``services``: the APIs that everything else needs.

Invariant: an API is disabled only when the user wants shared things to go, nobody else in the project is left who could
need it, and Google sees no use of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend import catalog
from backend.clients import Clients
from backend.engine.events import Action
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import InvalidRequest, ServiceDisabled
from backend.resources.operations import until_done
from backend.resources.sharing import OWN, Teardown, others
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec

ID = ResourceId("services")
DOCUMENTED = ("compute", "container", "modelarmor", "networkservices", "autoscaling")
"""The APIs that the document enables."""
ADDED = (
    "gkehub",
    "multiclusteringress",
    "multiclusterservicediscovery",
    "trafficdirector",
    "iam",
    "cloudresourcemanager",
    "monitoring",
    "logging",
    "cloudquotas",
)
"""What fleet, multi-cluster gateways and this program need besides."""
WANTED = frozenset(f"{name}.googleapis.com" for name in (*DOCUMENTED, *ADDED))
KEPT = frozenset(
    f"{name}.googleapis.com"
    for name in ("compute", "container", "iam", "cloudresourcemanager", "monitoring", "logging", "cloudquotas")
)
"""Those that are never disabled: machines, clusters and people that mcig does not know of live on them."""
ON_BY_DEFAULT = frozenset(
    {"cloudresourcemanager.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com"}
)
"""Those that may be on in a project in which nobody has done anything yet."""
TIMEOUT_S = 20 * 60.0


@dataclass(frozen=True, slots=True)
class Apis:
    """The project's enabled APIs, as far as they are wanted."""

    enabled: frozenset[str]
    needed_by: tuple[str, ...] = ()
    """Others in the project who may need them; only looked for when shared things are to go."""


class EnabledServices(Resource[Apis]):
    """The APIs of the project that everything else needs."""

    def __init__(self, spec: GatewaySpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self.id = ID
        self._spec = spec
        self._teardown = teardown
        self._clients = clients
        self._region = spec.config.region
        self._operation: str | None = None

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        names = " ".join(sorted(WANTED))
        return About(
            title=f"Enable {len(WANTED)} Google APIs",
            command=f"gcloud services enable {names} --project={self._clients.project}",
            permissions=(
                "serviceusage.services.list",
                "serviceusage.services.enable",
                "serviceusage.services.disable",
                "serviceusage.operations.get",
            ),
            departures=(
                Departure(
                    document=f"enables {len(DOCUMENTED)} APIs",
                    mcig=f"enables {len(WANTED)}: also {', '.join(ADDED)}",
                    because="fleet registration and multi-cluster gateways fail without their own APIs",
                ),
            ),
            estimate_s=catalog.duration("services"),
        )

    async def observe(self) -> Apis | None:
        """Give the wanted APIs that are on; ``None`` in a project in which nobody has enabled any yet."""
        found = await self._clients.services.enabled() & WANTED
        if found <= ON_BY_DEFAULT:
            return None
        if not self._teardown.shared:
            return Apis(found)
        return Apis(found, await others(self._spec, self._clients, self._teardown))

    def diff(self, observed: Apis | None) -> Step:
        """Enable what is missing."""
        if observed is None:
            return self.create()
        off = sorted(WANTED - observed.enabled)
        why = f"{len(off)} of {len(WANTED)} are off" if off else ""
        return self.update(*(Change(name, "disabled", "enabled") for name in off), reason=why)

    def removal(self, observed: Apis | None) -> Step:
        """Leave them on; when shared things are to go and nobody else is left, disable those of the gateway alone."""
        if observed is None:
            return self.no_op("absent")
        project = self._clients.project
        undo = f"gcloud services disable {' '.join(sorted(observed.enabled - KEPT))} --project={project}"
        if not self._teardown.shared:
            return self.no_op(f"left enabled: other things may need them; `{undo}` turns off what gateways need")
        if observed.needed_by:
            return self.no_op(f"left enabled: {', '.join(observed.needed_by)} may need them; `{undo}` turns them off")
        if not observed.enabled - KEPT:
            return self.no_op(f"left enabled: {', '.join(sorted(observed.enabled))} serve nearly every project")
        return Step(self.id, Action.DELETE, reason=f"disables all but {', '.join(sorted(observed.enabled & KEPT))}")

    async def apply(self, step: Step, note: Note) -> None:
        """Enable all that are missing in one request."""
        missing = WANTED - await self._clients.services.enabled()
        if missing:
            operation = await self._clients.services.enable(missing)
            self._operation = operation["name"]
            note(f"enabling {len(missing)} APIs", operation=operation["name"])

    async def wait(self, note: Note) -> Apis:
        """Return once all are on and answer."""
        watch = Watch(
            note,
            "enabling the APIs",
            timeout_s=TIMEOUT_S,
            look=f"gcloud services list --enabled --project={self._clients.project}",
        )
        if (begun := self._operation) is not None:
            await self._follow(watch, begun, "enabling the APIs")

        async def all_on() -> Apis | None:
            missing = WANTED - await self._clients.services.enabled()
            if missing:
                watch.saw(f"waiting for {', '.join(sorted(missing))}")
            return None if missing else Apis(WANTED)

        async def in_force() -> Apis | None:
            try:
                await self._clients.compute.subnetworks("default")
                await self._clients.container.server_config(self._region)
                await self._clients.fleet.memberships()
            except ServiceDisabled as error:
                watch.saw(f"enabled, but not in force everywhere yet: {error.message}")
                return None
            return Apis(WANTED)

        await watch.until(all_on)
        return await watch.until(in_force)

    async def delete(self, note: Note) -> None:
        """Disable what only gateways need, one by one; what Google says is in use stays, and is told of."""
        watch = Watch(note, "disabling APIs", timeout_s=TIMEOUT_S, look="gcloud services list --enabled")
        if (begun := self._operation) is not None:
            await self._follow(watch, begun, "disabling APIs")
        for name in sorted(await self._clients.services.enabled() & WANTED - KEPT):
            try:
                operation = await self._clients.services.disable(name)
            except InvalidRequest as error:
                note(f"left {name} enabled: {error.message}")
                continue
            note(f"disabling {name}", operation=operation["name"])
            await self._follow(watch, operation["name"], "disabling APIs")

    async def _follow(self, watch: Watch, name: str, doing: str) -> None:
        clients = self._clients
        await until_done(watch, lambda: clients.services.operation(name), doing=doing, project=clients.project)
