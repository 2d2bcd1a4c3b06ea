"""A gateway whose addresses could not be read at first is asked all the same, and then told to applications."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from backend.address import Address
from backend.clients.answers import Answer
from backend.errors import CloudError
from backend.prompting import PromptListener
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.tui.screens import Stage, until_said
from tui.screens.prompt import PromptScreen

ADDRESS = Address("us-east4", "10.150.15.79", "http://10.150.15.79/v1")


class Late:
    """A stack whose cluster does not answer the first time, and then by a gateway without model servers."""

    def __init__(self, spec: GatewaySpec) -> None:
        self.spec, self.asked = spec, 0
        self.connection = SimpleNamespace(description="the emulated cloud", speed=None)

    async def addresses(self) -> tuple[Address, ...]:
        self.asked += 1
        if self.asked == 1:
            raise CloudError("no answer from the cluster's API server", fix="wait until it is back")
        return (ADDRESS,)

    async def prompt(self, text: str, *, listener: PromptListener, **chosen: Any) -> None:
        del text
        listener.begins(ADDRESS)
        error = "no healthy upstream"
        listener.ends(Answer(503, ADDRESS.address, ADDRESS.region, chosen["model"], "id", error=error))

    def curl(self, text: str, base: str, **chosen: Any) -> str:
        del chosen
        return f"curl {base} {text}"


async def test_it_is_asked_once_more_and_a_refusal_says_why(spec: GatewaySpec) -> None:
    app = Stage(PromptScreen(cast("Stack", Late(spec))))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "no answer from the cluster's API server", "wait until it is back")
        await pilot.press("f8")
        await until_said(pilot, "addresses are not known yet")
        await pilot.press("enter")
        await until_said(pilot, "✗ 503 no healthy upstream", "no model server is ready in any region")
        await pilot.press("f8")
        await until_said(pilot, 'base_url="http://10.150.15.79/v1"')
