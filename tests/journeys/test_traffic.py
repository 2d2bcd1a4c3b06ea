"""Traffic follows applied objects and faults, seen from outside: by kubectl, by clients and by Pods' counters."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter

import pytest

from tests.journeys.terminal import Terminal
from tests.journeys.traffic import Serving
from tests.warm.client import TIMEOUT_S

NEAR, FAR = "europe-west3", "us-east4"


@pytest.mark.long
def test_a_patched_policy_moves_traffic_within_seconds(terminal: Terminal) -> None:
    serving = Serving(terminal)
    assert serving.split(NEAR, 6) == {"gke-west": 6}

    serving.patch({"scopes": [{"selector": {"gke.io/region": NEAR}, "capacityScalerPercent": 0}]})
    serving.until(lambda: serving.split(NEAR, 6) == {"gke-east": 6})
    serving.patch({"scopes": None})
    serving.until(lambda: serving.split(NEAR, 6) == {"gke-west": 6})

    serving.patch({"timeoutSec": 1})
    slow = {"max_tokens": 150, "ignore_eos": True}
    serving.until(lambda: serving.asked(NEAR, **slow) == {504: 1})
    assert serving.asked(NEAR) == {200: 1}

    one = {"balancingMode": "IN_FLIGHT", "maxInFlightRequestsPerEndpoint": 1, "customMetrics": None}
    serving.patch({**one, "timeoutSec": 100})
    serving.until(lambda: serving.asked(NEAR, **slow) == {200: 1})
    assert set(serving.split(NEAR, 12, max_tokens=60, ignore_eos=True)) == {"gke-west", "gke-east"}


@pytest.mark.long
def test_a_region_goes_down_and_comes_back_and_loses_its_spot_machines(terminal: Terminal) -> None:
    serving = Serving(terminal)
    assert serving.split(FAR, 4) == {"gke-east": 4}
    terminal.mcig("emulator", "fault", "add", "region-down", f"region={FAR}")
    with pytest.raises(AssertionError, match=r"EOF|reset|connect"):
        serving.kubectl("gke-east", "get", "pods")

    def spilled() -> bool:
        before = serving.answered("gke-west")
        return serving.asked(FAR, 4) == {200: 4} and serving.answered("gke-west") - before == {"gke-west": 4}

    serving.until(spilled)
    terminal.mcig("emulator", "fault", "clear")
    serving.until(lambda: serving.split(FAR, 4) == {"gke-east": 4})

    before = servers(serving)
    terminal.mcig("emulator", "fault", "add", "spot-preemption", f"region={FAR}", "times=3")
    serving.until(lambda: not before & servers(serving))
    serving.until(lambda: serving.asked(FAR, 4) == {200: 4})


def servers(serving: Serving) -> set[str]:
    """The model servers of the far region, by name."""
    return set(serving.kubectl("gke-east", "get", "pods", "-l", "app=vllm-llama3-8b-instruct", "-o", "name").split())


def test_openais_client_and_curl_work_unchanged(terminal: Terminal) -> None:
    import openai

    base_url = Serving(terminal).doors[NEAR]
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        assert "food-review-1" in [model.id for model in client.models.list()]
        asked = client.completions.create(model="food-review-1", prompt="Best pizza?", max_tokens=20, temperature=0)
        assert asked.choices[0].text.startswith("[simulated]")
        assert asked.usage is not None
        assert asked.usage.completion_tokens == 20
        stream = client.chat.completions.create(
            model="food-review-1",
            messages=[{"role": "user", "content": "Best pizza?"}],
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = list(stream)
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices).startswith("[sim")
        assert pieces[-1].usage is not None
        with pytest.raises(openai.NotFoundError, match="The model `nobody` does not exist"):
            client.completions.create(model="nobody", prompt="x")
        with pytest.raises(openai.BadRequestError, match="maximum context length is 131072 tokens"):
            client.completions.create(model="food-review-1", prompt="pizza " * 140_000)

    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    body = json.dumps({"model": "food-review-1", "prompt": "Best pizza?", "max_tokens": 5})
    header = "Content-Type: application/json"
    command = [curl, "-sS", f"{base_url}/completions", "-H", header, "-d", body]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, env={}).stdout
    assert Counter(json.loads(answer)["usage"])["completion_tokens"] == 5
