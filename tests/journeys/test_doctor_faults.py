"""One trouble at a time: the check that is there for it says so, and no other one does."""

from __future__ import annotations

import asyncio
import json
import shlex
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from backend.emulator import control
from backend.places import Places
from backend.preflight import Finding, Topic, Verdict, hugging_face_token, open_survey
from backend.presets import find, load
from tests.journeys.terminal import Terminal
from tests.warm.client import Warm

PROJECT = "demo-project"
SPEC = ("two-region-h100", "--target", "emulator", "--set", f"project={PROJECT}")
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
FOOD = "Kawon/llama3.1-food-finetune_v14_r8"
H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"
MEMBERSHIPS = {f"name/membership/{cluster}": "unknown" for cluster in ("gke-east", "gke-west")}


class Healthy:
    """A project in which nothing is missing, and what disturbs it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.mcig("emulator", "start", "--detach", "--speed", "max")
        found = control.find(terminal.home / "mcig" / "emulator")
        assert found is not None
        self.instance = found
        self._apis = [one["id"].removeprefix("api/") for one in self.doctor(code=None) if one["id"].startswith("api/")]
        source = find(SPEC[0], Places.of(terminal.environ))
        self.spec = load(source, ["target=emulator", f"project={PROJECT}"])
        self.mend()

    def mend(self) -> None:
        """Take back whatever a test has set, and turn every API on."""
        control.clear_faults(self.instance)
        for one in control.settings(self.instance)["settings"]:
            control.put_setting(self.instance, f"{one['path']}=usual")
        for api in [*self._apis, "cloudbilling"]:
            control.put_setting(self.instance, f"service.{api}=enabled")

    def disturb(self, trouble: str) -> None:
        """Set a `PATH=VALUE`, or play a fault."""
        put = trouble.partition(" ")[0].partition("=")[1]
        (control.put_setting if put else control.add_fault)(self.instance, trouble)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Do something to the cloud without mcig; at this speed it is done at the next look."""
        request = urllib.request.Request(  # noqa: S310 the address is the emulator's own, on loopback
            f"{self.instance.url}{path}",
            method=method,
            headers={"Authorization": f"Bearer {self.instance.token}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            assert answer.status == 200

    def doctor(self, *, code: int | None = 0) -> list[dict[str, Any]]:
        """The findings."""
        checks: list[dict[str, Any]] = self.terminal.mcig("doctor", *SPEC, "--json", code=code).document["checks"]
        return checks

    def troubles(self) -> dict[str, str]:
        """Status of every finding that is not well, but for those about this machine; without a command in between."""
        environ = self.terminal.environ

        async def look() -> tuple[Finding, ...]:
            places = Places.of(environ)
            async with open_survey(self.spec.target, PROJECT, places=places, environ=environ) as survey:
                return await survey.findings(self.spec, token=hugging_face_token(self.spec.target, environ))

        found = [one for one in asyncio.run(look()) if one.topic is not Topic.LOCAL]
        return {one.id: str(one.status) for one in found if one.status is not Verdict.OK}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Healthy]:
    terminal = Terminal(tmp_path_factory.mktemp("home"), warm)
    yield Healthy(terminal)
    terminal.close()


@pytest.fixture
def healthy(project: Healthy) -> Healthy:
    project.mend()
    return project


def test_in_a_healthy_project_nothing_is_wrong(healthy: Healthy) -> None:
    assert healthy.troubles() == {}
    checks = healthy.doctor()
    assert {one["status"] for one in checks if not one["id"].startswith("local/")} == {"ok"}
    assert len({one["id"] for one in checks}) == len(checks) > 100


@pytest.mark.parametrize(
    ("trouble", "found"),
    [
        (f"quota.us-east4.{H100}=0", {f"quota/us-east4/{H100}": "fail"}),
        (f"quota.us-east4.{H100}=5", {f"quota/us-east4/{H100}": "fail"}),
        (f"quota.us-east4.{H100}=absent", {f"quota/us-east4/{H100}": "unknown"}),
        ("quota.global.GPUS_ALL_REGIONS=11", {"quota/global/GPUS_ALL_REGIONS": "fail"}),
        ("quota.europe-west3.C2_CPUS=47", {"quota/europe-west3/C2_CPUS": "fail"}),
        ("quota.us-east4.PREEMPTIBLE_LOCAL_SSD_GB=4000", {"quota/us-east4/PREEMPTIBLE_LOCAL_SSD_GB": "fail"}),
        (f"quota region=us-east4 metric={H100}", {f"quota/us-east4/{H100}": "fail"}),
        ("service.gkehub=disabled", {"api/gkehub.googleapis.com": "warn", "fleet/config-cluster": "unknown",
                                     **MEMBERSHIPS}),
        ("service.logging=disabled", {"api/logging.googleapis.com": "warn"}),
        ("iam.deny=compute.subnetworks.create", {"permission/compute.subnetworks.create": "fail"}),
        ("iam.deny=container.pods.proxy", {"permission/container.pods.proxy": "fail"}),
        (f"model.{LLAMA}.gated=refused", {"huggingface/model": "fail"}),
        (f"model.{LLAMA}.gated=awaiting", {"huggingface/model": "fail"}),
        (f"model.{LLAMA}=absent", {"huggingface/model": "fail"}),
        (f"model.{FOOD}=absent", {"huggingface/adapter/food-review-1": "fail"}),
        ("huggingface.role=fineGrained-no-gated", {"huggingface/model": "fail"}),
        ("hf-gated", {"huggingface/model": "fail"}),
        ("versions.us-east4.RAPID=1.33.5-gke.1125000", {"version/gke/us-east4": "fail"}),
        ("capacity.us-east4-a.a3-highgpu-2g=0.05", {"capacity/us-east4/a3-highgpu-2g": "fail"}),
        ("stockout zone=us-east4-a", {"capacity/us-east4/a3-highgpu-2g": "fail"}),
        ("billing=disabled", {"billing": "fail"}),
        ("policy.compute.vmExternalIpAccess=deny", {"policy/compute.vmExternalIpAccess": "fail"}),
        ("policy.gcp.resourceLocations=in:us-locations", {"policy/gcp.resourceLocations": "fail"}),
        ("policy.iam.disableServiceAccountCreation=enforced", {"policy/iam.disableServiceAccountCreation": "fail"}),
        ("internal-error step=cloudbilling times=9", {"billing": "unknown"}),
    ],
)  # fmt: skip
def test_one_trouble_is_one_finding(healthy: Healthy, trouble: str, found: Mapping[str, str]) -> None:
    healthy.disturb(trouble)
    assert healthy.troubles() == found


SUBNETS = "/compute/v1/projects/demo-project/regions/us-east4/subnetworks"
REGIONAL = {
    "name": "somebodys",
    "ipCidrRange": "192.168.0.0/23",
    "purpose": "REGIONAL_MANAGED_PROXY",
    "role": "ACTIVE",
    "network": "projects/demo-project/global/networks/default",
}
CLUSTERS = "/container/v1/projects/demo-project/locations/us-east4/clusters"
FOREIGN = {
    "cluster": {
        "name": "gke-east",
        "initialNodeCount": 1,
        "initialClusterVersion": "1.34.1-gke.1829001",
        "releaseChannel": {"channel": "RAPID"},
        "nodeConfig": {"machineType": "e2-standard-4"},
    }
}


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        (SUBNETS, REGIONAL, {"subnet/us-east4": "fail"}),
        (SUBNETS, REGIONAL | {"purpose": "GLOBAL_MANAGED_PROXY"}, {}),
        (CLUSTERS, FOREIGN, {"name/cluster/gke-east": "warn"}),
    ],
)
def test_a_clash_with_what_somebody_else_made_is_found(
    healthy: Healthy, path: str, body: dict[str, Any], found: Mapping[str, str]
) -> None:
    healthy.ask("POST", path, body)
    try:
        assert healthy.troubles() == found
    finally:
        healthy.ask("DELETE", f"{path}/{body.get('name', 'gke-east')}")


