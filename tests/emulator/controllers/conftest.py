"""A cloud in a few lines: real stores, a clock that is moved by hand, a kubelet and a proxy that only remember."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from backend.emulator.kube.cluster import KubeCluster
from backend.emulator.kube.controllers import reconcile
from backend.emulator.kube.managed import ClusterFeatures
from backend.emulator.kube.store import Store
from backend.emulator.serving.frontends import Frontend

Json = dict[str, Any]
WEST, EAST = "europe-west3/gke-west", "us-east4/gke-east"
POOL = "vllm-llama3-8b-instruct"


def plural(kind: str) -> str:
    """The plural of a kind of these tests."""
    lower = kind.lower()
    if lower.endswith("cy"):
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith("s") else "s")


def resource(obj: Json) -> str:
    """The store's resource of a manifest."""
    group = obj["apiVersion"].rpartition("/")[0]
    return f"{group}/{plural(obj['kind'])}"


@dataclass
class State:
    """What the kubelet double says of a process."""

    running: bool = True
    ready: bool = True
    exit_code: int | None = None
    message: str = ""


@dataclass
class Kubelet:
    """Remembers what it was asked to run; `states` overrides what it says of a Pod by uid."""

    pods: dict[str, Json] = field(default_factory=dict)
    files: dict[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    slowness: dict[str, float] = field(default_factory=dict)

    async def run(
        self, cluster_key: str, pod: Json, files: Mapping[str, Mapping[str, str]], *, has_model: bool = False
    ) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self.pods:
            self.starts.append(f"{cluster_key}/{pod['metadata']['name']}")
        self.pods[uid], self.files[uid] = pod, files

    async def end(self, cluster_key: str, uid: str) -> None:
        self.pods.pop(uid, None)
        self.states.pop(uid, None)
        self.ended.append(uid)

    def state(self, cluster_key: str, uid: str) -> State:
        default = State() if uid in self.pods else State(running=False, ready=False)
        return self.states.get(uid, default)

    def address(self, cluster_key: str, namespace: str, pod: str, port: int) -> tuple[str, int] | None:
        found = any(each["metadata"]["name"] == pod for each in self.pods.values())
        return ("127.0.0.1", 20000 + port) if found and port == 8000 else None

    def pace(self, cluster_key: str, slowness: float) -> None:
        self.slowness[cluster_key] = slowness

    def real_model(self, wanted: bool) -> None:
        assert not wanted


@dataclass
class Proxy:
    """Remembers the picture it was given; an address with a backend is healthy."""

    frontends: Sequence[Frontend] = ()
    sick: bool = False

    async def apply(self, frontends: Sequence[Frontend]) -> None:
        self.frontends = frontends

    def healthy(self, vip: str) -> bool | None:
        return not self.sick and any(each.vip == vip and each.backends for each in self.frontends)


@dataclass
class Pace:
    """Everything takes no time, but for what is in `table` (seconds)."""

    table: dict[str, float] = field(default_factory=dict)

    def seconds(self, what: str, key: str) -> float:
        return self.table.get(what, 0.0)

    def played(self, seconds: float) -> float:
        return seconds if self.table else 0.0


@dataclass
class Cluster:
    """A running cluster."""

    key: str
    store: Store

    def add(self, *objects: Json) -> None:
        """Create objects as a person would."""
        for obj in objects:
            self.store.create(resource(obj), obj, manager="kubectl")

    def one(self, where: str, name: str, namespace: str | None = "default") -> Json:
        """An object that has to be there."""
        found = self.store.get(where, namespace, name)
        assert found is not None, f"{where} {name} is not there"
        return found

    def status(self, where: str, name: str, namespace: str | None = "default") -> Json:
        """The status of an object that has to be there."""
        status: Json = self.one(where, name, namespace).get("status", {})
        return status


def agent_binding() -> Json:
    """The grant without which the multi-cluster controller does nothing."""
    agent = f"service-{World.project_number}@gcp-sa-multiclusteringress.iam.gserviceaccount.com"
    return {"role": "roles/container.admin", "members": [f"serviceAccount:{agent}"]}


class World:
    """The world double; the multi-cluster controller's agent has its grant."""

    project, project_number, token = "demo-project", "415104041262", "secret"
    hub = None

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {"iam": {"bindings": [agent_binding()]}, "settings": {}}
        self.kube: dict[str, Cluster] = {}
        self.pace, self.kubelet, self.gateway = Pace(), Kubelet(), Proxy()
        self.time = 1_700_000_000.0
        self.touched = 0

    def now(self) -> float:
        return self.time

    def seen(self) -> None:
        """A request arrived."""

    def touch(self) -> None:
        self.touched += 1

    def cluster(self, key: str, *, gpu_nodes: int = 3, gateway_api: bool = True, **pool: Any) -> Cluster:
        """Start a cluster with a default pool of one node and a GPU pool of 2 GPUs a node."""
        location, _, name = key.partition("/")
        zone = f"{location}-c"
        channel = "CHANNEL_STANDARD" if gateway_api else "CHANNEL_DISABLED"
        accelerators = [{"acceleratorCount": "2", "acceleratorType": "nvidia-h100-80gb"}]
        gpu_config = {"machineType": "a3-highgpu-2g", "spot": True, "accelerators": accelerators}
        plain = {"name": "default-pool", "initialNodeCount": 1, "locations": [zone], "status": "RUNNING"}
        gpu = {"name": "h100", "initialNodeCount": gpu_nodes, "locations": [zone], "status": "RUNNING", **pool}
        self.tables.setdefault("clusters", {})[key] = {
            "name": name,
            "location": location,
            "currentMasterVersion": "1.34.1-gke.1829001",
            "network": "default",
            "networkConfig": {"gatewayApiConfig": {"channel": channel}},
            "nodePools": [
                {**plain, "config": {"machineType": "c2-standard-16"}},
                {**gpu, "config": gpu_config},
            ],
        }
        features = ClusterFeatures(gateway_api=gateway_api, managed_prometheus=False, hpa_performance=False)
        authority: Any = None
        real = KubeCluster(self, key=key, version="1.34.1-gke.1829001", features=features, ca=authority)
        self.kube[key] = Cluster(key, real.store)
        return self.kube[key]

    def fleet(self, *keys: str, config: str) -> None:
        """Register clusters, and enable multi-cluster ingress on one of them."""
        project = f"projects/{self.project}"
        for key in keys:
            location, _, name = key.partition("/")
            link = f"//127.0.0.1:4321/container/{project}/locations/{location}/clusters/{name}"
            row = {"endpoint": {"gkeCluster": {"resourceLink": link}}, "state": {"code": "READY"}}
            self.tables.setdefault("memberships", {})[f"global/{name}"] = row
        membership = f"{project}/locations/global/memberships/{config.partition('/')[2]}"
        self.tables.setdefault("features", {})["global/multiclusteringress"] = {
            "spec": {"multiclusteringress": {"configMembership": membership}},
            "state": {"state": {"code": "OK"}},
        }

    def proxy_subnet(self, region: str) -> None:
        """Make a region fit for cross-region load balancers."""
        row = {"purpose": "GLOBAL_MANAGED_PROXY", "role": "ACTIVE", "state": "READY", "ipCidrRange": "10.0.0.0/23"}
        self.tables.setdefault("subnetworks", {})[f"{region}/{region}-subnet"] = row

    async def settle(self, passes: int = 12) -> int:
        """Run passes until one of them changes nothing; returns how many changed something."""
        for done in range(passes):
            before = self.touched, copy.deepcopy(self.tables)
            await reconcile(self)
            if (self.touched, self.tables) == before:
                return done
        raise AssertionError(f"no fixed point after {passes} passes")

    async def after(self, seconds: float) -> None:
        """Let time go by, then settle."""
        self.time += seconds
        await self.settle()


@pytest.fixture
def world() -> World:
    """An empty world at speed max."""
    return World()


def deployment(name: str, *, replicas: int = 1, gpus: int = 0, **spec: Any) -> Json:
    """A Deployment of one container; with GPUs it is a model server with its adapter side-car."""
    image = "vllm/vllm-openai:v0.8.5" if gpus else "registry.k8s.io/gateway-api-inference-extension/epp:v1.1.0"
    container: Json = {"name": "main", "image": image, "ports": [{"containerPort": 8000}]}
    template: Json = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
        secret = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
        container["env"] = [{"name": "HUGGING_FACE_HUB_TOKEN", "valueFrom": secret}]
        template["spec"]["initContainers"] = [{"name": "syncer", "image": "lora-syncer:v1", "restartPolicy": "Always"}]
        template["spec"]["volumes"] = [{"name": "config-volume", "configMap": {"name": "adapters"}}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def secret(name: str = "hf-token") -> Json:
    """The Hugging Face token."""
    data = {"token": "c2VjcmV0"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data}


def config_map(name: str, **data: str) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def inference_pool(*, exported: bool = True) -> list[Json]:
    """An InferencePool with its model servers and its endpoint picker."""
    annotations = {"networking.gke.io/export": "True"} if exported else {}
    picker = f"{POOL}-epp"
    pool = {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": POOL, "namespace": "default", "annotations": annotations},
        "spec": {
            "selector": {"matchLabels": {"app": POOL}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": picker, "port": {"number": 9002}},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": picker, "namespace": "default"},
        "spec": {"selector": {"app": picker}, "ports": [{"port": 9002}]},
    }
    servers = deployment(POOL, replicas=3, gpus=1)
    return [secret(), config_map("adapters", **{"configmap.yaml": "{}"}), servers, deployment(picker), service, pool]


def gateway(*regions: str) -> Json:
    """The cross-region Gateway."""
    kind = "networking.gke.io/ephemeral-ipv4-address"
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "cross-region-gateway", "namespace": "default"},
        "spec": {
            "gatewayClassName": "gke-l7-cross-regional-internal-managed-mc",
            "addresses": [{"type": f"{kind}/{region}", "value": region} for region in regions],
            "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}],
        },
    }


def route() -> Json:
    """The HTTPRoute to the import."""
    backend = {"group": "networking.gke.io", "kind": "GCPInferencePoolImport", "name": POOL}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "route", "namespace": "default"},
        "spec": {"parentRefs": [{"name": "cross-region-gateway"}], "rules": [{"backendRefs": [backend]}]},
    }


