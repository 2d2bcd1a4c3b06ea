"""The table of what is known to go wrong: how it is told, its usual cause, and the way out.

Pure. Invariant: the first row that fits a text is meant, so special ones stand before general ones; a fix is a command
or a field of the specification, never a wish.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that goes wrong."""

    name: str
    """A word for it, stable for tests and scripts."""
    told: str
    """How the cloud tells it, as a regular expression over a kind of object, a reason and a message."""
    cause: str
    fix: str
    """May name ``{stack}``, ``{project}``, ``{cluster}``, ``{region}``, ``{pod}``, ``{namespace}``, ``{config}``,
    ``{resource}``."""

    def filled(self, names: Mapping[str, str]) -> Known:
        """The same with its names filled in."""
        return Known(self.name, self.told, _fill(self.cause, names), _fill(self.fix, names))


_APPLY = "`mcig apply {stack}`"
_CONTEXT = "--context=gke_{project}_{region}_{cluster}"
TABLE: tuple[Known, ...] = (
    Known(
        "fleet-unread",
        r"^the fleet cannot be read: ",
        "Google's fleet API is slow, down or off, or the credentials may not read it; what runs goes on without it",
        "`mcig status {stack}` again in a minute; `gcloud container fleet memberships list --project={project}` asks "
        "the same",
    ),
    Known(
        "drifted",
        r"^drifted: ",
        "it was changed after mcig applied it, by hand or by another program; or the specification was, and is not "
        "applied yet",
        "`mcig apply {stack} --only {resource}` makes it as specified",
    ),
    Known(
        "absent",
        r"^absent: ",
        "it was deleted after mcig made it, or no run came as far",
        _APPLY + " makes it",
    ),
    Known(
        "unwanted",
        r"^unwanted: ",
        "it has left the specification, and no run has taken it away yet",
        _APPLY + " takes it away",
    ),
    Known(
        "import-missing",
        r"BackendNotFound.*GCPInferencePoolImport|^import: absent",
        "no cluster's InferencePool is exported to the fleet, or the controller that copies exports has not run",
        "`kubectl describe inferencepool -n {namespace} " + _CONTEXT + "` shows the export; where it is exported and "
        "nothing comes, some fleets need multi-cluster services: "
        "`gcloud container fleet multi-cluster-services enable --project={project}`",
    ),
    Known(
        "pool-extension-missing",
        r"GWCER104.*InferencePool extension service",
        "the route's InferencePool names an endpoint picker whose Service is not there, or the pool is of the old API "
        "group inference.networking.x-k8s.io",
        _APPLY + " puts pool and picker back; then `kubectl get svc -n {namespace} " + _CONTEXT + "`",
    ),
    Known(
        "route-misconfigured",
        r"GWCER104",
        "the HTTPRoute refers to something that is not there or may not be used",
        _APPLY + " puts the route back as declared",
    ),
    Known(
        "gateway-invalid",
        r"GWCER106|\bInvalid\b.*GWCER",
        "the Gateway asks for something its class does not have, such as another type of address",
        _APPLY + " puts the Gateway back as declared",
    ),
    Known(
        "proxy-subnet-missing",
        r"(?i)proxy.?only|GLOBAL_MANAGED_PROXY",
        "a cross-region gateway needs an active proxy-only subnet of purpose GLOBAL_MANAGED_PROXY in every region",
        _APPLY + " makes the missing one; `mcig doctor {stack}` names a conflict",
    ),
    Known(
        "neg-limit",
        r"(?i)(network ?endpoint ?group|\bNEGs?\b|backends?).*(limit|exceed|maximum|too many)|"
        r"(limit|exceed|maximum|too many).*\bNEGs?\b",
        "a backend service takes 50 network endpoint groups, and a pool with 8 ports in 3 zones uses 24",
        "use fewer zones or ports in the pool, or split the clusters over two gateways, then " + _APPLY,
    ),
    Known(
        "gateway-error",
        r"(GWCER\d+)",
        "the Gateway controller refuses an object; its code and words say which",
        "`kubectl describe gateway,httproute -n {namespace} --context={config}`, then " + _APPLY,
    ),
    Known(
        "startup-probe",
        r"(?i)failed startup probe",
        "loading takes longer than the start-up probe lets it, so the container is killed and begins again",
        "`kubectl describe pod {pod} -n {namespace} " + _CONTEXT + "` shows the probe's patience; a smaller model, or "
        "weights kept near the nodes, load within it",
    ),
    Known(
        "health-check-failing",
        r"(?i)GatewayHealthy.*False|no healthy (upstream|backend)|health.?check",
        "the load balancer's health check gets no good answer: no Pod is ready, or the HealthCheckPolicy asks another "
        "path or port than the model servers answer on, and requests end with 503",
        "`mcig apply {stack} --only health-policy` puts the policy back; Pods that are not ready are listed by cluster",
    ),
    Known(
        "membership-lost",
        r"(?i)lost connection",
        "the fleet's controllers cannot reach the cluster: its Connect binding or its network way was taken away",
        "`gcloud container fleet memberships describe {cluster} --project={project}`; it comes back by itself once the "
        "cluster can be reached, else unregister it and " + _APPLY,
    ),
    Known(
        "membership-missing",
        r"^membership: absent",
        "the cluster is not in the fleet, so the gateway cannot send it anything",
        "`mcig apply {stack} --only membership/{cluster}`",
    ),
    Known(
        "feature-missing",
        r"^feature: absent",
        "multi-cluster gateways are not enabled in the fleet",
        "`mcig apply {stack} --only fleet-ingress`",
    ),
    Known(
        "feature-state",
        r"^feature: ",
        "the fleet's controller for multi-cluster gateways is not well; it needs the APIs and the rights of its agent",
        "`gcloud container fleet ingress describe --project={project}`, then " + _APPLY,
    ),
    Known(
        "under-way",
        r"^the (feature|membership) (has not said yet|is being)",
        "it was asked for a short while ago",
        "wait, then `mcig status {stack}` again; after half an hour " + _APPLY,
    ),
    Known(
        "class-missing",
        r"^GatewayClass: absent",
        "the controller installs its classes on the config cluster up to 15 minutes after the feature is enabled, and "
        "only where the cluster's Gateway API is standard",
        "wait, then `mcig apply {stack} --only fleet-ingress`; "
        "`kubectl get gatewayclass --context={config}` shows what is there",
    ),
    Known(
        "model-missing",
        r"RepositoryNotFound|not a valid model identifier",
        "Hugging Face knows no model of this name, or it is private and the token may not see it",
        "check model.id, or give another token: HF_TOKEN=... `mcig apply {stack} --only secret/hf-token@{cluster}`",
    ),
    Known(
        "gated-model",
        r"(?i)GatedRepo|gated repo|401 Client Error|403 Client Error|403 Forbidden|is gated|restricted.*huggingface|"
        r"model \S+ is restricted|awaiting a review|rejected by the repo|invalid credentials in Authorization",
        "Hugging Face does not open the model to the token: its terms were not accepted, or the token may not read it "
        "or is not valid any more",
        "accept the terms on the model's page, then HF_TOKEN=... `mcig apply {stack} --only secret/hf-token@{cluster}`",
    ),
    Known(
        "out-of-memory",
        r"OOMKilled|(?i:cuda out of memory)|Available KV cache memory",
        "the model does not fit into the memory it is given",
        "lower model.max_model_len, or take a larger accelerator, then " + _APPLY,
    ),
    Known(
        "crash-loop",
        r"CrashLoopBackOff|Back-off restarting",
        "the container ends soon after it starts; its last words say why",
        "`kubectl logs {pod} -n {namespace} --previous " + _CONTEXT + "`",
    ),
    Known(
        "loading",
        r"(?i)(startup|readiness) probe failed",
        "the server does not answer its probe yet: it still loads, or is busy beyond its strength",
        "`kubectl logs {pod} -n {namespace} " + _CONTEXT + "`",
    ),
    Known(
        "image",
        r"ErrImagePull|ImagePullBackOff|InvalidImageName",
        "the image cannot be pulled: its name, its tag, or the way to the registry",
        "check model.image, then " + _APPLY,
    ),
    Known(
        "secret-missing",
        r"CreateContainerConfigError|secret .* not found",
        "a Secret that the container needs is not there",
        "`mcig apply {stack} --only secret/hf-token@{cluster}`",
    ),
    Known(
        "stock-out",
        r"(?i)stockout|STOCKOUT|ZONE_RESOURCE_POOL_EXHAUSTED|out of resources",
        "the zone has no such machines to give now",
        "`mcig apply {stack} --on-stockout next-zone` takes the next zone; `mcig doctor {stack}` shows others",
    ),
    Known(
        "no-gpu-node",
        r"(?i)insufficient nvidia\.com/gpu|nodes are available|Unschedulable|FailedScheduling",
        "no node has a free GPU for the Pod: the pool is smaller than the Pods need, still coming, or out of stock",
        "`mcig plan {stack}` shows the node pool; `kubectl describe pod {pod} -n {namespace} " + _CONTEXT + "`",
    ),
    Known(
        "metric-missing",
        r"^metric: ",
        "the policy balances by a metric that this version of vLLM reports under another name, or does not report, so "
        "the cluster's load is not known to the gateway",
        "set model.image or model.kv_cache_metric to fit each other, then " + _APPLY,
    ),
    Known(
        "cluster-unreachable",
        r"(?i)cannot .*no answer|no answer from|does not answer|no answer within",
        "the region or its API server is down, or the way to it is closed from here",
        "`gcloud container clusters describe {cluster} --region={region} --project={project}`; "
        "the gateway sends its traffic elsewhere meanwhile",
    ),
    Known(
        "draining",
        r"^drained: .*by a drill until",
        "a drill drains the region; it gives the capacity back when it ends",
        "wait for it; where no drill runs any more it was killed, and `mcig apply {stack} --only backend-policy` gives "
        "the capacity back",
    ),
    Known(
        "drained",
        r"^drained: ",
        "a policy gives the region no capacity: a drill that was killed left it so, or somebody set it by hand",
        "`mcig apply {stack} --only backend-policy` takes back what a drill left; what was set by hand goes with "
        "`kubectl edit gcpbackendpolicy -n {namespace} --context={config}`",
    ),
)


def known(text: str, **names: str) -> Known | None:
    """What is known of a text, its names filled in; ``None`` where nothing is."""
    row = next((one for one in TABLE if re.search(one.told, text, re.DOTALL)), None)
    return None if row is None else row.filled(names)


def _fill(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text
