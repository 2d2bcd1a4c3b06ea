"""The file: private, complete, redacted, and never in place of another."""

from __future__ import annotations

import stat
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.bundle import Missing, Piece, Redaction, free_path, pack
from backend.errors import UsageError

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "not for others"


def test_everything_is_redacted_on_its_way_in(tmp_path: Path) -> None:
    found: list[Piece | Missing] = [
        Piece("spec.yaml", "the specification", f"a: {SECRET}\n"),
        Piece(f"journals/{SECRET}.jsonl", "a run", "{}\n\udce4"),
        Missing("plan.json", f"refused: {SECRET}"),
    ]
    made = pack(found, tmp_path / "one.zip", Redaction(secrets=[SECRET]), now=AT)
    with zipfile.ZipFile(made.path) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
        assert {info.date_time for info in archive.infolist()} == {(2026, 1, 2, 3, 4, 4)}
    assert set(texts) == {"one/README.txt", "one/spec.yaml", "one/journals/REDACTED.jsonl"}
    assert texts["one/spec.yaml"] == "a: REDACTED\n"
    assert not [name for name, text in texts.items() if SECRET in name + text]
    readme = texts["one/README.txt"]
    for told in (
        "spec.yaml: the specification",
        "plan.json is missing: refused: REDACTED",
        "secret of this machine: 3",
    ):
        assert told in readme
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert (made.size, [one.size for one in made.contents]) == (made.path.stat().st_size, [12, 4])
    assert (made.taken, made.missing) == ({"secret of this machine": 3}, (Missing("plan.json", "refused: REDACTED"),))


def test_it_goes_where_it_is_wanted_and_never_over_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_path(None, "two-regions", now=AT) == Path("mcig-two-regions-20260102T030405Z.zip")
    assert free_path(None, None, now=AT) == Path("mcig-support-20260102T030405Z.zip")
    there = tmp_path / "there.zip"
    there.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        free_path(str(there), None)
    with pytest.raises(UsageError, match="exists already"):
        pack([], there, Redaction())
    assert there.read_text() == "mine"
    with pytest.raises(UsageError, match="no folder"):
        free_path(str(tmp_path / "nowhere" / "x.zip"), None)
    with pytest.raises(UsageError, match="cannot be written"):
        pack([], tmp_path / "nowhere" / "x.zip", Redaction())
