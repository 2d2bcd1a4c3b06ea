"""Gateways get addresses, conditions, annotations and Compute resources, and give them back."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

GATEWAYS = "gateway.networking.k8s.io/gateways"
NAME = "cross-region-gateway"
HEALTHY = "networking.gke.io/GatewayHealthy"
PENDING = {"Accepted": ("Unknown", "Pending"), "Programmed": ("Unknown", "Pending")}
COLLECTIONS = ("addresses", "backendServices", "forwardingRules", "healthChecks", "targetHttpProxies", "urlMaps")


async def served(world: Any, kit: Any, *objects: Any) -> tuple[Any, Any]:
    """Two regions that serve the pool through the Gateway, and what else is given."""
    west, east = kit.two_regions(world)
    west.add(*kit.inference_pool())
    east.add(*kit.inference_pool())
    await world.settle()
    west.add(kit.gateway("us-east4", "europe-west3"), kit.route(), *objects)
    await world.settle()
    return west, east


async def test_a_gateway_is_programmed_with_one_address_for_each_region(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    status = west.status(GATEWAYS, NAME)
    assert kit.conditions(status) == {
        "Scheduled": ("True", "Scheduled"),
        "Accepted": ("True", "Accepted"),
        "Programmed": ("True", "Programmed"),
        "Ready": ("True", "Ready"),
        HEALTHY: ("True", "Healthy"),
    }
    values = [each["value"] for each in status["addresses"]]
    assert len(values) == 2
    assert values == sorted(values)
    assert {each["type"] for each in status["addresses"]} == {"IPAddress"}
    (listener,) = status["listeners"]
    assert listener["attachedRoutes"] == 1
    assert kit.conditions(listener)["Programmed"][0] == "True"


async def test_the_region_of_an_address_is_in_its_forwarding_rule(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    addresses = {each["value"] for each in west.status(GATEWAYS, NAME)["addresses"]}
    rules = world.tables["forwardingRules"]
    assert all(key.startswith("global/gkemcg1-default-cross-region-gateway-") for key in rules)
    regions = {rule["IPAddress"]: rule["subnetwork"].split("/regions/")[1].split("/")[0] for rule in rules.values()}
    assert regions.keys() == addresses
    by_region = {region: IPv4Address(address) for address, region in regions.items()}
    assert by_region["europe-west3"] in IPv4Network("10.156.0.0/20")
    assert by_region["us-east4"] in IPv4Network("10.150.0.0/20")
    rule = next(iter(rules.values()))
    assert rule["loadBalancingScheme"] == "INTERNAL_MANAGED"
    assert rule["networkTier"] == "PREMIUM"
    assert rule["portRange"] == "80-80"
    assert rule["target"] == next(iter(world.tables["targetHttpProxies"].values()))["selfLink"]


async def test_the_annotations_list_what_was_made_by_project_number(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    notes = west.one(GATEWAYS, NAME)["metadata"]["annotations"]
    rules = notes["networking.gke.io/forwarding-rules"].split(", ")
    names = [key.removeprefix("global/") for key in sorted(world.tables["forwardingRules"])]
    assert rules == [f"/projects/415104041262/global/forwardingRules/{name}" for name in names]
    for name in ("ssl-certificates", "target-https-proxies"):
        assert notes[f"networking.gke.io/{name}"] == ""
    for name in ("addresses", "backend-services", "health-checks", "target-http-proxies", "url-maps"):
        assert notes[f"networking.gke.io/{name}"].startswith("/projects/415104041262/")


async def test_the_chain_from_rule_to_endpoint_groups_is_unbroken(world: Any, kit: Any) -> None:
    await served(world, kit)
    links = {row["selfLink"]: row for name in COLLECTIONS for row in world.tables[name].values()}
    links |= {row["selfLink"]: row for row in world.tables["networkEndpointGroups"].values()}
    proxy = links[next(iter(world.tables["forwardingRules"].values()))["target"]]
    (paths,) = links[proxy["urlMap"]]["pathMatchers"]
    (rule,) = paths["routeRules"]
    assert rule["matchRules"] == [{"prefixMatch": "/"}]
    (weighted,) = rule["routeAction"]["weightedBackendServices"]
    service = links[weighted["backendService"]]
    groups = [links[backend["group"]] for backend in service["backends"]]
    assert {group["zone"].rpartition("/")[2] for group in groups} == {"europe-west3-c", "us-east4-c"}
    assert links[service["healthChecks"][0]]["httpHealthCheck"]["requestPath"] == "/"


async def test_the_url_map_has_a_rule_for_each_match_in_the_order_in_which_they_are_tried(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    route = kit.route()
    rule = route["spec"]["rules"][0]
    beta = {"path": {"value": "/v1/chat"}, "headers": [{"name": "x-team", "value": "beta"}], "method": "POST"}
    exact = {"path": {"type": "Exact", "value": "/v1/models"}, "queryParams": [{"name": "canary", "value": "1"}]}
    route["spec"] |= {"hostnames": ["llm.example"], "rules": [{"matches": [beta, exact], **rule}]}
    route["metadata"]["name"] = "other"
    west.add(route)
    await world.settle()
    (found,) = world.tables["urlMaps"].values()
    assert found["defaultService"].rpartition("/")[2].startswith("gkemcg1-default-gw-serve404-80-")
    assert [each["hosts"] for each in found["hostRules"]] == [["llm.example"], ["*"]]
    rules = {each["name"]: each["routeRules"] for each in found["pathMatchers"]}
    exactly, chat = rules[found["hostRules"][0]["pathMatcher"]]
    assert exactly["matchRules"] == [
        {"fullPathMatch": "/v1/models", "queryParameterMatches": [{"name": "canary", "exactMatch": "1"}]}
    ]
    headers = [{"headerName": "x-team", "exactMatch": "beta"}, {"headerName": ":method", "exactMatch": "POST"}]
    assert chat["matchRules"] == [
        {"fullPathMatch": "/v1/chat", "headerMatches": headers},
        {"prefixMatch": "/v1/chat/", "headerMatches": headers},
    ]
    assert [exactly["priority"], chat["priority"]] == [1, 2]


async def test_a_gateway_without_routes_answers_everything_with_404(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(kit.gateway("europe-west3"))
    await world.settle()
    (found,) = world.tables["urlMaps"].values()
    assert found["defaultRouteAction"]["faultInjectionPolicy"]["abort"] == {"httpStatus": 404, "percentage": 100}
    assert "pathMatchers" not in found


async def test_the_policies_shape_the_backend_service(world: Any, kit: Any) -> None:
    metrics = [{"name": "gke.named_metrics.kv-cache", "dryRun": False, "maxUtilizationPercent": 60}]
    policy = kit.policy("GCPBackendPolicy", "p", timeoutSec=100, balancingMode="CUSTOM_METRICS", customMetrics=metrics)
    await served(world, kit, policy, kit.health_policy())
    (service,) = [row for row in world.tables["backendServices"].values() if row["backends"]]
    assert service["timeoutSec"] == 100
    assert {backend["balancingMode"] for backend in service["backends"]} == {"CUSTOM_METRICS"}
    wanted = {"name": "gke.named_metrics.kv-cache", "dryRun": False, "maxUtilization": 0.6}
    assert service["backends"][0]["customMetrics"] == [wanted]
    check = world.tables["healthChecks"][f"global/{service['name']}"]
    assert check["httpHealthCheck"] == {
        "requestPath": "/health",
        "port": 8000,
        "portSpecification": "USE_FIXED_PORT",
    }


@pytest.mark.parametrize(
    "row",
    [
        None,
        {"purpose": "REGIONAL_MANAGED_PROXY", "role": "ACTIVE", "state": "READY"},
        {"purpose": "GLOBAL_MANAGED_PROXY", "role": "BACKUP", "state": "READY"},
        {"purpose": "GLOBAL_MANAGED_PROXY", "role": "ACTIVE"},
    ],
)
async def test_without_its_proxy_subnet_a_gateway_is_invalid_and_recovers(world: Any, kit: Any, row: Any) -> None:
    west, _ = kit.two_regions(world)
    subnets = world.tables["subnetworks"]
    del subnets["us-east4/us-east4-subnet"]
    if row is not None:
        subnets["us-east4/other"] = row
    west.add(kit.gateway("europe-west3", "us-east4"))
    await world.settle()
    status = west.status(GATEWAYS, NAME)
    assert kit.conditions(status)["Programmed"] == ("False", "Invalid")
    assert kit.conditions(status)[HEALTHY] == ("False", "Error")
    (message,) = [each["message"] for each in status["conditions"] if each["type"] == "Programmed"]
    assert "An active proxy-only subnetwork is required in the same region and VPC" in message
    assert "us-east4" in message
    assert "addresses" not in status
    assert world.tables.get("forwardingRules", {}) == {}
    world.proxy_subnet("us-east4")
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))["Programmed"] == ("True", "Programmed")


async def test_without_its_agents_grant_the_controller_programs_nothing(world: Any, kit: Any) -> None:
    grant = world.tables["iam"].pop("bindings")
    west, _ = kit.two_regions(world)
    west.add(kit.gateway("europe-west3", "us-east4"))
    await world.settle()
    status = west.status(GATEWAYS, NAME)
    assert kit.conditions(status)["Programmed"] == ("False", "Invalid")
    (message,) = [each["message"] for each in status["conditions"] if each["type"] == "Programmed"]
    assert 'Required "container.clusters.get" permission(s)' in message
    assert world.tables.get("forwardingRules", {}) == {}
    world.tables["iam"]["bindings"] = [grant[0] | {"condition": {"expression": "false"}}]
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))["Programmed"] == ("False", "Invalid")
    world.tables["iam"]["bindings"] = grant
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))["Programmed"] == ("True", "Programmed")


async def test_a_grant_taken_away_too_early_leaves_the_load_balancer_standing(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    world.tables["iam"].pop("bindings")
    west.store.delete(GATEWAYS, "default", NAME)
    await world.settle()
    assert west.one(GATEWAYS, NAME)["metadata"]["deletionTimestamp"]
    assert len(world.tables["forwardingRules"]) == 2


async def test_a_region_that_is_added_later_needs_its_proxy_subnet_too(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    obj = west.one(GATEWAYS, NAME)
    three = kit.gateway("us-east4", "europe-west3", "us-central1")["spec"]
    west.store.replace(GATEWAYS, {**obj, "spec": three}, manager="kubectl")
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))["Programmed"] == ("False", "Invalid")
    assert len(world.tables["forwardingRules"]) == 2
    world.proxy_subnet("us-central1")
    await world.settle()
    assert len(west.status(GATEWAYS, NAME)["addresses"]) == 3
    assert len(world.tables["forwardingRules"]) == 3


async def test_an_address_type_of_another_class_is_refused(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    obj = kit.gateway("europe-west3")
    obj["spec"]["addresses"] = [{"type": "IPAddress", "value": "10.0.0.9"}]
    west.add(obj)
    await world.settle()
    status = west.status(GATEWAYS, NAME)
    (message,) = [each["message"] for each in status["conditions"] if each["type"] == "Programmed"]
    assert message.startswith('Error GWCER106: Gateway "default/cross-region-gateway" is invalid')


async def test_programming_and_health_take_their_time(world: Any, kit: Any) -> None:
    world.pace.table |= {"gateway.program": 300, "gateway.healthy": 60}
    west, _ = await served(world, kit)
    assert kit.conditions(west.status(GATEWAYS, NAME)) == PENDING
    await world.after(300)
    found = kit.conditions(west.status(GATEWAYS, NAME))
    assert found["Programmed"][0] == "True"
    assert found[HEALTHY] == ("Unknown", "Pending")
    await world.after(60)
    assert kit.conditions(west.status(GATEWAYS, NAME))[HEALTHY] == ("True", "Healthy")


async def test_a_gateway_without_a_healthy_backend_is_not_healthy(world: Any, kit: Any) -> None:
    world.gateway.sick = True
    west, _ = await served(world, kit)
    assert kit.conditions(west.status(GATEWAYS, NAME))[HEALTHY] == ("False", "Unhealthy")
    world.gateway.sick = False
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))[HEALTHY] == ("True", "Healthy")


async def test_a_gateway_without_routes_is_healthy(world: Any, kit: Any) -> None:
    west, _ = kit.two_regions(world)
    west.add(kit.gateway("europe-west3"))
    await world.settle()
    assert kit.conditions(west.status(GATEWAYS, NAME))[HEALTHY] == ("True", "Healthy")


async def test_a_gateway_outside_the_config_cluster_waits_for_ever(world: Any, kit: Any) -> None:
    _, east = kit.two_regions(world)
    east.add(kit.gateway("europe-west3"))
    await world.settle()
    assert kit.conditions(east.status(GATEWAYS, NAME)) == PENDING
    assert "finalizers" not in east.one(GATEWAYS, NAME)["metadata"]


async def test_deleting_a_gateway_takes_down_what_it_made(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    world.pace.table["gateway.delete"] = 180
    world.tables["forwardingRules"]["global/other"] = {"name": "other", "description": "someone else's"}
    assert west.one(GATEWAYS, NAME)["metadata"]["finalizers"] == ["gateway.finalizer.networking.gke.io"]
    west.store.delete(GATEWAYS, "default", NAME)
    await world.settle()
    assert west.one(GATEWAYS, NAME)["metadata"]["deletionTimestamp"]
    assert len(world.tables["forwardingRules"]) == 3
    assert world.gateway.frontends == []
    await world.after(180)
    assert west.store.get(GATEWAYS, "default", NAME) is None
    assert list(world.tables["forwardingRules"]) == ["global/other"]
    assert all(world.tables[name] == {} for name in COLLECTIONS if name != "forwardingRules")
    assert len(world.tables["networkEndpointGroups"]) == 2, "endpoint groups belong to the exports"


async def test_names_depend_on_the_objects_alone(world: Any, kit: Any) -> None:
    west, _ = await served(world, kit)
    before = {name: sorted(world.tables[name]) for name in COLLECTIONS}
    address = west.status(GATEWAYS, NAME)["addresses"]
    other = type(world)()
    west, _ = await served(other, kit)
    assert {name: sorted(other.tables[name]) for name in COLLECTIONS} == before
    assert west.status(GATEWAYS, NAME)["addresses"] == address
    owner = json.loads(next(iter(world.tables["urlMaps"].values()))["description"])
    assert owner["k8sResource"] == "/namespaces/default/gateways/cross-region-gateway"
