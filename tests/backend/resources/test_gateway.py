"""The gateway and its policies: whose address is whose, what is waited for, and what must be gone at the end."""

from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from backend.clients.kinds import GATEWAY, HTTP_ROUTE
from backend.clients.kube import Kube
from backend.emulator.kube.cluster import KubeCluster
from backend.engine.events import Action
from backend.errors import PermissionDenied, RateLimited
from backend.resources.gateway import (
    GatewayRow,
    addresses_of,
    backend_policy,
    gateway,
    gateway_key,
    health_policy,
    parts_of,
    regions_of,
)
from backend.resources.objects import KubeObjects
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, FakeCompute, Notes, api_server, client_of

Json = dict[str, Any]
RULES = "networking.gke.io/forwarding-rules"
ADDRESSES = {"10.156.0.7": "europe-west3", "10.150.0.9": "us-east4"}


def rule(address: str, region: str, name: str = "rule") -> Json:
    subnetwork = f"https://www.googleapis.com/compute/v1/projects/p/regions/{region}/subnetworks/default"
    return {"name": f"{name}-{region}", "IPAddress": address, "subnetwork": subnetwork}


EVERY_RULE = [rule(address, region) for address, region in ADDRESSES.items()]


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


def row_of(spec: GatewaySpec, kube: Kube, compute: FakeCompute | None = None) -> GatewayRow:
    return gateway(spec, FakeClients({"gke-west": kube}, compute or FakeCompute(list(EVERY_RULE))).as_clients())


def conditions(*names: str, status: str = "True", generation: int = 1) -> list[Json]:
    said = {"status": status, "reason": "R", "message": "m", "observedGeneration": generation}
    return [{"type": name, "lastTransitionTime": "2026-01-01T00:00:00Z", **said} for name in names]


def become_ready(spec: GatewaySpec, cluster: KubeCluster, *, generation: int = 1) -> None:
    """Say of the gateway and its route what GKE's controllers say once they are programmed."""
    good = conditions("Accepted", "Programmed", "networking.gke.io/GatewayHealthy", generation=generation)
    given = [{"type": "IPAddress", "value": address} for address in ADDRESSES]
    status = {"addresses": given, "conditions": good}
    cluster.store.set_status("gateway.networking.k8s.io/gateways", "default", spec.gateway.name, status, manager="gke")
    parent = {
        "parentRef": {"name": spec.gateway.name},
        "controllerName": "networking.gke.io/gateway",
        "conditions": conditions("Accepted", "ResolvedRefs", "Reconciled"),
    }
    name = f"{spec.pool.name}-default"
    cluster.store.set_status(
        "gateway.networking.k8s.io/httproutes", "default", name, {"parents": [parent]}, manager="gke"
    )


@pytest.mark.parametrize("order", list(permutations(EVERY_RULE)))
@pytest.mark.parametrize("addresses", list(permutations(ADDRESSES)))
def test_an_address_has_the_region_of_its_rules_subnetwork(order: tuple[Json, ...], addresses: tuple[str, ...]) -> None:
    others = [rule("10.9.9.9", "asia-east1"), {"name": "global", "IPAddress": "34.1.1.1"}]
    assert regions_of([*others, *order], list(addresses)) == ADDRESSES


def test_what_gke_notes_on_a_gateway_is_read() -> None:
    noted = "/projects/1/global/forwardingRules/a, /projects/1/global/forwardingRules/b"
    obj = {"metadata": {"annotations": {RULES: noted, "networking.gke.io/url-maps": "/projects/1/global/urlMaps/m"}}}
    assert {name: parts for name, parts in parts_of(obj).items() if parts} == {
        RULES: {"a", "b"},
        "networking.gke.io/url-maps": {"m"},
    }
    assert not any(parts_of({"metadata": {}}).values())
    assert addresses_of({}) == []


async def test_the_detail_tells_the_address_of_each_region(spec: GatewaySpec, kube: Kube, cluster: KubeCluster) -> None:
    row = row_of(spec, kube)
    await row.apply(row.create(), Notes())
    become_ready(spec, cluster)
    seen = await row.wait(Notes())
    assert row.detail(seen) == {
        "addresses": [
            {"region": "europe-west3", "address": "10.156.0.7"},
            {"region": "us-east4", "address": "10.150.0.9"},
        ]
    }
    assert row.diff(await row.observe()).action is Action.NO_OP


async def test_a_gateway_is_not_ready_before_every_condition_holds(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster
) -> None:
    row = row_of(spec, kube)
    await row.apply(row.create(), Notes())

    async def lack() -> str | None:
        seen = await row.observe()
        assert seen is not None
        return row.lacks(seen)

    assert await lack() == "Gateway: Accepted is Unknown (Pending: Waiting for controller)"
    become_ready(spec, cluster)
    assert await lack() is None
    become_ready(spec, cluster, generation=0)
    assert await lack() == "Gateway: Accepted is not reported yet"
    bad = {"addresses": [], "conditions": conditions("Accepted") + conditions("Programmed", status="False")}
    cluster.store.set_status("gateway.networking.k8s.io/gateways", "default", spec.gateway.name, bad, manager="gke")
    assert await lack() == "Gateway: Programmed is False (R: m)"


