"""Recordings are what was seen, and survive being cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.monitor.recording import Recording, is_recording, read
from tests.backend.monitor.snapshots import spill


def test_what_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    path, looks = tmp_path / "r.jsonl", [spill(at) for at in range(0, 60, 2)]
    with Recording(path) as keep:
        for each in looks:
            keep(each)
    assert is_recording(path)
    assert read(path) == looks


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        Recording(path)
    assert path.read_text() == "mine"


def test_a_cut_off_line_is_left_out_and_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = json.dumps(spill(0).to_json())
    path.write_text(f"{line}\n{line[: len(line) // 2]}")
    assert read(path) == [spill(0)]
    path.write_text(f"{line}\nnonsense\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        read(path)
    path.write_text("")
    assert not is_recording(path)
    with pytest.raises(ValueError, match="empty"):
        read(path)


def test_fields_of_another_version_are_no_obstacle() -> None:
    data = json.loads(json.dumps(spill(4).to_json()))
    data["clusters"][0]["brightness"] = 3
    data["clusters"][0]["pods"][0]["brightness"] = 3
    del data["where"], data["cost"]["rehearsed"], data["clusters"][0]["lost"]
    found = type(spill(0)).from_json(data)
    assert found.clusters == spill(4).clusters
