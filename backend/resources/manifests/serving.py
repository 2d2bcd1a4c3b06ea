"""The model servers of one cluster, as plain dicts: a Deployment of vLLM with a LoRA side-car, and its adapters.

The content is that of Gateway API Inference Extension v1.1.0's GPU deployment, with these departures: the side-car's
restartPolicy is ``Always`` (what that release prints is refused by every API server), the namespace is set, a rollout
frees a GPU before it asks for one (all are taken, so a surge would wait for ever), the replicas match the cluster's
GPUs, the context length is bounded when asked for, and requests are logged, because their log is the only place that
tells who served one. Pure functions of the spec.
"""

from __future__ import annotations

from typing import Any

import yaml

from backend.clients.names import MODEL_SERVER
from backend.resources.manifests import SECRET_KEY, SECRET_NAME
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

Object = dict[str, Any]

SYNCER_IMAGE = "registry.k8s.io/gateway-api-inference-extension/lora-syncer:v1.1.0-rc.1"
PRE_STOP_S, GRACE_S = 30, 130
"""Seconds to stay up after being taken out of rotation, and in all for the requests under way to end."""
QUIET_FROM = (0, 10, 0)
"""The first vLLM that logs requests only when told to."""
STARTUP_FAILURES = 600
"""Seconds that loading the model may take before the container is started again."""


def model_servers(spec: GatewaySpec, cluster: ClusterSpec) -> list[Object]:
    """The ConfigMap of the adapters and the Deployment, in the order in which they are applied."""
    return [adapters(spec), deployment(spec, cluster)]


def adapters(spec: GatewaySpec) -> Object:
    """The ConfigMap that tells the side-car which adapters to load."""
    name = f"{spec.model.name}-adapters"
    wanted = {
        "vLLMLoRAConfig": {
            "name": name,
            "port": spec.pool.port,
            "defaultBaseModel": spec.model.id,
            "ensureExist": {
                "models": [{"id": adapter.name, "source": adapter.source} for adapter in spec.model.adapters]
            },
        }
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": spec.pool.namespace},
        "data": {"configmap.yaml": yaml.safe_dump(wanted, sort_keys=False)},
    }


def deployment(spec: GatewaySpec, cluster: ClusterSpec) -> Object:
    """The Deployment of the model servers; each takes one GPU."""
    labels = {"app": spec.model.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": spec.model.name, "namespace": spec.pool.namespace},
        "spec": {
            "replicas": spec.replicas(cluster),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(spec, cluster)},
        },
    }


def arguments(spec: GatewaySpec) -> list[str]:
    """vLLM's command line."""
    args = ["--model", spec.model.id, "--tensor-parallel-size", "1", "--port", str(spec.pool.port)]
    args += ["--max-num-seq", "1024", "--compilation-config", "3"]
    args += ["--enable-lora", "--max-loras", "2", "--max-lora-rank", "8", "--max-cpu-loras", "12"]
    if spec.model.max_model_len is not None:
        args += ["--max-model-len", str(spec.model.max_model_len)]
    if spec.model.version is None or spec.model.version >= QUIET_FROM:
        args.append("--enable-log-requests")
    return args


def _pod(spec: GatewaySpec, cluster: ClusterSpec) -> Object:
    pod: Object = {
        "containers": [_vllm(spec)],
        "initContainers": [_syncer()],
        "restartPolicy": "Always",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
            {"name": "adapters", "emptyDir": {}},
            {"name": "config-volume", "configMap": {"name": f"{spec.model.name}-adapters"}},
        ],
    }
    if cluster.serving_pool.provisioning is Provisioning.FLEX_START:
        pod["nodeSelector"] = {"cloud.google.com/gke-flex-start": "true"}
    return pod


def _vllm(spec: GatewaySpec) -> Object:
    health: Object = {"path": "/health", "port": "http", "scheme": "HTTP"}
    token = {"secretKeyRef": {"name": SECRET_NAME, "key": SECRET_KEY}}
    return {
        "name": MODEL_SERVER,
        "image": spec.model.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        "args": arguments(spec),
        "env": [
            {"name": "VLLM_USE_V1", "value": "1"},
            {"name": "PORT", "value": str(spec.pool.port)},
            {"name": "HUGGING_FACE_HUB_TOKEN", "valueFrom": token},
            {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "true"},
        ],
        "ports": [{"containerPort": spec.pool.port, "name": "http", "protocol": "TCP"}],
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "livenessProbe": {
            "httpGet": health,
            "periodSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 5,
            "timeoutSeconds": 1,
        },
        "readinessProbe": {
            "httpGet": health,
            "periodSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 1,
            "timeoutSeconds": 1,
        },
        "startupProbe": {
            "httpGet": health,
            "initialDelaySeconds": 2,
            "periodSeconds": 1,
            "failureThreshold": STARTUP_FAILURES,
        },
        "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"nvidia.com/gpu": 1}},
        "volumeMounts": [
            {"mountPath": "/data", "name": "data"},
            {"mountPath": "/dev/shm", "name": "shm"},  # noqa: S108 - vLLM's own place for shared memory
            {"mountPath": "/adapters", "name": "adapters"},
        ],
    }


def _syncer() -> Object:
    return {
        "name": "lora-adapter-syncer",
        "image": SYNCER_IMAGE,
        "imagePullPolicy": "Always",
        "restartPolicy": "Always",
        "tty": True,
        "stdin": True,
        "env": [{"name": "DYNAMIC_LORA_ROLLOUT_CONFIG", "value": "/config/configmap.yaml"}],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/config"}],
    }
