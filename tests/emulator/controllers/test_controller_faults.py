"""Faults that controllers play: a fleet that lost a cluster, and a route that the controller cannot use."""

from __future__ import annotations

from typing import Any

from backend.emulator import faults
from backend.emulator.kube.controllers import reconcile
from backend.emulator.kube.controllers.objects import name_of

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


def spot_node(cluster: Any) -> str:
    """The name of the Node that model servers run on, of a cluster with one."""
    (name,) = {name_of(node) for node in cluster.store.list("/nodes") if "-h100-" in name_of(node)}
    return str(name)


def on_node(cluster: Any, name: str) -> set[str]:
    """The names of the Pods on a Node."""
    return {name_of(pod) for pod in cluster.store.list("/pods") if pod["spec"].get("nodeName") == name}


async def test_a_spot_machine_gives_notice_goes_and_comes_back(world: Any, kit: Any) -> None:
    world.pace.table = {"node-pool.create": 300}
    west = world.cluster(kit.WEST, gpu_nodes=1)
    west.add(*kit.inference_pool())
    await world.settle()
    name = spot_node(west)
    before = on_node(west, name)
    assert len(before) == 2
    play(world, "spot-preemption region=us-east4")
    play(world, "spot-preemption region=europe-west3")
    await world.settle()

    node = west.one("/nodes", name, None)
    assert kit.conditions(node["status"])["Ready"] == ("False", "KubeletNotReady")
    taints = [taint["key"] for taint in node["spec"]["taints"]]
    assert "cloud.google.com/impending-node-termination" in taints
    ended = [pod for pod in west.store.list("/pods") if pod["spec"].get("nodeName") == name]
    assert {(pod["status"]["phase"], pod["status"]["reason"]) for pod in ended} == {("Failed", "Terminated")}
    assert {name_of(pod) for pod in ended} == before

    await world.after(31)
    assert west.store.get("/nodes", None, name) is None
    pods = west.store.list("/pods", labels={"app": kit.POOL})
    assert before.isdisjoint(map(name_of, pods))
    assert {pod["status"]["phase"] for pod in pods} == {"Pending"}

    await world.after(290)
    assert west.store.get("/nodes", None, name) is None
    await world.after(20)
    await world.settle()
    assert len(on_node(west, name) - before) == 2
    left = [each["left"] for each in faults.listed(world)]
    assert left == [1, 0], "the fault for a region without Spot machines waits for one"


async def test_a_preempted_machine_does_not_come_back_while_its_zone_has_none(world: Any, kit: Any) -> None:
    west = world.cluster(kit.WEST, gpu_nodes=1)
    west.add(*kit.inference_pool())
    await world.settle()
    name = spot_node(west)
    play(world, "stockout zone=europe-west3-c")
    play(world, "spot-preemption")
    await world.after(3600)
    assert west.store.get("/nodes", None, name) is None
    faults.clear(world)
    await world.settle()
    assert west.store.get("/nodes", None, name) is not None


async def test_a_region_that_is_down_stands_still_until_it_is_back(world: Any, kit: Any) -> None:
    _, east = kit.two_regions(world)
    east.add(*kit.inference_pool())
    await world.settle()
    ready = east.store.list("/pods", labels={"app": kit.POOL})
    starts = list(world.kubelet.starts)
    with east.store.history.follow("/pods") as watch:
        play(world, "region-down region=us-east4 limit=60")
        east.store.delete("/pods", "default", name_of(ready[0]))
        await world.settle()
        events = [watch.get_nowait() for _ in range(watch.qsize())]
    assert events[-1] is None, "watches end"
    assert world.kubelet.slowness == {kit.WEST: 1, kit.EAST: float("inf")}
    assert world.kubelet.starts == starts
    await world.after(59)
    assert world.kubelet.starts == starts
    await world.after(1)
    assert world.kubelet.slowness[kit.EAST] == 1
    assert len(world.kubelet.starts) == len(starts) + 1


async def test_model_servers_of_one_cluster_can_be_slow(world: Any, kit: Any) -> None:
    kit.two_regions(world)
    play(world, "slow step=node-pool limit=9")
    play(world, "slow step=model-server region=us-east4 limit=4")
    play(world, "slow step=model-server/gke-east limit=2")
    await world.settle()
    assert world.kubelet.slowness == {kit.WEST: 1, kit.EAST: 8}


async def test_a_fault_that_comes_later_wakes_the_controllers(world: Any, kit: Any) -> None:
    kit.two_regions(world)
    play(world, "region-down after=30 limit=10")
    assert await reconcile(world) == world.time + 30
    await world.after(30)
    assert await reconcile(world) == world.time + 10
