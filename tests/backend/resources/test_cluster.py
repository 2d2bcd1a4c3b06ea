"""Clusters and node pools: the bodies, the versions, and adopting what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.emulator.server import Emulator
from backend.engine.events import Verb
from backend.engine.resource import Change
from backend.errors import Busy, InvalidRequest, OperationFailed, StepTimeout
from backend.resources import cluster_shape, node_pool_shape, versions
from backend.resources.cluster import GkeCluster
from backend.resources.node_pool import NodePool
from backend.resources.services import WANTED
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, Told, make_node_account, silent, with_cluster

SERVER_CONFIG = {
    "channels": [
        {
            "channel": "RAPID",
            "defaultVersion": "1.34.1-gke.1127000",
            "validVersions": ["1.35.0-gke.100", "1.34.10-gke.5", "1.34.9-gke.7", "1.34.1-gke.1127000"],
        },
        {"channel": "STABLE", "defaultVersion": "1.33.5-gke.1080000", "validVersions": ["1.33.5-gke.1080000"]},
    ]
}
MARKS = {"managed-by": "mcig", "mcig-stack": "two-regions"}
SCOPES = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/logging.write",
    "https://www.googleapis.com/auth/monitoring",
    "https://www.googleapis.com/auth/service.management.readonly",
    "https://www.googleapis.com/auth/servicecontrol",
    "https://www.googleapis.com/auth/trace.append",
]
IDENTITY = {
    "serviceAccount": "mcig-two-regions@demo-project.iam.gserviceaccount.com",
    "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
    "workloadMetadataConfig": {"mode": "GKE_METADATA"},
}
"""Who nodes are; gcloud sends the default account's scopes in its place."""
GCLOUD_CLUSTER: dict[str, Any] = {
    "name": "gke-west",
    "initialClusterVersion": "1.34.1-gke.1127000",
    "releaseChannel": {"channel": "RAPID"},
    "networkConfig": {"gatewayApiConfig": {"channel": "CHANNEL_STANDARD"}},
    "podAutoscaling": {"hpaProfile": "PERFORMANCE"},
    "monitoringConfig": {
        "componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "DCGM"]},
        "managedPrometheusConfig": {"enabled": True},
    },
    "nodePools": [
        {
            "name": "default-pool",
            "initialNodeCount": 3,
            "management": {"autoRepair": True, "autoUpgrade": True},
            "upgradeSettings": {"maxSurge": 1},
            "config": {"machineType": "c2-standard-16", "diskType": "pd-standard", "oauthScopes": SCOPES},
        }
    ],
}
"""What gcloud 528 sends for the document's command."""
GCLOUD_POOL: dict[str, Any] = {
    "name": "h100",
    "initialNodeCount": 3,
    "locations": ["europe-west3-c"],
    "management": {"autoRepair": True, "autoUpgrade": True},
    "upgradeSettings": {"maxSurge": 1},
    "config": {
        "machineType": "a3-highgpu-2g",
        "spot": True,
        "oauthScopes": SCOPES,
        "accelerators": [
            {
                "acceleratorCount": "2",
                "acceleratorType": "nvidia-h100-80gb",
                "gpuDriverInstallationConfig": {"gpuDriverVersion": "LATEST"},
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("wanted", "channel", "chosen"),
    [
        (">=1.34.1-gke.1127000", "rapid", "1.34.1-gke.1127000"),
        (">=1.33", "rapid", "1.34.1-gke.1127000"),
        (">=1.34.2-gke.1", "rapid", "1.34.9-gke.7"),
        (">=1.34.9-gke.8", "rapid", "1.34.10-gke.5"),
        ("1.34.1-gke.1", "rapid", "1.34.1-gke.1"),
        (">=1.33", "stable", "1.33.5-gke.1080000"),
    ],
)
def test_the_version_is_the_channels_default_or_the_least_step_beyond(wanted: str, channel: str, chosen: str) -> None:
    assert versions.resolve(wanted, SERVER_CONFIG, channel) == chosen


@pytest.mark.parametrize(("channel", "cause"), [("stable", "1.33.5-gke.1080000"), ("regular", "not offered")])
def test_a_channel_without_such_a_version_is_told(channel: str, cause: str) -> None:
    with pytest.raises(InvalidRequest, match=channel) as caught:
        versions.resolve(">=1.34.1-gke.1127000", SERVER_CONFIG, channel)
    assert cause in caught.value.cause
    assert "versions.channel" in caught.value.fix


def test_versions_compare_number_by_number() -> None:
    assert versions.satisfies("1.34.10-gke.1", ">=1.34.9-gke.7")
    assert not versions.satisfies("1.34.9-gke.7", ">=1.34.10")
    assert versions.satisfies("1.34.1-gke.5", "1.34")


def test_the_cluster_is_asked_for_as_gcloud_does_but_for_the_departures(spec: GatewaySpec) -> None:
    pool = {"machine_type": "c2-standard-16", "disk_type": "pd-standard", "nodes_per_zone": 3}
    cluster = with_cluster(spec, 0, default_pool=pool).clusters[0]

    body = cluster_shape.body(spec, cluster, project="demo-project", version="1.34.1-gke.1127000")

    (default_pool,) = GCLOUD_CLUSTER["nodePools"]
    assert body == GCLOUD_CLUSTER | {
        "workloadIdentityConfig": {"workloadPool": "demo-project.svc.id.goog"},
        "resourceLabels": MARKS,
        "nodePools": [default_pool | {"config": default_pool["config"] | IDENTITY | {"resourceLabels": MARKS}}],
    }


def test_another_network_is_named(spec: GatewaySpec) -> None:
    other = GatewaySpec.model_validate(spec.to_data() | {"network": {"vpc": "ml", "subnetwork": "nodes"}})

    body = cluster_shape.body(other, other.clusters[0], project="p", version="1.35.0-gke.100")

    assert body["network"] == "ml"
    assert body["subnetwork"] == "nodes"


def test_the_pool_is_asked_for_as_gcloud_does_but_for_the_marks(spec: GatewaySpec) -> None:
    body = node_pool_shape.body(spec, spec.clusters[0].serving_pool, project="demo-project")

    assert body.pop("config") == GCLOUD_POOL["config"] | IDENTITY | {"resourceLabels": MARKS}
    assert body == {key: value for key, value in GCLOUD_POOL.items() if key != "config"}


@pytest.mark.parametrize(
    ("provisioning", "reservation", "config", "count", "flag"),
    [
        ("on-demand", None, {}, 3, "--num-nodes=3"),
        ("spot", None, {"spot": True}, 3, "--spot"),
        (
            "reservation",
            "mine",
            {
                "reservationAffinity": {
                    "consumeReservationType": "SPECIFIC_RESERVATION",
                    "key": "compute.googleapis.com/reservation-name",
                    "values": ["mine"],
                }
            },
            3,
            "--reservation=mine",
        ),
        (
            "flex-start",
            None,
            {"flexStart": True, "reservationAffinity": {"consumeReservationType": "NO_RESERVATION"}},
            0,
            "--flex-start",
        ),
    ],
)
def test_nodes_are_bought_as_the_spec_says(
    spec: GatewaySpec, *, provisioning: str, reservation: str | None, config: dict[str, Any], count: int, flag: str
) -> None:
    pool = spec.to_data()["clusters"][0]["gpu_pool"] | {"provisioning": provisioning, "reservation": reservation}
    wanted = with_cluster(spec, 0, gpu_pool=pool).clusters[0].serving_pool

    body = node_pool_shape.body(spec, wanted, project="demo-project")

    buying = {"spot", "flexStart", "reservationAffinity"}
    assert {key: value for key, value in body["config"].items() if key in buying} == config
    assert body["initialNodeCount"] == count
    assert flag in node_pool_shape.flags(wanted)
    assert ("autoscaling" in body) is (provisioning == "flex-start")


async def test_google_knows_every_field_of_the_bodies(spec: GatewaySpec) -> None:
    from google.cloud import container_v1

    from backend.clients.google import message

    for provisioning in ("spot", "flex-start", "on-demand", "reservation"):
        pool = spec.to_data()["clusters"][0]["gpu_pool"] | {
            "provisioning": provisioning,
            "reservation": "mine" if provisioning == "reservation" else None,
        }
        wanted = with_cluster(spec, 0, gpu_pool=pool).clusters[0].serving_pool
        message(container_v1.NodePool, node_pool_shape.body(spec, wanted, project="demo-project"))
    body = cluster_shape.body(spec, spec.clusters[0], project="p", version="1.35.0-gke.100")
    message(container_v1.Cluster, body)
    for change in cluster_shape.differences(spec, {"name": "bare"}, project="p"):
        message(container_v1.ClusterUpdate, cluster_shape.update(change, {"name": "bare"}))


def existing(spec: GatewaySpec, **changes: Any) -> dict[str, Any]:
    body = cluster_shape.body(spec, spec.clusters[0], project="demo-project", version="1.34.1-gke.1127000")
    return body | {"status": "RUNNING", "network": "default", "currentMasterVersion": "1.34.3-gke.5"} | changes


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"status": "RECONCILING"}, []),
        ({"status": "DEGRADED"}, ["status"]),
        ({"networkConfig": {}}, [cluster_shape.GATEWAY_API]),
        ({"workloadIdentityConfig": {}}, [cluster_shape.WORKLOAD_POOL]),
        ({"podAutoscaling": {"hpaProfile": "NONE"}}, [cluster_shape.HPA_PROFILE]),
        ({"monitoringConfig": {}}, [cluster_shape.PROMETHEUS, cluster_shape.MONITORING]),
        ({"currentMasterVersion": "1.33.5-gke.1"}, [cluster_shape.VERSION]),
        ({"network": "other"}, [cluster_shape.NETWORK]),
    ],
)
def test_a_cluster_is_compared_by_the_fields_that_mcig_sets(
    spec: GatewaySpec, clients: Clients, changes: dict[str, Any], fields: list[str]
) -> None:
    step = GkeCluster(spec, spec.clusters[0], clients).diff(existing(spec, **changes))

    assert [change.field for change in step.changes] == fields
    assert step.action == ("update" if fields else "no-op")


