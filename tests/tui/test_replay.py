"""``mcig replay`` without a screen: the same run as lines, as JSON, and what is no journal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tui.cli import main

JOURNALS = Path(__file__).parent / "journals"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCIG_HOME", str(tmp_path))
    return tmp_path


def test_a_failed_run_as_lines_names_cause_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(JOURNALS / "failed.jsonl"), "--plain"]) == 0
    printed = capsys.readouterr().out
    assert "✗ node-pool/gke-east/h100 failed" in printed
    assert "  fix: ask for more" in printed
    assert "Not finished after 32 s" in printed


def test_json_gives_the_events_back_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    path = JOURNALS / "succeeded.jsonl"
    assert main(["replay", str(path), "--json"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in printed] == [json.loads(line) for line in path.read_text().splitlines()]


def test_the_name_of_a_stack_means_its_latest_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "state" / "journals" / "rehearsal"
    folder.mkdir(parents=True)
    shutil.copy(JOURNALS / "succeeded.jsonl", folder / "20260101T000000Z-a.jsonl")
    shutil.copy(JOURNALS / "failed.jsonl", folder / "20260201T000000Z-b.jsonl")
    assert main(["replay", "rehearsal", "--plain"]) == 0
    assert "Not finished" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "nonsense\n", '{"seq": 1}\n', "\x00\xff\n" * 5, '[1, 2]\n"x"\n'])
def test_what_is_no_journal_is_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    assert main(["replay", str(path)]) == 2
    assert "is no journal of a run" in capsys.readouterr().err


def test_what_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "nowhere"]) == 2
    assert "there is no journal nowhere" in capsys.readouterr().err


def test_a_folder_and_a_path_that_leads_out_are_refused(tmp_path: Path) -> None:
    assert main(["replay", str(tmp_path)]) == 2
    assert main(["replay", "../../etc"]) == 2
