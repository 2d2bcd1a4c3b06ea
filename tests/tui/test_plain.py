"""Plain text stays readable everywhere: 80 columns, no colour, ASCII, a log, a screen reader."""

import io
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.address import Address
from backend.engine.events import (
    Action,
    Event,
    Failure,
    Outcome,
    Payload,
    RunFinished,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
    Verb,
)
from backend.engine.forecast import Forecast
from backend.engine.plan import LEFT_OUT, Plan, PlannedStep
from backend.engine.resource import About, Change, Departure, ResourceId, Step
from backend.money import Borrowed, Costs
from backend.spec import Target
from backend.status import ResourceStatus, Status
from tui.plain import PlainRun, served, tokens_per_s
from tui.plan_text import cost_lines, departures, departures_hint, plan_lines
from tui.status_text import status_lines
from tui.style import Style, clock, dates, duration, elapsed, money, pace, span, style_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = RunStarted("r", "demo", "emulator", Verb.APPLY, (("a", Action.CREATE),))
PRICES = (date(2025, 3, 6), date(2026, 11, 22))


def tell(*payloads: tuple[float, Payload], style: Style | None = None, speed: float | None = 30) -> list[str]:
    """Lines printed for payloads, each with its seconds since the start."""
    lines: list[str] = []
    run = PlainRun(lines.append, style or Style(), speed=speed)
    for number, (at, payload) in enumerate([(0.0, STARTED), *payloads], start=1):
        run(Event(number, BEGAN + timedelta(seconds=at), payload))
    return lines


def started(resource: str, region: str | None = None, estimate_s: float = 1.0) -> StepStarted:
    return StepStarted(resource, Action.CREATE, region, estimate_s)


def finished(resource: str, outcome: Outcome = Outcome.SUCCEEDED, **more: object) -> StepFinished:
    return StepFinished(resource, Action.CREATE, outcome, 16.2, "us-east4", **more)  # type: ignore[arg-type]


def test_a_step_has_time_region_sign_word_and_resource() -> None:
    begun = started("cluster/gke-east", "us-east4", 480)
    lines = tell((0, begun), (0, StepNote("cluster/gke-east", "asked")), (16.2, finished("cluster/gke-east")))
    assert lines == [
        " 0:00 us-east4     ▸ create   cluster/gke-east  asked; usually 8 min for real",
        " 0:16 us-east4     ✓ created  cluster/gke-east  in 16 s",
    ]


def test_where_nothing_is_waited_for_only_what_lasts_is_told_twice() -> None:
    note = StepNote("a", "creating it")
    assert len(tell((0, started("a")), (0, note), (0.9, finished("a")), speed=math.inf)) == 1
    lines = tell((0, started("a")), (0, note), (1.5, started("b")), (2, finished("a")), speed=math.inf)
    assert ["creating it" in line for line in lines] == [True, False]


def test_quick_steps_are_told_once_and_unchanged_ones_only_counted() -> None:
    same = StepFinished("services", Action.NO_OP, Outcome.SUCCEEDED, 0.0)
    lines = tell((0, started("crd/x")), (1, finished("crd/x")), (1, same))
    assert len(lines) == 1


def test_notes_come_when_they_are_new_and_not_too_often() -> None:
    lines = tell(
        (0.0, StepNote("a", "one")),
        (0.1, StepNote("a", "one")),
        (1.0, StepNote("a", "two")),
        (2.0, StepNote("a", "three")),
        (2.5, StepNote("b", "of another")),
        (4.5, StepNote("b", "of another")),
        (9.0, StepNote("a", "three")),
    )
    assert [line.split("  ")[-1] for line in lines] == ["one", "of another", "three"]


def test_a_note_held_back_is_told_when_its_time_has_come_or_never_after_the_end() -> None:
    lines = tell((0, StepNote("a", "one")), (1, StepNote("a", "two")), (5, StepNote("b", "x")))
    assert any(line.endswith("a  two") and line.startswith(" 0:05") for line in lines)
    lines = tell((0, StepNote("a", "one")), (1, StepNote("a", "two")), (2, finished("a")), (9, StepNote("b", "x")))
    assert not any("two" in line for line in lines)


