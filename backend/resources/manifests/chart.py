"""The objects of the inferencepool chart v1.1.0 for provider ``gke``, as Helm renders them.

Written out so that no Helm is needed: 11 objects, and 7 more with monitoring. Invariant: object for object equal to the
chart's rendering for the same release name, namespace, labels and port, so that a pool that Helm installed shows no
drift. The chart's own two policies target the InferencePool itself; with a multi-cluster gateway no Gateway refers to
it, so they never attach and are never waited for.
"""

from __future__ import annotations

from typing import Any

import yaml

from backend.spec import GatewaySpec

Object = dict[str, Any]

EPP_IMAGE = "registry.k8s.io/gateway-api-inference-extension/epp:v1.1.0"
LONGEST_PART = 40
"""The chart cuts release and namespace to so many characters before it makes names with ``-epp`` of them."""
APP_VERSION = "0.0.0"
"""What Chart.yaml of v1.1.0 says in the repository; a release may carry another, which is no drift."""
PICKER_METRIC = "vllm:gpu_cache_usage_perc"
"""The KV-cache metric that the endpoint picker of v1.1.0 reads unless it is told of another."""
_RBAC, _RBAC_GROUP = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
_POOL_GROUP = "inference.networking.k8s.io"


def epp_name(release: str) -> str:
    """Name of the endpoint picker's objects for a release."""
    return release[:LONGEST_PART] + "-epp"


def pool_objects(spec: GatewaySpec) -> list[Object]:
    """All objects of the release, those that others refer to first."""
    chart = _Chart(spec)
    core = [*chart.rights(), *chart.picker(), chart.pool(), *chart.policies()]
    return [*core, *chart.monitoring()] if spec.pool.monitoring else core


