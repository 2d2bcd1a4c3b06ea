"""The plan review, on a plan made against an emulated cloud: what it shows, and what its keys ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine.events import Action, Verb
from backend.engine.plan import Plan, PlannedStep
from backend.engine.resource import About, ResourceId, Step
from backend.places import Places
from backend.preflight.findings import Finding, Topic, Verdict
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.tui.screens import Stage, same_as_kept, until, until_said
from tui.screens.question import Question, TypedQuestion
from tui.screens.review import ReviewScreen

SIZES = [(80, 24), (120, 36)]
QUOTA = Finding(
    "quota/us-east4/PREEMPTIBLE_NVIDIA_H100_GPUS",
    Verdict.FAIL,
    "us-east4 may have 0 H100 GPUs and 6 are needed",
    "node pools fail without them",
    "ask for 6 at https://console.cloud.google.com/iam-admin/quotas",
    Topic.GPU,
)


@pytest.fixture
async def stack(spec: GatewaySpec, connection: Connection, clients: Clients, tmp_path: Path) -> Stack:
    """A stack of which nothing is there yet."""
    spec = spec.model_copy(update={"project": connection.project})

    def rows(of: GatewaySpec) -> Any:
        return declare(of, clients, hf_token=None, kubeconfig=tmp_path / "kubeconfig")

    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    return Stack(spec, connection=connection, clients=clients, declare=rows, places=places)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    """The plan that was made, once it was."""
    return []


@pytest.fixture
async def made(stack: Stack, plans: list[Plan]) -> Plan:
    """What a stack of which nothing is there yet plans; the same every time."""
    if not plans:
        plans.append(await stack.plan())
    return plans[0]


class Reviewing(Stage):
    """The review alone; keeps what it asks for."""

    def __init__(self, review: ReviewScreen) -> None:
        super().__init__(review)
        self.review, self.asked = review, list[str]()

    def on_review_screen_start(self, event: ReviewScreen.Start) -> None:
        self.asked.append(f"start {len(event.plan.changes)}")
        self.asked += [f"ignoring {name}" for name in event.ignore]

    def on_review_screen_save(self) -> None:
        self.asked.append("save")

    def on_review_screen_export(self) -> None:
        self.asked.append("export")

    def on_review_screen_back(self) -> None:
        self.asked.append("back")


@pytest.mark.parametrize("size", SIZES)
async def test_the_plan_at_both_sizes(stack: Stack, made: Plan, size: tuple[int, int]) -> None:
    app = Reviewing(ReviewScreen(stack, made, []))
    async with app.run_test(size=size) as pilot:
        await pilot.press("down", "down")
        await same_as_kept(pilot, "review")


async def test_it_looks_by_itself_where_no_plan_is_given(stack: Stack) -> None:
    app = Reviewing(ReviewScreen(stack, verb=Verb.DESTROY))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "Nothing to do")
        assert app.review.plan is not None
        await pilot.press("s")
        assert app.asked == []


async def test_every_step_has_its_command_and_every_departure_its_reason(stack: Stack, made: Plan) -> None:
    app = Reviewing(ReviewScreen(stack, made, []))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("y", "down", "y")
        for _ in made.changes:
            app.review.body.steps.action_go(1)
            app.review.action_copy()
        await pilot.press("3")
        await until_said(pilot, "because")
        await pilot.press("4")
        await until_said(pilot, "clusters")
    assert len(set(app.copied)) > len(made.changes) / 2
    assert any(command.startswith("gcloud container clusters create gke-west") for command in app.copied)


async def test_keys_and_mouse_ask_for_the_same(stack: Stack, made: Plan) -> None:
    app = Reviewing(ReviewScreen(stack, made, []))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w", "x")
        await pilot.click("#save")
        await pilot.press("s")
        await until(pilot, lambda: len(app.asked) == 4)
        await pilot.press("escape")
    assert app.asked == ["save", "export", "save", f"start {len(made.changes)}", "back"]


async def test_a_check_that_fails_is_asked_about_before_the_start(stack: Stack, made: Plan) -> None:
    app = Reviewing(ReviewScreen(stack, made, [QUOTA]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "Checks ✗ 1 fail")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("escape")
        assert QUOTA.fix is not None
        await until_said(pilot, QUOTA.fix)
        assert app.asked == [], "the checks are shown in place of the start"
        await pilot.press("s")
        await until_said(pilot, "Start all the same")
        await pilot.click("#yes")
        await until(pilot, lambda: bool(app.asked))
    assert app.asked == [f"start {len(made.changes)}", f"ignoring {QUOTA.id}"]


def api(name: str) -> Finding:
    told = f"{name} is off; the first step of `mcig apply` turns it on"
    fix = f"gcloud services enable {name}.googleapis.com --project=p"
    return Finding(f"api/{name}.googleapis.com", Verdict.WARN, told, "it is needed", fix, Topic.PROJECT)


async def test_findings_of_one_kind_are_one_line_that_opens_and_alarm_nobody(stack: Stack, made: Plan) -> None:
    app = Reviewing(ReviewScreen(stack, made, [api("container"), api("gkehub"), api("iam")]))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        folded = await until_said(pilot, "Checks ✓", "3 APIs are off; the first step turns them on")
        assert "gkehub is off" not in folded
        await pilot.press("y", "enter")
        await until_said(pilot, "gkehub is off")
    assert app.copied == [
        "gcloud services enable container.googleapis.com gkehub.googleapis.com iam.googleapis.com --project=p"
    ]


async def test_a_check_that_fails_is_copied_and_ignored_by_key(stack: Stack, made: Plan) -> None:
    review = ReviewScreen(stack, made, [QUOTA, api("iam")])
    app = Reviewing(review)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2", "y", "i")
        await until_said(pilot, "✗ ignored", "Checks ✓")
        await pilot.press("s")
        await until(pilot, lambda: bool(app.asked))
    assert app.copied == [QUOTA.fix]
    assert app.asked == [f"start {len(made.changes)}", f"ignoring {QUOTA.id}"]


async def test_an_adopted_cluster_goes_only_after_its_name_was_typed(stack: Stack) -> None:
    left = Step(ResourceId("cluster/theirs"), Action.NO_OP, reason="not made by mcig: left, at about 0.55 USD/h")
    goes = Step(ResourceId("cluster/theirs"), Action.DELETE, reason="not made by mcig: it costs about 0.55 USD/h")
    told: list[tuple[bool, bool]] = []

    class Widening(Stack):
        async def plan(self, verb: Verb = Verb.APPLY, *, only: str | None = None) -> Plan:
            del only
            step = goes if told and told[-1][1] else left
            return Plan(verb, (PlannedStep(step, frozenset(), About("x"), drifted=False),))

        def taking(self, *, shared: bool = False, adopted: bool = False) -> Stack:
            told.append((shared, adopted))
            return self

    stack.__class__ = Widening
    app = Reviewing(ReviewScreen(stack, verb=Verb.DESTROY))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_said(pilot, "Nothing to do")
        await pilot.press("a")
        await until_said(pilot, "with adopted clusters")
        await until(pilot, lambda: app.review.plan is not None and bool(app.review.plan.changes))
        await pilot.press("s")
        await until_said(pilot, "will be taken away")
        await pilot.click("#yes")
        await until(pilot, lambda: isinstance(app.screen, TypedQuestion))
        await pilot.press(*"ours", "enter")
        await until_said(pilot, "That is not theirs")
        assert app.asked == []
        app.screen.query_one(Input).value = "theirs"
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.asked))
    assert told == [(False, True)]
    assert app.asked == ["start 1"]