def test_a_failure_is_told_at_once_and_in_full_at_the_end() -> None:
    error = Failure("no H100 in europe-west3-c", "it is sold out", "mcig apply demo --set ...", "HttpError: 400")
    skipped = finished("pool@x", Outcome.SKIPPED, reason="needs node-pool, which did not succeed")
    lines = tell(
        (1, finished("node-pool/x", Outcome.FAILED, error=error)),
        (2, skipped),
        (3, RunFinished(Outcome.FAILED, 3.0, {"succeeded": 4, "failed": 1, "skipped": 1, "unchanged": 0})),
    )
    text = "\n".join(lines)
    assert "✗ FAILED   node-pool/x  no H100 in europe-west3-c" in lines[0]
    assert "○ skipped  pool@x  needs node-pool" in lines[1]
    assert "  cause: it is sold out" in text
    assert "  fix: mcig apply demo --set ..." in text
    assert "  said: HttpError: 400" in text
    assert "Not finished after 3 s: 4 succeeded, 1 failed, 1 skipped. What was made stays." in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.SUCCEEDED, "Applied demo in 38 s: 2 succeeded."),
        (Outcome.CANCELLED, "Stopped after 38 s: 2 succeeded."),
    ],
)
def test_the_end_says_how_long_and_that_it_was_a_rehearsal(outcome: Outcome, words: str) -> None:
    text = " ".join(tell((38, RunFinished(outcome, 38.0, {"succeeded": 2}))))
    assert words in text
    assert "(Rehearsal: 30 times faster than real time.)" in text


def test_what_takes_longer_than_usual_is_admitted() -> None:
    slow = StepStarted("cluster/x", Action.CREATE, "us-east4", 480, 1200)
    lines = tell((0, slow), (0, StepNote("cluster/x", "asked")), (1440, StepNote("cluster/x", "still")), speed=None)
    assert lines[0].endswith("asked; usually 8-20 min")
    assert " ".join(line.strip() for line in lines[1:]).endswith("still (usually 8-20 min, now 24 min)")
    rehearsed = tell((0, slow), (0, StepNote("cluster/x", "asked")), (24, StepNote("cluster/x", "still")), speed=60)
    assert " ".join(line.strip() for line in rehearsed[1:]).endswith("still (usually 8-20 min, now 24 min for real)")
    assert "now" not in "".join(tell((0, slow), (5, StepNote("cluster/x", "a")), (99, StepNote("b", "c")), speed=None))


def test_now_and_then_a_run_tells_how_long_it_still_needs() -> None:
    steps = tuple(planned(name, Action.CREATE, estimate_s=600, estimate_p90_s=1200) for name in ("a", "b"))
    forecast = Forecast(Plan(Verb.APPLY, steps), speed=None)
    lines: list[str] = []
    run = PlainRun(lines.append, Style(), speed=None, forecast=forecast)
    begun = RunStarted("r", "demo", "gke", Verb.APPLY, (), 600.0, 1200.0)
    payloads: list[tuple[float, Payload]] = [(0, begun), (1, started("a")), (200, finished("a")), (210, finished("b"))]
    for number, (at, payload) in enumerate(payloads, start=1):
        run(Event(number, BEGAN + timedelta(seconds=at), payload))
    (told,) = [line for line in lines if "to go" in line]
    assert told.startswith(" 3:20 ")
    assert told.endswith("10-20 min for the whole run")


def test_what_is_late_is_told_again_and_again_with_what_is_in_its_way() -> None:
    step = planned("node-pool/x", Action.CREATE, estimate_s=300, estimate_p90_s=600)
    lines: list[str] = []
    forecast = Forecast(Plan(Verb.APPLY, (step,)), speed=None)
    run = PlainRun(lines.append, Style(), speed=None, forecast=forecast)
    short = StepNote("node-pool/x", "us-east4-a reports GCE_STOCKOUT since 0:40; Google tries again")
    begun = RunStarted("r", "demo", "gke", Verb.APPLY, (), 300.0, 600.0)
    payloads: list[tuple[float, Payload]] = [(0, begun), (1, started("node-pool/x")), (40, short)]
    payloads += [(at, short) for at in range(60, 1000, 30)]
    for number, (at, payload) in enumerate(payloads, start=1):
        run(Event(number, BEGAN + timedelta(seconds=at), payload))
    text = " ".join(line.strip() for line in lines if "to go" not in line)
    assert text.count(" late ") > 2
    assert "usually 5-10 min, now 14 min; us-east4-a reports GCE_STOCKOUT since 0:40" in text
    assert " late " not in " ".join(line for line in lines if line.startswith((" 0:", " 9:")))


