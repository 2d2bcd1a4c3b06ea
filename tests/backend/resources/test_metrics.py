"""The AutoscalingMetric in the shape that each GKE takes, and whether model servers report what it exports."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from backend.clients.kinds import AUTOSCALING_METRIC
from backend.clients.kube import Kube
from backend.engine.events import Action
from backend.errors import InvalidRequest, OperationFailed, StepTimeout
from backend.resources import kv_metric
from backend.resources.kv_metric import metric_reported, metrics_in
from backend.resources.manifests.metrics import CRD_NAME, Form, metric, taken_form
from backend.resources.metrics import Metrics, metrics
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of

Json = dict[str, Any]
BOTH = [("1.34.1-gke.1127000", Form.ENDPOINTS), ("1.35.1-gke.1396000", Form.PODS)]
CRDS = "apiextensions.k8s.io/customresourcedefinitions"


def row(spec: GatewaySpec, kube: Kube) -> Metrics:
    return metrics(spec, spec.config, FakeClients({"gke-west": kube}).as_clients())


@asynccontextmanager
async def cluster_of(version: str) -> AsyncIterator[tuple[Any, Kube]]:
    async with api_server(version=version) as cluster:
        kube = client_of(cluster)
        try:
            yield cluster, kube
        finally:
            await kube.close()


@pytest.mark.parametrize(("version", "form"), BOTH)
async def test_each_gke_gets_the_shape_that_it_takes(spec: GatewaySpec, version: str, form: Form) -> None:
    async with cluster_of(version) as (_, kube):
        resource = row(spec, kube)
        await resource.apply(resource.diff(await resource.observe()), Notes())
        seen = await resource.wait(Notes())
        assert form in seen.objects[resource.key]["spec"]
        again = row(spec, kube)
        assert again.diff(await again.observe()).action is Action.NO_OP
        await again.delete(Notes())
        assert await kube.get(AUTOSCALING_METRIC, "default", "gpu-cache") is None


@pytest.mark.parametrize(("version", "form"), BOTH)
async def test_the_other_shape_is_refused(spec: GatewaySpec, version: str, form: Form) -> None:
    other = next(one for one in Form if one is not form)
    async with cluster_of(version) as (_, kube):
        with pytest.raises(InvalidRequest):
            await kube.apply(metric(spec, other), manager="somebody", dry_run=True)


async def test_the_documents_own_object_is_adopted(spec: GatewaySpec) -> None:
    async with cluster_of(BOTH[0][0]) as (_, kube):
        await kube.apply(metric(spec, Form.ENDPOINTS), manager="kubectl")
        resource = row(spec, kube)
        step = resource.diff(await resource.observe())
        assert (step.action, step.reason, step.changes) == (Action.NO_OP, "adopted", ())


async def test_an_unknown_shape_is_told_and_not_guessed(spec: GatewaySpec) -> None:
    async with cluster_of(BOTH[0][0]) as (cluster, kube):
        crd = cluster.store.get(CRDS, None, CRD_NAME)
        spec_of = {"type": "object", "properties": {"queries": {"type": "string"}}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec_of}}}
        version = crd["spec"]["versions"][0] | {"schema": schema}
        newer = crd | {"spec": crd["spec"] | {"versions": [version]}}
        assert taken_form(newer) is None
        cluster.store.replace(CRDS, newer, manager="gke")
        resource = row(spec, kube)
        with pytest.raises(InvalidRequest, match="in a shape that mcig does not know"):
            await resource.apply(resource.create(), Notes())


class Pods:
    """Model servers and their pages of metrics; stands for one cluster's API."""

    def __init__(self, pages: Mapping[str, str], *, ready: str = "True") -> None:
        self.pages, self.ready = pages, ready

    async def list(self, *_: Any) -> list[Json]:
        status = {"conditions": [{"type": "Ready", "status": self.ready}]}
        return [{"metadata": {"name": name}, "status": status} for name in self.pages]

    @asynccontextmanager
    async def proxy(self, namespace: str, pod: str, *_: Any, **__: Any) -> AsyncIterator[SimpleNamespace]:
        async def read() -> bytes:
            return self.pages[pod].encode()

        yield SimpleNamespace(status=200, read=read)


OLD = '# TYPE x gauge\nvllm:gpu_cache_usage_perc{model_name="m"} 0.25\n'
NEW = 'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.0\n'


async def look(spec: GatewaySpec, pages: Mapping[str, str], *, ready: str = "True") -> list[str]:
    notes = Notes()
    clients = FakeClients({"gke-west": Pods(pages, ready=ready)})  # type: ignore[dict-item]
    await metric_reported(spec, spec.config, clients.as_clients(), notes)
    return notes.texts


def test_the_metrics_of_a_page_are_found() -> None:
    assert metrics_in(OLD + NEW) == {"vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"}
    assert metrics_in("# HELP vllm:gpu_cache_usage_perc x\nvllm:num_requests_running 1\n") == set()


async def test_a_metric_on_every_pod_is_enough(spec: GatewaySpec) -> None:
    assert await look(spec, {"a": OLD, "b": OLD + NEW}) == []


async def test_a_metric_under_another_name_fails_with_both_names(spec: GatewaySpec) -> None:
    latest = GatewaySpec.model_validate(spec.to_data() | {"model": {"image": "vllm/vllm-openai:latest"}})
    with pytest.raises(OperationFailed) as caught:
        await look(latest, {"a": OLD + NEW, "b": OLD})
    assert "b on gke-west reports vllm:gpu_cache_usage_perc (exported as kv-cache-old)" in caught.value.message
    assert "balances by vllm:kv_cache_usage_perc (gke.named_metrics.kv-cache)" in caught.value.message


@pytest.mark.parametrize(("pages", "ready"), [({"a": OLD, "b": ""}, "True"), ({"a": OLD}, "False"), ({}, "True")])
async def test_a_metric_that_does_not_come_fails_in_the_end(
    spec: GatewaySpec, monkeypatch: pytest.MonkeyPatch, pages: Mapping[str, str], ready: str
) -> None:
    monkeypatch.setattr(kv_metric, "TIMEOUT_S", 0.01)
    with pytest.raises(StepTimeout, match="vllm:gpu_cache_usage_perc on gke-west") as caught:
        await look(spec, pages, ready=ready)
    assert "waiting for vllm:gpu_cache_usage_perc" in caught.value.cause
