"""Faults that controllers play: a fleet that lost a cluster, and a route that the controller cannot use."""

from __future__ import annotations

from typing import Any

from backend.emulator import faults

GATEWAYS = "gateway.networking.k8s.io/gateways"
ROUTES = "gateway.networking.k8s.io/httproutes"


def play(world: Any, fault: str) -> None:
    class Pace:
        def played(self, seconds: float) -> float:
            return seconds

    faults.add(world, fault, Pace())  # type: ignore[arg-type]


async def test_a_gateway_is_not_programmed_while_the_config_cluster_is_lost(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    play(world, "membership-lost-connection region=europe-west3")
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    status = west.status(GATEWAYS, "cross-region-gateway")
    assert kit.conditions(status)["Programmed"] == ("False", "Invalid")
    assert "addresses" not in status
    faults.clear(world)
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, "cross-region-gateway"))["Programmed"][0] == "True"


async def test_a_cluster_elsewhere_may_be_lost(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    play(world, "membership-lost-connection step=membership/gke-east")
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, "cross-region-gateway"))["Programmed"][0] == "True"


async def test_a_misconfigured_route_says_so_until_it_is_mended(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    play(world, "gateway-misconfigured")
    west.add(*kit.inference_pool(), kit.gateway("europe-west3"), kit.route())
    await world.settle()
    (parent,) = west.status(ROUTES, "route")["parents"]
    found = kit.conditions(parent)
    assert (found["Accepted"][0], found["ResolvedRefs"]) == ("True", ("False", "BackendNotFound"))
    message = next(each["message"] for each in parent["conditions"] if each["type"] == "ResolvedRefs")
    assert 'Error GWCER104: HTTPRoute "default/route" is misconfigured' in message
    assert f"InferencePool extension service default/{kit.POOL}-epp not found" in message
    faults.clear(world)
    await world.settle()
    (parent,) = west.status(ROUTES, "route")["parents"]
    assert kit.conditions(parent)["ResolvedRefs"][0] == "True"


async def test_model_servers_crash_one_run_after_the_other_until_they_may_run(world: Any, kit: Any) -> None:
    cluster = world.cluster(kit.WEST)
    play(world, "pod-crashloop region=europe-west3")
    cluster.add(
        kit.secret(),
        kit.config_map("adapters", **{"configmap.yaml": "a: 1"}),
        kit.deployment("vllm", gpus=1),
        kit.deployment("epp"),
    )
    await world.settle()
    (pod,) = (one for one in cluster.store.list("/pods") if one["metadata"]["name"].startswith("vllm"))
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    (other,) = (one for one in cluster.store.list("/pods") if one["metadata"]["name"].startswith("epp"))
    assert kit.conditions(other["status"])["Ready"][0] == "True"
    await world.after(10)
    (pod,) = (one for one in cluster.store.list("/pods") if one["metadata"]["name"].startswith("vllm"))
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
    faults.clear(world)
    await world.after(20)
    (pod,) = (one for one in cluster.store.list("/pods") if one["metadata"]["name"].startswith("vllm"))
    assert kit.conditions(pod["status"])["Ready"][0] == "True"