@given(st.floats(0, 90_000), st.floats(0, 90_000))
def test_a_range_never_loses_its_upper_end(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert span(low, high).endswith(duration(high))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (480, 1200, "8-20 min"),
        (25, 90, "25-90 s"),
        (70, 480, "1-8 min"),
        (20, 300, "20 s to 5 min"),
        (60, 60, "60 s"),
        (3000, 4800, "50 min to 1 h 20 min"),
    ],
)
def test_ranges_in_words(low: float, high: float, words: str) -> None:
    assert span(low, high) == words


def test_in_a_real_cloud_nothing_is_called_a_rehearsal() -> None:
    lines = tell(
        (0, started("a", estimate_s=480)),
        (0, StepNote("a", "x")),
        (38, RunFinished(Outcome.SUCCEEDED, 38.0, {"succeeded": 2})),
        speed=None,
    )
    assert "life" not in " ".join(lines)
    assert "ehearsal" not in " ".join(lines)


def test_the_answer_of_the_final_check_and_the_addresses_are_shown() -> None:
    answer = {
        "status": 200,
        "region": "us-east4",
        "model": "food-review-1",
        "text": "Naples.",
        "served_by": {"cluster": "gke-east", "pod": "vllm-1"},
        "usage": {"completion_tokens": 11},
        "ttft_s": 0.1,
        "total_s": 0.3,
    }
    lines = tell(
        (1, finished("gateway", detail={"addresses": [{"region": "us-east4", "address": "10.0.0.5"}]})),
        (2, finished("verify", detail={"answers": [answer]})),
    )
    text = " ".join(line.strip() for line in lines)
    assert "address in us-east4: 10.0.0.5" in text
    assert "| Naples." in text
    assert "food-review-1 through us-east4, served by vllm-1 on gke-east" in text
    assert "first token after 100 ms, 50 tokens/s" in text


def test_what_is_unknown_of_an_answer_is_said_or_left_out() -> None:
    bare = {"status": 503, "model": "m", "region": "r", "served_by": None, "usage": None, "ttft_s": None}
    assert served(bare) == "status 503, m through r"
    unseen = {**bare, "status": 200, "served_by_reason": "no log has it"}
    assert served(unseen) == "status 200, m through r, served by an unknown Pod (no log has it)"
    assert served({**unseen, "error": "it broke off"}).startswith("status 200, cut off, m through r")
    assert tokens_per_s({"usage": {"completion_tokens": 1}, "ttft_s": 0.1, "total_s": 0.1}) is None


@given(
    st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=60), max_size=8),
    st.integers(60, 200),
    st.booleans(),
)
def test_no_line_is_wider_than_the_screen_for_want_of_wrapping(words: list[str], width: int, unicode: bool) -> None:
    text = " ".join(words)
    lines = tell((0, StepNote("cluster/gke-west", text)), style=Style(width=width, unicode=unicode))
    before_text = len("99:59 europe-west3 ") + len("▸ replaced ")
    longest = max(len(word) for word in ["cluster/gke-west", *text.split()])
    assert all(len(line) <= max(width, before_text + longest) for line in lines)


def test_ascii_and_colour_follow_the_stream() -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    coloured = style_of(Terminal(), {"TERM": "xterm"}, columns=120)
    assert (coloured.colour, coloured.unicode, coloured.width) == (True, True, 120)
    assert not style_of(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, columns=120).colour
    dumb = style_of(Terminal(), {"TERM": "dumb"}, columns=120)
    assert (dumb.colour, dumb.unicode) == (False, False)
    piped = style_of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), {}, columns=120)
    assert (piped.colour, piped.unicode, piped.width) == (False, False, 80)
    lines = tell((0, started("a")), (0, StepNote("a", "x")), (1, finished("a")), style=dumb)
    assert "\n".join(lines).isascii()
    painted = tell((1, finished("a")), style=coloured)
    assert "\x1b[32m✓ created  \x1b[0m" in painted[0]


# --- plans ------------------------------------------------------------------------------------------------------------


def planned(
    name: str, action: Action, region: str | None = None, *, departs: bool = False, **more: float
) -> PlannedStep:
    departure = Departure("names the zone.", "names the region", "a regional cluster is not found at a zone.")
    about = About("", region, departures=(departure,) if departs else (), **more)  # type: ignore[arg-type]
    changes = (Change("timeoutSec", 30, 100),) if action is Action.UPDATE else ()
    return PlannedStep(Step(ResourceId(name), action, changes), frozenset(), about, drifted=action is Action.UPDATE)


