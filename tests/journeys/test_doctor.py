"""doctor and the checks before apply: what a person reads, what a script gets, and that nothing is made in vain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from backend.emulator import control
from backend.places import Places
from tests.journeys.terminal import Terminal
from tests.warm.client import Warm

H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"
CHECK = f"quota/us-east4/{H100}"
DOCUMENT = ("two-region-h100", "--target", "emulator", "--set", "project=demo-project")


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Iterator[Terminal]:
    """A terminal with an emulated cloud that waits for nothing."""
    terminal = Terminal(tmp_path_factory.mktemp("home"), warm)
    terminal.mcig("emulator", "start", "--detach", "--speed", "max")
    yield terminal
    terminal.close()


@pytest.fixture
def world(shared_world: Terminal) -> Terminal:
    """The file's cloud with a new project in it, and a home without stacks."""
    instance = control.find(shared_world.home / "mcig" / "emulator")
    assert instance is not None
    for one in control.settings(instance)["settings"]:
        control.put_setting(instance, f"{one['path']}=usual")
    control.reset(instance)
    shutil.rmtree(Places.of(shared_world.environ).stack("any").parent, ignore_errors=True)
    return shared_world


def test_a_healthy_world_has_no_failure(world: Terminal) -> None:
    told = world.mcig("doctor", *DOCUMENT, "--json").document
    checks = {check["id"]: check for check in told["checks"]}
    assert not [check for check in checks.values() if check["status"] == "fail"]
    assert {"api/container.googleapis.com", "huggingface/token", "huggingface/model", CHECK} <= set(checks)
    assert set(checks["huggingface/token"]) >= {"id", "status", "message", "fix"}
    text = world.mcig("doctor", *DOCUMENT).out
    assert "turned on by the first step" in text
    assert "To know all beforehand: gcloud services enable" in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_quota_nothing_is_made_and_the_fix_is_one_command(world: Terminal) -> None:
    world.mcig("emulator", "set", f"quota.us-east4.{H100}=0", "price.us-east4.a3-highgpu-2g=99")
    events = world.mcig("apply", "rehearsal", "--yes", "--json", code=4).lines
    assert [event["type"] for event in events] == ["run_started", "run_finished"]
    assert world.mcig("emulator", "status", "--json").document["resources"] == []

    refused = world.mcig("apply", "rehearsal", "--yes", code=4)
    assert "  price/us-east4/a3-highgpu-2g: " in refused.out, "a warning is told, too"
    assert CHECK in refused.err
    assert f"--ignore {CHECK}" in refused.err
    failed = world.mcig("doctor", "rehearsal", "--json", code=4).document["checks"]
    (check,) = [check for check in failed if check["status"] == "fail"]
    assert check["fix"] == f"mcig doctor rehearsal --request {CHECK}"
    world.mcig(*check["fix"].split()[1:])
    world.mcig("doctor", "rehearsal")


def test_what_can_be_read_only_once_apis_are_on_is_checked_before_the_second_step(world: Terminal) -> None:
    world.mcig(
        "emulator", "set", "service.compute=disabled", "service.cloudquotas=disabled", f"quota.us-east4.{H100}=0"
    )
    events = world.mcig("apply", "rehearsal", "--yes", "--json", code=4).lines
    (services,) = [one for one in events if one["type"] == "step_finished" and one["resource"] == "services"]
    assert services["error"]["kind"] == "PreflightRefused"
    made = world.mcig("emulator", "status", "--json").document["resources"]
    assert {name.partition("/")[0] for name in made} == {"service"}


def test_a_failure_can_be_ignored_and_a_guard_that_is_passed_is_told(world: Terminal) -> None:
    world.mcig("emulator", "set", "policy.compute.vmExternalIpAccess=deny")
    assert world.mcig("doctor", "rehearsal", "--ignore", "policy").code == 0
    applied = world.mcig("apply", "rehearsal", "--yes", "--ignore", "policy", "--set", "guard.usd=0.001")
    assert "ignored: policy/compute.vmExternalIpAccess" in applied.out
    assert "would have been spent for real, and the guard is $0.00" in " ".join(applied.out.split())
    assert "looked after only while mcig runs" in " ".join(applied.out.split())
    cost = world.mcig("status", "rehearsal", "--json").document["cost"]
    assert cost["spent_usd"] > 0
    assert cost["usd_per_day"] == pytest.approx(24 * cost["usd_per_hour"], abs=0.01)
    assert cost["guard_passed"]
    assert world.mcig("plan", "rehearsal", "--json").document["cost"]["estimate"] is True


def test_a_mistyped_project_is_one_failure_and_what_follows_from_it_is_told_once(world: Terminal) -> None:
    text = world.mcig("doctor", "rehearsal", "--set", "project=demo-projekt", code=4).out
    assert text.count("fail ") == 1
    assert "not to be known before project is mended: " in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_checked_is_listed_without_any_cloud(terminal: Terminal) -> None:
    assert "\npermission/NAME\n" in terminal.mcig("doctor", "--list").out
    terminal.mcig("emulator", "status", code=1)


def test_what_is_no_quota_of_the_stack_is_not_asked_for(world: Terminal) -> None:
    wrong = world.mcig("doctor", "rehearsal", "--request", "quota/mars/GPUS", code=2)
    assert "no quota that rehearsal draws on" in wrong.err