def test_more_monitoring_than_is_wanted_is_kept(spec: GatewaySpec) -> None:
    components = ["SYSTEM_COMPONENTS", "POD"]
    monitoring = {
        "componentConfig": {"enableComponents": components},
        "managedPrometheusConfig": {"enabled": True},
    }
    (change,) = cluster_shape.differences(spec, existing(spec, monitoringConfig=monitoring), project="demo-project")

    assert change == Change(cluster_shape.MONITORING, components, ["SYSTEM_COMPONENTS", "POD", "DCGM"])


@pytest.fixture
async def session(spec: GatewaySpec, clients: Clients) -> Session:
    """A project with its APIs on."""
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    return Session(spec, clients)


async def settled(clients: Clients, region: str, operation: dict[str, Any]) -> None:
    assert (await clients.container.operation(region, operation["name"]))["status"] == "DONE"


async def test_a_stack_is_made_found_and_taken_away(session: Session) -> None:
    made = await session.run()

    assert made.outcome == "succeeded", [step.error for step in made.failures]
    assert {action for action, _ in (await session.actions()).values()} == {"no-op"}
    west = await session.clients.container.cluster("europe-west3", "gke-west")
    assert west is not None
    assert west["resourceLabels"] == MARKS
    assert west["nodePools"][0]["initialNodeCount"] == 1
    operations = {note.resource for note in session.notes if note.operation}
    assert {"cluster/gke-west", "node-pool/gke-east/h100", "subnet/us-east4", "fleet-ingress"} <= operations

    gone = await session.run(Verb.DESTROY)

    assert gone.outcome == "succeeded", [step.error for step in gone.failures]
    left = await session.actions(Verb.DESTROY)
    shared = {"services", "iam/mci-agent"}
    assert {name: reason for name, (_, reason) in left.items() if name not in shared} == {
        name: "absent" for name in left if name not in shared
    }


