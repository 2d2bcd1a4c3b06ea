"""The real gcloud against the emulated cloud: same exit code, sensible output, the right effect."""

from __future__ import annotations

import json
import random
import re
import string
from typing import Any

import pytest

from backend.emulator.google.geography import AUTO_SUBNETS, machines_in
from tests.conformance.commands import POOL, SUBNET, create
from tests.conformance.tools import GCLOUD, KUBECTL, SHARED, Tools

pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")

CONTAINER = "/container/v1/projects/demo-project/locations"
FLEET = "/gkehub/v1/projects/demo-project/locations"
COMPUTE = "/compute/v1/projects/demo-project"


def legal_name(longest: int) -> str:
    letters = string.ascii_lowercase
    inside = "".join(random.choices(letters + string.digits + "-", k=random.randrange(longest - 1)))
    return random.choice(letters) + inside + random.choice(letters + string.digits)


FIRST = ("54", "55", "56")
"""Recorded later, and run before the clusters: GKE takes Pod ranges out of 10.0.0.0/8, these among them."""
REFUSED = {
    "39": "allowExternalTraffic is disabled",
    "42": "cluster 'projects/demo-project/locations/europe-west3-c/clusters/gke-west' was not found",
    "45": "is already registered as",
    "62": "was not found",
}
"""Recorded against answers that nobody checked; a cloud that keeps its state refuses them, or what they rest on."""


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded requests (../shared) are not here")
@pytest.mark.long
def test_every_recorded_command_ends_as_it_was_recorded(tools: Tools) -> None:
    tools.reset("cloudquotas", "iam")
    recorded = {path.name[:2]: json.loads(path.read_text()) for path in (SHARED / "gcloud/requests").glob("*.json")}
    order = sorted(recorded, key=lambda number: ("20" + number) if number in FIRST else number)
    failures: list[str] = []
    for number in order:
        command: str = recorded[number]["command"]
        if number in {"28", "29"}:
            location = re.search(r"--location=(\S+)", command)
            assert location is not None
            rows = tools.google("GET", f"{CONTAINER}/{location[1]}/operations")["operations"]
            command = re.sub(r"operation-\S+", rows[0]["name"], command)
        if not command.startswith("gcloud projects test-iam"):
            done = tools.gcloud(command)
            wanted = 1 if number in REFUSED else recorded[number]["exit_code"]
            if done.code != wanted or "does not answer" in done.err or REFUSED.get(number, "") not in done.err:
                failures.append(f"{number}: {command}: {done.code} instead of {wanted}\n{done.err}")
    assert not failures, "\n".join(failures)
    assert tools.google("GET", f"{CONTAINER}/-/clusters")["clusters"][0]["name"] == "gke-sync"
    assert list(tools.google("GET", f"{FLEET}/-/memberships")) == ["resources"]
    assert tools.google("GET", f"{FLEET}/global/features") == {}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_the_whole_way_with_any_names_regions_and_three_clusters(tools: Tools) -> None:
    every = sorted(AUTO_SUBNETS)
    gpus = {zone: region for region in every for zone in (f"{region}-{x}" for x in "abc") if _has_h100(zone)}
    zones = random.sample(sorted(gpus), len(gpus))
    places = {gpus[zone]: zone for zone in zones}
    regions = random.sample(sorted(places), 3)
    names = [legal_name(random.choice((3, 20, 40))) + str(index) for index in range(3)]
    names = [name[-40:].lstrip("-" + string.digits) or "a" for name in names]
    pool, config = legal_name(30), random.choice(names)
    for index, region in enumerate(regions):
        tools.gcloud(SUBNET.format(subnet=f"{region}-subnet", region=region, cidr=f"10.{index}.0.0/23")).ok()
    for name, region in zip(names, regions, strict=True):
        create(tools, name, region)
        tools.gcloud(POOL.format(pool=pool, name=name, region=region, zone=places[region]) + " --async").ok()
        tools.gcloud(f"gcloud container clusters get-credentials {name} --location {region}").ok()
        register = f"gcloud container fleet memberships register {name} --gke-cluster {region}/{name} --location=global"
        assert "Finished registering" in tools.gcloud(register).ok().err
        context = f"gke_demo-project_{region}_{name}"
        nodes = tools.kubectl(f"--context={context} get nodes -l cloud.google.com/gke-nodepool={pool} -o name").ok()
        assert len(nodes.out.split()) == 3
    membership = f"projects/demo-project/locations/global/memberships/{config}"
    tools.gcloud(f"gcloud container fleet ingress enable --config-membership={membership}").ok()
    _check_clusters(tools, names, regions, pool, places)
    _check_fleet(tools, names, regions, membership)
    _take_away(tools, names, regions)


