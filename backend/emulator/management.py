"""The emulator's own API, beside Google's on the same port: status, reset, stop, faults, settings.

`resources` lists what a fresh world has not, so that "nothing is left" is an empty list.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from backend.emulator import faults, settings
from backend.emulator.google.access import CALLER
from backend.emulator.google.app import authorized
from backend.emulator.google.errors import invalid, unauthenticated
from backend.emulator.google.serviceusage import INITIAL
from backend.emulator.world import World

if TYPE_CHECKING:
    from backend.emulator.server import Emulator

Json = dict[str, Any]
_GATEWAYS = "gateway.networking.k8s.io/gateways"
_KINDS = {
    "address": "addresses",
    "backend-service": "backendServices",
    "endpoint-group": "networkEndpointGroups",
    "firewall": "firewalls",
    "forwarding-rule": "forwardingRules",
    "health-check": "healthChecks",
    "http-proxy": "targetHttpProxies",
    "network": "networks",
    "quota-preference": "quotaPreferences",
    "subnet": "subnetworks",
    "url-map": "urlMaps",
}
"""What is listed as it is kept, by table."""


def resources(world: World) -> Iterator[str]:
    """Ids of everything that a fresh world has not."""
    tables = world.tables
    for name, record in tables["services"].items():
        if record["state"] == "ENABLED" and name not in INITIAL:
            yield f"service/{name}"
    for email in tables["iam"].get("accounts", {}):
        yield f"service-account/{email}"
    for binding in tables["iam"].get("bindings", ()):
        for member in binding["members"]:
            if (binding["role"], member) != ("roles/owner", CALLER):
                yield f"binding/{binding['role'].removeprefix('roles/')}/{member}"
    for kind, table in _KINDS.items():
        for key in tables[table]:
            yield f"{kind}/{key}"
    for key, row in tables["clusters"].items():
        yield f"cluster/{key}"
        for pool in row["nodePools"]:
            yield f"node-pool/{key}/{pool['name']}"
    for key in tables["memberships"]:
        yield f"membership/{key}"
    for key in tables["features"]:
        yield f"feature/{key.partition('/')[2]}"
    for key, cluster in world.kube.items():
        for gateway in cluster.store.list(_GATEWAYS):
            meta = gateway["metadata"]
            yield f"gateway/{key.partition('/')[2]}/{meta['namespace']}/{meta['name']}"
        for pod in cluster.store.list("/pods"):
            if world.kubelet.has_process(key, pod["metadata"]["uid"]):
                yield f"process/{key.partition('/')[2]}/{pod['metadata']['name']}"


def status(emulator: Emulator) -> Json:
    """What the emulator is and what it holds.

    `speed` is null when everything is done at once; `set_aside` is where a world of before is that cannot be read.
    """
    world = emulator.world
    speed = world.pace.speed
    doors = [
        {"gateway": door.gateway, "region": door.region, "vip": door.vip, "port": door.port}
        for door in world.gateway.doors()
    ]
    return {
        "pid": os.getpid(),
        "url": emulator.url,
        "speed": None if math.isinf(speed) else speed,
        "seed": world.seed,
        "started": emulator.started,
        "resources": sorted(resources(world)),
        "faults": faults.listed(world),
        "doors": doors,
        "ca": str(emulator.ca_file),
        "set_aside": str(world.set_aside) if world.set_aside else None,
    }


def add_management_api(app: web.Application, emulator: Emulator) -> None:
    """Serve status, reset, stop, faults and settings; they ask for the same bearer token as everything else."""

    async def show(_request: web.Request) -> Json:
        return status(emulator)

    async def reset(_request: web.Request) -> Json:
        await emulator.reset()
        return status(emulator)

    async def stop(_request: web.Request) -> Json:
        emulator.stopping.set()
        return {"stopping": True}

    async def list_faults(_request: web.Request) -> Json:
        return {"faults": faults.listed(emulator.world), "kinds": faults.kinds()}

    async def add_fault(request: web.Request) -> Json:
        wanted = await request.json()
        return faults.add(emulator.world, str(wanted["fault"]), emulator.world.pace)

    async def clear_faults(_request: web.Request) -> Json:
        faults.clear(emulator.world)
        return {"faults": []}

    async def list_settings(_request: web.Request) -> Json:
        return {"settings": settings.listed(emulator.world), "forms": list(settings.forms())}

    async def put_setting(request: web.Request) -> Json:
        wanted = await request.json()
        return settings.put(emulator.world, str(wanted["setting"]))

    def guarded(handler: Callable[[web.Request], Awaitable[Json]]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            if not authorized(emulator.world, request):
                refusal = unauthenticated("emulator", missing="Authorization" not in request.headers)
                return web.json_response(refusal.body(), status=refusal.code)
            emulator.world.seen()
            try:
                return web.json_response(await handler(request))
            except (faults.FaultError, ValueError, KeyError, TypeError) as error:
                refusal = invalid(str(error))
                return web.json_response(refusal.body(), status=refusal.code)

        return handle

    app.router.add_get("/emulator/v1/status", guarded(show))
    app.router.add_post("/emulator/v1/reset", guarded(reset))
    app.router.add_post("/emulator/v1/stop", guarded(stop))
    app.router.add_get("/emulator/v1/faults", guarded(list_faults))
    app.router.add_post("/emulator/v1/faults", guarded(add_fault))
    app.router.add_delete("/emulator/v1/faults", guarded(clear_faults))
    app.router.add_get("/emulator/v1/settings", guarded(list_settings))
    app.router.add_post("/emulator/v1/settings", guarded(put_setting))