async def test_a_stack_can_be_made_again_by_the_same_process(session: Session) -> None:
    await session.run()
    await session.run(Verb.DESTROY)

    again = await session.run()

    assert again.outcome == "succeeded", [step.error for step in again.failures]


async def test_the_documents_own_cluster_gets_what_it_lacks_and_stays(session: Session) -> None:
    clients = session.clients
    pool = GCLOUD_CLUSTER["nodePools"][0] | {"initialNodeCount": 1}
    made = GCLOUD_CLUSTER | {"nodePools": [pool], "podAutoscaling": {}, "initialClusterVersion": "1.34.1-gke.1127000"}
    await settled(clients, "europe-west3", await clients.container.create_cluster("europe-west3", made))
    made_pool = await clients.container.create_node_pool("europe-west3", "gke-west", GCLOUD_POOL)
    await settled(clients, "europe-west3", made_pool)
    row = GkeCluster(session.spec, session.spec.clusters[0], clients)

    step = row.diff(await row.observe())
    assert [change.field for change in step.changes] == [cluster_shape.WORKLOAD_POOL, cluster_shape.HPA_PROFILE]
    assert step.reason.startswith("adopted; changed one thing at a time; none restarts nodes")
    await row.apply(step, silent)
    after = row.diff(await row.wait(silent))

    assert (after.action, after.reason) == ("no-op", "adopted")
    assert (await session.actions())["node-pool/gke-west/h100"] == ("no-op", "adopted")
    destroyed = await session.actions(Verb.DESTROY)
    assert destroyed["cluster/gke-west"][0] == "no-op"
    assert destroyed["node-pool/gke-west/h100"] == ("no-op", "not made by mcig: left")