def policy(kind: str, name: str, *, target: str = "GCPInferencePoolImport", **default: Any) -> Json:
    """A policy on the import, or on another kind of the same name."""
    group = "networking.gke.io" if target == "GCPInferencePoolImport" else "inference.networking.k8s.io"
    return {
        "apiVersion": "networking.gke.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"targetRef": {"group": group, "kind": target, "name": POOL}, "default": default},
    }


def health_policy(path: str = "/health") -> Json:
    """The HealthCheckPolicy of the recipe."""
    http = {"requestPath": path, "port": 8000}
    return policy("HealthCheckPolicy", "health", config={"type": "HTTP", "httpHealthCheck": http})


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    """Condition type -> (status, reason)."""
    return {each["type"]: (each["status"], each.get("reason", "")) for each in status.get("conditions", ())}


class Kit:
    """What the tests of this folder build with."""

    WEST, EAST, POOL = WEST, EAST, POOL
    State = State
    deployment = staticmethod(deployment)
    secret = staticmethod(secret)
    config_map = staticmethod(config_map)
    inference_pool = staticmethod(inference_pool)
    gateway = staticmethod(gateway)
    route = staticmethod(route)
    policy = staticmethod(policy)
    health_policy = staticmethod(health_policy)
    conditions = staticmethod(conditions)

    @staticmethod
    def two_regions(world: World) -> tuple[Cluster, Cluster]:
        """Two clusters of a fleet, the first with the configuration, both fit for a gateway."""
        west, east = world.cluster(WEST), world.cluster(EAST)
        world.fleet(WEST, EAST, config=WEST)
        world.proxy_subnet("europe-west3")
        world.proxy_subnet("us-east4")
        return west, east


@pytest.fixture
def kit() -> type[Kit]:
    """Builders."""
    return Kit
