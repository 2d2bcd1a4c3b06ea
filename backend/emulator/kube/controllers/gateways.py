"""Gateways of the cross-region internal class on the config cluster: programmed, reported, taken down.

Invariant: a Gateway that has an address has its Compute resources, and keeps its finalizer until they are gone. Without
its agent's grant the controller neither programs nor clears anything.
"""

from __future__ import annotations

from backend.emulator.kube.controllers import agent, compute, loadbalancer
from backend.emulator.kube.controllers.fleet import CROSS_REGION_INTERNAL, MANAGER, config_cluster
from backend.emulator.kube.controllers.objects import (
    Condition,
    conditions,
    deleting,
    is_true,
    name_of,
    namespace_of,
    path_of,
    timestamp,
    uid_of,
)
from backend.emulator.kube.controllers.routes import GATEWAYS, attached
from backend.emulator.kube.controllers.seams import Cluster, Object, Store
from backend.emulator.kube.controllers.turn import Turn

FINALIZER = "gateway.finalizer.networking.gke.io"
HEALTHY = "networking.gke.io/GatewayHealthy"
LAST_RECONCILE = "networking.gke.io/last-reconcile-time"
SCHEDULED = "The OSS Gateway API has deprecated this condition, do not depend on it."
READY = (
    'The OSS Gateway API has altered the "Ready" condition semantics and reserved it for future use.  '
    'GKE Gateway will stop emitting it in a future update, use "Programmed" instead.'
)


def listener_status(store: Store, gateway: Object, listener: Object, fault: str, now: float) -> Object:
    """The status of one listener."""
    previous: Object = next(
        (each for each in gateway.get("status", {}).get("listeners", ()) if each["name"] == listener["name"]), {}
    )
    if fault:
        wanted = [Condition("Accepted", "True", "Accepted"), Condition("Programmed", "False", "Invalid", fault)]
    else:
        wanted = [Condition(kind, "True", kind) for kind in ("ResolvedRefs", "Accepted", "Programmed")]
        wanted.append(Condition("Ready", "True", "Ready", READY))
    generation = gateway["metadata"].get("generation", 1)
    return {
        "attachedRoutes": len(attached(store, gateway, listener["name"])),
        "conditions": conditions(previous.get("conditions", ()), wanted, now, generation=generation),
        "name": listener["name"],
        "supportedKinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}],
    }


def report(turn: Turn, config: Cluster, gateway: Object, *, vips: list[str], health: Condition, fault: str) -> None:
    """Write a Gateway's status if it says something new; addresses come sorted, not in the order of the spec."""
    wanted = [Condition("Scheduled", "True", "Scheduled", SCHEDULED), Condition("Accepted", "True", "Accepted")]
    if fault:
        wanted += [Condition("Programmed", "False", "Invalid", fault), Condition("Ready", "False", "NotReady", READY)]
    else:
        wanted += [Condition("Programmed", "True", "Programmed"), Condition("Ready", "True", "Ready", READY)]
    previous = gateway.get("status", {})
    generation = gateway["metadata"].get("generation", 1)
    status: Object = {
        "conditions": conditions(previous.get("conditions", ()), [*wanted, health], turn.now, generation=generation),
        "listeners": [
            listener_status(config.store, gateway, each, fault, turn.now) for each in gateway["spec"]["listeners"]
        ],
    }
    if vips:
        status["addresses"] = [{"type": "IPAddress", "value": vip} for vip in sorted(vips)]
    if status != previous:
        config.store.set_status(GATEWAYS, namespace_of(gateway), name_of(gateway), status, manager=MANAGER)


def health(turn: Turn, config: Cluster, gateway: Object, vips: list[str]) -> Condition:
    """Whether the load balancer is healthy: at once without routes, with routes once some backend of it is."""
    has_routes = any(attached(config.store, gateway, each["name"]) for each in gateway["spec"]["listeners"])
    healthy = not has_routes or any(turn.world.gateway.healthy(vip) for vip in vips)
    settled = turn.waited("gateway.healthy", f"{config.key}/{path_of(gateway)}", uid_of(gateway))
    if healthy and settled:
        return Condition(HEALTHY, "True", "Healthy")
    if is_true(gateway, HEALTHY) or settled:
        return Condition(HEALTHY, "False", "Unhealthy", f'Gateway "{path_of(gateway)}" has no healthy backend')
    return Condition(HEALTHY, "Unknown", "Pending", "Waiting for backends to become healthy")


def program(turn: Turn, config: Cluster, gateway: Object) -> None:
    """One step of a Gateway that is there to stay."""
    store, world, namespace, name = config.store, turn.world, namespace_of(gateway), name_of(gateway)
    programmed = is_true(gateway, "Programmed")
    if fault := agent.refusal(world, config.key):
        if not programmed:
            unhealthy = Condition(HEALTHY, "Unknown", "Pending", "Gateway is not programmed")
            report(turn, config, gateway, vips=[], health=unhealthy, fault=fault)
        return
    held = world.tables.get("addresses", {})
    try:
        wanted = loadbalancer.regions(gateway, config.key)
        fresh = [region for region in wanted if loadbalancer.address_key(gateway, region) not in held]
        loadbalancer.check_proxies(world, config.key, gateway, fresh)
    except loadbalancer.Unsupported as unsupported:
        fault = str(unsupported)
        unhealthy = Condition(HEALTHY, "False", "Error", f"Gateway: Invalid : {fault}")
        report(turn, config, gateway, vips=[], health=unhealthy, fault=fault)
        return
    if not turn.waited("gateway.program", f"{config.key}/{path_of(gateway)}", uid_of(gateway)) and not programmed:
        return
    vips = loadbalancer.addresses(world, config.key, gateway, wanted)
    rows = loadbalancer.rows(world, config, gateway, vips)
    compute.settle(turn, compute.description(world, config.key, "gateways", gateway), rows)
    notes = loadbalancer.notes(world, rows)
    present = gateway["metadata"].get("annotations", {})
    if any(present.get(key) != value for key, value in notes.items()):
        notes[LAST_RECONCILE] = timestamp(turn.now)
        gateway = store.annotate(GATEWAYS, namespace, name, notes, manager=MANAGER)
    values = list(vips.values())
    report(turn, config, gateway, vips=values, health=health(turn, config, gateway, values), fault="")


async def reconcile(turn: Turn) -> None:
    """One step of every Gateway of the cross-region internal class."""
    config = config_cluster(turn.world)
    if config is None:
        return
    for gateway in config.store.list(GATEWAYS):
        if gateway["spec"]["gatewayClassName"] != CROSS_REGION_INTERNAL:
            continue
        namespace, name = namespace_of(gateway), name_of(gateway)
        finalizers = gateway["metadata"].get("finalizers", ())
        if not deleting(gateway):
            if FINALIZER not in finalizers:
                config.store.add_finalizer(GATEWAYS, namespace, name, FINALIZER)
            program(turn, config, config.store.get(GATEWAYS, namespace, name) or gateway)
        elif agent.refusal(turn.world, config.key):
            continue
        elif FINALIZER in finalizers and turn.waited(
            "gateway.delete", f"{config.key}/{path_of(gateway)}", uid_of(gateway)
        ):
            compute.settle(turn, compute.description(turn.world, config.key, "gateways", gateway), {})
            config.store.drop_finalizer(GATEWAYS, namespace, name, FINALIZER)