def _has_h100(zone: str) -> bool:
    return any(machine.name == "a3-highgpu-2g" for machine in machines_in(zone))


def _check_clusters(tools: Tools, names: list[str], regions: list[str], pool: str, places: dict[str, str]) -> None:
    for name, region in zip(names, regions, strict=True):
        row = tools.google("GET", f"{CONTAINER}/{region}/clusters/{name}")
        assert row["initialClusterVersion"] == "1.34.1-gke.1127000"
        assert row["releaseChannel"] == {"channel": "RAPID"}
        assert row["networkConfig"]["gatewayApiConfig"] == {"channel": "CHANNEL_STANDARD"}
        assert row["podAutoscaling"] == {"hpaProfile": "PERFORMANCE"}
        assert row["monitoringConfig"]["componentConfig"] == {"enableComponents": ["SYSTEM_COMPONENTS", "DCGM"]}
        assert row["nodePools"][0]["config"]["machineType"] == "c2-standard-16"
        made = next(one for one in row["nodePools"] if one["name"] == pool)
        assert (made["locations"], made["initialNodeCount"]) == ([places[region]], 3)
        assert made["config"]["spot"] is True
        assert made["config"]["accelerators"][0]["acceleratorType"] == "nvidia-h100-80gb"


def _check_fleet(tools: Tools, names: list[str], regions: list[str], membership: str) -> None:
    feature = tools.gcloud("gcloud container fleet ingress describe --format=json").json
    assert feature["spec"]["multiclusteringress"]["configMembership"] == membership
    assert feature["state"]["state"]["code"] == "OK"
    listed = tools.gcloud("gcloud container clusters list --format=json").json
    assert {(one["name"], one["location"]) for one in listed} == set(zip(names, regions, strict=True))
    members = tools.gcloud("gcloud container fleet memberships list --format=json").json
    assert {one["name"].rpartition("/")[2] for one in members} == set(names)
    proxies = tools.gcloud(
        "gcloud compute networks subnets list --filter=purpose=GLOBAL_MANAGED_PROXY --format=value(name,state)"
    ).ok()
    assert sorted(proxies.out.split("\n")[:-1]) == sorted(f"{region}-subnet\tREADY" for region in regions)


def _take_away(tools: Tools, names: list[str], regions: list[str]) -> None:
    tools.gcloud("gcloud container fleet ingress disable").ok()
    for name, region in zip(names, regions, strict=True):
        tools.gcloud(
            f"gcloud container fleet memberships unregister {name} --gke-cluster {region}/{name} --location=global"
        ).ok()
        tools.gcloud(f"gcloud container clusters delete {name} --location={region} --async").ok()
        tools.gcloud(f"gcloud compute networks subnets delete {region}-subnet --region={region}").ok()
    assert tools.google("GET", f"{CONTAINER}/-/clusters") == {}
    assert tools.google("GET", f"{FLEET}/-/memberships") == {}
    assert tools.gcloud("gcloud container clusters list --format=json").json == []


