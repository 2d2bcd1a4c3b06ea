"""The presets of the package, rehearsed: complete plans, and the document's example goes up and comes down again."""

from pathlib import Path
from typing import Any

import pytest

from tests.journeys.terminal import Terminal

REHEARSED = ("--target", "emulator", "--set", "project=demo-project")
REGIONS = {
    "two-region-h100": ["europe-west3", "us-east4"],
    "in-flight": ["europe-west3", "us-east4"],
    "l4-budget": ["europe-west4", "us-central1"],
    "three-region": ["europe-west4", "us-east4", "asia-southeast1"],
}
IN_EACH_REGION = {"subnet", "cluster", "node-pool", "membership", "secret", "model-server", "pool", "export", "metrics"}


def kind(resource: str) -> str:
    return resource.partition("@")[0].partition("/")[0]


@pytest.fixture
def plans(terminal: Terminal) -> dict[str, dict[str, Any]]:
    """The plan of each preset, in an emulated cloud that is still empty."""
    return {name: terminal.mcig("plan", name, *REHEARSED, "--json").document for name in REGIONS}


def test_every_preset_has_a_complete_plan(plans: dict[str, dict[str, Any]]) -> None:
    for name, plan in plans.items():
        steps = plan["steps"]
        assert (plan["stack"], plan["target"]) == (name, "emulator")
        (note,) = plan["notes"]
        assert "manifests that go there were checked" in note["text"]
        changed = {step["resource"]: step["action"] for step in steps if step["action"] != "create"}
        assert changed == {"services": "update"}, f"{name}: a new project has some of the APIs"
        for region in REGIONS[name]:
            assert {kind(step["resource"]) for step in steps if step["region"] == region} >= IN_EACH_REGION, region
        for step in steps:
            where = f"{name}: {step['resource']}"
            assert step["command"], where
            assert step["permissions"], where
            assert step["estimate_s"] > 0, where
        departing = {kind(step["resource"]) for step in steps if step["departures"]}
        assert departing >= {"services", "subnet", "cluster", "node-pool", "model-server", "gateway", "backend-policy"}
        assert all(
            all(departure[part] for part in ("document", "mcig", "because"))
            for step in steps
            for departure in step["departures"]
        )
    hourly = {name: plan["usd_per_hour"] for name, plan in plans.items()}
    assert 1 < hourly["l4-budget"] < 5
    assert max(hourly, key=lambda name: hourly[name]) == "two-region-h100"


@pytest.mark.long
def test_the_documents_example_goes_up_changes_and_comes_down(terminal: Terminal) -> None:
    stack = "two-region-h100"
    terminal.mcig("apply", stack, *REHEARSED, "--yes", "--json", "--speed", "max")
    assert {step["action"] for step in terminal.mcig("plan", stack, "--json").document["steps"]} == {"no-op"}

    change = ("--set", "balancing.mode=IN_FLIGHT")
    planned = terminal.mcig("plan", stack, *change, "--json").document["steps"]
    (update,) = [step for step in planned if step["action"] == "update"]
    assert update["resource"] == "backend-policy"
    assert any("IN_FLIGHT" in str(item["after"]) for item in update["drift"])
    terminal.mcig("apply", stack, *change, "--yes", "--json")
    assert {step["action"] for step in terminal.mcig("plan", stack, "--json").document["steps"]} == {"no-op"}

    terminal.mcig("destroy", stack, "--yes")
    left = terminal.mcig("emulator", "status", "--json").document["resources"]
    assert {name.partition("/")[0] for name in left} == {"service", "binding"}, left


def test_departures_are_told_without_any_cloud(terminal: Terminal) -> None:
    printed = terminal.mcig("plan", "two-region-h100", "--departures").out
    assert printed.startswith("What differs from Google's guide, and why")
    assert max(map(len, printed.splitlines())) <= 80
    found = terminal.mcig("plan", "two-region-h100", "--departures", "--json").document
    assert len(found) == printed.count("\n  - ")
    terminal.mcig("emulator", "env", code=1)


def test_idle_gpus_are_said_aloud(terminal: Terminal) -> None:
    arguments = ("plan", "two-region-h100", *REHEARSED, "--set", "model.replicas=3")
    notes = terminal.mcig(*arguments, "--json").document["notes"]
    assert [note["path"] for note in notes] == ["model.replicas"] * 2 + ["clusters"]
    assert all(note["usd_per_hour"] > 10 for note in notes[:2])
    said = " ".join(terminal.mcig(*arguments).out.split())
    assert "Worth knowing" in said
    assert "3 GPUs of 6 on gke-west stay idle" in said


def test_a_preset_of_ones_own(terminal: Terminal, tmp_path: Path) -> None:
    mine = tmp_path / "file.yaml"
    mine.write_text(terminal.mcig("presets", "show", "rehearsal").out.replace("name: rehearsal\n", ""))
    assert "mcig apply mine" in terminal.mcig("presets", "save", "mine", str(mine)).out
    mine.write_text(mine.read_text().replace("timeout_s: 100", "timeout_s: 200"))
    refused = terminal.mcig("presets", "save", "mine", str(mine), code=2).err
    assert "another preset called mine" in refused
    assert "--yes" in refused
    terminal.mcig("presets", "save", "mine", str(mine), "--yes")
    assert "timeout_s: 200" in terminal.mcig("presets", "show", "mine").out

    folder = Path(terminal.mcig("presets", "path").out.strip())
    (folder / "broken.yaml").write_text("clusters: [\n")
    (folder / "photo.yaml").write_bytes(b"\xff\xd8")
    listed = terminal.mcig("presets", "list").out
    for words in ("mine", "(your own)", "broken", "cannot be used", "broken.yaml:", "UTF-8", "two-region-h100"):
        assert words in listed
    found = {item["name"]: item["error"] for item in terminal.mcig("presets", "list", "--json").document}
    assert found["mine"] is None
    assert "not valid YAML" in found["broken"]
    assert "name: mine" in terminal.mcig("presets", "show", "mine", "--set", "timeout_s=9").out
    terminal.mcig("presets", "show", "photo", code=2)


def test_a_saved_stack_of_the_same_name_is_pointed_out(terminal: Terminal, tmp_path: Path) -> None:
    terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max")
    mine = tmp_path / "file.yaml"
    mine.write_text(terminal.mcig("presets", "show", "l4-budget").out)
    said = terminal.mcig("presets", "save", "rehearsal", str(mine)).out
    assert "the stack rehearsal comes first" in said
    assert "rehearsal.yaml" in said
