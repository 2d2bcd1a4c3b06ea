"""The plan review, on a plan made against an emulated cloud: what it shows, and what its keys ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App
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
from tests.tui.screens import same_as_kept, text_of
from tui.screens.question import Question, TypedQuestion
from tui.screens.review import ReviewScreen
from tui.themes import DEFAULTS, THEMES

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
    rows = declare(spec, clients, hf_token=None, kubeconfig=tmp_path / "kubeconfig")
    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    return Stack(spec, connection=connection, clients=clients, resources=rows, places=places)


@pytest.fixture
async def made(stack: Stack) -> Plan:
    return await stack.plan()


class Stage(App[None]):
    """The review alone; keeps what it asks for."""

    CSS_PATH = Path(__file__).parents[2] / "tui" / "mcig.tcss"

    def __init__(self, review: ReviewScreen) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
        self.review, self.asked = review, list[str]()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def on_mount(self) -> None:
        self.push_screen(self.review)

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
    app = Stage(ReviewScreen(stack, made, []))
    async with app.run_test(size=size) as pilot:
        await pilot.press("down", "down")
        await pilot.pause(0.1)
        same_as_kept("review", app)


async def test_it_looks_by_itself_where_no_plan_is_given(stack: Stack) -> None:
    app = Stage(ReviewScreen(stack, verb=Verb.DESTROY))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert app.review.plan is not None
        assert "Nothing to do" in text_of(app)
        await pilot.press("s")
        assert app.asked == []


async def test_every_step_has_its_command_and_every_departure_its_reason(stack: Stack, made: Plan) -> None:
    copied: list[str] = []
    app = Stage(ReviewScreen(stack, made, []))
    async with app.run_test(size=(120, 36)) as pilot:
        app.copy_to_clipboard = copied.append  # type: ignore[assignment,method-assign]
        await pilot.press("y", "down", "y")
        for _ in made.changes:
            app.review.steps.action_go(1)
            app.review.action_copy()
        await pilot.press("3")
        assert "because" in text_of(app)
        await pilot.press("4")
        assert "clusters" in text_of(app)
    assert len(set(copied)) > len(made.changes) / 2
    assert any(command.startswith("gcloud container clusters create gke-west") for command in copied)


async def test_keys_and_mouse_ask_for_the_same(stack: Stack, made: Plan) -> None:
    app = Stage(ReviewScreen(stack, made, []))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w", "x")
        await pilot.click("#save")
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
    assert app.asked == ["save", "export", "save", f"start {len(made.changes)}", "back"]


async def test_a_check_that_fails_is_asked_about_before_the_start(stack: Stack, made: Plan) -> None:
    app = Stage(ReviewScreen(stack, made, [QUOTA]))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "Checks ✗ 1 fail" in text_of(app)
        await pilot.press("s")
        await pilot.pause()
        assert isinstance(app.screen, Question)
        await pilot.press("escape")
        await pilot.pause()
        assert app.asked == []
        assert QUOTA.fix is not None
        assert QUOTA.fix in " ".join(text_of(app).split()), "the checks are shown in place of the start"
        await pilot.press("s")
        await pilot.pause()
        await pilot.click("#yes")
        await pilot.pause()
    assert app.asked == [f"start {len(made.changes)}", f"ignoring {QUOTA.id}"]


def api(name: str) -> Finding:
    told = f"{name} is off; the first step of `mcig apply` turns it on"
    fix = f"gcloud services enable {name}.googleapis.com --project=p"
    return Finding(f"api/{name}.googleapis.com", Verdict.WARN, told, "it is needed", fix, Topic.PROJECT)


async def test_findings_of_one_kind_are_one_line_that_opens_and_alarm_nobody(stack: Stack, made: Plan) -> None:
    copied: list[str] = []
    app = Stage(ReviewScreen(stack, made, [api("container"), api("gkehub"), api("iam")]))
    async with app.run_test(size=(80, 24)) as pilot:
        app.copy_to_clipboard = copied.append  # type: ignore[assignment,method-assign]
        await pilot.press("2")
        await pilot.pause()
        folded = text_of(app)
        assert "Checks ✓" in folded
        assert "3 APIs are off; the first step turns them on" in folded
        assert "gkehub is off" not in folded
        await pilot.press("y", "enter")
        await pilot.pause()
        assert "gkehub is off" in text_of(app)
    assert copied == [
        "gcloud services enable container.googleapis.com gkehub.googleapis.com iam.googleapis.com --project=p"
    ]


async def test_a_check_that_fails_is_copied_and_ignored_by_key(stack: Stack, made: Plan) -> None:
    copied: list[str] = []
    review = ReviewScreen(stack, made, [QUOTA, api("iam")])
    app = Stage(review)
    async with app.run_test(size=(80, 24)) as pilot:
        app.copy_to_clipboard = copied.append  # type: ignore[assignment,method-assign]
        await pilot.press("2", "y", "i")
        await pilot.pause()
        assert "✗ ignored" in text_of(app)
        assert "Checks ✓" in text_of(app)
        await pilot.press("s")
        await pilot.pause()
    assert copied == [QUOTA.fix]
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
    app = Stage(ReviewScreen(stack, verb=Verb.DESTROY))
    async with app.run_test(size=(80, 24)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.press("a")
        await app.workers.wait_for_complete()
        await pilot.press("s")
        await pilot.pause()
        await pilot.click("#yes")
        await pilot.pause()
        assert isinstance(app.screen, TypedQuestion)
        await pilot.press(*"ours", "enter")
        await pilot.pause()
        assert app.asked == []
        assert "That is not theirs" in text_of(app)
        app.screen.query_one(Input).value = "theirs"
        await pilot.press("enter")
        await pilot.pause()
    assert told == [(False, True)]
    assert app.asked == ["start 1"]
