"""The row ``services``: the APIs that everything else needs.

Invariant: an API is only ever enabled, never disabled; others in the project may need it.
"""

from __future__ import annotations

from backend import catalog
from backend.clients import Clients
from backend.clients.failures import operation_failed
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import ServiceDisabled
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
ON_BY_DEFAULT = frozenset(
    {"cloudresourcemanager.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com"}
)
"""Those that may be on in a project in which nobody has done anything yet."""
TIMEOUT_S = 20 * 60.0


class EnabledServices(Resource[frozenset[str]]):
    """The project's enabled APIs, as far as they are wanted."""

    def __init__(self, spec: GatewaySpec, clients: Clients) -> None:
        self.id = ID
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
            permissions=("serviceusage.services.list", "serviceusage.services.enable"),
            departures=(
                Departure(
                    document=f"enables {len(DOCUMENTED)} APIs",
                    mcig=f"enables {len(WANTED)}: also {', '.join(ADDED)}",
                    because="fleet registration and multi-cluster gateways fail without their own APIs",
                ),
            ),
            estimate_s=catalog.duration("services"),
        )

    async def observe(self) -> frozenset[str] | None:
        """Give the wanted APIs that are on; ``None`` in a project in which nobody has enabled any yet."""
        found = await self._clients.services.enabled() & WANTED
        return None if found <= ON_BY_DEFAULT else found

    def diff(self, observed: frozenset[str] | None) -> Step:
        """Enable what is missing."""
        if observed is None:
            return self.create()
        return self.update(*(Change(name, "disabled", "enabled") for name in sorted(WANTED - observed)))

    def removal(self, observed: frozenset[str] | None) -> Step:
        """Leave them on."""
        del observed
        return self.no_op("left enabled: other things may need them; `gcloud services disable NAME` turns one off")

    async def apply(self, step: Step, note: Note) -> None:
        """Enable all that are missing in one request."""
        missing = WANTED - await self._clients.services.enabled()
        if missing:
            operation = await self._clients.services.enable(missing)
            self._operation = operation["name"]
            note(f"enabling {len(missing)} APIs", operation=operation["name"])

    async def wait(self, note: Note) -> frozenset[str]:
        """Return once all are on and answer."""
        watch = Watch(
            note,
            "enabling the APIs",
            timeout_s=TIMEOUT_S,
            look=f"gcloud services list --enabled --project={self._clients.project}",
        )
        operation = self._operation
        if operation is not None:
            await watch.until(lambda: self._done(operation))

        async def all_on() -> frozenset[str] | None:
            missing = WANTED - await self._clients.services.enabled()
            if missing:
                watch.saw(f"waiting for {', '.join(sorted(missing))}")
            return None if missing else WANTED

        async def in_force() -> frozenset[str] | None:
            try:
                await self._clients.compute.subnetworks("default")
                await self._clients.container.server_config(self._region)
                await self._clients.fleet.memberships()
            except ServiceDisabled as error:
                watch.saw(f"enabled, but not in force everywhere yet: {error.message}")
                return None
            return WANTED

        await watch.until(all_on)
        return await watch.until(in_force)

    async def delete(self, note: Note) -> None:
        """Do nothing: see ``removal``."""
        del note

    async def _done(self, name: str) -> bool | None:
        operation = await self._clients.services.operation(name)
        if error := operation.get("error"):
            raise operation_failed("enabling APIs", error["message"], project=self._clients.project, code=error["code"])
        return True if operation["done"] else None