NEIGHBOURS = (
    ("compute zones list --filter=region:us-east4 --format=value(name)", "us-east4-a\nus-east4-b\nus-east4-c\n"),
    ("compute regions list --filter=name=us-east4 --format=value(name)", "us-east4\n"),
    ("compute networks list --format=value(name,autoCreateSubnetworks)", "default\tTrue\n"),
    (
        "compute networks subnets list --filter=region:us-east4 --format=value(name,ipCidrRange)",
        "default\t10.150.0.0/20\n",
    ),
    ("compute networks subnets describe default --region=us-east4 --format=value(purpose)", "PRIVATE\n"),
    ("compute project-info describe --format=value(name)", "demo-project\n"),
    ("compute accelerator-types list --filter=zone:us-east4-a --format=value(name)", "nvidia-h100-80gb"),
    ("compute machine-types list --zones=us-east4-a --filter=guestCpus>200 --format=value(name)", "a3-highgpu-8g"),
    ("compute machine-types list --filter=name=a3-highgpu-2g --format=value(zone)", "europe-west3-c\n"),
    ("compute machine-types list --zones=us-east4-a --limit=1 --format=value(name)", "a3-highgpu-1g\n"),
    ("compute forwarding-rules list", ""),
    ("compute addresses list", ""),
    ("compute backend-services list", ""),
    ("compute health-checks list", ""),
    ("compute url-maps list", ""),
    ("compute target-http-proxies list", ""),
    ("compute firewall-rules list", ""),
    ("compute network-endpoint-groups list", ""),
    ("container clusters list --location=europe-west3 --format=value(name,status)", "gke-west\tRUNNING\n"),
    ("container clusters describe gke-west --location=europe-west3 --format=value(currentNodeCount)", "9\n"),
    ("container node-pools list --cluster=gke-west --location=europe-west3 --format=value(name)", "default-pool\n"),
    ("container operations list --format=value(operationType,status)", "CREATE_CLUSTER\tDONE\n"),
    ("container operations list --location=europe-west3 --format=value(zone)", "europe-west3\n"),
    ("container get-server-config --location=us-east4 --format=value(channels.channel)", "RAPID"),
    ("container fleet memberships list", ""),
    ("compute accelerator-types describe nvidia-l4 --zone=us-east4-a --format=value(maximumCardsPerInstance)", "8\n"),
    ("projects list --format=value(projectId)", "demo-project\n"),
    ("container fleet features list", ""),
    ("services list --available --filter=name:gkehub --format=value(config.name)", "gkehub.googleapis.com\n"),
    ("services list --filter=config.name=container.googleapis.com --format=value(state)", "ENABLED\n"),
    ("projects describe demo-project --format=value(lifecycleState)", "ACTIVE\n"),
    ("projects get-iam-policy demo-project --format=value(bindings.role)", "roles/owner"),
    ("iam service-accounts list --format=value(email)", ""),
)
"""Commands that read, and what their output holds."""


def test_reading_commands_of_the_neighbourhood(tools: Tools) -> None:
    create(tools)
    failures = []
    for command, said in NEIGHBOURS:
        done = tools.gcloud(command)
        if done.code or said not in done.out:
            failures.append(f"{command}\n{done.out[:300]}\n{done.err[:600]}")
    assert not failures, "\n".join(failures)


def test_changing_commands_of_the_neighbourhood(tools: Tools) -> None:
    create(tools)
    at = "--location=europe-west3"
    changes = (
        ("container clusters update gke-west --update-labels=team=red", ("resourceLabels", "team"), "red"),
        (
            "container clusters update gke-west --workload-pool=demo-project.svc.id.goog",
            ("workloadIdentityConfig", "workloadPool"),
            "demo-project.svc.id.goog",
        ),
        ("container clusters update gke-west --gateway-api=disabled", ("networkConfig", "gatewayApiConfig"), None),
        (
            "container clusters update gke-west --enable-dns-access",
            ("controlPlaneEndpointsConfig", "dnsEndpointConfig", "allowExternalTraffic"),
            True,
        ),
        (
            "container node-pools update default-pool --cluster=gke-west --node-labels=a=b",
            ("nodePools", 0, "config", "labels"),
            {"a": "b"},
        ),
        (
            "container node-pools update default-pool --cluster=gke-west --no-enable-autorepair",
            ("nodePools", 0, "management"),
            {"autoUpgrade": True},
        ),
        ("container clusters resize gke-west --node-pool=default-pool --num-nodes=2", ("currentNodeCount",), 6),
        (
            "container clusters update gke-west --enable-autoscaling --node-pool=default-pool --max-nodes=3",
            ("nodePools", 0, "autoscaling"),
            {"enabled": True, "maxNodeCount": 3},
        ),
        (
            "container clusters upgrade gke-west --master --cluster-version=1.35.0-gke.1795000",
            ("currentMasterVersion",),
            "1.35.0-gke.1795000",
        ),
        (
            "container clusters upgrade gke-west --node-pool=default-pool",
            ("nodePools", 0, "version"),
            "1.35.0-gke.1795000",
        ),
    )
    for command, path, wanted in changes:
        tools.gcloud(f"{command} {at}").ok()
        found: Any = tools.google("GET", f"{CONTAINER}/europe-west3/clusters/gke-west")
        for step in path:
            found = found[step]
        assert wanted is None or found == wanted, command
    dns = tools.gcloud(f"container clusters get-credentials gke-west {at} --dns-endpoint").ok()
    assert "kubeconfig entry generated" in dns.err


