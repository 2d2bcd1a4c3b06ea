"""Watching a rehearsal: what the monitor sees, and what `mcig status` says of everything that can break."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults import FAULTS
from tests.journeys.terminal import Terminal
from tests.journeys.traffic import Serving

NEAR = "europe-west3"
PATIENCE_S = 30.0


def reasons(node: dict[str, Any]) -> set[str]:
    """Rows of the table of causes that a tree names."""
    mine = {node["known_as"]} if node.get("known_as") else set()
    return mine.union(*map(reasons, node["children"]))


@pytest.mark.long
def test_what_breaks_is_told_with_cause_and_fix_and_heals(terminal: Terminal, tmp_path: Path) -> None:
    serving = Serving(terminal)
    assert reasons(terminal.mcig("status", "rehearsal", "--json").document["why"]) == set()

    terminal.mcig("prompt", "rehearsal", "What is it?", "--address", "us-east4", "--count", "3", "--max-tokens", "5")
    seen = terminal.mcig("monitor", "rehearsal", "--once", "--json").document
    assert [cluster["ready"] for cluster in seen["clusters"]] == [2, 2]
    assert (seen["gateway"]["healthy"], seen["gateway"]["target"]) == (True, 0.6)
    assert set(seen["gateway"]["addresses"]) == {"europe-west3", "us-east4"}
    assert seen["cost"]["usd_per_hour"] > 1

    path = tmp_path / "seen.jsonl"
    told = terminal.mcig("monitor", "rehearsal", "--once", "--plain", "--record", str(path)).out
    assert "gateway healthy" in told
    assert terminal.mcig("replay", str(path), "--json").lines[0] == json.loads(path.read_text())

    serving.patch({"timeoutSec": 55})
    drift = terminal.mcig("monitor", "rehearsal", "--once", "--json").document["drift"]
    (drifted,) = drift["resources"]
    assert (drifted["resource"], drifted["state"], drift["reason"]) == ("backend-policy", "drifted", None)
    assert [(change["before"], change["after"]) for change in drifted["changes"]] == [(55, 100)]
    assert reasons(terminal.mcig("status", "rehearsal", "--json").document["why"]) == {"drifted"}
    terminal.mcig("apply", "rehearsal", "--yes", "--only", "backend-policy")

    for faults, expected in FAULTS.items():
        for fault in faults:
            terminal.mcig("emulator", "fault", "add", *fault.split())
        until(terminal, {expected}, ", ".join(faults))
        terminal.mcig("emulator", "fault", "clear")
    terminal.mcig("apply", "rehearsal", "--yes")
    until(terminal, set(), "no fault")


def until(terminal: Terminal, expected: set[str], what: str) -> None:
    """Ask for the status until it names what is expected; controllers and probes take their time."""
    end = time.monotonic() + PATIENCE_S
    found: set[str] = set()
    while time.monotonic() < end:
        found = reasons(terminal.mcig("status", "rehearsal", "--json").document["why"])
        if expected <= found if expected else not found:
            return
    raise AssertionError(f"with {what}: {sorted(found)} in the place of {sorted(expected)}")


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the gateway's process in /proc")
def test_shares_are_what_the_pods_say_and_need_no_gateway(terminal: Terminal) -> None:
    serving = Serving(terminal)
    with stopped_gateway(terminal), ThreadPoolExecutor(1) as beside:
        assert serving.asked(NEAR) == {0: 1}
        look = beside.submit(terminal.mcig, "monitor", "rehearsal", "--once", "--json", "--every", "4")
        while not look.done():
            assert serving.asked_past_the_gateway("gke-east") == 200
        shares = {cluster["name"]: cluster["share"] for cluster in look.result().document["clusters"]}
    assert shares == {"gke-west": 0, "gke-east": 1}
    serving.until(lambda: serving.asked(NEAR) == {200: 1})


@contextmanager
def stopped_gateway(terminal: Terminal) -> Iterator[None]:
    """Hold the Envoy of the terminal's emulated cloud meanwhile."""
    home = terminal.environ["MCIG_HOME"]
    processes = (each for each in Path("/proc").iterdir() if each.name.isdigit())
    (envoy,) = (int(each.name) for each in processes if is_gateway(each, home))
    os.kill(envoy, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(envoy, signal.SIGCONT)


def is_gateway(process: Path, home: str) -> bool:
    """Whether a process is the Envoy of an emulated cloud."""
    try:
        command = (process / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return command[0].endswith("/envoy") and any(word.startswith(home) for word in command)
