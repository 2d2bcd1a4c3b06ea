"""A journal survives its process, and tells another one what was under way."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.engine.events import Action, Event, Outcome, Payload, RunStarted, StepFinished, StepNote, Verb
from backend.engine.journal import Journal, read, under_way

AT = datetime(2026, 1, 1, tzinfo=UTC)


def run(*payloads: Payload, verb: Verb = Verb.APPLY, target: str = "gke") -> list[Event]:
    started = RunStarted("r", "demo", target, verb, (("a", Action.CREATE),), 10.0, 20.0, 60.0)
    return [Event(number, AT, payload) for number, payload in enumerate([started, *payloads], start=1)]


def asked(resource: str, operation: str) -> StepNote:
    return StepNote(resource, "asked", operation)


def ended(resource: str, outcome: Outcome) -> StepFinished:
    return StepFinished(resource, Action.CREATE, outcome, 1.0)


def left(*runs: list[Event]) -> dict[str, str]:
    return under_way(runs, verb=Verb.APPLY, target="gke")


def test_what_is_written_is_read_again_and_is_the_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "r.jsonl"
    events = run(asked("a", "op-1"))
    with Journal(path) as journal:
        for event in events:
            journal(event)
    with path.open("a") as torn:
        torn.write('{"seq": 3, "at"')
    assert list(read(path)) == events
    assert path.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (path.parent, path.parent.parent)} == {0o700}


def test_what_the_disk_takes_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, write = run(asked("a", "op-1")), os.write
    with monkeypatch.context() as patch, Journal(tmp_path / "r.jsonl") as journal:
        patch.setattr(os, "write", lambda file, data: write(file, data[:7]))
        for event in events:
            journal(event)

    assert list(read(tmp_path / "r.jsonl")) == events


def test_a_bad_line_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("nonsense\n{}\n")
    with pytest.raises(ValueError, match=r"r\.jsonl:1"):
        list(read(path))


@pytest.mark.parametrize("end", [[], [ended("a", Outcome.CANCELLED)]], ids=["killed", "stopped"])
def test_the_operation_of_a_step_that_did_not_end_is_under_way(end: list[Payload]) -> None:
    assert left(run(asked("a", "op-1"), asked("a", "op-2"), *end)) == {"a": "op-2"}


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
def test_a_step_that_ended_by_itself_has_nothing_under_way(outcome: Outcome) -> None:
    assert left(run(asked("a", "op-1"), ended("a", outcome))) == {}
    assert left(run(ended("a", outcome)), run(asked("a", "op-0"))) == {}, "nor has it from before"


def test_a_run_that_was_killed_while_it_waited_for_anothers_operation_passes_it_on() -> None:
    assert left(run(), run(StepNote("a", "waiting")), run(asked("a", "op-1"))) == {"a": "op-1"}
    assert left(run(asked("a", "op-2")), run(asked("a", "op-1"))) == {"a": "op-2"}


@pytest.mark.parametrize("between", [run(verb=Verb.DESTROY), run(target="emulator")], ids=["destroyed", "elsewhere"])
def test_runs_of_another_kind_end_the_search(between: list[Event]) -> None:
    assert left(between, run(asked("a", "op-1"))) == {}
