"""A project in which others live too: what they have is found, used, explained and never changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.clients.kinds import GATEWAY
from backend.clients.names import INGRESS_FEATURE
from backend.emulator.server import Emulator
from backend.engine.events import Verb
from backend.errors import Conflict, Unavailable
from backend.resources import cluster_shape, leftovers, marks
from backend.resources.cluster import ADOPTED, GkeCluster
from backend.resources.fleet import Membership
from backend.resources.fleet_ingress import FleetIngress
from backend.resources.iam import NodeAccount
from backend.resources.network import ProxySubnet
from backend.resources.services import KEPT, WANTED, EnabledServices
from backend.resources.sharing import Teardown
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, Told, make_node_account, silent

Json = dict[str, Any]
WEST = "projects/demo-project/locations/europe-west3/clusters/gke-west"
EAST = "projects/demo-project/locations/us-east4/clusters/gke-east"
OTHERS = {"managed-by": "mcig", "mcig-stack": "another"}


@pytest.fixture
async def session(spec: GatewaySpec, clients: Clients) -> Session:
    """A project with its APIs on and the nodes' account made."""
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    await make_node_account(spec, clients)
    return Session(spec, clients)


async def make_cluster(clients: Clients, region: str, name: str, **fields: Any) -> None:
    """Make a cluster as somebody else would: bare, with a pool of the default account."""
    pool = {"name": "default-pool", "initialNodeCount": 1, "config": {"machineType": "e2-standard-4"}}
    wanted = {"name": name, "nodePools": [pool], "initialClusterVersion": "1.34.1-gke.1829001"} | fields
    operation = await clients.container.create_cluster(region, wanted)
    assert (await clients.container.operation(region, operation["name"]))["status"] == "DONE"


async def enable(clients: Clients, membership: str, **fields: Any) -> None:
    """Turn the fleet's controller on with a config cluster."""
    body = {"spec": {INGRESS_FEATURE: {"configMembership": membership}}} | fields
    operation = await clients.fleet.create_feature(INGRESS_FEATURE, body)
    assert (await clients.fleet.operation(operation["name"]))["done"]


def register(emulator: Emulator, place: str, link: str) -> str:
    """A membership as gcloud makes it by default: in a region."""
    location, _, name = place.partition("/")
    full = f"projects/demo-project/locations/{location}/memberships/{name}"
    emulator.world.tables["memberships"][place] = {
        "name": full,
        "endpoint": {"gkeCluster": {"resourceLink": f"//container.googleapis.com/{link}"}},
        "state": {"code": "READY"},
    }
    return full


def foreign(emulator: Emulator, theirs: Callable[[str], bool]) -> Json:
    """The rows of the world that are not the stack's."""
    tables = {
        name: {key: row for key, row in table.items() if theirs(key)}
        for name, table in emulator.world.tables.items()
        if name not in {"operations", "timers", "services", "iam"}
    }
    return deepcopy(tables)


async def test_a_regional_membership_is_found_by_its_link_and_no_second_one_is_made(
    session: Session, emulator: Emulator
) -> None:
    clients = session.clients
    east = GkeCluster(session.spec, session.spec.clusters[1], clients)
    await east.apply(east.create(), silent)
    register(emulator, "us-east4/gke-east", EAST)
    before = deepcopy(emulator.world.tables["memberships"]["us-east4/gke-east"])

    result = await session.run()

    assert result.outcome == "succeeded", [step.error for step in result.failures]
    assert set(emulator.world.tables["memberships"]) == {"global/gke-west", "us-east4/gke-east"}
    assert (await session.actions())["membership/gke-east"] == ("no-op", "adopted: us-east4/gke-east")
    await session.run(Verb.DESTROY)
    assert emulator.world.tables["memberships"] == {"us-east4/gke-east": before}


async def test_a_controller_that_points_at_another_cluster_is_refused_and_nothing_changes(
    session: Session, emulator: Emulator
) -> None:
    clients = session.clients
    await make_cluster(clients, "us-central1", "theirs")
    theirs = register(emulator, "us-central1/theirs", "projects/demo-project/locations/us-central1/clusters/theirs")
    await enable(clients, theirs)
    before = foreign(emulator, lambda key: "theirs" in key or INGRESS_FEATURE in key)

    action, reason = (await session.actions())["fleet-ingress"]
    result = await session.run()

    assert (action, "the fleet's config cluster is us-central1/theirs" in reason) == ("update", True)
    assert [step.resource for step in result.failures] == ["fleet-ingress"]
    error = result.failures[0].error
    assert error is not None
    assert "config cluster is us-central1/theirs, not global/gke-west" in error.message
    assert "fleet ingress update --config-membership=" in error.fix
    await session.run(Verb.DESTROY)
    assert foreign(emulator, lambda key: "theirs" in key or INGRESS_FEATURE in key) == before


