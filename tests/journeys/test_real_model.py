"""A real model answers through the gateway; only where the extra `real-model` and its weights are installed."""

from __future__ import annotations

import json
import urllib.request

import pytest

from backend.emulator.realmodel.client import MARK
from backend.emulator.realmodel.weights import missing
from tests.journeys.terminal import Terminal
from tests.journeys.traffic import Serving

pytestmark = [pytest.mark.long, pytest.mark.skipif(missing() is not None, reason=f"no real model: {missing()}")]


def test_the_real_model_knows_the_capital_of_france(terminal: Terminal) -> None:
    serving = Serving(terminal)
    answers = [answer(serving)]
    assert answers[0].startswith("[simulated]")
    terminal.mcig("emulator", "set", "real-model=on")

    def real() -> bool:
        answers.append(answer(serving))
        return answers[-1].startswith(MARK)

    serving.until(real)
    assert "Paris" in answers[-1]
    terminal.mcig("emulator", "set", "real-model=off")
    serving.until(lambda: not real())


def answer(serving: Serving) -> str:
    """What is answered through the near address."""
    wanted = {"model": "food-review-1", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    url, header = f"{serving.doors['europe-west3']}/chat/completions", {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(wanted).encode(), header)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        text: str = json.load(response)["choices"][0]["message"]["content"]
    return text
