"""A program that is forked is to whoever started it what a new process would be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warm.client import Warm

MODEL_SERVER = "backend.emulator.serving.modelserver"
ORDER = {"op": "add", "uid": "1", "container": "main", "image": "vllm:v1", "words": ["some/model"], "env": {}}
"""What a model server answers with its first words."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MCIG_HOME": str(tmp_path / "mcig")}


@pytest.fixture
def waiting(warm: Warm, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program that runs until its input ends."""
    command: list[str | Path] = [warm.python, "-m", MODEL_SERVER]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdin is not None and run.stdout is not None
        run.stdin.write(json.dumps(ORDER) + "\n")
        run.stdin.flush()
        assert "vLLM" in run.stdout.readline(), "it is there"
        yield run


def test_words_streams_variables_and_exit_code(warm: Warm, environ: dict[str, str], tmp_path: Path) -> None:
    def mcig(*words: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [warm.python, "-m", "tui", *words]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)

    shown = mcig("presets", "show", "rehearsal")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "name: rehearsal" in shown.stdout
    (tmp_path / "here.yaml").write_text("name: [\n")
    refused = mcig("plan", "here.yaml")
    assert refused.returncode == 2
    assert "here.yaml" in refused.stderr, "found where the command was started"
    assert warm.run(["plan", str(tmp_path / "here.yaml")], environ)[0] == 2


def test_it_ends_with_its_input(waiting: subprocess.Popen[str]) -> None:
    assert waiting.stdin is not None
    waiting.stdin.close()
    assert waiting.wait(20) == 0


def test_a_signal_reaches_it(waiting: subprocess.Popen[str]) -> None:
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(20) == -signal.SIGTERM


def test_it_does_not_outlive_what_stands_for_it(waiting: subprocess.Popen[str]) -> None:
    """Its output ends, which it only does when nobody has the other end any more."""
    waiting.kill()
    assert waiting.stdout is not None
    assert waiting.wait(20) == -signal.SIGKILL
    waiting.stdout.read()


def test_what_cannot_be_forked_is_started(warm: Warm) -> None:
    told = subprocess.run(
        [warm.python, "-c", "import sys; print(sys.argv)", "a"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "['-c', 'a']\n"