async def test_a_region_without_a_forwarding_rule_is_waited_for(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster
) -> None:
    row = row_of(spec, kube, FakeCompute(EVERY_RULE[:1]))
    await row.apply(row.create(), Notes())
    become_ready(spec, cluster)
    seen = await row.observe()
    assert seen is not None
    assert row.lacks(seen) == "Gateway: no forwarding rule with an address in us-east4 yet"
    assert row.detail(seen)["addresses"] == [{"region": "europe-west3", "address": "10.156.0.7"}]


async def test_without_leave_to_read_rules_no_region_is_guessed(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster
) -> None:
    class Denied(FakeCompute):
        async def list_global_forwarding_rules(self) -> list[Json]:
            raise PermissionDenied("no")

    row = row_of(spec, kube, Denied())
    await row.apply(row.create(), Notes())
    become_ready(spec, cluster)
    seen = await row.observe()
    assert seen is not None
    assert row.detail(seen) == {"addresses": []}


async def test_rules_that_cannot_be_read_just_now_are_no_drift(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster
) -> None:
    class Hurried(FakeCompute):
        async def list_global_forwarding_rules(self) -> list[Json]:
            raise RateLimited("too many requests")

    row = row_of(spec, kube, Hurried())
    await row.apply(row.create(), Notes())
    become_ready(spec, cluster)
    with pytest.raises(RateLimited):
        await row.observe()


async def test_deleting_waits_until_the_load_balancer_is_taken_down(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster
) -> None:
    class Slow(FakeCompute):
        async def list_global_forwarding_rules(self) -> list[Json]:
            found = await super().list_global_forwarding_rules()
            self.rules = self.rules[1:]
            return found

        async def backend_services(self) -> list[Json]:
            found, self.services = self.services, []
            return found

    compute = Slow([rule("10.156.0.7", "europe-west3", "mine"), rule("10.9.9.9", "europe-west3", "theirs")])
    compute.services = [{"name": "mine"}]
    row = row_of(spec, kube, compute)
    await row.apply(row.create(), Notes())
    noted = {
        RULES: "/projects/1/global/forwardingRules/mine-europe-west3",
        "networking.gke.io/backend-services": "/projects/1/global/backendServices/mine",
    }
    cluster.store.annotate("gateway.networking.k8s.io/gateways", "default", spec.gateway.name, noted, manager="gke")
    notes = Notes()
    await row.delete(notes)
    assert notes.texts == [
        "waiting until forwarding rules mine-europe-west3 are gone",
        "waiting until backend services mine are gone",
    ]
    assert compute.looks == 2
    assert await kube.get(GATEWAY, "default", spec.gateway.name) is None
    assert await kube.get(HTTP_ROUTE, "default", f"{spec.pool.name}-default") is None


async def test_a_gateway_of_somebody_else_keeps_its_load_balancer(spec: GatewaySpec, kube: Kube) -> None:
    row = row_of(spec, kube)
    for obj in row.wanted.values():
        await kube.apply(
            obj | {"metadata": {"name": obj["metadata"]["name"], "namespace": "default"}}, manager="kubectl"
        )
    assert row.removal(await row.observe()).action is Action.NO_OP
    await row.delete(Notes())
    assert await kube.get(gateway_key(spec).kind, "default", spec.gateway.name) is not None


@pytest.mark.parametrize("make", [health_policy, backend_policy])
async def test_a_policy_is_ready_when_it_is_attached(
    spec: GatewaySpec, kube: Kube, cluster: KubeCluster, make: Any
) -> None:
    row: KubeObjects = make(spec, FakeClients({"gke-west": kube}).as_clients())
    await row.apply(row.create(), Notes())
    ((key, _),) = row.wanted.items()
    step = row.diff(await row.observe())
    assert [change.before for change in step.changes] == [f"{key.kind.name}: Attached is not reported yet"]
    cluster.store.set_status(
        f"networking.gke.io/{key.kind.plural}",
        "default",
        key.name,
        {"conditions": conditions("Attached")},
        manager="gke",
    )
    assert row.diff(await row.observe()).action is Action.NO_OP


async def test_changing_the_mode_takes_the_other_modes_fields_away(spec: GatewaySpec, kube: Kube) -> None:
    clients = FakeClients({"gke-west": kube}).as_clients()
    await backend_policy(spec, clients).apply(backend_policy(spec, clients).create(), Notes())
    in_flight = GatewaySpec.model_validate(spec.to_data() | {"balancing": {"mode": "IN_FLIGHT"}})
    row = backend_policy(in_flight, clients)
    step = row.diff(await row.observe())
    changed = {change.field.rpartition(".")[2] for change in step.changes}
    assert changed == {"balancingMode", "maxInFlightRequestsPerEndpoint", "customMetrics"}
    await row.apply(step, Notes())
    seen = await row.observe()
    assert seen is not None
    (policy,) = seen.objects.values()
    assert policy["spec"]["default"] == {
        "balancingMode": "IN_FLIGHT",
        "maxInFlightRequestsPerEndpoint": 1000,
        "timeoutSec": 100,
        "trafficDuration": "LONG",
    }
