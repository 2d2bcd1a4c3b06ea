"""A newcomer without any cloud account: from a preset to an answered prompt, and back to nothing."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from backend.lock import Owner
from backend.places import Places
from tests.journeys.terminal import Terminal

REGIONS = ["europe-west3", "us-east4"]
PROMPT = "What is the best pizza in the world?"
TOKEN = "hf_" + "do-not-leak" * 2


def leaks(terminal: Terminal) -> list[str]:
    """The files of a home that hold the token."""
    return [str(path) for path in terminal.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_apply_prompt_plan_destroy(new_terminal: Terminal, terminal: Terminal) -> None:
    """The first command loads everything itself, as a person's does; both terminals have one home."""
    new_terminal.environ["HF_TOKEN"] = terminal.environ["HF_TOKEN"] = TOKEN
    printed = new_terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max")
    assert TOKEN not in printed.out + printed.err
    assert leaks(terminal) == []
    applied = printed.lines
    assert applied[0]["type"] == "run_started"
    assert (applied[-1]["type"], applied[-1]["outcome"]) == ("run_finished", "succeeded")
    (verify,) = [event for event in applied if event["type"] == "step_finished" and event["resource"] == "verify"]
    assert [answer["region"] for answer in verify["detail"]["answers"]] == REGIONS

    planned = terminal.mcig("plan", "rehearsal", "--detailed-exitcode", "--json").document
    assert {step["action"] for step in planned["steps"]} == {"no-op"}

    answers = terminal.mcig("prompt", "rehearsal", PROMPT, "--json").document
    assert [answer["region"] for answer in answers] == REGIONS
    for answer, cluster in zip(answers, ["gke-west", "gke-east"], strict=True):
        assert answer["status"] == 200
        assert answer["model"] == "food-review-1"
        assert answer["text"].strip()
        assert answer["served_by"]["cluster"] == cluster, "the nearest region answers"
        assert answer["served_by"]["pod"].startswith("vllm-llama3-8b-instruct-")
        assert answer["usage"]["completion_tokens"] > 0
        assert 0 < answer["ttft_s"] <= answer["total_s"]

    status = terminal.mcig("status", "rehearsal", "--json").document
    assert [address["region"] for address in status["addresses"]] == REGIONS
    assert all(address["base_url"].startswith("http://127.0.0.1:") for address in status["addresses"])

    elsewhere = replace(Owner.me(), host="elsewhere", user="somebody")
    Places.of(terminal.environ).lock("rehearsal").write_text(json.dumps(asdict(elsewhere)))
    destroyed = terminal.mcig("destroy", "rehearsal", "--yes", "--take-over").out
    assert f"taking over from a run on another host: {elsewhere}" in destroyed
    left = terminal.mcig("emulator", "status", "--json").document["resources"]
    assert left
    shared = {"service", "binding"}
    assert {name.partition("/")[0] for name in left} == shared, "only enabled APIs and the controller's role are left"


def test_plain_output_tells_what_happened_and_what_comes_next(terminal: Terminal) -> None:
    terminal.environ["HF_TOKEN"] = TOKEN
    applied = terminal.mcig("apply", "rehearsal", "--plain", "--yes", "--speed", "max")
    printed = applied.out
    assert "food-review-1" in printed
    for cluster in ("gke-west", "gke-east"):
        assert cluster in printed
    assert "mcig prompt rehearsal" in printed
    assert "mcig destroy rehearsal" in printed
    assert 'eval "$(mcig emulator env)"  # then kubectl finds the clusters' in printed
    kubeconfig = Path(terminal.mcig("emulator", "env", "--json").document["KUBECONFIG"])
    assert "name: gke_demo-project_europe-west3_gke-west" in kubeconfig.read_text()
    assert "\x1b[" not in printed, "no colour codes where the output is no terminal"
    assert max(map(len, printed.splitlines())) <= 120
    assert TOKEN not in printed + applied.err
    assert leaks(terminal) == []
