"""What a destroy may take besides what was made for the stack, and who else would miss it.

Invariant: without a wish of the user's nothing shared and nothing adopted goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from backend.clients import Clients
from backend.errors import ServiceDisabled
from backend.resources import marks
from backend.resources.gke import dig
from backend.spec import GatewaySpec


@dataclass(frozen=True, slots=True)
class Teardown:
    """What the user wants a destroy to take besides what was made for the stack."""

    shared: bool = False
    """Enabled APIs and the multi-cluster controller's grant, as far as nobody else in the project needs them."""
    adopted: bool = False
    """The stack's clusters that mcig did not make."""


OWN = Teardown()
"""Only what was made for the stack."""


async def others(spec: GatewaySpec, clients: Clients, teardown: Teardown) -> tuple[str, ...]:
    """What else than this stack is in the project, or stays of it, in words: clusters and fleet memberships."""
    try:
        listed, memberships = await asyncio.gather(clients.container.clusters(), clients.fleet.memberships())
    except ServiceDisabled:
        return ()
    named = {(cluster.region, cluster.name) for cluster in spec.clusters} if teardown.adopted else set()
    going = {
        place
        for place, cluster in listed.found.items()
        if marks.goes(spec, cluster.get("resourceLabels"), adopted_too=place in named)
    }
    found = [f"cluster {name} in {location}" for location, name in sorted(set(listed.found) - going)]
    found += [f"clusters in {location}, which gives no answer" for location in sorted(listed.unknown)]
    links = tuple(f"/locations/{location}/clusters/{name}" for location, name in going)
    found += [
        f"membership {membership['name'].rpartition('/')[2]}"
        for membership in memberships
        if not marks.ours(spec, membership.get("labels"))
        and not str(dig(membership, "endpoint.gkeCluster.resourceLink") or "").endswith(links or ("/",))
    ]
    return tuple(found)
