"""The emulated cloud ends and comes back: what was made in it is still there and still works."""

from __future__ import annotations

import os
import signal

import pytest

from tests.journeys.terminal import Terminal, events_until, kill


def pid(terminal: Terminal) -> int:
    found: int = terminal.mcig("emulator", "status", "--json").document["pid"]
    return found


def end(terminal: Terminal, how: str) -> None:
    if how == "stopped":
        terminal.mcig("emulator", "stop")
    else:
        os.kill(pid(terminal), signal.SIGKILL)


@pytest.mark.long
def test_a_finished_stack_is_as_wanted_and_answers_again(terminal: Terminal) -> None:
    terminal.mcig("apply", "rehearsal", "--yes", "--speed", "max")
    doors = terminal.mcig("status", "--json").document["addresses"]
    for how in ("stopped", "killed"):
        end(terminal, how)
        planned = terminal.mcig("plan", "rehearsal", "--speed", "max", "--json", "--detailed-exitcode")
        assert {step["action"] for step in planned.document["steps"]} == {"no-op"}, how
        assert "started the emulated cloud" in planned.err
        answers = terminal.mcig("prompt", "rehearsal", "Are you back?", "--json").document
        served = [(answer["status"], answer["served_by"]["cluster"]) for answer in answers]
        assert served == [(200, "gke-west"), (200, "gke-east")], how
    assert terminal.mcig("status", "--json").document["addresses"] == doors


def test_half_a_stack_is_finished_after_a_restart(terminal: Terminal) -> None:
    run = terminal.start("apply", "rehearsal", "--yes", "--json", "--speed", "600")
    list(events_until(run, "cluster/gke-west", "step_finished"))
    kill(run)
    end(terminal, "killed")
    applied = terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max").lines
    assert applied[-1]["outcome"] == "succeeded"
    (first,) = [event for event in applied if event["type"] == "run_started"]
    actions = {step["resource"]: step["action"] for step in first["steps"]}
    assert actions["services"] == "no-op"
    assert actions["verify"] == "create"
    terminal.mcig("plan", "rehearsal", "--detailed-exitcode")
