"""What GKE fills in: the Cluster and NodePool that come back for the ones that were asked for.

Pure functions of the request and the world; a cluster row is stored as it is shown, so that what is persisted and
what clients see cannot drift apart.
"""

from __future__ import annotations

import hashlib
from typing import Any

from backend.emulator.google import geography
from backend.emulator.google.iam import compute_account
from backend.emulator.google.operations import stamp
from backend.emulator.world import World

Json = dict[str, Any]
BASE = "https://container.googleapis.com/v1"
_SCOPES = [
    f"https://www.googleapis.com/auth/{name}"
    for name in (
        "devstorage.read_only",
        "logging.write",
        "monitoring",
        "service.management.readonly",
        "servicecontrol",
        "trace.append",
    )
]


def short_hash(*parts: str) -> str:
    """Eight hexadecimal digits that depend on the parts, as GKE puts into the names it makes."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


def etag(value: Any) -> str:
    """A version mark of a row."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def node_pool(world: World, cluster: Json, wanted: Json) -> Json:
    """A node pool as GKE fills it in, PROVISIONING."""
    location, name = cluster["location"], wanted["name"]
    config = dict(wanted.get("config", {}))
    config.setdefault("machineType", "e2-medium")
    config.setdefault("diskSizeGb", 100)
    config.setdefault("diskType", "pd-balanced")
    config.setdefault("imageType", "COS_CONTAINERD")
    config.setdefault("oauthScopes", _SCOPES)
    config.setdefault("serviceAccount", "default")
    config.setdefault("shieldedInstanceConfig", {"enableIntegrityMonitoring": True})
    config.setdefault("windowsNodeConfig", {})
    config["metadata"] = {"disable-legacy-endpoints": "true"} | config.get("metadata", {})
    if "workloadIdentityConfig" in cluster:
        config.setdefault("workloadMetadataConfig", {"mode": "GKE_METADATA"})
    zones = list(wanted.get("locations") or cluster["locations"])
    pool = {key: value for key, value in wanted.items() if key not in {"status", "selfLink", "etag"}}
    pool |= {
        "name": name,
        "config": config,
        "initialNodeCount": int(wanted.get("initialNodeCount", 0)),
        "locations": zones,
        "autoscaling": wanted.get("autoscaling", {}),
        "management": wanted.get("management", {"autoUpgrade": True, "autoRepair": True}),
        "maxPodsConstraint": wanted.get("maxPodsConstraint", {"maxPodsPerNode": "110"}),
        "podIpv4CidrSize": 24,
        "networkConfig": {
            "podRange": cluster["ipAllocationPolicy"]["clusterSecondaryRangeName"],
            "podIpv4CidrBlock": cluster["clusterIpv4Cidr"],
            **wanted.get("networkConfig", {}),
        },
        "upgradeSettings": {"maxSurge": 1, "strategy": "SURGE"} | wanted.get("upgradeSettings", {}),
        "version": wanted.get("version") or cluster["currentMasterVersion"],
        "instanceGroupUrls": [
            f"https://www.googleapis.com/compute/v1/projects/{world.project}/zones/{zone}/instanceGroupManagers/"
            f"gke-{cluster['name']}-{name}-{short_hash(location, cluster['name'], name, zone)}-grp"
            for zone in zones
        ],
        "selfLink": f"{cluster['selfLink']}/nodePools/{name}",
        "status": "PROVISIONING",
    }
    return pool | {"etag": etag(pool)}


