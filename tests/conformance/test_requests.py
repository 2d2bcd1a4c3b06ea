"""What mcig asks Google for is what gcloud asks for, field by field, but for the departures listed here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backend.emulator.google import schema
from tests.conformance.recorder import Sent
from tests.conformance.tools import SHARED, Tools

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded requests of gcloud (../shared) are not here")

DEPARTURES: Mapping[str, Mapping[str, str]] = {
    "cluster": {
        "workloadIdentityConfig": "a multi-cluster Gateway needs Workload Identity",
        "resourceLabels": "the mark by which mcig knows at destroy what is its own",
        "nodePools.0.config.resourceLabels": "the mark on the nodes, as gcloud's --labels puts it there, too",
        "nodePools.0.config.serviceAccount": "nodes run as an account that may write metrics and little else",
        "nodePools.0.config.oauthScopes": "gcloud's six scopes leave out the Autoscaling API; roles limit instead",
        "nodePools.0.config.workloadMetadataConfig": "Pods are not their node's account",
    },
    "node-pool": {
        "config.serviceAccount": "as for the cluster",
        "config.oauthScopes": "as for the cluster",
        "config.workloadMetadataConfig": "as for the cluster",
        "config.resourceLabels": "as for the cluster",
    },
    "membership": {"labels": "the mark"},
    "feature": {"labels": "the mark"},
    "subnet": {
        "description": "the mark: a subnetwork has no labels",
    },
    "services": {
        "serviceIds": "more are needed than the document names: of the fleet, IAM and the multi-cluster controllers",
    },
}
"""By kind of request, each field that is another than gcloud's, and why."""
SPEC = """
name: like-the-document
target: emulator
config_cluster: gke-west
clusters:
  - name: gke-west
    region: europe-west3
    proxy_subnet: 10.0.0.0/23
    default_pool: {machine_type: c2-standard-16, disk_type: pd-standard, nodes_per_zone: 3}
    gpu_pool: &h100 {name: h100, zones: [europe-west3-c], accelerator: nvidia-h100-80gb, accelerators_per_node: 2,
                     machine_type: a3-highgpu-2g, nodes: 3, provisioning: spot}
  - name: gke-east
    region: us-east4
    proxy_subnet: 10.5.0.0/23
    default_pool: {machine_type: c2-standard-16, disk_type: pd-standard, nodes_per_zone: 3}
    gpu_pool: {<<: *h100, zones: [us-east4-a]}
versions: {gke: 1.34.1-gke.1127000, channel: rapid}
"""
RECORDED = {
    "cluster": ("21-clusters-create-1", "22-clusters-create-2"),
    "node-pool": ("31-node-pools-create-1-region", "32-node-pools-create-2-region"),
    "membership": ("40-memberships-register-1", "41-memberships-register-2"),
    "feature": ("48-ingress-enable",),
    "subnet": ("54-subnets-create-1", "55-subnets-create-2"),
    "services": ("01-services-enable-prereqs",),
}
LAST = {
    "/clusters": "cluster",
    "/nodePools": "node-pool",
    "/memberships": "membership",
    "/features": "feature",
    "/subnetworks": "subnet",
    "/services:batchEnable": "services",
}
MESSAGES = {
    "cluster": ("container.googleapis.com", "Cluster", "cluster"),
    "node-pool": ("container.googleapis.com", "NodePool", "nodePool"),
    "membership": ("gkehub.googleapis.com", "Membership", ""),
    "feature": ("gkehub.googleapis.com", "Feature", ""),
}


@pytest.fixture(scope="module")
def sent(shared_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Sent]]:
    """What one `mcig apply` sends to make things, by kind."""
    shared_tools.reset("serviceusage")
    compute = "/serviceusage/v1/projects/demo-project/services/compute.googleapis.com"
    shared_tools.google("POST", f"{compute}:disable", {"checkIfServiceHasUsage": "SKIP"})
    spec = tmp_path_factory.mktemp("spec") / "spec.yaml"
    spec.write_text(SPEC)
    with shared_tools.recorded() as sent:
        shared_tools.mcig("apply", str(spec), "--yes", "--plain").ok()
    return _by_kind(sent)


def _by_kind(sent: list[Sent]) -> dict[str, list[Sent]]:
    found: dict[str, list[Sent]] = {kind: [] for kind in RECORDED}
    for one in sent:
        for last, kind in LAST.items():
            if one.method == "POST" and one.path.endswith(last):
                found[kind].append(one)
    return found


def _recorded(kind: str) -> list[Sent]:
    sent = []
    for name in RECORDED[kind]:
        recorded = json.loads((SHARED / f"gcloud/requests/{name}.json").read_text())
        sent += [Sent(one["method"], one["path"], one["query"], one["body"]) for one in recorded["requests"]]
    return _by_kind(sent)[kind]


def _place(sent: Sent) -> tuple[str, dict[str, str]]:
    """Where a request goes: the path below the API's version, and the parameters but for the form of the answer."""
    path = sent.path[sent.path.index("/projects/") :]
    return path, {name: value for name, value in sent.query.items() if name not in {"alt", "$alt"}}


def _fields(kind: str, body: Any) -> dict[str, Any]:
    """The fields of a body by path, in Google's own canonical form."""
    if kind in MESSAGES:
        service, message, inside = MESSAGES[kind]
        schema.prepare(service)
        body = schema.parse(service, message, body[inside] if inside else body)
    if kind == "subnet":
        body = body | {"network": body["network"][body["network"].index("projects/") :]}
    return dict(_flat(body, ""))


def _flat(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _flat(below, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for index, below in enumerate(value):
            yield from _flat(below, f"{at}.{index}")
    else:
        yield at, value


def _departures(kind: str, ours: Sent, theirs: Sent) -> set[str]:
    """The listed departures that a request makes; AssertionError for one that is not listed."""
    mine, other = _fields(kind, ours.body), _fields(kind, theirs.body)
    made = set()
    for path in sorted(mine.keys() | other.keys()):
        if mine.get(path) == other.get(path):
            continue
        listed = [one for one in DEPARTURES[kind] if path == one or path.startswith(f"{one}.")]
        assert listed, f"{kind}: {path} is {mine.get(path)!r}, and gcloud sends {other.get(path)!r}"
        made |= set(listed)
    return made


@pytest.mark.parametrize("kind", RECORDED)
def test_a_request_is_gclouds_but_for_the_listed_departures(kind: str, sent: dict[str, list[Sent]]) -> None:
    ours = {_place(one)[0] + str(_name(kind, one)): one for one in sent[kind]}
    theirs = {_place(one)[0] + str(_name(kind, one)): one for one in _recorded(kind)}
    assert ours.keys() == theirs.keys()
    assert len(theirs) == len(RECORDED[kind])
    for key, one in ours.items():
        assert _place(one) == _place(theirs[key])
        assert _departures(kind, one, theirs[key]) == set(DEPARTURES[kind])


def _name(kind: str, sent: Sent) -> str:
    """What tells two requests to one path apart."""
    return str(sent.query.get("membershipId", "")) if kind == "membership" else ""


def test_what_gcloud_enables_is_enabled_and_what_its_fleet_commands_enable(sent: dict[str, list[Sent]]) -> None:
    (ours,), (theirs,) = sent["services"], _recorded("services")
    later = {
        "gkehub.googleapis.com",
        "multiclusteringress.googleapis.com",
        "multiclusterservicediscovery.googleapis.com",
    }
    assert set(theirs.body["serviceIds"]) | later <= set(ours.body["serviceIds"])