def show(*steps: PlannedStep, verb: Verb = Verb.APPLY, speed: float | None = None) -> list[str]:
    return list(plan_lines(Plan(verb, steps), stack="demo", where="a cloud", style=Style(), speed=speed, prices=PRICES))


def test_a_plan_is_laid_out_by_region_with_time_cost_and_changes() -> None:
    lines = show(
        planned("services", Action.NO_OP),
        planned("cluster/gke-west", Action.CREATE, "europe-west3", estimate_s=480, usd_per_hour=1.5),
        planned("backend-policy", Action.UPDATE, estimate_s=10),
    )
    assert lines[0] == "Plan to apply demo on a cloud"
    assert lines.index("shared") < lines.index("europe-west3")
    assert "  + create  cluster/gke-west    8 min     $1.50/h" in lines
    assert any("timeoutSec: 30 -> 100" in line for line in lines)
    assert any("as it is services" in line for line in lines)
    totals = " ".join(lines[-2:])
    assert "1 to create, 1 to update, 1 to leave as it is" in totals
    assert "2025-03 to 2026-11" in totals


def test_each_departure_is_said_once_with_its_reason() -> None:
    steps = tuple(planned(f"cluster/{name}", Action.CREATE, departs=True) for name in ("gke-west", "gke-east"))
    plan = Plan(Verb.APPLY, steps)
    said = " ".join(departures_hint(plan, "mcig plan demo --departures", Style()))
    assert said == "It differs from Google's guide in 1 place: see `mcig plan demo --departures`."
    text = " ".join(line.strip() for line in departures(plan, Style()))
    assert text.count("a regional cluster is not found at a zone") == 1
    assert "cluster: Google's guide names the zone; mcig names the region, because" in text


def test_a_rehearsal_costs_nothing_and_says_what_it_would() -> None:
    text = " ".join(show(planned("a", Action.CREATE, usd_per_hour=2.0, estimate_s=60), speed=math.inf))
    assert "would cost $2.00/h ($48 a day) for real" in text
    assert "waiting times are left out" in text


def test_costs_name_what_has_no_price_of_its_own() -> None:
    costs = Costs(9.0, None, 1.0, 0.2, 0.0, 0, ("a as flex-start",), (Borrowed("b", ("r", "s"), "t"),), PRICES)
    text = " ".join(cost_lines(costs, Style()))
    assert "Without a known price, so not counted: a as flex-start." in text
    assert "Counted at another region's price: b in r and s (t's)." in " ".join(text.split())


def test_a_plan_with_nothing_to_do_is_one_sentence() -> None:
    assert show(planned("a", Action.NO_OP))[-1] == "Nothing to do: all 1 resources of demo are as wanted."
    assert "nothing to destroy" in show(planned("a", Action.NO_OP), verb=Verb.DESTROY)[-1]


def test_why_a_thing_of_others_is_left_is_said_once_for_all_that_it_is_true_of() -> None:
    def adopted(name: str, reason: str) -> PlannedStep:
        step = Step(ResourceId(name), Action.NO_OP, reason=reason)
        return PlannedStep(step, frozenset(), About(""), drifted=False)

    steps = [adopted("a", "adopted from the stack mine"), adopted("b", "adopted from the stack mine")]
    steps += [adopted("c", "nothing before it changes"), adopted("d", "adopted; left as it is: x is 1, not 2")]
    said = ["a, b: adopted from the stack mine", "d: adopted; left as it is: x is 1, not 2"]
    assert show(*steps)[2:-1] == said
    lines = show(*steps, planned("e", Action.CREATE))
    assert [line.strip() for line in lines if "adopted" in line] == said


def test_what_only_leaves_out_is_named_and_where_the_specification_comes_from_said() -> None:
    left = PlannedStep(Step(ResourceId("b"), Action.NO_OP, reason=LEFT_OUT), frozenset(), About(""), drifted=False)
    plan = Plan(Verb.APPLY, (planned("a", Action.CREATE, estimate_s=60, estimate_p90_s=90), left))
    lines = list(plan_lines(plan, stack="d", where="w", style=Style(), speed=None, prices=PRICES, origin="the file x"))
    assert lines[1] == "from the file x"
    assert "  = left out b" in lines
    assert any(line.startswith("  + create  a  60-90 s") for line in lines)
    assert "1 other step is left out by --only" in show(planned("a", Action.NO_OP), left)[-1]