async def test_a_controller_that_serves_another_gateway_stays(session: Session, emulator: Emulator) -> None:
    assert (await session.run()).outcome == "succeeded"
    gateway = {
        "apiVersion": GATEWAY.group_version,
        "kind": GATEWAY.name,
        "metadata": {"name": "theirs", "namespace": "default"},
        "spec": {
            "gatewayClassName": "gke-l7-cross-regional-internal-managed-mc",
            "listeners": [{"name": "http", "protocol": "HTTP", "port": 8080}],
        },
    }
    row = FleetIngress(session.spec, session.clients)
    assert row.removal(await row.observe()).action == "delete"

    await session.clients.kube("gke-west").create(gateway)

    step = row.removal(await row.observe())
    assert step.action == "no-op"
    assert "it serves Gateway default/theirs" in step.reason
    assert "gcloud container fleet ingress disable" in step.reason


async def test_a_single_cluster_gateway_is_no_reason_to_keep_the_controller(
    session: Session, emulator: Emulator
) -> None:
    assert (await session.run()).outcome == "succeeded"
    gateway = {
        "apiVersion": GATEWAY.group_version,
        "kind": GATEWAY.name,
        "metadata": {"name": "theirs", "namespace": "default"},
        "spec": {
            "gatewayClassName": "gke-l7-rilb",
            "listeners": [{"name": "http", "protocol": "HTTP", "port": 8080}],
        },
    }
    await session.clients.kube("gke-west").create(gateway)
    row = FleetIngress(session.spec, session.clients)

    assert row.removal(await row.observe()).action == "delete"


async def test_a_controller_whose_config_cluster_does_not_answer_stays(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await session.run()).outcome == "succeeded"

    async def silence(*args: Any, **more: Any) -> Any:
        raise Unavailable("no answer")

    monkeypatch.setattr(session.clients.kube("gke-west"), "list", silence)
    row = FleetIngress(session.spec, session.clients)

    step = row.removal(await row.observe())
    assert step.action == "no-op"
    assert "whatever is on gke-west" in step.reason


async def made_subnet(session: Session) -> ProxySubnet:
    row = ProxySubnet(session.spec, session.spec.clusters[0], session.clients)
    await row.apply(row.create(), silent)
    await row.wait(silent)
    return row


def rule(name: str, /, **fields: Any) -> Json:
    """A forwarding rule of a cross-region load balancer in the first region."""
    base = "https://www.googleapis.com/compute/v1/projects/demo-project"
    return {
        "kind": "compute#forwardingRule",
        "id": "1",
        "name": name,
        "selfLink": f"{base}/global/forwardingRules/{name}",
        "loadBalancingScheme": "INTERNAL_MANAGED",
        "network": f"{base}/global/networks/default",
        "subnetwork": f"{base}/regions/europe-west3/subnetworks/default",
    } | fields


async def test_a_subnet_that_another_load_balancer_uses_stays(session: Session, emulator: Emulator) -> None:
    row = await made_subnet(session)
    assert row.removal(await row.observe()).action == "delete"
    emulator.world.tables["forwardingRules"]["global/theirs"] = rule("theirs")

    step = row.removal(await row.observe())

    assert step.action == "no-op"
    assert "forwarding rule theirs uses it" in step.reason
    assert "subnets delete europe-west3-subnet --region=europe-west3" in step.reason


@pytest.mark.parametrize(
    "fields",
    [
        {"subnetwork": "https://x/projects/demo-project/regions/us-east4/subnetworks/default"},
        {"network": "https://x/projects/demo-project/global/networks/other"},
        {"loadBalancingScheme": "EXTERNAL_MANAGED"},
        {"name": "gkemcg1-default-cross-region-gateway-abcdefghijkl"},
    ],
)
async def test_a_load_balancer_elsewhere_or_of_the_stack_is_no_reason_to_keep_it(
    session: Session, emulator: Emulator, fields: Json
) -> None:
    row = await made_subnet(session)
    emulator.world.tables["forwardingRules"]["global/r"] = rule("r", **fields)

    assert row.removal(await row.observe()).action == "delete"


