"""Kubernetes Engine: other versions of a cluster and its node pools, and the bounds in which a pool scales.

Invariants: the control plane goes first, never back and one minor version at a time, and no node pool gets ahead of
it. How GKE words what cannot be is inferred. Nodes change in place and keep their Pods, where a real surge upgrade
moves them.
"""

from __future__ import annotations

import re
from typing import Any

from backend.emulator.google import operations
from backend.emulator.google.clusterserver import features
from backend.emulator.google.container import CHANGES, begin
from backend.emulator.google.errors import ApiError, invalid
from backend.emulator.google.routing import Call
from backend.emulator.google.versions import resolve_version
from backend.emulator.world import World

Json = dict[str, Any]


def number(version: str) -> tuple[int, ...]:
    """A GKE version such as 1.34.1-gke.1127000 as figures that compare."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def upgrade_master(call: Call, row: Json, update: Json) -> Json:
    """Begin to give the control plane another version."""
    wanted, now = update["desiredMasterVersion"], row["currentMasterVersion"]
    version = resolve_version(call.world, row["location"], row.get("releaseChannel", {}).get("channel", ""), wanted)
    if version is None:
        raise invalid(f'Master version "{wanted}" is unsupported.')
    refusal = f'Master cannot be upgraded to "{version}"'
    if number(version) <= number(now):
        raise invalid(f'{refusal}: specified version is not newer than the current version "{now}".')
    if number(version)[1] > number(now)[1] + 1:
        raise invalid(f"{refusal}: cannot upgrade the master more than one minor version at a time.")
    row["status"] = "RECONCILING"
    return begin(call.world, "cluster.upgrade", row, "UPGRADE_MASTER", pace="cluster.create", version=version)


@operations.effect("cluster.upgrade")
def _master_upgraded(world: World, record: Json) -> None:
    row = world.tables["clusters"][record["key"]]
    row |= {"currentMasterVersion": record["view"]["version"], "status": "RUNNING"}
    if cluster := world.kube.get(record["key"]):
        cluster.install(features(row), row["currentMasterVersion"])


def upgrade_nodes(call: Call, row: Json, update: Json) -> Json:
    """Begin to give the nodes of a pool another version; ``-`` is the control plane's."""
    wanted, master = update["desiredNodeVersion"], row["currentMasterVersion"]
    pool = _pool(call, row, update)
    version = master if wanted in {"", "-"} else resolve_version(call.world, row["location"], "", wanted)
    if version is None:
        raise invalid(f'Node version "{wanted}" is unsupported.')
    if number(version) > number(master):
        raise invalid(f'Node version "{version}" must not have a version greater than that of the master "{master}".')
    pool["status"] = row["status"] = "RECONCILING"
    name = pool["name"]
    return begin(
        call.world, "node-pool.upgrade", row, "UPGRADE_NODES", pool=name, pace="node-pool.create", version=version
    )


@operations.effect("node-pool.upgrade")
def _nodes_upgraded(world: World, record: Json) -> None:
    cluster, _, name = record["key"].rpartition("/")
    row = world.tables["clusters"][cluster]
    for pool in row["nodePools"]:
        if pool["name"] == name:
            pool |= {"version": record["view"]["version"], "status": "RUNNING"}
    row["currentNodeVersion"] = min((pool["version"] for pool in row["nodePools"]), key=number)
    row["status"] = "RUNNING"


def scale_between(call: Call, row: Json, update: Json) -> Json:
    """Begin to give a node pool other bounds to scale in, as ``setAutoscaling`` does."""
    pool = _pool(call, row, update)
    pool["autoscaling"] = update["desiredNodePoolAutoscaling"]
    pool["status"] = row["status"] = "RECONCILING"
    return begin(call.world, "node-pool.resize", row, "UPDATE_CLUSTER", pool=pool["name"], pace="cluster.update")


def _pool(call: Call, row: Json, update: Json) -> Json:
    """The pool that an update names; it need not where there is only one."""
    name, pools = update.get("desiredNodePoolId", ""), row["nodePools"]
    if not name and len(pools) != 1:
        raise invalid("Node pool must be specified: the cluster has more than one.", field="desired_node_pool_id")
    for pool in pools:
        if name in {"", pool["name"]}:
            found: Json = pool
            return found
    where = f"projects/{call.world.project}/locations/{row['location']}/clusters/{row['name']}"
    raise ApiError(404, f"Not found: {where}/nodePools/{name}.")


CHANGES.update(
    desiredMasterVersion=upgrade_master,
    desiredNodeVersion=upgrade_nodes,
    desiredNodePoolAutoscaling=scale_between,
)
