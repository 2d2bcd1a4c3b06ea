"""What a person reads of an answer, and of one that did not come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.clients.answers import Answer, ServedBy
from tui.exchange import Exchange, spread, told
from tui.refusals import meaning


def answer(status: int, error: str = "", text: str = "", pod: str | None = "vllm-a-pod1") -> Answer:
    by = None if pod is None else ServedBy("gke-west", pod)
    return Answer(status, "10.0.0.1", "europe-west3", "food-review-1", "id", text=text, error=error, served_by=by)


def shown(given: Answer) -> str:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    exchange = Exchange("hello", given.model, given.region, given.address, at, text=given.text, answer=given)
    return told(exchange, going_on=False).plain


@pytest.mark.parametrize(
    ("status", "error", "cause", "fix"),
    [
        (503, "no healthy upstream", "no model server is ready in any region\n", "mcig status"),
        (503, "upstream connect error", "or all of them are full", "mcig status"),
        (502, "no connection to 10.0.0.1:80: refused", "nobody answers at the gateway's address", "mcig status"),
        (504, "upstream request timeout", "longer than the gateway's timeout, `timeout_s`", "fewer tokens"),
        (429, "queue is full", "every model server is full", "in a moment"),
        (404, "The model `nobody` does not exist.", "no model server serves", "choose another"),
        (404, "fault filter abort", "the gateway has no backend for the request", "mcig status"),
        (418, "short and stout", "does not say why", "mcig status"),
    ],
)
def test_a_refusal_says_what_the_gateway_said_why_and_what_next(status: int, error: str, cause: str, fix: str) -> None:
    text = shown(answer(status, error, pod=None))
    assert f"✗ {status}  {error}\n" in text
    assert "unknown Pod" not in text, "nobody served it"
    assert cause in text.partition("cause: ")[2]
    assert fix in text.partition("fix: ")[2]


def test_an_answer_that_was_cut_off_keeps_its_words() -> None:
    cut = answer(200, "it broke off after 2.0 s, in the middle", text="The best pizza")
    text = shown(cut)
    assert "The best pizza" in text
    assert "✗ 200, cut off  it broke off after 2.0 s, in the middle\n  served by vllm-a-pod1 on" in text
    assert "the model server failed" in text
    assert "took longer than the gateway's timeout" in shown(replace(cut, timed_out=True))


def test_an_answer_in_full_has_neither_cause_nor_fix() -> None:
    text = shown(answer(200, text="Naples"))
    assert "cause:" not in text
    assert "served by vllm-a-pod1 on gke-west" in text


def test_many_answers_are_counted_by_pod_and_failures_told_once() -> None:
    refused = answer(503, "none", pod=None)
    text = spread([answer(200, text="a"), refused, refused], 4).plain
    assert "3 of 4 asked, 2 failed" in text
    assert "gke-west …pod1" in text
    assert text.count(meaning(refused).cause) == 1
