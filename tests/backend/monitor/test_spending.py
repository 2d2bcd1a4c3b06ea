"""What a watched stack costs, and what is not known of it."""

from __future__ import annotations

from collections.abc import Sequence

from backend.errors import Unavailable
from backend.money import Standing
from backend.monitor.spending import EVERY_S, Spending
from backend.spec import GatewaySpec


async def test_nothing_that_stands_and_nothing_that_answers_are_unknown_and_never_zero(spec: GatewaySpec) -> None:
    answers: list[Sequence[Standing] | Unavailable] = [(), Unavailable("no answer")]
    clock = [0.0]

    async def standing() -> Sequence[Standing]:
        found = answers.pop(0)
        if isinstance(found, Unavailable):
            raise found
        return found

    spending = Spending(spec, standing, rehearsed=True, clock=lambda: clock[0])
    for _ in range(2):
        cost = await spending()
        assert (cost.spent_usd, cost.guard_passed) == (None, None)
        assert cost.usd_per_hour > 1
        clock[0] += EVERY_S
    assert answers == []
