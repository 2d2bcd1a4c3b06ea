"""The tree of reasons: what it says while it looks, of what is not ready, and where nothing can be asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import McigError, Unavailable
from backend.explain.tree import Node, State
from tests.tui.screens import Stage, same_as_kept, text_of, until_said
from tui.screens.why import WhyScreen

SIZES = {"80x24": (80, 24), "120x36": (120, 36)}
CRASHING = Node(
    "Pod/vllm-0",
    State.NOT_READY,
    said="Back-off restarting failed container vllm",
    known_as="crash-loop",
    cause="the container ends soon after it starts; its last words say why",
    fix="kubectl logs vllm-0 -n default --previous",
)
TREE = Node(
    "rehearsal",
    State.NOT_READY,
    children=(
        Node("fleet", State.READY, children=(Node("membership/gke-west", State.READY),)),
        Node("cluster/gke-west", State.NOT_READY, children=(CRASHING, Node("Pod/vllm-1", State.READY))),
        Node("cluster/gke-east", State.UNKNOWN, said="no answer within 4 s", cause="the region is down", fix="wait"),
    ),
)


class Explained:
    """A stack of which reasons are told when the test lets them."""

    spec = SimpleNamespace(name="rehearsal")

    def __init__(self, *told: Node | McigError) -> None:
        self.told = list(told)
        self.may_tell = asyncio.Event()

    async def explain(self) -> Node:
        await self.may_tell.wait()
        self.may_tell.clear()
        found = self.told.pop(0)
        if isinstance(found, McigError):
            raise found
        return found


def staged(stack: Explained) -> Stage:
    as_stack: Any = stack
    return Stage(WhyScreen(as_stack))


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_not_ready_is_open_and_told_with_cause_and_fix(size: str) -> None:
    stack = Explained(TREE)
    stack.may_tell.set()
    async with staged(stack).run_test(size=SIZES[size]) as pilot:
        await until_said(pilot, "2 not ready", "its last words say why")
        await same_as_kept(pilot, "why")


async def test_nothing_is_called_well_before_it_was_looked_at() -> None:
    stack = Explained(TREE)
    app = staged(stack)
    async with app.run_test(size=SIZES["80x24"]) as pilot:
        await until_said(pilot, "rehearsal: looking …")
        assert "as it should be" not in text_of(app)
        stack.may_tell.set()
        await until_said(pilot, "Back-off restarting")
        await pilot.press("up", "up")
        await until_said(pilot, "as it should be")


async def test_next_goes_round_and_the_fix_is_copied() -> None:
    stack = Explained(TREE)
    stack.may_tell.set()
    app = staged(stack)
    async with app.run_test(size=SIZES["80x24"]) as pilot:
        await until_said(pilot, "its last words say why")
        await pilot.press("n", "y")
        await until_said(pilot, "the region is down")
        await pilot.press("n")
        await until_said(pilot, "its last words say why")
        await pilot.press("y")
        assert app.copied == ["wait", "kubectl logs vllm-0 -n default --previous"]


async def test_a_look_that_fails_is_told_and_another_one_may_succeed() -> None:
    stack = Explained(Unavailable("nobody answers", fix="wait a minute"), Node("rehearsal", State.READY))
    stack.may_tell.set()
    async with staged(stack).run_test(size=SIZES["80x24"]) as pilot:
        await until_said(pilot, "✗ nobody answers wait a minute")
        await pilot.press("r")
        await until_said(pilot, "rehearsal: looking …")
        stack.may_tell.set()
        await until_said(pilot, "everything is ready")
