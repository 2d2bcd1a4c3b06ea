"""Which clusters of a stack stand, since when, and which of them were made for it.

A node pool has no creation time, so one that was made in somebody else's cluster counts from the first thing that was
made for the stack. Invariant: reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from backend.clients import Clients
from backend.errors import CloudError, ServiceDisabled
from backend.money import Standing
from backend.resources import marks
from backend.spec import GatewaySpec

Json = Mapping[str, Any]


async def look(spec: GatewaySpec, clients: Clients) -> tuple[Standing, ...]:
    """Give the clusters that stand; none while the API is off. Raises ``CloudError``."""
    try:
        listed = await clients.container.clusters()
    except ServiceDisabled:
        return ()
    wanted = [(cluster.region, cluster.name) for cluster in spec.clusters]
    found = [listed.found[place] for place in wanted if place in listed.found]
    memberships: Sequence[Json] = ()
    if any(not _ours(spec, cluster) for cluster in found):
        memberships = await _memberships(clients)
    return standing(spec, found, memberships)


def standing(spec: GatewaySpec, clusters: Sequence[Json], memberships: Sequence[Json]) -> tuple[Standing, ...]:
    """Judge clusters of the specification, as Kubernetes Engine gives them, and the fleet's memberships."""
    made = [cluster for cluster in clusters if _ours(spec, cluster)]
    made += [membership for membership in memberships if marks.ours(spec, membership.get("labels"))]
    first = min((moment for one in made if (moment := _moment(one.get("createTime"))) is not None), default=None)
    return tuple(_standing(spec, cluster, first) for cluster in clusters)


def _standing(spec: GatewaySpec, cluster: Json, first: datetime | None) -> Standing:
    name, ours = str(cluster["name"]), _ours(spec, cluster)
    wanted = next(one.gpu_pool for one in spec.clusters if one.name == name)
    pools = {pool.get("name"): pool for pool in cluster.get("nodePools") or ()}
    pool = None if wanted is None else pools.get(wanted.name)
    gpus = pool is not None and (ours or marks.pool_goes(spec, pool))
    return Standing(name, _moment(cluster.get("createTime")) if ours else first, made=ours, gpus=gpus)


async def _memberships(clients: Clients) -> Sequence[Json]:
    """The fleet's memberships; none where they cannot be read."""
    try:
        return await clients.fleet.memberships()
    except CloudError:
        return ()


def _ours(spec: GatewaySpec, cluster: Json) -> bool:
    return marks.ours(spec, cluster.get("resourceLabels"))


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
