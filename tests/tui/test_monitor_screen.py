"""The monitor: what it shows at both sizes, of a recording and live, and what its keys do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.monitor import Snapshot
from backend.monitor.recording import Recording
from tests.backend.monitor.snapshots import cluster, pod, snapshot, spill
from tests.tui.screens import Stage, same_as_kept, text_of, until, until_said
from tui.cli import main
from tui.looks import RecordedLooks, Show
from tui.replay_app import ReplayApp
from tui.screens.monitor import MonitorScreen

SIZES = {"80x24": (80, 24), "120x36": (120, 36)}
LOOKS = [spill(at) for at in range(0, 90, 2)]
pytestmark = pytest.mark.usefixtures("utc")


def recorded(at_s: float, looks: list[Snapshot] = LOOKS) -> RecordedLooks:
    """A recording that stands still so many seconds after its beginning."""
    made = RecordedLooks(looks, clock=lambda: 0.0)
    made.toggle()
    made.seek(at_s)
    return made


class Live:
    """A stack whose looks are given by hand."""

    every_s, live = 2.0, True

    def __init__(self) -> None:
        self.show: Show | None = None
        self.playing = asyncio.Event()

    async def play(self, show: Show) -> None:
        self.show = show
        self.playing.set()
        await asyncio.Event().wait()


def screen_of(app: ReplayApp) -> MonitorScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, MonitorScreen))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "at_s"), [("before", 20.0), ("spill", 70.0)])
async def test_spill_over_at_both_sizes(name: str, at_s: float, size: str) -> None:
    app = ReplayApp(recorded(0))
    async with app.run_test(size=SIZES[size]) as pilot:
        await pilot.pause()
        looks = screen_of(app).looks
        assert isinstance(looks, RecordedLooks)
        looks.seek(at_s)
        await same_as_kept(pilot, f"monitor-{name}")


@pytest.mark.parametrize("size", SIZES)
async def test_a_region_that_cannot_be_seen(size: str) -> None:
    gone = cluster("gke-west", "europe-west3", reason="no answer from the cluster's API server", wanted=2)
    gone = type(gone)(gone.name, gone.region, 0, 2, reason=gone.reason)
    east = cluster("gke-east", "us-east4", pod("7p2dv", kv_cache=0.7, running=80.0), kv_cache=0.7, share=1.0)
    looks = [*(spill(at) for at in range(0, 60, 2)), *(snapshot(at, gone, east) for at in range(60, 80, 2))]
    app = ReplayApp(recorded(0, looks))
    async with app.run_test(size=SIZES[size]) as pilot:
        await pilot.press("right_square_bracket", *["right_square_bracket"] * 7)
        await same_as_kept(pilot, "monitor-region-down")


async def test_states_are_told_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ReplayApp(recorded(0))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["right_square_bracket"] * 7)
        await same_as_kept(pilot, "monitor-spill")


async def test_every_key_says_what_it_does() -> None:
    for binding in MonitorScreen.BINDINGS:
        assert getattr(binding, "tooltip", ""), binding


async def test_view_window_sort_zoom_and_details() -> None:
    app = ReplayApp(recorded(0))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["right_square_bracket"] * 7)
        await pilot.press("v")
        await until_said(pilot, "Share of traffic")
        await pilot.press("w")
        await until_said(pilot, "-10 min")
        await pilot.press("s", "s")
        await pilot.press("enter")
        await until_said(pilot, "the Pods of gke-west")
        assert "gke-east" not in text_of(app).split("cluster, Pod")[1].split("events")[0]
        await pilot.press("down", "e")
        await until_said(pilot, "food-review")
        await pilot.press("escape")
        await until(pilot, lambda: "gke-east" in text_of(app).split("cluster, Pod")[1])


async def test_a_recording_plays_pauses_and_goes_back() -> None:
    looks = RecordedLooks(LOOKS, pace=1e6)
    app = ReplayApp(looks)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: screen_of(app).snapshot == LOOKS[-1])
        await pilot.press(*["minus"] * 6, "left_square_bracket")
        assert looks.pace == 0.5
        await pilot.press("space")
        assert looks.paused
        await until_said(pilot, "paused")


async def test_live_pictures_are_held_and_go_on_and_bad_figures_are_survived() -> None:
    looks = Live()
    app = Stage(MonitorScreen(looks))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, looks.playing.is_set)
        assert looks.show is not None
        looks.show(spill(10))
        await pilot.press("space")
        looks.show(spill(40))
        await until_said(pilot, "held")
        await pilot.press("space")
        await until(pilot, lambda: app.screen.snapshot == spill(40))  # type: ignore[attr-defined]
        wild = cluster("c" * 200, "r" * 80, pod("p" * 200, kv_cache=7.0, running=-1.0, tokens_per_s=1e12), kv_cache=1e9)
        looks.show(snapshot(42, wild, gateway={"target": None, "healthy": None, "reason": "[red]no[/red] " * 30}))
        looks.show(snapshot(20, wild))
        looks.show(snapshot(44))
        await pilot.press("down", "enter", "s", "v", "w", "left", "right")
        await until_said(pilot, "rehearsal")


@pytest.mark.parametrize("size", [(40, 10), (26, 6), (200, 60)])
async def test_any_size_is_survived(size: tuple[int, int]) -> None:
    app = ReplayApp(recorded(60))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.resize_terminal(*size)
        await pilot.press("down", "e", "v")
        await pilot.resize_terminal(80, 24)
        await until_said(pilot, "gke-west")


async def test_a_thousand_pods_are_folded_and_quick() -> None:
    many = [
        cluster(f"gke-{number:02}", "r", *(pod(f"{one:05}", kv_cache=0.3) for one in range(50)), kv_cache=0.3)
        for number in range(20)
    ]
    looks = Live()
    app = Stage(MonitorScreen(looks))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, looks.playing.is_set)
        assert looks.show is not None
        looks.show(snapshot(0, *many))
        await until_said(pilot, "gke-05 r +", "(the 8 fullest of 20)")


def test_replay_tells_a_recording_without_a_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    with Recording(path) as keep:
        for each in LOOKS[-2:]:
            keep(each)
    assert main(["replay", str(path), "--plain"]) == 0
    shown = capsys.readouterr().out
    assert "gke-west" in shown
    assert "CrashLoopBackOff" in shown
    assert main(["replay", str(path), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_recording_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("mine")
    assert main(["monitor", "rehearsal", "--once", "--record", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_text() == "mine"
