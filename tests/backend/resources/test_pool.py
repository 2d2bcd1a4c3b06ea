"""The pool on a cluster, and its export, which owns one annotation and nothing else."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from backend.clients.kinds import (
    BACKEND_POLICY,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    HEALTH_CHECK_POLICY,
    INFERENCE_POOL,
    NAMESPACE,
    POOL_IMPORT,
    Kind,
)
from backend.clients.kube import Kube
from backend.engine.events import Action
from backend.errors import Conflict
from backend.resources import manifests
from backend.resources.export import Export, Exported
from backend.resources.manifests import crd
from backend.resources.manifests.chart import pool_objects
from backend.resources.objects import Seen
from backend.resources.pool import objective, objective_crd, pool
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, FakeCompute, Notes, api_server, client_of

Json = dict[str, Any]
Kubes = dict[str, Kube]


@pytest.fixture
async def kubes() -> AsyncIterator[Kubes]:
    async with AsyncExitStack() as stack:
        made = {}
        for name in ("gke-west", "gke-east"):
            kube = client_of(await stack.enter_async_context(api_server(name)))
            stack.push_async_callback(kube.close)
            made[name] = kube
        yield made


def the_pool(spec: GatewaySpec) -> Json:
    return next(obj for obj in pool_objects(spec) if obj["kind"] == "InferencePool")


def imported(spec: GatewaySpec) -> Json:
    meta = {"name": spec.pool.name, "namespace": spec.pool.namespace}
    return {"apiVersion": "networking.gke.io/v1", "kind": "GCPInferencePoolImport", "metadata": meta}


def export(spec: GatewaySpec, kubes: Kubes, index: int = 0) -> Export:
    return Export(spec, spec.clusters[index], FakeClients(kubes).as_clients())


async def annotations(spec: GatewaySpec, kube: Kube) -> Json:
    found = await kube.get(INFERENCE_POOL, "default", spec.pool.name)
    assert found is not None
    read: Json = found["metadata"].get("annotations") or {}
    return read


async def test_the_crd_is_established_and_then_objectives_can_be_made(spec: GatewaySpec, kubes: Kubes) -> None:
    clients = FakeClients(kubes).as_clients()
    for row in (objective_crd(spec, spec.config, clients), objective(spec, spec.config, clients)):
        await row.apply(row.create(), Notes())
        assert row.diff(await row.wait(Notes())).action is Action.NO_OP
    assert await kubes["gke-west"].get(CUSTOM_RESOURCE_DEFINITION, None, crd.NAME)


async def test_every_object_of_the_pool_is_taken_and_then_as_wanted(spec: GatewaySpec, kubes: Kubes) -> None:
    row = pool(spec, spec.config, FakeClients(kubes).as_clients())
    await row.apply(row.create(), Notes())
    seen = await row.observe()
    assert seen is not None
    assert len(seen.objects) == 18
    step = row.diff(seen)
    assert [change.field for change in step.changes] == ["status"]
    await row.delete(Notes())
    assert await row.observe() is None


Made = dict[tuple[str, str], Json]


async def helm_installed(spec: GatewaySpec, kube: Kube, *, monitoring: bool = True) -> Made:
    """Install the chart as Helm does: created by the manager ``helm``, with its labels and annotations."""
    chart = GatewaySpec.model_validate(spec.to_data() | {"pool": {"monitoring": monitoring}})
    made: Made = {}
    for obj in pool_objects(chart):
        labels = obj["metadata"].get("labels", {}) | {"app.kubernetes.io/managed-by": "Helm"}
        labels |= {"app.kubernetes.io/version": "v1.1.0"}
        notes = {"meta.helm.sh/release-name": spec.pool.name, "meta.helm.sh/release-namespace": spec.pool.namespace}
        notes |= obj["metadata"].get("annotations", {})
        meta = obj["metadata"] | {"labels": labels, "annotations": notes}
        found = await kube.create(obj | {"metadata": meta}, manager="helm")
        made[obj["kind"], meta["name"]] = found
    return made


async def versions(kube: Kube, objects: Made) -> dict[str, str]:
    """Resource versions: an object that was written has another."""
    found = {}
    for obj in objects.values():
        meta = obj["metadata"]
        now = await kube.get(Kind.of(obj), meta.get("namespace"), meta["name"])
        found[f"{obj['kind']}/{meta['name']}"] = "" if now is None else now["metadata"]["resourceVersion"]
    return found


@pytest.mark.parametrize("monitoring", [True, False])
async def test_a_pool_that_helm_installed_is_adopted_and_only_exported(
    spec: GatewaySpec, kubes: Kubes, monitoring: bool
) -> None:
    kube, clients = kubes["gke-west"], FakeClients(kubes).as_clients()
    made = await helm_installed(spec, kube, monitoring=monitoring)
    before = await versions(kube, made)
    row = pool(spec, spec.config, clients)
    step = row.diff(await row.observe())
    assert [change.field for change in step.changes] == ["status"]
    missing = [] if monitoring else [f"{key} is absent" for key in list(row.wanted)[-7:]]
    assert step.reason == ("; ".join(["adopted; left as it is: " + missing[0], *missing[1:]]) if missing else "adopted")
    await row.apply(step, Notes())
    await export(spec, kubes).apply(row.create(), Notes())
    after = await versions(kube, made)
    assert {name for name in after if after[name] != before[name]} == {f"InferencePool/{spec.pool.name}"}
    assert row.removal(await row.observe()).action is Action.NO_OP
    await export(spec, kubes).delete(Notes())
    await row.delete(Notes())
    pool_now = await kube.get(INFERENCE_POOL, "default", spec.pool.name)
    assert pool_now is not None
    assert pool_now["metadata"]["annotations"] == made["InferencePool", spec.pool.name]["metadata"]["annotations"]
    assert pool_now["spec"] == made["InferencePool", spec.pool.name]["spec"]
    assert all((await versions(kube, made)).values())


async def test_the_charts_own_policies_are_never_waited_for(spec: GatewaySpec, kubes: Kubes) -> None:
    row = pool(spec, spec.config, FakeClients(kubes).as_clients())
    await row.apply(row.create(), Notes())
    seen = await row.observe()
    assert seen is not None
    policies = [obj for key, obj in seen.objects.items() if key.kind in {BACKEND_POLICY, HEALTH_CHECK_POLICY}]
    assert [policy.get("status") for policy in policies] == [None, None]
    picker = next(key for key in seen.objects if key.kind is DEPLOYMENT)
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}
    running = seen.objects[picker] | {"status": counts}
    assert row.diff(Seen({**seen.objects, picker: running})).action is Action.NO_OP


async def test_withdrawing_waits_until_the_pools_endpoint_groups_are_gone(spec: GatewaySpec, kubes: Kubes) -> None:
    kube = kubes["gke-west"]
    await kube.apply(the_pool(spec), manager="helm")
    system = await kube.get(NAMESPACE, None, "kube-system")
    assert system is not None
    tie = {"cluster-uid": system["metadata"]["uid"], "namespace": "default", "service-name": spec.pool.name}

    class Slow(FakeCompute):
        async def endpoint_groups(self) -> list[Json]:
            found = await super().endpoint_groups()
            self.groups = [group for group in self.groups if group["name"] != "ours"]
            return found

    groups = [
        {"name": "ours", "description": json.dumps(tie | {"port": "8000"})},
        {"name": "of-another-cluster", "description": json.dumps(tie | {"cluster-uid": "other"})},
        {"name": "by-hand", "description": "not JSON"},
        {"name": "bare"},
    ]
    clients = FakeClients(kubes, Slow(groups=groups)).as_clients()
    row = Export(spec, spec.config, clients)
    await row.apply(row.create(), Notes())
    notes = Notes()
    await row.delete(notes)
    assert notes.texts == ["waiting until network endpoint groups ours are gone"]


async def test_an_export_sets_one_annotation_of_somebody_elses_pool(spec: GatewaySpec, kubes: Kubes) -> None:
    kube = kubes["gke-west"]
    await kube.apply(the_pool(spec), manager="helm")
    row = export(spec, kubes)
    assert row.diff(await row.observe()).action is Action.CREATE
    await row.apply(row.create(), Notes())
    found = await kube.get(INFERENCE_POOL, "default", spec.pool.name)
    assert found is not None
    entries = {entry["manager"]: entry["fieldsV1"] for entry in found["metadata"]["managedFields"]}
    assert entries["mcig-export"] == {"f:metadata": {"f:annotations": {"f:networking.gke.io/export": {}}}}
    assert found["spec"] == the_pool(spec)["spec"] | {"endpointPickerRef": found["spec"]["endpointPickerRef"]}


async def test_the_wait_ends_with_the_import(spec: GatewaySpec, kubes: Kubes) -> None:
    await kubes["gke-east"].apply(the_pool(spec), manager="helm")
    row = export(spec, kubes, 1)
    await row.apply(row.create(), Notes())
    step = row.diff(await row.observe())
    assert [change.field for change in step.changes] == ["GCPInferencePoolImport"]
    await kubes["gke-west"].apply(imported(spec), manager="gke")
    assert await row.wait(Notes()) == Exported(ours=True, imported=True)
    assert row.diff(await row.observe()).action is Action.NO_OP


async def test_applying_the_pool_again_does_not_withdraw_the_export(spec: GatewaySpec, kubes: Kubes) -> None:
    row = pool(spec, spec.config, FakeClients(kubes).as_clients())
    await row.apply(row.create(), Notes())
    await export(spec, kubes).apply(row.create(), Notes())
    await row.put([(obj, True) for obj in row.wanted.values()], Notes())
    assert (await annotations(spec, kubes["gke-west"]))[manifests.EXPORT_ANNOTATION] == "True"


async def test_withdrawing_takes_the_annotation_and_nothing_else(spec: GatewaySpec, kubes: Kubes) -> None:
    kube = kubes["gke-west"]
    await kube.apply(the_pool(spec), manager="helm")
    row = export(spec, kubes)
    await row.apply(row.create(), Notes())
    assert row.removal(await row.observe()).action is Action.DELETE
    await row.delete(Notes())
    assert manifests.EXPORT_ANNOTATION not in await annotations(spec, kube)
    assert await row.observe() is None
    await row.delete(Notes())


async def test_an_import_that_another_cluster_keeps_is_not_waited_for(spec: GatewaySpec, kubes: Kubes) -> None:
    for index, kube in enumerate(kubes.values()):
        await kube.apply(the_pool(spec), manager="helm")
        await export(spec, kubes, index).apply(export(spec, kubes).create(), Notes())
    await kubes["gke-west"].apply(imported(spec), manager="gke")
    notes = Notes()
    await export(spec, kubes, 1).delete(notes)
    assert notes.texts == []


async def test_the_last_to_withdraw_waits_until_the_import_is_gone(
    spec: GatewaySpec, kubes: Kubes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube = kubes["gke-west"]
    await kube.apply(the_pool(spec), manager="helm")
    await kube.apply(imported(spec), manager="gke")
    row = export(spec, kubes)
    await row.apply(row.create(), Notes())
    asked = 0
    real = kube.list

    async def list_and_then_forget(*args: Any) -> list[Json]:
        nonlocal asked
        found = await real(*args)
        if args[0] is POOL_IMPORT:
            asked += 1
            await kube.delete(POOL_IMPORT, "default", spec.pool.name)
        return found

    monkeypatch.setattr(kube, "list", list_and_then_forget)
    notes = Notes()
    await row.delete(notes)
    assert asked == 2
    assert notes.texts == [f"waiting until GCPInferencePoolImport/{spec.pool.name} is gone"]


async def test_a_pool_exported_by_hand_is_adopted_and_stays_exported(spec: GatewaySpec, kubes: Kubes) -> None:
    kube = kubes["gke-west"]
    by_hand = the_pool(spec)
    by_hand["metadata"]["annotations"] = {manifests.EXPORT_ANNOTATION: "True"}
    await kube.apply(by_hand, manager="kubectl-annotate")
    await kube.apply(imported(spec), manager="gke")
    row = export(spec, kubes)
    seen = await row.observe()
    assert seen is not None
    assert (row.diff(seen).action, row.diff(seen).reason) == (Action.NO_OP, "adopted")
    assert row.removal(seen).action is Action.NO_OP


async def test_somebodys_no_to_the_export_is_not_overruled(spec: GatewaySpec, kubes: Kubes) -> None:
    by_hand = the_pool(spec)
    by_hand["metadata"]["annotations"] = {manifests.EXPORT_ANNOTATION: "False"}
    await kubes["gke-west"].apply(by_hand, manager="kubectl-annotate")
    row = export(spec, kubes)
    assert row.diff(await row.observe()).action is Action.CREATE
    with pytest.raises(Conflict, match="kubectl-annotate"):
        await row.apply(row.create(), Notes())


async def test_without_clusters_there_is_no_export(spec: GatewaySpec) -> None:
    row = export(spec, {})
    assert await row.observe() is None
    await row.delete(Notes())
