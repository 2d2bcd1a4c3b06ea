"""A rehearsed stock-out: told, got over by the next zone, or by another region that takes the lost one's place."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.terminal import Terminal
from tests.warm.client import TIMEOUT_S

POOL = "node-pool/gke-east/h100"
FAULT = 'rehearsal.faults=["stockout zone=us-east4-a"]'


def pools(terminal: Terminal) -> dict[str, Any]:
    planned = terminal.mcig("plan", "rehearsal", "--json").document
    return {step["resource"]: step for step in planned["steps"] if step["resource"].startswith("node-pool/")}


def test_the_next_zone_is_taken_on_the_users_word(terminal: Terminal) -> None:
    arguments = ("apply", "rehearsal", "--yes", "--json", "--speed", "max", "--set", FAULT, "--ignore", "capacity")
    failed = terminal.mcig(*arguments, code=1).lines
    (pool,) = [event for event in failed if event["type"] == "step_finished" and event["resource"] == POOL]
    assert pool["error"]["kind"] == "StockOut"
    assert "gpu_pool.zones=[us-east4-b]" in pool["error"]["fix"]
    assert pools(terminal)[POOL]["action"] == "replace"

    applied = terminal.mcig("apply", "rehearsal", "--yes", "--json", "--on-stockout", "next-zone").lines
    (pool,) = [event for event in applied if event["type"] == "step_finished" and event["resource"] == POOL]
    assert pool["detail"] == {"zones": ["us-east4-b"]}
    told = [event["text"] for event in applied if event["type"] == "step_note" and event["resource"] == POOL]
    assert "us-east4-a has no a3-highgpu-2g: next us-east4-b" in told
    terminal.mcig("plan", "rehearsal", "--detailed-exitcode")
    assert pools(terminal)[POOL]["reason"] == "in us-east4-b, because us-east4-a had no machines"


def test_faults_are_played_listed_and_cleared(terminal: Terminal) -> None:
    terminal.mcig("emulator", "start", "--detach", "--speed", "max")
    refused = terminal.mcig("emulator", "fault", "add", "earthquake", code=2)
    assert "there is stockout, quota" in refused.err
    terminal.mcig("emulator", "fault", "add", "stockout", "zone=us-east4-a", "times=2")
    terminal.mcig("emulator", "fault", "add", "internal-error", "step=membership")
    listed = terminal.mcig("emulator", "fault", "list", "--json").document
    assert [fault["fault"] for fault in listed] == [
        "stockout zone=us-east4-a times=2",
        "internal-error step=membership",
    ]
    assert terminal.mcig("emulator", "status", "--json").document["faults"] == listed
    assert "stockout zone=us-east4-a times=2 (2 times)" in terminal.mcig("emulator", "fault", "list").out
    terminal.mcig("emulator", "fault", "clear")
    assert terminal.mcig("emulator", "fault", "list", "--json").document == []


def test_a_fault_of_the_specification_that_cannot_be_is_told(terminal: Terminal) -> None:
    told = terminal.mcig("plan", "rehearsal", "--set", 'rehearsal.faults=["stockout zone=mars"]', code=1)
    assert "rehearsal.faults: mars is not a zone" in told.err
    assert terminal.mcig("emulator", "status", code=1)


class Typed:
    """A person at a real terminal: reads until some words stand there, and types."""

    def __init__(self, terminal: Terminal, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        environ = terminal.environ | {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "tui", *arguments]
        self.process = subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.text = ""

    def until(self, pattern: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def type(self, line: str) -> None:
        self.text = ""
        os.write(self._master, f"{line}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(TIMEOUT_S)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], TIMEOUT_S)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


@pytest.mark.long
def test_another_region_takes_the_place_of_a_lost_one(terminal: Terminal, tmp_path: Path) -> None:
    fault = 'rehearsal.faults=["stockout region=us-east4"]'
    person = Typed(terminal, "apply", "rehearsal", "--speed", "max", "--set", fault, "--ignore", "capacity")
    person.until(r"Apply rehearsal now\?")
    person.type("y")
    person.until(r"Which one\?")
    (number,) = re.findall(r"(\d+)\. region: us-east5", person.text)
    person.type(number)
    person.until(r"Apply rehearsal now\?")
    assert "cluster/gke-east-us-east5" in person.text
    person.type("y")
    assert person.end() == 0, person.text

    status = terminal.mcig("status", "rehearsal", "--json").document
    assert [address["region"] for address in status["addresses"]] == ["europe-west3", "us-east5"]
    left = terminal.mcig("emulator", "status", "--json").document["resources"]
    assert not [name for name in left if "us-east4" in name], "nothing is left of the lost region"
    terminal.mcig("plan", "rehearsal", "--detailed-exitcode")
    terminal.mcig("destroy", "rehearsal", "--yes")
    left = terminal.mcig("emulator", "status", "--json").document["resources"]
    assert {name.partition("/")[0] for name in left} == {"service", "binding"}
