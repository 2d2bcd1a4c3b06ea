"""Node pools to Nodes.

A cluster's Nodes follow its node pools in `tables["clusters"]`: one managed instance group per zone,
`initialNodeCount` machines in each, or as many as the autoscaler has made of a pool that scales. Invariant: the Nodes
of a pool exist exactly while the pool is one that has machines, and their names never change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network

from backend.emulator.google.geography import MACHINES, Machine, region_of
from backend.emulator.kube.controllers.objects import BASE36, digest, name_of, suffix, timestamp
from backend.emulator.kube.controllers.seams import Cluster, Object, Store
from backend.emulator.kube.controllers.turn import Turn

MANAGER = "kubelet"
GPU = "nvidia.com/gpu"
GPU_TAINT: Object = {"key": GPU, "value": "present", "effect": "NoSchedule"}
"""The taint that GKE puts on every GPU node (cloud.google.com/kubernetes-engine/docs/how-to/gpus)."""

WITH_MACHINES = {"RUNNING", "RUNNING_WITH_ERROR", "RECONCILING"}
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
OTHER_MACHINE = Machine("", 2, 8)
"""Taken for a machine type that the emulated cloud does not know."""


def gpus(config: Object) -> tuple[int, str]:
    """How many GPUs a node of this NodeConfig has, and of which type."""
    accelerators = config.get("accelerators", ())
    count = sum(int(each.get("acceleratorCount", 0)) for each in accelerators)
    return count, accelerators[0]["acceleratorType"] if count else ""


def pod_range(cluster: str, row: Object) -> IPv4Network:
    """The cluster's range of Pod addresses: the row's own, else a private /14 that follows from the cluster's key."""
    stated = row.get("clusterIpv4Cidr") or row.get("ipAllocationPolicy", {}).get("clusterIpv4CidrBlock")
    if stated and "." in stated:
        return IPv4Network(stated, strict=False)
    return IPv4Network((0x0A000000 + 4 * (digest(cluster) % 32) * 0x10000, 14))


def groups(cluster: str, row: Object, pool: Object) -> dict[str, str]:
    """Zone -> the name of the pool's instance group there, as its `instanceGroupUrls` have it."""
    location, _, name = cluster.partition("/")
    urls = "\n".join(pool.get("instanceGroupUrls", ()))
    found = {}
    for zone in pool.get("locations") or row.get("locations") or [location]:
        stated = re.search(rf"/zones/{re.escape(zone)}/instanceGroupManagers/(.+)-grp$", urls, re.MULTILINE)
        made_up = f"gke-{name}-{pool['name']}-{suffix(8, cluster, pool['name'], zone, alphabet=BASE36[:16])}"
        found[zone] = stated[1] if stated else made_up
    return found


def wanted(cluster: str, row: Object, grown: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[Object, str]]:
    """Node name -> (its node pool, its zone) for every machine that the row's node pools have.

    `grown` is the size by zone of pools that the autoscaler has changed, or that could not grow, by
    "LOCATION/CLUSTER/POOL".
    """
    return {
        f"{group}-{suffix(4, group, index, alphabet=BASE36)}": (pool, zone)
        for pool in row.get("nodePools", ())
        if pool.get("status") in WITH_MACHINES
        for zone, group in groups(cluster, row, pool).items()
        for index in range(grown.get(f"{cluster}/{pool['name']}", {}).get(zone, int(pool.get("initialNodeCount", 0))))
    }


def node(name: str, pool: Object, zone: str, project: str) -> Object:
    """The Node of one machine."""
    config = pool.get("config", {})
    machine = config.get("machineType", "e2-medium")
    count, accelerator = gpus(config)
    labels = {
        **config.get("labels", {}),
        "beta.kubernetes.io/instance-type": machine,
        "cloud.google.com/gke-container-runtime": "containerd",
        "cloud.google.com/gke-nodepool": pool["name"],
        "cloud.google.com/gke-os-distribution": "cos",
        "cloud.google.com/gke-provisioning": "spot" if config.get("spot") else "standard",
        "cloud.google.com/machine-family": machine.partition("-")[0],
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": machine,
        "topology.kubernetes.io/region": region_of(zone),
        "topology.kubernetes.io/zone": zone,
    }
    taints = [
        {"key": each["key"], "value": each.get("value", ""), "effect": EFFECTS.get(each["effect"], each["effect"])}
        for each in config.get("taints", ())
    ]
    if config.get("spot"):
        labels["cloud.google.com/gke-spot"] = "true"
    if config.get("flexStart"):
        labels["cloud.google.com/gke-flex-start"] = "true"
    if count:
        labels["cloud.google.com/gke-accelerator"] = accelerator
        labels["cloud.google.com/gke-accelerator-count"] = str(count)
        if GPU_TAINT not in taints:
            taints.append(GPU_TAINT)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": f"gce://{project}/{zone}/{name}", **({"taints": taints} if taints else {})},
    }


