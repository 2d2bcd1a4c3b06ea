"""The prompt panel: answers stream in and stay, wrong parameters are refused, and answers spread over Pods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.app import App

from backend.clients.inference import Answer, Ask, ServedBy
from backend.errors import PromptError
from backend.prompting import PromptListener
from backend.spec import GatewaySpec
from backend.stack import Stack
from backend.status import Address
from tests.tui.screens import same_as_kept, text_of
from tui.screens.prompt import MANY, PromptScreen
from tui.themes import DEFAULTS, THEMES

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


class Stage(App[None]):
    """The panel alone."""

    CSS_PATH = Path(__file__).parents[2] / "tui" / "mcig.tcss"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
        self.panel = PromptScreen(cast("Stack", gateway))
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def on_mount(self) -> None:
        self.push_screen(self.panel, lambda _: self.exit())


@pytest.fixture
def gateway(spec: GatewaySpec) -> Gateway:
    return Gateway(spec)


@pytest.mark.parametrize("size", SIZES)
async def test_an_answer_through_every_address_at_both_sizes(gateway: Gateway, size: tuple[int, int]) -> None:
    app = Stage(gateway)
    async with app.run_test(size=size) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        app.panel.entry.cursor_blink = False
        await pilot.pause(0.2)
        same_as_kept("prompt", app)
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
    app = Stage(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert "Naples,▌" in text_of(app)
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        await pilot.pause(0.2)
        assert app.screen is app.panel
        assert "Naples" in text_of(app)
        assert "■ stopped" in text_of(app)


async def test_a_failure_names_cause_and_fix(gateway: Gateway) -> None:
    gateway.error = PromptError("the relay did not answer", cause="its Pod has ended", fix="run it again")
    app = Stage(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5")
        await app.workers.wait_for_complete()
        await pilot.pause(0.2)
        shown = text_of(app)
    for said in ("✗ the relay did not answer", "cause: its Pod has ended", "fix: run it again"):
        assert said in shown


@pytest.mark.parametrize(("field", "value"), [("#tokens", "0"), ("#tokens", ""), ("#temperature", "3")])
async def test_parameters_that_cannot_be_are_refused_at_their_field(gateway: Gateway, field: str, value: str) -> None:
    app = Stage(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        app.panel.query_one(field).value = value  # type: ignore[attr-defined]
        await pilot.press("f5")
        await pilot.pause()
        assert app.focused is not None
        assert f"#{app.focused.id}" == field
    assert gateway.asked == []


async def test_an_empty_prompt_is_not_sent_and_lines_and_unicode_are(gateway: Gateway) -> None:
    app = Stage(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        app.panel.entry.text = "  \n "
        await pilot.press("enter")
        assert gateway.asked == []
        app.panel.entry.text = "Qual [/b] é a melhor"
        app.panel.entry.move_cursor((0, 99))
        await pilot.press("alt+enter", *"pizza?", "enter")
        await app.workers.wait_for_complete()
        app.panel.tabs.active = "history"
        await pilot.pause()
        assert "Qual [/b] é a melhor" in text_of(app)
    assert gateway.asked[0]["text"] == "Qual [/b] é a melhor\npizza?"


async def test_many_prompts_show_how_they_spread_over_pods(gateway: Gateway) -> None:
    app = Stage(gateway)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("f6")
        await app.workers.wait_for_complete()
        await pilot.pause(0.2)
        shown = text_of(app)
    assert gateway.asked[0]["count"] == MANY
    assert f"{2 * MANY} of {2 * MANY} answered" in shown
    assert "gke-west …pod0" in shown
    assert "10  50 %" in shown


async def test_history_keeps_what_was_asked_and_shows_it_again(gateway: Gateway) -> None:
    app = Stage(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert app.panel.history.row_count == 2
        app.panel.tabs.active = "history"
        app.panel.history.focus()
        await pilot.press("down", "enter")
        await pilot.pause(0.2)
        assert app.panel.tabs.active == "answer"
        assert "us-east4" in text_of(app)


async def test_an_application_is_told_how_to_reach_it(gateway: Gateway) -> None:
    copied: list[str] = []
    app = Stage(gateway)
    async with app.run_test(size=(120, 36)) as pilot:
        app.copy_to_clipboard = copied.append  # type: ignore[assignment,method-assign]
        await app.workers.wait_for_complete()
        await pilot.press("f8", "f7")
        await pilot.pause()
        shown = text_of(app)
    assert "private to the VPC network" in shown
    assert 'base_url="http://10.156.13.38/v1"' in shown
    assert copied[0].startswith("curl -sN http://10.156.13.38/v1/completions")