def cluster_row(world: World, location: str, wanted: Json, *, version: str, pod_range: str) -> Json:
    """A cluster as GKE fills it in, PROVISIONING and without its endpoint."""
    name, project, region = wanted["name"], world.project, geography.region_of(location)
    pods = f"gke-{name}-pods-{short_hash(location, name)}"
    given_network = wanted.get("networkConfig", {})
    row: Json = {
        key: value for key, value in wanted.items() if key not in {"nodePools", "nodeConfig", "initialNodeCount"}
    }
    row |= {
        "name": name,
        "id": hashlib.sha256(f"{location}/{name}/{world.now()}".encode()).hexdigest(),
        "location": location,
        "zone": location,
        "locations": wanted.get("locations") or list(geography.zones_of(location)[:3]),
        "selfLink": f"{BASE}/projects/{project}/locations/{location}/clusters/{name}",
        "status": "PROVISIONING",
        "createTime": stamp(world.now()),
        "loggingService": "logging.googleapis.com/kubernetes",
        "monitoringService": "monitoring.googleapis.com/kubernetes",
        "initialClusterVersion": version,
        "currentMasterVersion": version,
        "currentNodeVersion": version,
        "clusterIpv4Cidr": pod_range,
        "servicesIpv4Cidr": "34.118.224.0/20",
        "ipAllocationPolicy": {
            "useIpAliases": True,
            "clusterIpv4Cidr": pod_range,
            "clusterIpv4CidrBlock": pod_range,
            "servicesIpv4Cidr": "34.118.224.0/20",
            "servicesIpv4CidrBlock": "34.118.224.0/20",
            "clusterSecondaryRangeName": pods,
            "stackType": "IPV4",
            "podCidrOverprovisionConfig": {},
            **wanted.get("ipAllocationPolicy", {}),
        },
        "addonsConfig": {
            "kubernetesDashboard": {"disabled": True},
            "networkPolicyConfig": {"disabled": True},
            "dnsCacheConfig": {"enabled": True},
            "gcePersistentDiskCsiDriverConfig": {"enabled": True},
            **wanted.get("addonsConfig", {}),
        },
        "networkConfig": {
            **given_network,
            "network": f"projects/{project}/global/networks/{wanted['network']}",
            "subnetwork": f"projects/{project}/regions/{region}/subnetworks/{wanted['subnetwork']}",
            "gatewayApiConfig": given_network.get("gatewayApiConfig", {"channel": "CHANNEL_DISABLED"}),
            "serviceExternalIpsConfig": given_network.get("serviceExternalIpsConfig", {}),
            "defaultEnablePrivateNodes": False,
        },
        "loggingConfig": wanted.get(
            "loggingConfig", {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"]}}
        ),
        "monitoringConfig": wanted.get(
            "monitoringConfig",
            {
                "componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]},
                "managedPrometheusConfig": {"enabled": True},
            },
        ),
        "podAutoscaling": wanted.get("podAutoscaling", {"hpaProfile": "NONE"}),
        "releaseChannel": wanted.get("releaseChannel", {"channel": "REGULAR"}),
        "masterAuth": {"clientCertificateConfig": {}},
        "masterAuthorizedNetworksConfig": wanted.get("masterAuthorizedNetworksConfig", {}),
        "legacyAbac": {},
        "databaseEncryption": wanted.get("databaseEncryption", {"state": "DECRYPTED"}),
        "defaultMaxPodsConstraint": {"maxPodsPerNode": "110"},
        "shieldedNodes": {"enabled": True},
        "autopilot": {},
        "nodePoolDefaults": {"nodeConfigDefaults": {}},
        "autoscaling": wanted.get("autoscaling", {"autoscalingProfile": "BALANCED"}),
        "controlPlaneEndpointsConfig": {
            "dnsEndpointConfig": {
                "endpoint": f"gke-{short_hash(location, name, 'dns')}-{world.project_number}.{region}.gke.goog",
                "allowExternalTraffic": False,
            },
            "ipEndpointsConfig": {"enabled": True, "enablePublicEndpoint": True},
        },
        "labelFingerprint": label_fingerprint(wanted.get("resourceLabels", {})),
        "nodePools": [],
    }
    return row


def label_fingerprint(labels: Json) -> str:
    """The mark that a change of labels must name."""
    return short_hash(*(f"{key}={value}" for key, value in sorted(labels.items())))


def shown(world: World, row: Json) -> Json:
    """The row as an answer: with node count and fleet membership, which depend on other rows."""
    link = f"projects/{world.project}/locations/{row['location']}/clusters/{row['name']}"
    answer = dict(row)
    ready = [pool for pool in row["nodePools"] if pool["status"] == "RUNNING"]
    answer["currentNodeCount"] = sum(pool["initialNodeCount"] * len(pool["locations"]) for pool in ready)
    answer["instanceGroupUrls"] = [url for pool in row["nodePools"] for url in pool["instanceGroupUrls"]]
    for key, membership in world.tables["memberships"].items():
        if membership["endpoint"]["gkeCluster"]["resourceLink"].endswith(f"/{link}"):
            location, _, name = key.partition("/")
            full = f"//gkehub.googleapis.com/projects/{world.project_number}/locations/{location}/memberships/{name}"
            answer["fleet"] = {"project": world.project_number, "membership": full}
    answer["etag"] = etag(answer)
    return answer


def node_account(world: World, pool: Json) -> str:
    """Email of the service account that a pool's nodes run as."""
    account: str = pool.get("config", {}).get("serviceAccount", "default")
    return compute_account(world) if account == "default" else account
