"""The prompt panel: answers stream in and stay, wrong parameters are refused, and answers spread over Pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.address import Address
from backend.clients.answers import Answer, Ask, ServedBy
from backend.errors import PromptError
from backend.prompting import PromptListener
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.tui.screens import Stage, same_as_kept, text_of, until, until_said
from tui.screens.prompt import MANY, PromptScreen

SIZES = [(80, 24), (120, 36)]
ADDRESSES = (
    Address("europe-west3", "10.156.13.38", "http://10.156.13.38/v1"),
    Address("us-east4", "10.150.15.79", "http://10.150.15.79/v1"),
)


class Gateway:
    """Answers as a stack's gateway does, word by word; ``hold`` keeps the last word back."""

    def __init__(self, spec: GatewaySpec) -> None:
        self.spec = spec
        self.connection = SimpleNamespace(speed=None, description="Google Cloud project p")
        self.asked: list[dict[str, Any]] = []
        self.error: PromptError | None = None
        self.hold: asyncio.Event | None = None
        self.hold_each: asyncio.Event | None = None
        """Keeps back the second of many."""

    async def addresses(self) -> tuple[Address, ...]:
        return ADDRESSES

    async def prompt(
        self,
        text: str,
        *,
        region: str | None = None,
        count: int = 1,
        listener: PromptListener | None = None,
        each: Callable[[Answer], None] | None = None,
        **wishes: Any,
    ) -> list[Answer]:
        self.asked.append({"text": text, "region": region, "count": count, **wishes})
        answers = []
        for address in ADDRESSES if region is None else [one for one in ADDRESSES if one.region == region]:
            for number in range(count):
                answers.append(await self._answer(address, number, wishes, listener))
                if each is not None:
                    each(answers[-1])
                    if self.hold_each is not None:
                        await self.hold_each.wait()
        return answers

    def curl(self, text: str, base_url: str, *, model: str, **wishes: Any) -> str:
        del wishes
        return Ask(text, model).curl(base_url)

    async def _answer(
        self, address: Address, number: int, wishes: dict[str, Any], listener: PromptListener | None
    ) -> Answer:
        if listener is not None:
            listener.begins(address)
            listener.token("Naples, ")
            await asyncio.sleep(0)
            if self.hold is not None:
                await self.hold.wait()
            listener.token("it is said.")
        if self.error is not None:
            raise self.error
        cluster = "gke-west" if address.region == "europe-west3" else "gke-east"
        answer = Answer(
            status=200,
            address=address.address,
            region=address.region,
            model=wishes["model"],
            request_id="r",
            text="Naples, it is said.",
            usage={"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16},
            ttft_s=0.1,
            total_s=0.2,
            way_s=0.04,
            served_by=ServedBy(cluster, f"vllm-llama3-8b-instruct-abc-pod{number % 2}"),
        )
        if listener is not None:
            listener.ends(answer)
        return answer


class Panel(Stage):
    """The panel alone."""

    def __init__(self, gateway: Gateway) -> None:
        self.panel = PromptScreen(cast("Stack", gateway))
        super().__init__(self.panel)


@pytest.fixture
def gateway(spec: GatewaySpec) -> Gateway:
    return Gateway(spec)


@pytest.mark.parametrize("size", SIZES)
async def test_an_answer_through_every_address_at_both_sizes(gateway: Gateway, size: tuple[int, int]) -> None:
    app = Panel(gateway)
    async with app.run_test(size=size) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        app.panel.entry.cursor_blink = False
        await same_as_kept(pilot, "prompt")
    assert gateway.asked == [
        {
            "text": "What is the best pizza in the world?",
            "region": None,
            "count": 1,
            "model": "food-review-1",
            "max_tokens": 64,
            "temperature": 0.0,
            "objective": True,
        }
    ]


async def test_words_are_shown_as_they_come_and_stay_when_it_is_stopped(gateway: Gateway) -> None:
    gateway.hold = asyncio.Event()
    app = Panel(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until_said(pilot, "Naples,▌")
        await pilot.press("escape")
        await until_said(pilot, "Naples", "■ stopped")
        assert app.screen is app.panel


async def test_many_that_are_stopped_say_so_and_escape_says_what_it_does(gateway: Gateway) -> None:
    gateway.hold_each = asyncio.Event()
    app = Panel(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "esc Back")
        await pilot.press("f6")
        await until_said(pilot, "1 of 40 asked", "esc Stop")
        await pilot.press("escape")
        await until_said(pilot, "1 of 40 asked, stopped", "esc Back")
        assert app.screen is app.panel


async def test_a_failure_names_cause_and_fix(gateway: Gateway) -> None:
    gateway.error = PromptError("the relay did not answer", cause="its Pod has ended", fix="run it again")
    app = Panel(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5")
        await until_said(pilot, "✗ the relay did not answer", "cause: its Pod has ended", "fix: run it again")


@pytest.mark.parametrize(("field", "value"), [("#tokens", "0"), ("#tokens", ""), ("#temperature", "3")])
async def test_parameters_that_cannot_be_are_refused_at_their_field(gateway: Gateway, field: str, value: str) -> None:
    app = Panel(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        app.panel.query_one(field).value = value  # type: ignore[attr-defined]
        await pilot.press("f5")
        await until(pilot, lambda: app.focused is not None and f"#{app.focused.id}" == field)
    assert gateway.asked == []


async def test_an_empty_prompt_is_not_sent_and_lines_and_unicode_are(gateway: Gateway) -> None:
    app = Panel(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        app.panel.entry.text = "  \n "
        await pilot.press("enter")
        assert gateway.asked == []
        app.panel.entry.text = "Qual [/b] é a melhor"
        app.panel.entry.move_cursor((0, 99))
        await pilot.press("alt+enter", *"pizza?", "enter")
        await app.workers.wait_for_complete()
        app.panel.tabs.active = "history"
        await until(pilot, lambda: "Qual [/b] é a melhor" in text_of(app).split("From an app")[1])
    assert gateway.asked[0]["text"] == "Qual [/b] é a melhor\npizza?"


async def test_many_prompts_show_how_they_spread_over_pods(gateway: Gateway) -> None:
    app = Panel(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await until_said(pilot, f"{2 * MANY} of {2 * MANY} asked", "gke-west …pod0", "10 50 %")
    assert gateway.asked[0]["count"] == MANY


async def test_history_keeps_what_was_asked_and_shows_it_again(gateway: Gateway) -> None:
    app = Panel(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: app.panel.history.row_count == 2)
        app.panel.tabs.active = "history"
        app.panel.history.focus()
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.panel.tabs.active == "answer")
        await until_said(pilot, "us-east4 10.150.15.79")


async def test_an_application_is_told_how_to_reach_it(gateway: Gateway) -> None:
    app = Panel(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_said(pilot, "Enter asks")
        await pilot.press("f8", "f7")
        await until_said(pilot, "private to the VPC network", 'base_url="http://10.156.13.38/v1"')
    assert app.copied[0].startswith("curl -sN http://10.156.13.38/v1/completions")
