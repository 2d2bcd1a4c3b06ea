"""The picture of the proxy follows the applied objects."""

from __future__ import annotations

from typing import Any

PODS = "/pods"


async def served(world: Any, kit: Any, *objects: Any) -> tuple[Any, Any]:
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool(), kit.gateway("europe-west3", "us-east4"), kit.route(), *objects)
    east.add(*kit.inference_pool())
    await world.settle()
    return west, east


def behind(world: Any) -> set[str]:
    (first, *others) = [{backend.cluster for backend in frontend.backends} for frontend in world.gateway.frontends]
    assert all(other == first for other in others)
    clusters: set[str] = first
    return clusters


async def test_every_address_reaches_the_ready_pods_of_every_exporting_cluster(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    addresses = {
        each["value"] for each in west.status("gateway.networking.k8s.io/gateways", "cross-region-gateway")["addresses"]
    }
    assert {frontend.vip for frontend in world.gateway.frontends} == addresses
    assert [frontend.region for frontend in world.gateway.frontends] == ["europe-west3", "us-east4"]
    for frontend in world.gateway.frontends:
        assert (frontend.gateway, frontend.port) == ("cross-region-gateway", 80)
        assert len(frontend.backends) == 6
        assert {(each.cluster, each.region) for each in frontend.backends} == {
            (kit.WEST, "europe-west3"),
            (kit.EAST, "us-east4"),
        }
        assert {(each.host, each.port) for each in frontend.backends} == {("127.0.0.1", 28000)}


async def test_timeout_and_health_path_come_from_the_attached_policies(world: Any, kit: Any) -> None:
    await served(world, kit)
    assert {(each.timeout_s, each.health_path) for each in world.gateway.frontends} == {(30.0, None)}
    west = world.kube[kit.WEST]
    west.add(kit.policy("GCPBackendPolicy", "p", timeoutSec=100), kit.health_policy())
    await world.settle()
    assert {(each.timeout_s, each.health_path) for each in world.gateway.frontends} == {(100.0, "/health")}


async def test_a_health_check_on_a_port_that_nobody_listens_on_leaves_no_backends(world: Any, kit: Any) -> None:
    policy = kit.health_policy()
    policy["spec"]["default"]["config"]["httpHealthCheck"]["port"] = 9999
    await served(world, kit, policy)
    assert [frontend.backends for frontend in world.gateway.frontends] == [(), ()]


async def test_a_pod_that_is_not_ready_is_no_backend(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    pod = next(each for each in west.store.list(PODS) if each["metadata"]["labels"]["app"] == kit.POOL)
    world.kubelet.states[pod["metadata"]["uid"]] = kit.State(ready=False)
    await world.settle()
    names = {backend.pod for backend in world.gateway.frontends[0].backends}
    assert len(names) == 5
    assert pod["metadata"]["name"] not in names


async def test_a_cluster_without_an_endpoint_picker_gets_no_traffic_unless_it_fails_open(world: Any, kit: Any) -> None:
    _, east = await served(world, kit)
    east.store.delete("apps/deployments", "default", f"{kit.POOL}-epp")
    await world.settle()
    assert behind(world) == {kit.WEST}
    where = "inference.networking.k8s.io/inferencepools"
    pool = east.one(where, kit.POOL)
    reference = {**pool["spec"]["endpointPickerRef"], "failureMode": "FailOpen"}
    east.store.replace(where, {**pool, "spec": {**pool["spec"], "endpointPickerRef": reference}}, manager="kubectl")
    await world.settle()
    assert behind(world) == {kit.WEST, kit.EAST}


async def test_a_cluster_that_stops_exporting_gets_no_traffic(world: Any, kit: Any) -> None:
    _, east = await served(world, kit)
    where = "inference.networking.k8s.io/inferencepools"
    east.store.annotate(where, "default", kit.POOL, {"networking.gke.io/export": None}, manager="kubectl")
    await world.settle()
    assert behind(world) == {kit.WEST}


async def test_the_load_balancer_outlives_the_feature(world: Any, kit: Any) -> None:
    await served(world, kit)
    world.tables["features"].clear()
    await world.settle()
    assert len(world.gateway.frontends) == 2


async def test_without_a_gateway_there_is_no_picture(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(*kit.inference_pool())
    await world.settle()
    assert world.gateway.frontends == []


def elsewhere(obj: Any, namespace: str, **spec: Any) -> Any:
    """An object in another namespace, with some of its spec changed."""
    metadata = {**obj["metadata"], "namespace": namespace}
    return {**obj, "metadata": metadata, **({"spec": {**obj["spec"], **spec}} if spec else {})}


async def test_each_import_is_a_service_of_its_own_with_the_matches_of_its_rules(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    other = [elsewhere(each, "shop") for each in kit.inference_pool()]
    for cluster in (west, east):
        cluster.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        cluster.add(*kit.inference_pool(), *other)
    gateway = kit.gateway("europe-west3", "us-east4")
    allowed = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway["spec"]["listeners"] = [{**gateway["spec"]["listeners"][0], **allowed}]
    parent = {"parentRefs": [{"name": "cross-region-gateway", "namespace": "default"}]}
    rules = [
        {
            "matches": [
                {"path": {"type": "PathPrefix", "value": "/shop"}},
                {"path": {"type": "RegularExpression", "value": "("}},
                {"headers": [{"name": "x-team", "value": "shop"}], "method": "POST"},
            ],
            "backendRefs": [{**kit.route()["spec"]["rules"][0]["backendRefs"][0], "weight": 3}],
        }
    ]
    west.add(gateway, kit.route(), elsewhere(kit.route(), "shop", rules=rules, **parent))
    policy = elsewhere(kit.policy("GCPBackendPolicy", "p", timeoutSec=7), "shop")
    west.add(policy, kit.policy("HealthCheckPolicy", "h", checkIntervalSec=2, unhealthyThreshold=4))
    await world.settle()

    found = {(each.region, each.service): each for each in world.gateway.frontends}
    pool, shop = f"default/{kit.POOL}", f"shop/{kit.POOL}"
    assert set(found) == {(region, name) for region in ("europe-west3", "us-east4") for name in (pool, shop)}
    assert {each.timeout_s for (_, name), each in found.items() if name == shop} == {7.0}
    assert {each.timeout_s for (_, name), each in found.items() if name == pool} == {30.0}
    mine, theirs = found["us-east4", pool], found["us-east4", shop]
    assert mine.listener == theirs.listener
    assert (mine.check.interval_s, mine.check.timeout_s, mine.check.healthy, mine.check.unhealthy) == (2, 5, 2, 4)
    assert [share.match.path for share in mine.shares] == ["/"]
    prefix, team = theirs.shares
    assert (prefix.match.path, prefix.weight) == ("/shop", 3)
    assert (team.match.method, team.match.headers) == ("POST", (("x-team", "shop"),))


async def test_two_gateways_of_one_name_have_doors_of_their_own(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    west.add(kit.gateway("europe-west3"), elsewhere(kit.gateway("europe-west3"), "shop"))
    await world.settle()
    first, second = world.gateway.frontends
    assert first.vip != second.vip
    assert {first.key, second.key} == {
        "cross-region-gateway|europe-west3|80",
        "shop/cross-region-gateway|europe-west3|80",
    }
    assert (first.shares, second.shares) == ((), ()), "nothing is routed yet"


async def test_three_regions_share_one_import(world: Any, kit: Any) -> None:
    west, east = kit.two_regions(world)
    asia = world.cluster("asia-east1/gke-asia")
    world.fleet(kit.WEST, kit.EAST, asia.key, config=kit.WEST)
    world.proxy_subnet("asia-east1")
    for cluster in (west, east, asia):
        cluster.add(*kit.inference_pool())
    west.add(kit.gateway("europe-west3", "us-east4", "asia-east1"), kit.route())
    await world.settle()
    orders = {each.region: each.order for each in world.gateway.frontends}
    assert orders == {
        "europe-west3": ["europe-west3", "us-east4", "asia-east1"],
        "us-east4": ["us-east4", "europe-west3", "asia-east1"],
        "asia-east1": ["asia-east1", "europe-west3", "us-east4"],
    }