@pytest.mark.parametrize(
    ("changes", "text", "fix"),
    [
        ({"network": "other"}, "VPC network other", "another name"),
        ({"currentMasterVersion": "1.33.5-gke.1"}, "GKE 1.33.5-gke.1", "--cluster-version=1.34.1-gke.1829001"),
    ],
)
async def test_what_cannot_be_changed_is_refused_with_the_way_out(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    text: str,
    fix: str,
) -> None:
    spec, clients = session.spec, session.clients

    async def seen(region: str, name: str) -> dict[str, Any]:
        return existing(spec, **changes)

    monkeypatch.setattr(clients.container, "cluster", seen)
    row = GkeCluster(spec, spec.clusters[0], clients)
    with pytest.raises(InvalidRequest, match=text) as caught:
        await row.apply(row.diff(existing(spec, **changes)), silent)
    assert fix in caught.value.fix
    assert "mcig doctor" in row.diff(existing(spec, **changes)).reason


async def test_another_machine_in_the_pool_is_refused(session: Session) -> None:
    await session.run()
    pool = session.spec.to_data()["clusters"][0]["gpu_pool"] | {"machine_type": "a3-highgpu-1g"}
    other = with_cluster(session.spec, 0, gpu_pool=pool | {"accelerators_per_node": 1})
    row = NodePool(other, other.clusters[0], session.clients)
    step = row.diff(await row.observe())

    assert [change.field for change in step.changes] == [
        "config.machineType",
        "config.accelerators.acceleratorCount",
    ]
    with pytest.raises(InvalidRequest, match="a3-highgpu-2g, not a3-highgpu-1g"):
        await row.apply(step, silent)