class _Chart:
    def __init__(self, spec: GatewaySpec) -> None:
        self.release, self.namespace, self.port = spec.pool.name, spec.pool.namespace, spec.pool.port
        self.app, self.epp = spec.model.name, epp_name(spec.pool.name)
        self.metric = spec.model.kv_cache_metric
        self.labels = {"app.kubernetes.io/name": self.epp, "app.kubernetes.io/version": APP_VERSION}

    def object(
        self, api: str, kind: str, name: str, *, labelled: bool = True, cluster: bool = False, **rest: Any
    ) -> Object:
        meta: Object = {"name": name}
        if not cluster:
            meta["namespace"] = self.namespace
        if labelled:
            meta["labels"] = dict(self.labels)
        return {"apiVersion": api, "kind": kind, "metadata": meta, **rest}

    def binding(
        self, name: str, role: str, account: str, *, cluster: bool = False, namespace: str | None = None
    ) -> Object:
        kind = "ClusterRole" if cluster else "Role"
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace or self.namespace}
        return self.object(
            _RBAC,
            f"{kind}Binding",
            name,
            labelled=False,
            cluster=cluster,
            subjects=[subject],
            roleRef={"apiGroup": _RBAC_GROUP, "kind": kind, "name": role},
        )

    def rights(self) -> list[Object]:
        """What the endpoint picker may do: read its pool's Pods, and check who reads its metrics."""
        read = ["get", "watch", "list"]
        reviewer = f"{self.release[:LONGEST_PART]}-{self.namespace[:LONGEST_PART]}-epp"
        return [
            self.object("v1", "ServiceAccount", self.epp),
            self.object(
                _RBAC,
                "Role",
                self.epp,
                rules=[
                    _rule("inference.networking.x-k8s.io", "inferenceobjectives", read),
                    _rule(_POOL_GROUP, "inferencepools", read),
                    _rule("", "pods", read),
                ],
            ),
            self.binding(self.epp, self.epp, self.epp),
            self.object(
                _RBAC,
                "ClusterRole",
                reviewer,
                cluster=True,
                rules=[
                    _rule("authentication.k8s.io", "tokenreviews", ["create"]),
                    _rule("authorization.k8s.io", "subjectaccessreviews", ["create"]),
                ],
            ),
            self.binding(reviewer, reviewer, self.epp, cluster=True),
        ]

    def picker(self) -> list[Object]:
        """The endpoint picker: configuration, Service and Deployment."""
        scorers = ("queue-scorer", "kv-cache-utilization-scorer", "prefix-cache-scorer")
        plugins = {
            "apiVersion": "inference.networking.x-k8s.io/v1alpha1",
            "kind": "EndpointPickerConfig",
            "plugins": [{"type": scorer} for scorer in scorers],
            "schedulingProfiles": [{"name": "default", "plugins": [{"pluginRef": scorer} for scorer in scorers]}],
        }
        selector = {"inferencepool": self.epp}
        return [
            self.object(
                "v1",
                "ConfigMap",
                self.epp,
                labelled=False,
                data={"default-plugins.yaml": yaml.safe_dump(plugins, sort_keys=False)},
            ),
            self.object(
                "v1",
                "Service",
                self.epp,
                spec={
                    "selector": selector,
                    "ports": [
                        {"name": "grpc-ext-proc", "protocol": "TCP", "port": 9002},
                        {"name": "http-metrics", "protocol": "TCP", "port": 9090},
                    ],
                    "type": "ClusterIP",
                },
            ),
            self.object(
                "apps/v1",
                "Deployment",
                self.epp,
                spec={
                    "replicas": 1,
                    "strategy": {"type": "Recreate"},
                    "selector": {"matchLabels": selector},
                    "template": {"metadata": {"labels": selector}, "spec": self.picker_pod()},
                },
            ),
        ]

    def picker_pod(self) -> Object:
        health = {"port": 9003, "service": "inference-extension"}
        return {
            "serviceAccountName": self.epp,
            "terminationGracePeriodSeconds": 130,
            "containers": [
                {
                    "name": "epp",
                    "image": EPP_IMAGE,
                    "imagePullPolicy": "Always",
                    "args": [
                        *("--pool-name", self.release),
                        *("--pool-namespace", self.namespace),
                        *("--pool-group", _POOL_GROUP),
                        *("--zap-encoder", "json"),
                        *("--config-file", "/config/default-plugins.yaml"),
                        *("--v", "1"),
                        *(() if self.metric == PICKER_METRIC else ("--kv-cache-usage-percentage-metric", self.metric)),
                        *("--tracing", "false"),
                        "--metrics-endpoint-auth=false",
                    ],
                    "ports": [
                        {"name": "grpc", "containerPort": 9002},
                        {"name": "grpc-health", "containerPort": 9003},
                        {"name": "metrics", "containerPort": 9090},
                    ],
                    "livenessProbe": {"grpc": health, "initialDelaySeconds": 5, "periodSeconds": 10},
                    "readinessProbe": {"grpc": health, "periodSeconds": 2},
                    "env": [{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
                    "volumeMounts": [{"name": "plugins-config-volume", "mountPath": "/config"}],
                }
            ],
            "volumes": [{"name": "plugins-config-volume", "configMap": {"name": self.epp}}],
        }

    def pool(self) -> Object:
        """The InferencePool: the model servers and who picks among them."""
        return self.object(
            f"{_POOL_GROUP}/v1",
            "InferencePool",
            self.release,
            spec={
                "targetPorts": [{"number": self.port}],
                "selector": {"matchLabels": {"app": self.app}},
                "endpointPickerRef": {"name": self.epp, "port": {"number": 9002}},
            },
        )

    def policies(self) -> list[Object]:
        """The chart's policies for use without a multi-cluster gateway."""
        target = {"group": _POOL_GROUP, "kind": "InferencePool", "name": self.release}
        check = {"type": "HTTP", "httpHealthCheck": {"requestPath": "/health", "port": self.port}}
        return [
            self.object(
                "networking.gke.io/v1",
                "HealthCheckPolicy",
                self.release,
                spec={"targetRef": target, "default": {"timeoutSec": 2, "checkIntervalSec": 2, "config": check}},
            ),
            self.object(
                "networking.gke.io/v1",
                "GCPBackendPolicy",
                self.release,
                spec={"targetRef": target, "default": {"timeoutSec": 300, "logging": {"enabled": True}}},
            ),
        ]

    def monitoring(self) -> list[Object]:
        """What lets Google Cloud Managed Service for Prometheus scrape the endpoint picker."""
        reader = f"{self.release}-metrics-reader"
        account, secret, role = f"{reader}-sa", f"{reader}-secret", f"{self.namespace}-{reader}"
        secret_reader = f"{reader}-secret-read"
        token = self.object("v1", "Secret", secret, type="kubernetes.io/service-account-token")
        token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": account}
        scrape = {
            "port": "metrics",
            "scheme": "http",
            "interval": "10s",
            "path": "/metrics",
            "authorization": {"type": "Bearer", "credentials": {"secret": {"name": secret, "key": "token"}}},
        }
        may_read = _rule("", "secrets", ["get", "list", "watch"]) | {"resourceNames": [secret]}
        return [
            self.object("v1", "ServiceAccount", account, labelled=False),
            token,
            self.object(
                _RBAC,
                "ClusterRole",
                role,
                labelled=False,
                cluster=True,
                rules=[{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
            ),
            self.binding(f"{role}-role-binding", role, account, cluster=True),
            self.object(_RBAC, "Role", secret_reader, labelled=False, rules=[may_read]),
            self.binding(
                f"gmp-system:collector:{self.namespace}-{secret_reader}",
                secret_reader,
                "collector",
                namespace="gmp-system",
            ),
            self.object(
                "monitoring.googleapis.com/v1",
                "PodMonitoring",
                self.release,
                spec={"endpoints": [scrape], "selector": {"matchLabels": {"inferencepool": self.epp}}},
            ),
        ]


def _rule(group: str, resource: str, verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
