"""A newcomer without any cloud account: from a preset to an answered prompt, and back to nothing."""

from tests.journeys.terminal import Terminal

REGIONS = ["europe-west3", "us-east4"]
PROMPT = "What is the best pizza in the world?"


def test_apply_prompt_plan_destroy(new_terminal: Terminal) -> None:
    applied = new_terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max").lines
    assert applied[0]["type"] == "run_started"
    assert (applied[-1]["type"], applied[-1]["outcome"]) == ("run_finished", "succeeded")
    (verify,) = [event for event in applied if event["type"] == "step_finished" and event["resource"] == "verify"]
    assert [answer["region"] for answer in verify["detail"]["answers"]] == REGIONS

    planned = new_terminal.mcig("plan", "rehearsal", "--detailed-exitcode", "--json").document
    assert {step["action"] for step in planned["steps"]} == {"no-op"}

    answers = new_terminal.mcig("prompt", "rehearsal", PROMPT, "--json").document
    assert [answer["region"] for answer in answers] == REGIONS
    for answer, cluster in zip(answers, ["gke-west", "gke-east"], strict=True):
        assert answer["status"] == 200
        assert answer["model"] == "food-review-1"
        assert answer["text"].strip()
        assert answer["served_by"]["cluster"] == cluster, "the nearest region answers"
        assert answer["served_by"]["pod"].startswith("vllm-llama3-8b-instruct-")
        assert answer["usage"]["completion_tokens"] > 0
        assert 0 < answer["ttft_s"] <= answer["total_s"]

    status = new_terminal.mcig("status", "rehearsal", "--json").document
    assert [address["region"] for address in status["addresses"]] == REGIONS
    assert all(address["base_url"].startswith("http://127.0.0.1:") for address in status["addresses"])

    new_terminal.mcig("destroy", "rehearsal", "--yes")
    left = new_terminal.mcig("emulator", "status", "--json").document["resources"]
    assert left
    assert {name.partition("/")[0] for name in left} == {"service"}, "nothing but enabled APIs is left"


def test_plain_output_tells_what_happened_and_what_comes_next(terminal: Terminal) -> None:
    printed = terminal.mcig("apply", "rehearsal", "--plain", "--yes", "--speed", "max").out
    assert "food-review-1" in printed
    for cluster in ("gke-west", "gke-east"):
        assert cluster in printed
    assert "mcig prompt rehearsal" in printed
    assert "mcig destroy rehearsal" in printed
    assert "\x1b[" not in printed, "no colour codes where the output is no terminal"
    assert max(map(len, printed.splitlines())) <= 120


def test_the_token_is_nowhere_on_the_disk_or_on_the_screen(terminal: Terminal) -> None:
    terminal.environ["HF_TOKEN"] = "hf_" + "do-not-leak" * 2
    printed = terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max")
    secret = terminal.environ["HF_TOKEN"]
    assert secret not in printed.out + printed.err
    leaks = [str(path) for path in terminal.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert leaks == []