async def test_a_stockout_names_the_zone_and_the_way_out(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "Not all instances running in IGM after 35m. Expected 3, running 0. Current errors: [GCE_STOCKOUT]: x"

    async def failed(location: str, name: str) -> dict[str, Any]:
        return {"name": name, "status": "DONE", "error": {"code": 8, "message": message}}

    clients, spec = session.clients, session.spec
    await make_node_account(spec, clients)
    row = GkeCluster(spec, spec.clusters[0], clients)
    await row.apply(row.create(), silent)
    await row.wait(silent)
    pool = NodePool(spec, spec.clusters[0], clients)
    await pool.apply(pool.create(), silent)
    monkeypatch.setattr(clients.container, "operation", failed)
    with pytest.raises(OperationFailed, match="GCE_STOCKOUT") as caught:
        await pool.wait(silent)
    assert "europe-west3-c" in caught.value.cause
    assert "gpu_pool.machine_type=a3-highgpu-1g" in caught.value.fix, "the region has no other zone with that GPU"
    assert "europe-west1" in caught.value.fix


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slow(tmp_path: Path, clock: Clock, spec: GatewaySpec) -> AsyncIterator[Clients]:
    """Clients of an emulated cloud in which things take as long as for real."""
    async with Emulator(tmp_path / "slow", speed=1.0, clock=clock) as running:
        made = Clients(emulated(running.url, running.token, project="demo-project"), spec)
        await made.services.enable(WANTED)
        clock.now += 3600
        await make_node_account(spec, made)
        yield made
        await made.close()


async def test_another_process_goes_on_waiting_for_what_was_begun(
    spec: GatewaySpec, slow: Clients, clock: Clock
) -> None:
    first = GkeCluster(spec, spec.clusters[0], slow)
    await first.apply(first.create(), silent)
    second = GkeCluster(spec, spec.clusters[0], slow)
    step = second.diff(await second.observe())
    assert (step.action, step.reason) == ("create", "already under way")
    told: list[str] = []

    def note(text: str, *, operation: str | None = None) -> None:
        told.append(text)
        clock.now += 3600

    await second.apply(step, note)
    assert (await second.wait(note))["status"] == "RUNNING"
    assert told == ["the cluster is PROVISIONING"]


async def test_waiting_tells_what_it_sees_and_gives_up_with_it() -> None:
    told = Told()
    watch = Watch(told, "creating x", timeout_s=0.0, look="gcloud x describe")

    async def never() -> None:
        watch.saw("PROVISIONING")
        watch.saw("PROVISIONING")

    with pytest.raises(StepTimeout, match="creating x") as caught:
        await watch.until(never)
    assert told.texts == ["PROVISIONING"]
    assert caught.value.cause == "last seen: PROVISIONING"
    assert "gcloud x describe" in caught.value.fix


async def test_a_busy_cluster_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    left = 2

    async def ask() -> str:
        nonlocal left
        if left:
            left -= 1
            raise Busy("Operation a is currently creating cluster c")
        return "done"

    monkeypatch.setattr("backend.engine.poll.SHORTEST_PAUSE_S", 0.0)
    watch = Watch(told, "x", timeout_s=60.0, look="")

    assert await watch.when_free(ask) == "done"
    assert told.texts == ["waiting for another operation: Operation a is currently creating cluster c"]


def test_the_commands_say_all_that_is_asked_for(spec: GatewaySpec, clients: Clients) -> None:
    cluster = GkeCluster(spec, spec.clusters[0], clients).about.command
    pool = NodePool(spec, spec.clusters[0], clients).about.command

    for flag in (
        "--region=europe-west3",
        "--cluster-version=1.34.1-gke.1127000",
        "--workload-pool=demo-project.svc.id.goog",
        "--gateway-api=standard",
        "--hpa-profile=performance",
        "--monitoring=SYSTEM,DCGM",
        "--enable-managed-prometheus",
        "--service-account=mcig-two-regions@demo-project.iam.gserviceaccount.com --scopes=cloud-platform",
        "--workload-metadata=GKE_METADATA",
        "--num-nodes=1",
        "--labels=managed-by=mcig,mcig-stack=two-regions",
    ):
        assert flag in cluster
    for flag in (
        "--location=europe-west3",
        "--node-locations=europe-west3-c",
        "--accelerator=type=nvidia-h100-80gb,count=2,gpu-driver-version=latest",
        "--num-nodes=3 --spot",
    ):
        assert flag in pool


def test_costs_and_durations_come_from_the_catalogue(spec: GatewaySpec, clients: Clients) -> None:
    cluster = GkeCluster(spec, spec.clusters[0], clients).about
    pool = NodePool(spec, spec.clusters[0], clients).about

    assert cluster.usd_per_hour == pytest.approx(0.10 + 3 * 0.15)
    assert pool.usd_per_hour == pytest.approx(3 * 18.376)
    assert cluster.estimate_s > pool.estimate_s > 0
