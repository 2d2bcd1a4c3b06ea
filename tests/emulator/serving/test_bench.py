"""The load generator behind an emulated `vllm bench serve`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.serving.bench import Answer, parser, percentile, prompt_of, report, run
from backend.emulator.serving.modelserver_client import ModelServerProcess


@pytest.fixture
async def server() -> AsyncIterator[str]:
    process, ports = ModelServerProcess(), asyncio.Queue[int]()

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "started":
            ports.put_nowait(event["port"])

    order = {"uid": "p", "image": "vllm/vllm-openai:v0.8.5", "words": ["vllm", "serve", "m"], "env": {}}
    await process.add({**order, "container": "c", "syncer": None, "adapters": []}, hear)
    yield f"http://127.0.0.1:{await ports.get()}"
    await process.stop()


async def test_every_request_is_answered_measured_and_reported(server: str) -> None:
    options = parser().parse_args(
        f"--base-url {server} --model m --num-prompts 6 --request-rate 200 --ignore-eos "
        "--random-input-len 30 --random-output-len 5".split()
    )
    answers, seconds = await run(options)
    assert [answer.ok for answer in answers] == [True] * 6
    assert {answer.tokens for answer in answers} == {5}
    assert all(25 <= answer.prompt_tokens <= 40 for answer in answers)
    assert all(0 < answer.ttft < answer.latency <= seconds for answer in answers)
    lines: list[str] = []
    report(answers, seconds, lines.append)
    told = dict(line.rsplit(":", 1) for line in lines if ":" in line)
    assert int(told["Successful requests"]) == 6
    assert int(told["Total generated tokens"]) == 30
    assert float(told["Median TTFT (ms)"]) > 0


async def test_what_the_server_refuses_is_an_error_and_no_crash(server: str) -> None:
    options = parser().parse_args(["--base-url", server, "--model", "other", "--num-prompts", "2"])
    answers, _ = await run(options)
    assert [(answer.ok, answer.error) for answer in answers] == [(False, "404 Not Found")] * 2
    lines: list[str] = []
    report(answers, 1.0, lines.append)
    assert any(line.startswith("Successful requests:") and line.split()[-1] == "0" for line in lines)


async def test_a_server_that_is_not_there_is_an_error_of_each_request() -> None:
    options = parser().parse_args(["--base-url", "http://127.0.0.1:9", "--model", "m", "--num-prompts", "2"])
    answers, _ = await run(options)
    assert [answer.ok for answer in answers] == [False, False]


def test_prompts_begin_differently_and_are_the_same_again() -> None:
    assert prompt_of(20, 1) == prompt_of(20, 1)
    assert prompt_of(20, 1)[:30] != prompt_of(20, 2)[:30]
    assert len(prompt_of(50, 3).split()) == 50


@given(st.lists(st.floats(0, 1000), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_among_the_values(values: list[float], share: float) -> None:
    assert min(values) <= percentile(values, share) * (1 + 1e-12) and percentile(values, share) <= max(values) + 1e-9


def test_no_answers_make_a_report_too() -> None:
    lines: list[str] = []
    report([Answer(error="x")], 2.0, lines.append)
    assert lines[0].strip("=") == " Serving Benchmark Result "