def test_a_list_of_ten_thousand_machine_types_is_no_trouble(healthy: Healthy) -> None:
    healthy.disturb("machines.us-east4-c=10000")
    assert healthy.troubles() == {}


def test_a_token_that_nobody_knows_is_one_failure(healthy: Healthy) -> None:
    healthy.disturb("hf-unauthorized")
    told = healthy.troubles()
    assert told.pop("huggingface/token") == "fail"
    assert all(one.startswith("huggingface/") for one in told)


@pytest.mark.parametrize("trouble", ["internal-error times=400", "rate-limited times=400"])
def test_where_google_does_not_answer_nothing_is_guessed(healthy: Healthy, trouble: str) -> None:
    healthy.disturb(trouble)
    told = healthy.troubles()
    assert set(told.values()) == {"unknown"}
    assert not any(one.startswith("huggingface/") for one in told)


def test_a_short_quota_is_asked_for_as_the_fix_says_and_then_it_is_enough(healthy: Healthy) -> None:
    healthy.disturb(f"quota.us-east4.{H100}=0")
    (short,) = (one for one in healthy.doctor(code=4) if one["status"] == "fail")
    fix = shlex.split(short["fix"])
    assert fix[0] == "mcig"
    healthy.terminal.mcig(*fix[1:], "--yes", code=None)
    assert healthy.troubles() == {}


def test_what_can_be_set_is_listed_and_what_is_set_is_told(healthy: Healthy) -> None:
    mcig = healthy.terminal.mcig
    assert "quota.us-east4.C2_CPUS is 24" in mcig("emulator", "set", "quota.us-east4.C2_CPUS=24").out
    listed = mcig("emulator", "set").out
    assert "model.ID.gated=open|granted|refused|awaiting|rejected" in listed
    assert "quota.us-east4.C2_CPUS=24" in listed
    assert mcig("emulator", "set", "--json").document["settings"] == [{"path": "quota.us-east4.C2_CPUS", "value": "24"}]
    refused = mcig("emulator", "set", "quota.mars.C2_CPUS=24", code=2)
    assert "mars is not a region" in refused.err


def test_what_would_fail_is_not_begun(healthy: Healthy) -> None:
    healthy.disturb(f"quota.us-east4.{H100}=0")
    before = healthy.terminal.mcig("emulator", "status", "--json").document["resources"]
    refused = healthy.terminal.mcig("apply", *SPEC, "--yes", "--plain", code=4)
    assert f"quota/us-east4/{H100}" in refused.err + refused.out
    assert healthy.terminal.mcig("emulator", "status", "--json").document["resources"] == before
