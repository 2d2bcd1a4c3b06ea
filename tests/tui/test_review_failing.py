"""A plan that cannot be made: why, what to do, and another try, without an empty page around it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from backend.engine.events import Verb
from backend.engine.plan import Plan
from backend.errors import CloudError
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.tui.screens import Stage, until, until_said
from tui.screens.review import ReviewScreen


class Moody:
    """A stack whose cloud does not answer until it is well again."""

    def __init__(self, spec: GatewaySpec) -> None:
        self.spec, self.well = spec, False
        self.connection = SimpleNamespace(description="the emulated cloud", speed=40.0)

    def get_ready(self, plan: Plan) -> None:
        """Nothing is going to be carried out."""

    async def plan(self, verb: Verb = Verb.APPLY) -> Plan:
        if not self.well:
            raise CloudError("the API does not answer", cause="the network is gone", fix="look at the network")
        return Plan(verb, ())

    def adopted(self, plan: Plan, *, left: bool = False) -> tuple[str, ...]:
        del plan, left
        return ()

    def notes_on(self, plan: Plan) -> tuple[str, ...]:
        del plan
        return ()


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_plan_that_cannot_be_made_says_why_and_is_made_again(spec: GatewaySpec, size: tuple[int, int]) -> None:
    stack = Moody(spec)
    review = ReviewScreen(cast("Stack", stack), verb=Verb.DESTROY)
    app = Stage(review)
    async with app.run_test(size=size) as pilot:
        await until_said(
            pilot, "failed the API does not answer", "cause the network is gone", "fix look at the network"
        )
        assert not review.body.tabs.display
        stack.well = True
        await pilot.click("#look")
        await until_said(pilot, "Nothing to do: all is as wanted.")
        await until(pilot, lambda: review.body.tabs.display and not review.query_one("#look").display)
