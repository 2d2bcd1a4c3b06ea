"""Every fix that doctor names is run in a shell, as a person would paste it, and then the check is well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.emulator import control
from backend.preflight import CHECKS
from tests.journeys.shell import Shell
from tests.warm.client import Warm

H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"
AT = "/compute/v1/projects/demo-project"
GKE = "/container/v1/projects/demo-project/locations"
HUB = "/gkehub/v1/projects/demo-project/locations/global"
MEMBERSHIP = f"{HUB}/memberships?membershipId=gke-east"
LINK = "//container.googleapis.com/projects/demo-project/locations/us-east1/clusters/gke-east"
CLUSTER = {
    "name": "gke-east",
    "initialNodeCount": 1,
    "initialClusterVersion": "1.34.1-gke.1829001",
    "releaseChannel": {"channel": "RAPID"},
    "nodeConfig": {"machineType": "e2-standard-4"},
}
OLD = {"initialClusterVersion": "1.33.5-gke.1125000"}
MINE = {"name": "mine", "autoCreateSubnetworks": False}
REGIONAL = {
    "name": "somebodys",
    "ipCidrRange": "192.168.0.0/23",
    "purpose": "REGIONAL_MANAGED_PROXY",
    "role": "ACTIVE",
    "network": "projects/demo-project/global/networks/default",
}


@dataclass(frozen=True)
class Case:
    """One fault, the check that tells of it, and whether its fix needs gcloud."""

    check: str
    world: tuple[str, ...] = ()
    """What is set, as ``mcig emulator set`` takes it."""
    made: tuple[tuple[str, dict[str, Any]], ...] = ()
    """What somebody else has made: paths and bodies of requests."""
    options: tuple[str, ...] = ()
    """Settings of the specification."""
    before: str = ""
    """What the shell has been told before doctor."""
    gcloud: bool = False
    status: str = "fail"


CASES = (
    Case(f"quota/us-east4/{H100}", (f"quota.us-east4.{H100}=0",)),
    Case("quota/global/CPUS_ALL_REGIONS", ("quota.global.CPUS_ALL_REGIONS=8",)),
    Case("api/compute.googleapis.com", ("service.compute.googleapis.com=disabled",), gcloud=True, status="warn"),
    Case(
        "api/logging.googleapis.com",
        ("service.logging.googleapis.com=disabled", "iam.deny=serviceusage.services.enable"),
        gcloud=True,
    ),
    Case("permission/gkehub.memberships.create", ("iam.deny=gkehub.memberships.create",), gcloud=True),
    Case("billing", ("billing=disabled",), gcloud=True),
    Case("subnet/us-east4", made=((f"{AT}/regions/us-east4/subnetworks", REGIONAL),), gcloud=True),
    Case("subnet/us-east4", options=("clusters.gke-east.proxy_subnet=10.150.0.0/23",)),
    Case("network/absent", options=("network.vpc=absent",)),
    Case("network/mine/us-east4", made=((f"{AT}/global/networks", MINE),), options=("network.vpc=mine",), gcloud=True),
    Case(
        "network/mine/us-east4",
        made=((f"{AT}/global/networks", MINE),),
        options=("network.vpc=mine", "network.subnetwork=nodes"),
        gcloud=True,
    ),
    Case(
        "name/membership/gke-east",
        made=(
            (f"{GKE}/us-east1/clusters", {"cluster": CLUSTER}),
            (MEMBERSHIP, {"endpoint": {"gkeCluster": {"resourceLink": LINK}}}),
        ),
        gcloud=True,
    ),
    Case(
        "name/cluster/gke-east",
        made=((f"{GKE}/us-east4/clusters", {"cluster": CLUSTER}),),
        status="warn",
    ),
    Case("capacity/us-east4/a3-highgpu-2g", ("capacity.us-east4-a.a3-highgpu-2g=0",)),
    Case("version/gke/us-east4", ("versions.us-east4.RAPID=1.33.5-gke.1125000",)),
    Case("version/gke/us-east4", options=("versions.gke=1.99",)),
    Case("version/gke/us-east4", made=((f"{GKE}/us-east4/clusters", {"cluster": CLUSTER | OLD}),), gcloud=True),
    Case("version/metric", options=("model.image=vllm/vllm-openai:latest",), status="unknown"),
    Case(
        "region/us-east44",
        options=("clusters.gke-east.region=us-east44", "clusters.gke-east.gpu_pool.zones=[us-east44-a]"),
    ),
    Case("machine-type/us-east4/z9-standard-4", options=("clusters.gke-east.default_pool.machine_type=z9-standard-4",)),
    Case("machine-type/us-east4-z/a3-highgpu-2g", options=("clusters.gke-east.gpu_pool.zones=[us-east4-z]",)),
    Case("model/memory/nvidia-h100-80gb", options=("model.max_model_len=900000",)),
    Case("local/kubeconfig", before='export KUBECONFIG="$HOME"'),
    Case("local/proxy", before="unset NO_PROXY no_proxy; export HTTPS_PROXY=http://127.0.0.1:9", status="warn"),
)
ELSEWHERE = {
    "credentials": "signing in happens in a browser",
    "project": "only the person knows which project is meant; the command lists them",
    "policy": "an administrator of the organisation has to make an exception; the command shows the policy",
    "limit": "fewer clusters are the only way",
    "price": "prices are Google's",
    "fleet": "somebody else's config cluster is never moved; the command shows it",
    "huggingface": "a licence is accepted, and a token made, on a web page; a token is given by the keyboard",
}
"""Kinds of checks whose fix is a page, a key or another person, and why."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, warm: Warm, forked: None) -> Iterator[Shell]:
    """One shell for all; each test begins with an empty world."""
    made = Shell(tmp_path_factory.mktemp("home"), warm)
    yield made
    made.close()


