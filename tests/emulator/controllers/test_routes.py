"""HTTPRoutes say whether their Gateway took them and whether what they point at is there."""

from __future__ import annotations

from typing import Any

import pytest

ROUTES = "gateway.networking.k8s.io/httproutes"


def parent(kit: Any, cluster: Any) -> dict[str, tuple[str, str]]:
    (found,) = cluster.status(ROUTES, "route")["parents"]
    assert found["controllerName"] == "networking.gke.io/gateway"
    conditions: dict[str, tuple[str, str]] = kit.conditions(found)
    return conditions


async def test_a_route_to_an_import_is_reconciled(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    assert parent(kit, west) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "ResolvedRefs"),
        "Reconciled": ("True", "ReconciliationSucceeded"),
    }


async def test_a_missing_import_is_named_until_it_comes(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(kit.gateway("europe-west3"), kit.route())
    await world.settle()
    found = parent(kit, west)
    assert found["ResolvedRefs"] == ("False", "BackendNotFound")
    assert found["Reconciled"] == ("False", "ReconciliationFailed")
    (entry,) = west.status(ROUTES, "route")["parents"]
    messages = {each["type"]: each["message"] for each in entry["conditions"]}
    assert 'Error GWCER104: HTTPRoute "default/route" is misconfigured' in messages["ResolvedRefs"]
    assert f"GCPInferencePoolImport default/{kit.POOL} not found" in messages["ResolvedRefs"]
    west.add(*kit.inference_pool())
    await world.settle()
    assert parent(kit, west)["ResolvedRefs"] == ("True", "ResolvedRefs")


async def test_a_route_waits_for_its_gateway_to_be_programmed(world: Any, kit: Any) -> None:
    world.pace.table["gateway.program"] = 60
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    assert "Reconciled" not in parent(kit, west)
    await world.after(60)
    assert parent(kit, west)["Reconciled"][0] == "True"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"group": "", "kind": "Service"}, "InvalidKind"),
        ({"group": "inference.networking.k8s.io", "kind": "InferencePool"}, "InvalidKind"),
        ({"namespace": "kube-system"}, "RefNotPermitted"),
    ],
)
async def test_other_backends_are_refused(world: Any, kit: Any, change: dict[str, str], reason: str) -> None:
    west, _ = kit.two_regions(world)
    route = kit.route()
    route["spec"]["rules"][0]["backendRefs"][0] |= change
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), route)
    await world.settle()
    assert parent(kit, west)["ResolvedRefs"] == ("False", reason)
    assert all(frontend.backends == () for frontend in world.gateway.frontends)


async def test_a_route_of_another_namespace_needs_to_be_let_in(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    route = kit.route()
    route["metadata"]["namespace"] = "kube-system"
    route["spec"]["parentRefs"][0]["namespace"] = "default"
    west.add(kit.gateway("europe-west3"), route)
    await world.settle()
    (found,) = west.status(ROUTES, "route", "kube-system")["parents"]
    assert kit.conditions(found)["Accepted"] == ("False", "NotAllowedByListeners")
    gateway = west.status("gateway.networking.k8s.io/gateways", "cross-region-gateway")
    assert gateway["listeners"][0]["attachedRoutes"] == 0


async def test_a_route_without_a_gateway_has_no_status(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(kit.route())
    await world.settle()
    assert "status" not in west.one(ROUTES, "route")


async def test_the_status_goes_with_the_gateway(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    west.store.delete("gateway.networking.k8s.io/gateways", "default", "cross-region-gateway")
    await world.settle()
    assert west.status(ROUTES, "route") == {"parents": []}