def test_what_goes_with_a_cluster_that_does_not_answer_is_not_called_left() -> None:
    silent = PlannedStep(
        Step(ResourceId("pods"), Action.NO_OP, reason="goes with cluster/a, which does not answer"),
        frozenset(),
        About(""),
        drifted=False,
        unseen=ConnectionError("no answer"),
    )
    lines = show(planned("cluster/a", Action.DELETE), silent, planned("services", Action.NO_OP), verb=Verb.DESTROY)
    assert "  = goes with its cluster pods" in lines
    assert "  = as it is services" in lines


def test_a_change_of_what_is_there_is_not_explained_again() -> None:
    update = replace(planned("backend-policy", Action.CREATE, departs=True), step=Step(ResourceId("x"), Action.UPDATE))
    assert list(departures(Plan(Verb.APPLY, (update,)), Style())) == []


def test_destroy_says_what_still_costs() -> None:
    text = " ".join(
        show(
            planned("cluster/x", Action.DELETE, usd_per_hour=5),
            planned("cluster/kept", Action.NO_OP, usd_per_hour=1),
            verb=Verb.DESTROY,
        )
    )
    assert "1 to delete, 1 to leave as it is. Afterwards it costs $1.00/h." in text


def test_a_status_shows_every_resource_its_drift_and_the_ways_in() -> None:
    status = Status(
        stack="demo",
        target=Target.EMULATOR,
        resources=(
            ResourceStatus("cluster/gke-west", "europe-west3", "ready", ()),
            ResourceStatus("backend-policy", None, "drifted", ({"field": "timeoutSec", "before": 30, "after": 100},)),
        ),
        addresses=(Address("europe-west3", "10.0.0.5", "http://127.0.0.1:9/v1"),),
        usd_per_hour=18.4,
        prices_dated=PRICES,
    )
    lines = list(status_lines(status, Style()))
    assert lines.index("shared") < lines.index("europe-west3")
    assert "  ✓ ready      cluster/gke-west" in lines
    assert "  ~ drifted    backend-policy" in lines
    text = " ".join(lines)
    assert "timeoutSec: 30 -> 100" in text
    assert "address in europe-west3: 10.0.0.5, from here http://127.0.0.1:9/v1" in text
    assert "1 of 2 are not as wanted; see `mcig plan demo`" in text
    assert "costs nothing here; for real about $18.40/h" in text


def test_a_stack_without_clusters_is_not_set_up() -> None:
    absent = tuple(
        ResourceStatus(name, "europe-west3", state, ())
        for name, state in (("cluster/gke-west", "absent"), ("gateway", "absent"), ("services", "ready"))
    )
    status = Status("demo", Target.EMULATOR, absent, (), 0.0, PRICES)
    text = " ".join(" ".join(status_lines(status, Style())).split())
    assert text.endswith("demo is not set up: none of its clusters is there; `mcig apply demo` makes them")
    assert "not as wanted" not in text


def test_a_drill_is_told_in_the_place_of_its_fields() -> None:
    drill = ({"field": "P/p: metadata.annotations.mcig-drill-until", "before": "2026", "after": "absent"},)
    status = Status(
        stack="demo",
        target=Target.EMULATOR,
        resources=(
            ResourceStatus("cluster/gke-west", "europe-west3", "ready", ()),
            ResourceStatus("backend-policy", None, "drained", drill, "us-east4 is drained by a drill until 12:00:00"),
        ),
        addresses=(),
        usd_per_hour=0.0,
        prices_dated=PRICES,
    )
    lines = list(status_lines(status, Style()))
    text = " ".join(" ".join(lines).split())
    assert "… drained    backend-policy" in " ".join(lines)
    assert "mcig-drill-until" not in text
    assert "drill runs any more, `mcig apply demo --only backend-policy` gives its capacity back" in text
    assert "not as wanted" not in text
    assert lines[-1] == "the other 1 are as wanted"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (7.4, "7 s"), (99, "99 s"), (480, "8 min"), (4800, "1 h 20 min")]
)
def test_durations_are_spelled_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_numbers_in_words() -> None:
    assert (clock(7), clock(754), clock(3723)) == ("0:07", "12:34", "1:02:03")
    assert money(1234.5) == "$1,234.50/h"
    assert (elapsed(0.4), elapsed(45), elapsed(124.6), elapsed(7200)) == ("0.4 s", "45 s", "2 min 04 s", "2 h 00 min")
    assert pace(None) == ""
    assert dates((PRICES[0], PRICES[0])) == "2025-03"