def doctor(shell: Shell, case: Case, line: str = "") -> dict[str, dict[str, Any]]:
    """Findings by id, from a line or from the case's own."""
    options = " ".join(f"--set '{one}'" for one in ("beyond_catalog=true", *case.options))
    ask = line or f"mcig doctor rehearsal {options}"
    told = shell.run(f"{case.before or ':'}\n{ask} --json || [ $? = 4 ]")
    return {one["id"]: one for one in json.loads(told[told.index("{\n") :])["checks"]}


@pytest.mark.parametrize("case", CASES, ids=[f"{one.check} {' '.join(one.options)}".strip() for one in CASES])
def test_a_fix_makes_the_check_well(shell: Shell, case: Case) -> None:
    if case.gcloud and shutil.which("gcloud") is None:
        pytest.skip("the fix is a gcloud command, and there is no gcloud")
    shell.mend()
    for setting in case.world:
        control.put_setting(shell.tools.instance, setting)
    for path, body in case.made:
        assert "error" not in shell.tools.google("POST", path, body)
    found = doctor(shell, case)[case.check]
    assert found["status"] == case.status
    fix = found["fix"]
    if "mcig doctor" in fix and "--request" not in fix:
        first, _, looked = fix.rpartition(" && ")
        again = doctor(shell, case, f"{first or ':'} > /dev/null; {looked}")
        assert {one["status"] for one in again.values() if one["id"].startswith(case.check)} <= {"ok"}
        assert "fail" not in {one["status"] for one in again.values()} or case.check == "network/mine/us-east4"
        return
    if case.check.startswith("local/"):
        assert doctor(shell, case, f"{fix}; mcig doctor rehearsal")[case.check]["status"] == "ok"
        return
    shell.run(fix)
    assert doctor(shell, case)[case.check]["status"] == "ok"


def test_every_kind_of_check_has_a_fix_that_was_run_or_a_reason_why_not() -> None:
    kinds = {identity.partition("/")[0] for check in CHECKS for identity in check.ids.split(", ")}
    run = {case.check.partition("/")[0] for case in CASES}
    assert kinds == run | set(ELSEWHERE)
    assert not run & set(ELSEWHERE)


def test_a_token_is_given_without_showing_it(shell: Shell) -> None:
    """The line reads it from the keyboard, so that no history and no command line keeps it."""
    from backend.preflight.model import GIVE_TOKEN

    assert shell.run(f"{GIVE_TOKEN}; printenv HF_TOKEN", typed="hf_secret\n").strip() == "hf_secret"
