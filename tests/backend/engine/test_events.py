"""Events survive the way through JSON, and journals survive a crash."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine import journal
from backend.engine.events import (
    Action,
    Event,
    Failure,
    Outcome,
    Payload,
    Recorder,
    RunFinished,
    RunStarted,
    StepFinished,
    StepNote,
    StepStarted,
    Verb,
)

seconds = st.floats(0, 1e6, allow_nan=False)
names = st.text(min_size=1, max_size=20)
payloads: st.SearchStrategy[Payload] = st.one_of(
    st.builds(
        RunStarted,
        names,
        names,
        names,
        st.sampled_from(Verb),
        st.lists(st.tuples(names, st.sampled_from(Action))).map(tuple),
        st.none() | seconds,
    ),
    st.builds(StepStarted, names, st.sampled_from(Action), st.none() | names, st.none() | seconds),
    st.builds(StepNote, names, names, st.none() | names),
    st.builds(
        StepFinished,
        names,
        st.sampled_from(Action),
        st.sampled_from(Outcome),
        seconds,
        st.none() | names,
        names,
        st.none() | st.builds(Failure, names, names, names, names),
        st.dictionaries(names, names),
    ),
    st.builds(RunFinished, st.sampled_from(Outcome), seconds, st.dictionaries(names, st.integers(0, 99))),
)
events = st.builds(Event, st.integers(1, 1_000_000), st.datetimes(timezones=st.just(UTC)), payloads)


@given(events)
def test_an_event_survives_json(event: Event) -> None:
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event


@pytest.mark.parametrize("bad", [{}, {"type": "party"}, {"seq": 1, "at": "x", "type": "step_note"}])
def test_what_is_no_event_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an event"):
        Event.from_json(bad)


def test_the_recorder_counts_and_stamps() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    seen: list[Event] = []
    recorder = Recorder(seen.append, clock=lambda: at)
    recorder(StepNote("a", "one"))
    recorder(StepNote("a", "two"))
    assert [(event.seq, event.at) for event in seen] == [(1, at), (2, at)]


def test_a_journal_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "journals" / "run.jsonl"
    written = [Event(n, datetime(2026, 1, 2, tzinfo=UTC), StepNote("a", f"note {n}")) for n in (1, 2)]
    with journal.Journal(path) as keep:
        for event in written:
            keep(event)
    assert list(journal.read(path)) == written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_torn_last_line_is_left_out_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    event = Event(1, datetime(2026, 1, 2, tzinfo=UTC), StepNote("a", "x"))
    whole = json.dumps(event.to_json()) + "\n"
    path.write_text(whole + whole[:25])
    assert list(journal.read(path)) == [event]
    path.write_text(whole + "garbage\n" + whole)
    with pytest.raises(ValueError, match=r"run\.jsonl:2"):
        list(journal.read(path))


def test_operation_names_are_lasting_and_plain_notes_are_not() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert journal.lasting(Event(1, at, StepNote("a", "x", operation="op")))
    assert not journal.lasting(Event(1, at, StepNote("a", "x")))
