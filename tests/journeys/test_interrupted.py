"""Runs that are killed, stopped or lose their cloud, and go on afterwards."""

import os
import signal

import pytest

from tests.journeys.terminal import Terminal, events_until, kill

APPLY = ("apply", "rehearsal", "--yes", "--json", "--speed", "600")


def world(terminal: Terminal) -> list[str]:
    """What exists in the emulated cloud, Pods' processes left out: their names differ from run to run."""
    resources = terminal.mcig("emulator", "status", "--json").document["resources"]
    return sorted(name for name in resources if not name.startswith("process/"))


EXPECTED = {
    "cluster/europe-west3/gke-west",
    "cluster/us-east4/gke-east",
    "membership/global/gke-east",
    "membership/global/gke-west",
    "feature/multiclusteringress",
}


@pytest.mark.parametrize("moment", [("cluster/gke-west", "step_started"), ("pool@gke-east", "step_finished")])
def test_a_killed_run_goes_on_and_ends_the_same(terminal: Terminal, moment: tuple[str, str]) -> None:
    run = terminal.start(*APPLY)
    list(events_until(run, *moment))
    kill(run)
    terminal.mcig("apply", "rehearsal", "--yes", "--json")
    terminal.mcig("plan", "rehearsal", "--detailed-exitcode", "--json")
    assert set(world(terminal)) >= EXPECTED, "tests/backend/test_killed.py compares whole worlds"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(terminal: Terminal, how: signal.Signals) -> None:
    run = terminal.start(*APPLY)
    list(events_until(run, "cluster/gke-west", "step_started"))
    printed = kill(run, how)
    assert printed.code == 130
    assert (printed.lines[-1]["type"], printed.lines[-1]["outcome"]) == ("run_finished", "cancelled")
    assert "mcig apply rehearsal" in printed.err
    assert "Traceback" not in printed.err


def test_ctrl_c_before_anything_was_changed_says_so(terminal: Terminal) -> None:
    run = terminal.start(*APPLY)
    assert run.stderr is not None
    assert "started the emulated cloud" in run.stderr.readline()
    printed = kill(run, signal.SIGINT)
    assert printed.code == 130
    assert [line["type"] for line in printed.lines] == ["run_started", "run_finished"]
    assert "nothing was changed" in printed.err
    assert "Traceback" not in printed.err
    assert not (terminal.home / "mcig" / "state" / "journals").exists()


@pytest.mark.parametrize("step", [pytest.param("cluster/gke-west", marks=pytest.mark.long), "gateway"])
def test_a_lost_cloud_is_named_and_the_run_goes_on_once_it_is_back(terminal: Terminal, step: str) -> None:
    run = terminal.start(*APPLY)
    list(events_until(run, step, "step_started"))
    os.kill(terminal.mcig("emulator", "status", "--json").document["pid"], signal.SIGKILL)
    assert run.stdout is not None
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "Traceback" not in out + err
    assert "run_finished" in out.splitlines()[-1]
    assert "mcig emulator start" in out + err
    terminal.mcig(*APPLY)
    assert set(world(terminal)) >= EXPECTED
