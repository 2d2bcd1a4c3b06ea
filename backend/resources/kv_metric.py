"""Whether the model servers report the metric that the load balancer balances by.

vLLM has renamed it, and a policy by a name that nobody reports is accepted and never fills a cluster. Invariant: every
Pod that serves is asked, and what is told is the name that the image really reports.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from backend.clients.kinds import POD
from backend.engine.resource import Note
from backend.errors import NotFound, OperationFailed
from backend.resources.keys import kubectl
from backend.resources.manifests import Object
from backend.resources.manifests.metrics import EXPORTS
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

TIMEOUT_S = 180.0
_KV_USE = re.compile(r"^(vllm:\w*cache_usage_perc)\b", re.MULTILINE)


async def metric_reported(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, note: Note) -> None:
    """Return once every model server of a cluster reports the policy's metric.

    Raises ``OperationFailed`` when one reports it under another name, ``StepTimeout`` when one does not at all.
    """
    kube, wanted = clients.kube(cluster.name), spec.model.kv_cache_metric
    look = f"{kubectl(clients.project, cluster)} get --raw /api/v1/namespaces/{spec.pool.namespace}/pods"
    look += f"/POD:{spec.pool.port}/proxy/metrics"
    watch = Watch(note, f"{wanted} on {cluster.name}", timeout_s=TIMEOUT_S, look=look)

    async def reported() -> bool | None:
        try:
            pods = [pod for pod in await kube.list(POD, spec.pool.namespace, {"app": spec.model.name}) if _serves(pod)]
            names = [str(pod["metadata"]["name"]) for pod in pods]
            told = dict(zip(names, await asyncio.gather(*(_kv_use(spec, kube, pod) for pod in names)), strict=True))
        except NotFound as error:
            watch.saw(error.message)
            return None
        for pod, metrics in told.items():
            if metrics and wanted not in metrics:
                raise _misnamed(spec, f"{pod} on {cluster.name}", sorted(metrics))
        lacking = sorted(pod for pod, metrics in told.items() if not metrics)
        if told and not lacking:
            return True
        watch.saw(f"waiting for {wanted} from {', '.join(lacking) or f'a model server on {cluster.name}'}")
        return None

    await watch.until(reported)


def metrics_in(page: str) -> set[str]:
    """The KV-cache metrics of a page in Prometheus' text format."""
    return set(_KV_USE.findall(page))


async def _kv_use(spec: GatewaySpec, kube: Kube, pod: str) -> set[str]:
    async with kube.proxy(spec.pool.namespace, pod, spec.pool.port, "metrics", read_timeout_s=30.0) as response:
        body = await response.read()
        return metrics_in(body.decode(errors="replace")) if response.status == 200 else set()


def _serves(pod: Object) -> bool:
    conditions = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or ()}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _misnamed(spec: GatewaySpec, where: str, reported: list[str]) -> OperationFailed:
    exports = {metric: export for export, metric in EXPORTS.items()}
    known = [f"{metric} (exported as {exports[metric]})" if metric in exports else metric for metric in reported]
    return OperationFailed(
        f"{where} reports {', '.join(known)}, but the policy balances by {spec.model.kv_cache_metric} "
        f"(gke.named_metrics.{spec.model.kv_cache_export})",
        cause=f"the tag of {spec.model.image} does not tell which vLLM it has",
        fix="name an image whose tag is its vLLM version, such as --set model.image=vllm/vllm-openai:v0.10.2, "
        "or set balancing.mode=IN_FLIGHT; then `mcig apply`",
    )
