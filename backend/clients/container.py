"""Clusters and node pools (Kubernetes Engine).

A location is always the cluster's region: a regional cluster is not found at one of its zones. Reads go by paths,
changes through Google's package. Invariant: what this API calls an operation is no long-running operation of the common
kind; it is read by its bare name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.clients.google import Google, Json, Service
from backend.errors import NotFound

CLUSTER_MANAGER = Service("google.cloud.container_v1", "ClusterManagerClient", "container")


@dataclass(frozen=True, slots=True)
class Clusters:
    """All clusters of the project that could be listed."""

    found: Mapping[tuple[str, str], Json]
    """By location and name."""
    unknown: frozenset[str]
    """Locations that gave no answer, so that nobody can say what is there."""


class Container:
    """The project's clusters."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._seen: dict[tuple[str, str], Json] = {}

    def _location(self, location: str) -> str:
        return f"projects/{self._google.project}/locations/{location}"

    def _cluster(self, location: str, name: str) -> str:
        return f"{self._location(location)}/clusters/{name}"

    async def server_config(self, location: str) -> Json:
        """The versions that a location offers, by release channel."""
        path = f"{self._location(location)}/serverConfig"
        return await self._read(path, doing=f"reading the GKE versions of {location}")

    async def cluster(self, location: str, name: str) -> Json | None:
        """One cluster; ``None`` when absent."""
        try:
            found = await self._read(self._cluster(location, name), doing=f"reading cluster {name} in {location}")
        except NotFound:
            self.forget(location, name)
            return None
        self._see(location, name, found)
        return found

    async def clusters(self) -> Clusters:
        """The clusters of all locations; those who ask at the same time share one request."""
        answer = await self._google.shared("container.clusters", self._clusters)
        found = {(one["location"], one["name"]): one for one in answer.get("clusters", ())}
        unknown = frozenset(answer.get("missingZones", ()))
        for place in [place for place in self._seen if not any(zone.startswith(place[0]) for zone in unknown)]:
            del self._seen[place]
        for (location, name), one in found.items():
            self._see(location, name, one)
        return Clusters(found, unknown)

    async def _clusters(self) -> Json:
        return await self._read(f"{self._location('-')}/clusters", doing="listing clusters")

    def seen(self, location: str, name: str) -> Json | None:
        """A cluster as it was read last, when it then served; made anew, it has another endpoint and authority."""
        return self._seen.get((location, name))

    def forget(self, location: str, name: str) -> None:
        """Drop what was read of a cluster, because it is gone."""
        self._seen.pop((location, name), None)

    def _see(self, location: str, name: str, cluster: Json) -> None:
        if cluster.get("status") in {"RUNNING", "RECONCILING"}:
            self._seen[location, name] = cluster
        else:
            self.forget(location, name)

    async def create_cluster(self, location: str, cluster: Json) -> Json:
        """Ask for a cluster and give the operation; raises ``AlreadyExists``."""
        return await self._call(
            "create_cluster",
            "CreateClusterRequest",
            {"parent": self._location(location), "cluster": cluster},
            doing=f"creating cluster {cluster['name']} in {location}",
            repeat=False,
        )

    async def update_cluster(self, location: str, name: str, update: Json) -> Json:
        """Ask for one change of a cluster (``ClusterUpdate``) and give the operation; raises ``Busy``."""
        return await self._call(
            "update_cluster",
            "UpdateClusterRequest",
            {"name": self._cluster(location, name), "update": update},
            doing=f"changing cluster {name} in {location}",
        )

    async def delete_cluster(self, location: str, name: str) -> Json:
        """Ask for a cluster's deletion and give the operation; raises ``NotFound`` and ``Busy``."""
        return await self._call(
            "delete_cluster",
            "DeleteClusterRequest",
            {"name": self._cluster(location, name)},
            doing=f"deleting cluster {name} in {location}",
        )

    async def node_pool(self, location: str, cluster: str, name: str) -> Json | None:
        """One node pool; ``None`` when it or its cluster is absent."""
        try:
            path = f"{self._cluster(location, cluster)}/nodePools/{name}"
            return await self._read(path, doing=f"reading node pool {name} of {cluster}")
        except NotFound:
            return None

    async def create_node_pool(self, location: str, cluster: str, pool: Json) -> Json:
        """Ask for a node pool and give the operation; raises ``AlreadyExists``, ``Busy`` and ``QuotaExceeded``."""
        return await self._call(
            "create_node_pool",
            "CreateNodePoolRequest",
            {"parent": self._cluster(location, cluster), "nodePool": pool},
            doing=f"creating node pool {pool['name']} of {cluster}",
            repeat=False,
        )

    async def delete_node_pool(self, location: str, cluster: str, name: str) -> Json:
        """Ask for a node pool's deletion and give the operation; raises ``NotFound`` and ``Busy``."""
        return await self._call(
            "delete_node_pool",
            "DeleteNodePoolRequest",
            {"name": f"{self._cluster(location, cluster)}/nodePools/{name}"},
            doing=f"deleting node pool {name} of {cluster}",
        )

    async def resize_node_pool(self, location: str, cluster: str, name: str, nodes: int) -> Json:
        """Ask for so many nodes in each zone of a pool and give the operation; raises ``Busy``."""
        return await self._call(
            "set_node_pool_size",
            "SetNodePoolSizeRequest",
            {"name": f"{self._cluster(location, cluster)}/nodePools/{name}", "nodeCount": nodes},
            doing=f"resizing node pool {name} of {cluster}",
        )

    async def autoscale_node_pool(self, location: str, cluster: str, name: str, autoscaling: Json) -> Json:
        """Ask for other bounds of a pool that scales and give the operation; raises ``Busy``."""
        return await self._call(
            "set_node_pool_autoscaling",
            "SetNodePoolAutoscalingRequest",
            {"name": f"{self._cluster(location, cluster)}/nodePools/{name}", "autoscaling": autoscaling},
            doing=f"changing the bounds of node pool {name} of {cluster}",
        )

    async def operation(self, location: str, name: str) -> Json:
        """State of an operation: ``status``, ``detail``, ``progress`` and, when it failed, ``error``."""
        return await self._read(f"{self._location(location)}/operations/{name}", doing=f"asking for operation {name}")

    async def _read(self, path: str, *, doing: str) -> Json:
        return await self._google.read(CLUSTER_MANAGER.api, f"/v1/{path}", doing=doing)

    async def _call(self, method: str, request: str, body: Json, *, doing: str, repeat: bool = True) -> Json:
        return await self._google.call(CLUSTER_MANAGER, method, request, body, doing=doing, repeat=repeat)