def status(name: str, pool: Object, version: str, since: float) -> Object:
    """The status of a healthy Node that came up at `since` (Unix seconds)."""
    config = pool.get("config", {})
    machine = MACHINES.get(config.get("machineType", "e2-medium"), OTHER_MACHINE)
    count, _ = gpus(config)
    accelerators = {GPU: str(count)} if count else {}
    stamp = timestamp(since)
    pressure = [
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ]
    states = [(kind, "False", reason, message) for kind, reason, message in pressure]
    states.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    host = digest(name)
    return {
        "capacity": {
            **accelerators,
            "cpu": str(machine.cpus),
            "memory": f"{machine.memory_gib * 1024 * 1024}Ki",
            "pods": "110",
        },
        "allocatable": {
            **accelerators,
            "cpu": f"{int(machine.cpus * 1000 * 0.98) - 60}m",
            "memory": f"{int(machine.memory_gib * 1024 * 1024 * 0.9)}Ki",
            "pods": "110",
        },
        "addresses": [
            {"type": "InternalIP", "address": f"10.{128 + host % 128}.{(host >> 8) % 16}.{2 + (host >> 16) % 250}"},
            {"type": "Hostname", "address": name},
        ],
        "conditions": [
            {
                "type": kind,
                "status": state,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": stamp,
                "lastTransitionTime": stamp,
            }
            for kind, state, reason, message in states
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": str(digest(name, "boot") % 10**12),
            "containerRuntimeVersion": "containerd://2.0.6",
            "kernelVersion": "6.12.41+",
            "kubeProxyVersion": f"v{version}",
            "kubeletVersion": f"v{version}",
            "machineID": f"{digest(name, 'machine') % 2**128:032x}",
            "operatingSystem": "linux",
            "osImage": "Container-Optimized OS from Google",
            "systemUUID": f"{digest(name, 'system') % 2**128:032x}",
        },
    }


def free_pod_range(store: Store, pods: IPv4Network, name: str) -> str:
    """A /24 of the cluster's Pod addresses that no other Node has."""
    taken = {each["spec"].get("podCIDR") for each in store.list("/nodes")}
    size = 2 ** (24 - pods.prefixlen)
    first = digest(name) % size
    for step in range(size):
        candidate = str(IPv4Network((int(pods.network_address) + ((first + step) % size) * 256, 24)))
        if candidate not in taken:
            return candidate
    raise RuntimeError(
        f"no free Pod range for node {name}: all {size} of {pods} are taken; give the cluster a larger range"
    )


def reconcile_cluster(turn: Turn, cluster: Cluster, row: Object) -> None:
    """Bring the Nodes of one cluster in line with its node pools."""
    store = cluster.store
    away = {name for name, one in turn.world.tables.get("preempted", {}).items() if one["gone"]}
    grown = turn.world.tables.get("machines", {})
    machines = {name: one for name, one in wanted(cluster.key, row, grown).items() if name not in away}
    present = {name_of(each): each for each in store.list("/nodes")}
    for name in sorted(present.keys() - machines.keys()):
        store.delete("/nodes", None, name)
    for name in sorted(machines.keys() & present.keys()):
        pool, _ = machines[name]
        info = present[name].get("status", {}).get("nodeInfo", {})
        if "version" in pool and info.get("kubeletVersion") != f"v{pool['version']}":
            store.set_status("/nodes", None, name, status(name, pool, pool["version"], turn.now), manager=MANAGER)
    for name in sorted(machines.keys() - present.keys()):
        pool, zone = machines[name]
        version = pool.get("version") or row.get("currentMasterVersion", "")
        obj = node(name, pool, zone, turn.world.project)
        cidr = free_pod_range(store, pod_range(cluster.key, row), name)
        obj["spec"] |= {"podCIDR": cidr, "podCIDRs": [cidr]}
        store.create("/nodes", obj, manager=MANAGER)
        store.set_status("/nodes", None, name, status(name, pool, version, turn.now), manager=MANAGER)


async def reconcile(turn: Turn) -> None:
    """Bring the Nodes of every cluster in line with its node pools."""
    rows = turn.world.tables.get("clusters", {})
    for cluster in turn.world.kube.values():
        reconcile_cluster(turn, cluster, rows.get(cluster.key, {}))