async def test_a_subnet_that_another_stacks_cluster_counts_on_stays(session: Session, emulator: Emulator) -> None:
    row = await made_subnet(session)
    await make_cluster(session.clients, "europe-west3", "plain")
    assert row.removal(await row.observe()).action == "delete"

    await make_cluster(session.clients, "europe-west3", "theirs", resourceLabels=OTHERS)

    step = row.removal(await row.observe())
    assert step.action == "no-op"
    assert "cluster theirs of stack another uses it" in step.reason


async def test_another_stack_adopts_the_subnet_and_leaves_it(session: Session, connection: Connection) -> None:
    await made_subnet(session)
    other = GatewaySpec.model_validate(session.spec.to_data() | {"name": "another"})
    row = ProxySubnet(other, other.clusters[0], session.clients)
    seen = await row.observe()

    assert row.diff(seen).reason.startswith("adopted from the stack two-regions: europe-west3-subnet")
    assert row.removal(seen).action == "no-op"


async def test_a_subnet_in_use_is_asked_to_go_again_until_it_is_free(
    session: Session, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engine.poll.SHORTEST_PAUSE_S", 0.0)
    row = await made_subnet(session)
    rules = emulator.world.tables["forwardingRules"]
    rules["global/theirs"] = rule("theirs")
    told: list[str] = []

    def note(text: str, *, operation: str | None = None) -> None:
        told.append(text)
        rules.clear()

    await row.delete(note)

    assert "is already being used by 'projects/demo-project/global/forwardingRules/theirs'" in told[0]
    assert await row.observe() is None


async def test_what_a_vanished_gateway_left_is_told_with_the_command_and_not_deleted(
    session: Session, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.resources.network.LEFT_TIMEOUT_S", 0.0)
    row = await made_subnet(session)
    name = "gkemcg1-default-cross-region-gateway-abcdefghijkl"
    emulator.world.tables["forwardingRules"][f"global/{name}"] = rule(name)
    before = deepcopy(emulator.world.tables)
    told = Told()

    with pytest.raises(Exception, match=name) as caught:
        await row.delete(told)

    assert "vanished" in getattr(caught.value, "cause", "")
    assert f"gcloud compute forwarding-rules delete {name} --global" in getattr(caught.value, "fix", "")
    assert emulator.world.tables == before


def note_of(cluster: str, resource: str = "/namespaces/default/gateways/cross-region-gateway") -> str:
    """What GKE writes into the description of a load balancer's part."""
    import json

    return json.dumps({"k8sCluster": f"/projects/415104041262/locations/{cluster}", "k8sResource": resource})


@pytest.mark.parametrize(
    ("part", "ours"),
    [
        ({"name": "gkemcg1-default-cross-region-gateway-abcdefghijkl"}, True),
        ({"name": "gkemcg1-default-cross-region-gateway-gw-serve404-80-abcdefghijkl"}, True),
        ({"name": "gkemcg1-default-another-gateway-abcdefghijkl"}, False),
        ({"name": "k8s2-um-x"}, False),
        ({"name": "any", "description": note_of("europe-west3/clusters/gke-west")}, True),
        ({"name": "any", "description": note_of("europe-west3/clusters/theirs")}, False),
        (
            {
                "name": "gkemcg1-default-cross-region-gateway-abcdefghijkl",
                "description": note_of("europe-west3/clusters/theirs"),
            },
            False,
        ),
        ({"name": "any", "description": note_of("europe-west3/clusters/gke-west", "/namespaces/x/gateways/y")}, False),
        ({"name": "k8s1-0123abcd-default-vllm-llama3-8b-instruct-8000-0123abcd", "zone": "x/us-east4-b"}, True),
        ({"name": "k8s1-0123abcd-default-vllm-llama3-8b-instruct-8000-0123abcd", "zone": "x/us-west1-b"}, False),
        ({"name": "k8s1-0123abcd-default-other-8000-0123abcd", "zone": "x/us-east4-b"}, False),
    ],
)
def test_a_part_is_known_by_what_gke_notes_on_it_else_by_its_name(spec: GatewaySpec, part: Json, *, ours: bool) -> None:
    assert leftovers.probably_ours(spec, part) is ours


async def test_all_kinds_of_leftovers_are_found_in_the_order_in_which_they_go(
    session: Session, emulator: Emulator
) -> None:
    name = "gkemcg1-default-cross-region-gateway-abcdefghijkl"
    tables = emulator.world.tables
    base = "https://www.googleapis.com/compute/v1/projects/demo-project"
    for table in ("forwardingRules", "targetHttpProxies", "urlMaps", "backendServices"):
        tables[table][f"global/{name}"] = {"name": name, "selfLink": f"{base}/global/{table}/{name}"}
        tables[table]["global/theirs"] = {"name": "theirs", "selfLink": f"{base}/global/{table}/theirs"}
    group = "k8s1-0123abcd-default-vllm-llama3-8b-instruct-8000-0123abcd"
    tables["networkEndpointGroups"][f"us-east4-b/{group}"] = {"name": group, "zone": f"{base}/zones/us-east4-b"}
    before = deepcopy(tables)

    found = await leftovers.find(session.spec, session.clients)

    assert [part.kind for part in found] == [
        "forwarding-rules",
        "target-http-proxies",
        "url-maps",
        "backend-services",
        "network-endpoint-groups",
    ]
    assert {part.name for part in found} == {name, group}
    assert found[0].command == f"gcloud compute forwarding-rules delete {name} --global --project=demo-project"
    assert "--zone=us-east4-b" in found[-1].command
    assert tables == before


async def test_a_cluster_that_lacks_everything_gets_one_thing_a_call(session: Session, emulator: Emulator) -> None:
    bare = {"monitoringConfig": {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}}}
    await make_cluster(session.clients, "europe-west3", "gke-west", **bare)
    row = GkeCluster(session.spec, session.spec.clusters[0], session.clients)
    step = row.diff(await row.observe())
    wanted = [
        cluster_shape.WORKLOAD_POOL,
        cluster_shape.GATEWAY_API,
        cluster_shape.HPA_PROFILE,
        cluster_shape.PROMETHEUS,
        cluster_shape.MONITORING,
    ]
    assert [change.field for change in step.changes] == wanted
    assert "none restarts nodes" in step.reason

    told = Told()
    await row.apply(step, told)
    after = row.diff(await row.wait(silent))

    assert (after.action, after.reason) == ("no-op", "adopted")
    updates = [one for one in emulator.world.tables["operations"].values() if one["what"] == "cluster.update"]
    assert len(updates) == len(set(told.operations)) == len(wanted)
    assert [text.split()[1] for text in told.texts] == wanted
    cluster = emulator.world.tables["clusters"]["europe-west3/gke-west"]
    assert "resourceLabels" not in cluster
    assert cluster["monitoringConfig"]["managedPrometheusConfig"] == {"enabled": True}
    assert cluster["monitoringConfig"]["componentConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS", "DCGM"]


async def test_an_adopted_cluster_stays_with_what_it_costs_and_goes_only_when_asked_for(
    session: Session, emulator: Emulator
) -> None:
    await make_cluster(session.clients, "europe-west3", "gke-west")
    cluster = session.spec.clusters[0]
    modest = GkeCluster(session.spec, cluster, session.clients)
    greedy = GkeCluster(session.spec, cluster, session.clients, Teardown(adopted=True))
    seen = await modest.observe()
    assert seen is not None
    cost = cluster_shape.usd_per_hour(seen)

    left, goes = modest.removal(seen), greedy.removal(seen)

    assert cost == pytest.approx(0.10 + 3 * 0.15)
    assert left.action == "no-op"
    assert f"left, at about {cost:.2f} USD/h; `gcloud container clusters delete gke-west" in left.reason
    assert goes.action == "delete"
    assert goes.reason.startswith(ADOPTED)
    membership = Membership(session.spec, cluster, session.clients, Teardown(adopted=True))
    assert membership.removal({"name": "theirs", "labels": {}}).action == "delete"
    await greedy.delete(silent)
    assert emulator.world.tables["clusters"] == {}


async def test_another_stacks_cluster_is_not_changed_and_stays_whatever_is_asked_for(session: Session) -> None:
    await make_cluster(session.clients, "europe-west3", "gke-west", resourceLabels=OTHERS)
    cluster, greed = session.spec.clusters[0], Teardown(shared=True, adopted=True)
    row = GkeCluster(session.spec, cluster, session.clients, greed)
    seen = await row.observe()
    step = row.diff(seen)

    assert (step.action, step.reason) == ("update", marks.refused("another"))
    with pytest.raises(Conflict, match="cluster gke-west belongs to the stack another"):
        await row.apply(step, silent)
    assert await row.observe() == seen
    left = row.removal(seen)
    assert (left.action, left.reason) == ("no-op", "made for the stack another: left; `mcig destroy another` takes it")
    membership = Membership(session.spec, cluster, session.clients, greed)
    assert membership.removal({"name": "theirs", "labels": OTHERS}).reason == "made for the stack another: left"


async def test_the_nodes_account_stays_while_a_pool_that_stays_runs_as_it(session: Session, emulator: Emulator) -> None:
    assert (await session.run()).outcome == "succeeded"
    row = NodeAccount(session.spec, session.clients)
    assert row.removal(await row.observe()).action == "delete"
    del emulator.world.tables["clusters"]["us-east4/gke-east"]["resourceLabels"]

    step = row.removal(await row.observe())

    assert step.action == "no-op"
    assert "node pool default-pool of gke-east runs as it; `gcloud iam service-accounts delete" in step.reason
    assert "h100" not in step.reason
    greedy = NodeAccount(session.spec, session.clients, Teardown(adopted=True))
    assert greedy.removal(await greedy.observe()).action == "delete"
    left = (await session.actions(Verb.DESTROY))["cluster/gke-east"][1]
    assert "left, at about 0.55 USD/h" in left, "without the GPU pool, which goes"


async def test_shared_apis_stay_while_anybody_else_is_there(
    session: Session, clients: Clients, emulator: Emulator
) -> None:
    row = EnabledServices(session.spec, clients, Teardown(shared=True))
    await make_cluster(clients, "us-central1", "theirs", resourceLabels=OTHERS)
    step = row.removal(await row.observe())
    assert step.action == "no-op"
    assert "cluster theirs in us-central1 may need them" in step.reason

    operation = await clients.container.delete_cluster("us-central1", "theirs")
    await clients.container.operation("us-central1", operation["name"])
    assert row.removal(await row.observe()).action == "delete"
    await row.delete(silent)

    assert await clients.services.enabled() & WANTED == KEPT | {"cloudresourcemanager.googleapis.com"}


async def test_an_api_that_google_says_is_in_use_stays_and_is_told_of(
    session: Session, clients: Clients, emulator: Emulator
) -> None:
    emulator.world.tables["memberships"]["global/late"] = {
        "name": "projects/demo-project/locations/global/memberships/late",
        "endpoint": {"gkeCluster": {"resourceLink": "//x"}},
    }
    told = Told()

    await EnabledServices(session.spec, clients, Teardown(shared=True)).delete(told)

    assert any(text.startswith("left gkehub.googleapis.com enabled") for text in told.texts)
    assert "gkehub.googleapis.com" in await clients.services.enabled()


async def test_a_whole_life_changes_nothing_foreign(session: Session, emulator: Emulator) -> None:
    clients, tables = session.clients, emulator.world.tables
    await make_cluster(clients, "us-central1", "theirs", resourceLabels=OTHERS)
    register(emulator, "global/theirs", "projects/demo-project/locations/us-central1/clusters/theirs")
    tables["forwardingRules"]["global/theirs"] = rule(
        "theirs", subnetwork="https://x/regions/us-central1/subnetworks/d"
    )
    tables["iam"]["bindings"].append({"role": "roles/container.admin", "members": ["user:ann@example.com"]})
    before, ann = foreign(emulator, lambda key: "theirs" in key), deepcopy(tables["iam"]["bindings"][-1])

    session.teardown = Teardown(shared=True)
    assert (await session.run()).outcome == "succeeded"
    gone = await session.run(Verb.DESTROY)

    assert gone.outcome == "succeeded", [step.error for step in gone.failures]
    assert foreign(emulator, lambda key: "theirs" in key) == before
    assert foreign(emulator, lambda key: "theirs" not in key) == {name: {} for name in before}
    admins = [one for one in tables["iam"]["bindings"] if one["role"] == "roles/container.admin"]
    assert [set(one["members"]) >= set(ann["members"]) for one in admins] == [True]
    assert await clients.services.enabled() >= WANTED


def test_marks_of_another_stack_are_not_ours(spec: GatewaySpec) -> None:
    assert not marks.ours(spec, OTHERS)
