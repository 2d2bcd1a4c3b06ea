"""Watching a rehearsal: what the monitor sees, and what `mcig status` says of everything that can break."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.terminal import Terminal

FAULTS = {
    "membership-lost-connection region=us-east4": {"membership-lost"},
    "gateway-misconfigured": {"pool-extension-missing"},
    "metric-missing region=us-east4": {"metric-missing"},
    "pod-crashloop region=europe-west3": {"crash-loop"},
    "region-down region=us-east4": {"cluster-unreachable"},
}
"""Fault -> rows of the table of causes that `mcig status` names while it plays."""
PATIENCE_S = 30.0


def reasons(node: dict[str, Any]) -> set[str]:
    """Rows of the table of causes that a tree names."""
    mine = {node["known_as"]} if node.get("known_as") else set()
    return mine.union(*map(reasons, node["children"]))


@pytest.mark.long
def test_what_breaks_is_told_with_cause_and_fix_and_heals(terminal: Terminal, tmp_path: Path) -> None:
    terminal.mcig("apply", "rehearsal", "--yes", "--speed", "max")
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

    for fault, expected in FAULTS.items():
        terminal.mcig("emulator", "fault", "add", *fault.split())
        until(terminal, expected, fault)
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
