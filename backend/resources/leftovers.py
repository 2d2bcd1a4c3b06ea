"""The load balancer's parts in Compute Engine, which carry no label of ours.

While a Gateway exists its annotations name its parts. Once it is gone, what GKE wrote into their descriptions and names
tells whose they probably are. Invariant: what is only probably ours is told of and never deleted.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from backend.clients import Clients
from backend.clients.google import Json
from backend.errors import CloudError, NotFound, PermissionDenied
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec

INTERNAL = "INTERNAL_MANAGED"
LONGEST_PREFIX = 50
"""GKE cuts the readable part of a name to this length, to make room for a digest."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A part of a load balancer that a Gateway of the stack probably left."""

    kind: str
    """As gcloud calls it, such as ``forwarding-rules``."""
    name: str
    command: str
    """What deletes it."""


def probably_ours(spec: GatewaySpec, part: Json) -> bool:
    """Say whether a part was probably made for the stack's Gateway or pools.

    The description names cluster and object where GKE wrote one; without it the name's pattern decides.
    """
    noted = _noted(part)
    if "k8sResource" in noted:
        place = str(noted.get("k8sCluster")).partition("/locations/")[2]
        ours = f"/namespaces/{spec.pool.namespace}/gateways/{spec.gateway.name}"
        return place == f"{spec.config.region}/clusters/{spec.config.name}" and noted["k8sResource"] == ours
    if zone := str(part.get("zone", "")).rpartition("/")[2]:
        pool = {"namespace": spec.pool.namespace, "service-name": spec.pool.name}
        named = pool.items() <= noted.items() if noted else _of_pool(spec, part)
        return named and zone.rpartition("-")[0] in spec.regions
    return str(part.get("name", "")).startswith(f"gkemcg1-{spec.pool.namespace}-{spec.gateway.name}-"[:LONGEST_PREFIX])


def rule_region(rule: Json) -> str:
    """Region of a forwarding rule of a cross-region load balancer, which its subnetwork names."""
    return str(rule.get("subnetwork", "")).partition("/regions/")[2].partition("/")[0]


def foreign_rules(spec: GatewaySpec, rules: Iterable[Json], region: str) -> Iterator[str]:
    """Names of the forwarding rules of others that draw on a region's global proxy-only subnet in the stack's VPC."""
    for rule in rules:
        internal = rule.get("loadBalancingScheme") == INTERNAL and rule_region(rule) == region
        network = str(rule.get("network", "")).rpartition("/")[2]
        if internal and network == spec.network.vpc and not probably_ours(spec, rule):
            yield str(rule["name"])


async def find(spec: GatewaySpec, clients: Clients) -> tuple[Leftover, ...]:
    """Parts that a Gateway of the stack probably left, in the order in which they can be deleted."""
    compute = clients.compute
    reads = {
        "forwarding-rules": compute.list_global_forwarding_rules(),
        "target-http-proxies": compute.target_proxies(),
        "url-maps": compute.url_maps(),
        "backend-services": compute.backend_services(),
        "network-endpoint-groups": compute.endpoint_groups(),
    }
    answers = await asyncio.gather(*reads.values(), return_exceptions=True)
    found: list[Leftover] = []
    for kind, answer in zip(reads, answers, strict=True):
        if isinstance(answer, CloudError):
            continue
        if isinstance(answer, BaseException):
            raise answer
        found += [
            Leftover(kind, part["name"], _command(kind, part, clients.project))
            for part in answer
            if probably_ours(spec, part)
        ]
    return tuple(found)


async def until_gone(watch: Watch, what: str, left: Callable[[], Awaitable[Iterable[str]]]) -> None:
    """Return once nothing is left; parts that may not be listed are told of and not waited for."""

    async def gone() -> bool | None:
        try:
            names = sorted(await left())
        except NotFound:
            return True
        except PermissionDenied as error:
            watch.saw(f"{what} cannot be seen, so they are not waited for: {error.cause or error.message}")
            return True
        if not names:
            return True
        watch.saw(f"waiting until {what} {', '.join(names)} are gone")
        return None

    await watch.until(gone)


def _noted(part: Json) -> Json:
    try:
        noted = json.loads(part.get("description") or "")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _of_pool(spec: GatewaySpec, part: Json) -> bool:
    tail = f"{spec.pool.namespace}-{spec.pool.name}-{spec.pool.port}-"
    return re.fullmatch(rf"k8s1-[0-9a-z]{{8}}-{re.escape(tail)}[0-9a-z]{{8}}", str(part.get("name", ""))) is not None


def _command(kind: str, part: Json, project: str) -> str:
    zone = str(part.get("zone", "")).rpartition("/")[2]
    where = f"--zone={zone}" if zone else "--global"
    return f"gcloud compute {kind} delete {part['name']} {where} --project={project}"