def test_a_subnetwork_changes(tools: Tools) -> None:
    def described(field: str) -> str:
        return tools.gcloud(f"{subnets} describe default {at} --format=value({field})").ok().out.strip()

    subnets, at = "compute networks subnets", "--region=us-east4"
    tools.gcloud(f"{subnets} update default {at} --enable-private-ip-google-access").ok()
    assert described("privateIpGoogleAccess") == "True"
    tools.gcloud(f"{subnets} update default {at} --add-secondary-ranges=pods=10.99.0.0/20").ok()
    assert described("secondaryIpRanges[0].ipCidrRange") == "10.99.0.0/20"
    tools.gcloud(f"{subnets} expand-ip-range default {at} --prefix-length=18").ok()
    assert described("ipCidrRange") == "10.150.0.0/18"
    proxies = f"--network=default {at} --purpose=GLOBAL_MANAGED_PROXY"
    tools.gcloud(f"{subnets} create one {proxies} --role=ACTIVE --range=192.168.0.0/23").ok()
    tools.gcloud(f"{subnets} create two {proxies} --role=BACKUP --range=192.168.2.0/23").ok()
    tools.gcloud(f"{subnets} update two {at} --role=ACTIVE --drain-timeout=1s").ok()
    listed = tools.gcloud(f"{subnets} list --filter=purpose=GLOBAL_MANAGED_PROXY --format=value(name,role)").ok().out
    assert sorted(listed.splitlines()) == ["one\tBACKUP", "two\tACTIVE"]


def test_services_accounts_bindings_and_networks(tools: Tools) -> None:
    tools.reset("compute", "iam")
    tools.gcloud("services enable container.googleapis.com gkehub.googleapis.com").ok()
    tools.gcloud("services disable gkehub.googleapis.com").ok()
    enabled = tools.gcloud("services list --enabled --format=value(config.name)").ok().out.split()
    assert "container.googleapis.com" in enabled
    assert "gkehub.googleapis.com" not in enabled
    tools.gcloud("iam service-accounts create nodes-of-mine --display-name=Nodes").ok()
    email = "nodes-of-mine@demo-project.iam.gserviceaccount.com"
    binding = f"demo-project --member=serviceAccount:{email} --role=roles/autoscaling.metricsWriter"
    policy = tools.gcloud(f"projects add-iam-policy-binding {binding} --condition=None --format=json").json
    role = {"role": "roles/autoscaling.metricsWriter", "members": [f"serviceAccount:{email}"]}
    assert role in policy["bindings"]
    policy = tools.gcloud(f"projects remove-iam-policy-binding {binding} --condition=None --format=json").json
    assert role not in policy["bindings"]
    tools.gcloud(f"iam service-accounts delete {email}").ok()
    tools.gcloud("compute networks create mine --subnet-mode=custom").ok()
    tools.gcloud("compute networks subnets create inside --network=mine --region=us-east4 --range=10.9.0.0/20").ok()
    described = tools.gcloud("compute networks subnets describe inside --region=us-east4 --format=json").json
    assert (described["gatewayAddress"], described["purpose"]) == ("10.9.0.1", "PRIVATE")
    tools.gcloud("compute networks delete mine").failed("is already being used by", "subnetworks/inside")
    tools.gcloud("compute networks subnets delete inside --region=us-east4").ok()
    tools.gcloud("compute networks delete mine").ok()
    operations = tools.gcloud("compute operations list --format=value(operationType)").ok().out.split()
    assert {"insert", "delete"} <= set(operations)
