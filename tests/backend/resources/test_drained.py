"""What a drill leaves on the policy is seen and mended, and never a field of anybody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from backend.clients.kube import Kube
from backend.drill_mark import UNTIL
from backend.emulator.kube.cluster import KubeCluster
from backend.engine.events import Action
from backend.resources.drained import MANAGER, BackendPolicyRow, drained, policy_key, restored, until
from backend.resources.gateway import backend_policy
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Json, Notes, api_server, client_of

END = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def kube(cluster: KubeCluster) -> AsyncIterator[Kube]:
    made = client_of(cluster)
    yield made
    await made.close()


@pytest.fixture
async def row(spec: GatewaySpec, kube: Kube, cluster: KubeCluster) -> BackendPolicyRow:
    made = backend_policy(spec, FakeClients({"gke-west": kube}).as_clients())
    await made.apply(made.create(), Notes())
    attached = {"type": "Attached", "status": "True", "reason": "R", "message": "m", "observedGeneration": 1}
    condition = attached | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    kind, name = policy_key(spec).kind, policy_key(spec).name
    resource = f"networking.gke.io/{kind.plural}"
    cluster.store.set_status(resource, "default", name, {"conditions": [condition]}, manager="gke")
    assert made.diff(await made.observe()).action is Action.NO_OP
    return made


async def policy_of(spec: GatewaySpec, kube: Kube) -> Json:
    key = policy_key(spec)
    found = await kube.get(key.kind, key.namespace, key.name)
    assert found is not None
    return found


async def test_a_drill_adds_its_fields_and_gives_them_back(
    spec: GatewaySpec, kube: Kube, row: BackendPolicyRow
) -> None:
    before = await policy_of(spec, kube)
    await kube.apply(drained(spec, "us-east4", END), manager=MANAGER)
    policy = await policy_of(spec, kube)
    assert until(policy) == "2026-11-22T17:30:00+00:00"
    scope = {"selector": {"gke.io/region": "us-east4"}, "capacityScalerPercent": 0}
    assert policy["spec"]["default"] == before["spec"]["default"] | {"scopes": [scope]}
    await kube.apply(restored(spec), manager=MANAGER)
    after = await policy_of(spec, kube)
    assert after["spec"] == before["spec"]
    assert until(after) is None


async def test_what_a_killed_drill_left_is_told_and_mended(
    spec: GatewaySpec, kube: Kube, row: BackendPolicyRow
) -> None:
    await kube.apply(drained(spec, "us-east4", END), manager=MANAGER)
    step = row.diff(await row.observe())
    assert step.action is Action.UPDATE
    assert "a drill drains a region until 2026-11-22T17:30:00+00:00" in step.reason
    assert {change.field.rpartition(": ")[2] for change in step.changes} == {
        f"metadata.annotations.{UNTIL}",
        "spec.default.scopes",
    }
    await row.apply(step, Notes())
    policy = await policy_of(spec, kube)
    assert until(policy) is None
    assert "scopes" not in policy["spec"]["default"]
    assert policy["spec"]["default"]["timeoutSec"] == spec.timeout_s
