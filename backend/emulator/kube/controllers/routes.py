"""HTTPRoutes of multi-cluster Gateways: which are attached, whether what they point at is there, and the status that
says so.

Invariant: a parent gets a status exactly while it is a Gateway of the multi-cluster controller that the route names.
"""

from __future__ import annotations

from backend.emulator import faults
from backend.emulator.kube.controllers.exports import IMPORTS
from backend.emulator.kube.controllers.fleet import CROSS_REGION_INTERNAL, MANAGER, config_cluster
from backend.emulator.kube.controllers.objects import (
    GATEWAY_CONTROLLER,
    Condition,
    conditions,
    deleting,
    is_true,
    name_of,
    namespace_of,
    path_of,
)
from backend.emulator.kube.controllers.seams import Object, Store
from backend.emulator.kube.controllers.turn import Turn

GATEWAYS = "gateway.networking.k8s.io/gateways"
ROUTES = "gateway.networking.k8s.io/httproutes"


def gateway_of(store: Store, route: Object, ref: Object) -> Object | None:
    """The multi-cluster Gateway that a parentRef names; None when it names something else."""
    if ref.get("kind", "Gateway") != "Gateway":
        return None
    gateway = store.get(GATEWAYS, ref.get("namespace", namespace_of(route)), ref["name"])
    return gateway if gateway is not None and gateway["spec"]["gatewayClassName"] == CROSS_REGION_INTERNAL else None


def listeners(gateway: Object, route: Object, ref: Object) -> list[Object]:
    """The Gateway's listeners that this parentRef asks for and that allow the route's namespace."""
    found = []
    for listener in gateway["spec"]["listeners"]:
        wanted = ref.get("sectionName") in (None, listener["name"]) and ref.get("port") in (None, listener["port"])
        origin = listener.get("allowedRoutes", {}).get("namespaces", {}).get("from", "Same")
        if wanted and (origin == "All" or (origin == "Same" and namespace_of(route) == namespace_of(gateway))):
            found.append(listener)
    return found


def attached(store: Store, gateway: Object, listener: str) -> list[Object]:
    """The routes on one listener of a Gateway, by namespace and name."""
    return [
        route
        for route in store.list(ROUTES)
        if not deleting(route)
        and any(
            gateway_of(store, route, ref) is not None
            and (ref.get("namespace", namespace_of(route)), ref["name"]) == (namespace_of(gateway), name_of(gateway))
            and listener in [each["name"] for each in listeners(gateway, route, ref)]
            for ref in route["spec"].get("parentRefs", ())
        )
    ]


def backends(route: Object) -> list[Object]:
    """The route's backendRefs, over all rules."""
    return [ref for rule in route["spec"].get("rules", ()) for ref in rule.get("backendRefs", ())]


def imports(store: Store, route: Object) -> list[Object]:
    """The imports that the route sends requests to and that exist."""
    namespace = namespace_of(route)
    found = (
        store.get(IMPORTS, namespace, ref["name"])
        for ref in backends(route)
        if ref.get("kind") == "GCPInferencePoolImport" and ref.get("namespace", namespace) == namespace
    )
    return [each for each in found if each is not None]


def fault(store: Store, route: Object) -> Condition | None:
    """What is wrong with the route's references; None when nothing is."""
    where = f'Error GWCER104: HTTPRoute "{path_of(route)}" is misconfigured, err:'
    for ref in backends(route):
        group, kind = ref.get("group", ""), ref.get("kind", "Service")
        namespace = ref.get("namespace", namespace_of(route))
        target = f"{kind} {namespace}/{ref['name']}"
        if (group, kind) != ("networking.gke.io", "GCPInferencePoolImport"):
            why = f'error cause: invalid-kind: {where} backend kind {kind} in group "{group}" is not supported.'
            return Condition("ResolvedRefs", "False", "InvalidKind", why)
        if namespace != namespace_of(route):
            why = f"error cause: ref-not-permitted: {where} no ReferenceGrant allows {target}."
            return Condition("ResolvedRefs", "False", "RefNotPermitted", why)
        if store.get(IMPORTS, namespace, ref["name"]) is None:
            why = f"error cause: reference-not-found: {where} {target} not found."
            return Condition("ResolvedRefs", "False", "BackendNotFound", why)
    return None


def misconfigured(route: Object) -> Condition:
    """What the controller says of a route whose pool it cannot use, whatever is the matter with it."""
    name = next((ref["name"] for ref in backends(route)), "")
    why = (
        f'error cause: reference-not-found: Error GWCER104: HTTPRoute "{path_of(route)}" is misconfigured, err: failed '
        f"to validate inference pool extension ref: InferencePool extension service {namespace_of(route)}/{name}-epp "
        "not found."
    )
    return Condition("ResolvedRefs", "False", "BackendNotFound", why)


def verdict(store: Store, route: Object, ref: Object, gateway: Object, broken: Condition | None) -> list[Condition]:
    """The conditions of a route at one of its parents; `broken` is what is wrong with it in any case."""
    if not listeners(gateway, route, ref):
        why = f'no listener of Gateway "{path_of(gateway)}" allows HTTPRoute "{path_of(route)}".'
        return [Condition("Accepted", "False", "NotAllowedByListeners", why)]
    wrong = broken or fault(store, route)
    found = [Condition("Accepted", "True", "Accepted"), wrong or Condition("ResolvedRefs", "True", "ResolvedRefs")]
    if wrong is not None:
        found.append(Condition("Reconciled", "False", "ReconciliationFailed", wrong.message))
    elif is_true(gateway, "Programmed"):
        found.append(Condition("Reconciled", "True", "ReconciliationSucceeded"))
    return found


def status(store: Store, route: Object, now: float, broken: Condition | None = None) -> Object:
    """The route's status: one entry for each Gateway of this controller."""
    previous = {
        tuple(sorted(each["parentRef"].items())): each["conditions"]
        for each in route.get("status", {}).get("parents", ())
    }
    parents = []
    for ref in route["spec"].get("parentRefs", ()):
        gateway = gateway_of(store, route, ref)
        if gateway is None or deleting(gateway):
            continue
        before = previous.get(tuple(sorted(ref.items())), ())
        stamped = conditions(
            before, verdict(store, route, ref, gateway, broken), now, generation=route["metadata"].get("generation", 1)
        )
        parents.append({"parentRef": ref, "controllerName": GATEWAY_CONTROLLER, "conditions": stamped})
    return {"parents": parents}


async def reconcile(turn: Turn) -> None:
    """Report every HTTPRoute of the config cluster to its Gateways."""
    config = config_cluster(turn.world)
    if config is None:
        return
    for route in config.store.list(ROUTES):
        broken = misconfigured(route) if any(faults.playing(turn.world, "gateway-misconfigured")) else None
        wanted = status(config.store, route, turn.now, broken)
        if wanted != route.get("status", {"parents": []}):
            config.store.set_status(ROUTES, namespace_of(route), name_of(route), wanted, manager=MANAGER)
