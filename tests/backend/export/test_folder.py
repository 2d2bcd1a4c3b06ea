"""Writing an export: whose files are there already, and who may read what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import UsageError
from backend.export import ChangedFiles, File, write

SCRIPT = File("setup.sh", "#!/bin/sh\n", executable=True)
NOTE = File("deep/down/note.md", "# one\n")


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")}


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    assert write([SCRIPT, NOTE], out).files == ("deep/down/note.md", "setup.sh")
    assert modes(out) == {
        ".mcig-export.json": 0o600,
        "deep": 0o700,
        "deep/down": 0o700,
        "deep/down/note.md": 0o600,
        "setup.sh": 0o700,
    }
    assert out.stat().st_mode & 0o777 == 0o700


def test_an_empty_folder_is_taken_and_any_other_refused(tmp_path: Path) -> None:
    write([NOTE], tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="something else"):
        write([NOTE], tmp_path / "mine")
    with pytest.raises(UsageError, match="is a file"):
        write([NOTE], tmp_path / "mine" / "letter.txt")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("record", ["", "[]", '{"files": 1}', '{"files": {"/etc/passwd": "x", "../up": "y"}}'])
def test_a_broken_record_is_no_earlier_export(tmp_path: Path, record: str) -> None:
    (tmp_path / "kept").write_text("mine")
    (tmp_path / ".mcig-export.json").write_text(record)
    try:
        write([NOTE], tmp_path)
    except UsageError:
        assert not (tmp_path / "deep").exists()
    assert (tmp_path / "kept").read_text() == "mine"


def test_an_earlier_export_is_replaced_and_what_it_no_longer_has_removed(tmp_path: Path) -> None:
    write([SCRIPT, NOTE], tmp_path)
    (tmp_path / "kubeconfig").write_text("of the script")
    again = write([File("setup.sh", "#!/bin/bash\n", executable=True)], tmp_path)
    assert again.removed == ("deep/down/note.md",)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mcig-export.json", "kubeconfig", "setup.sh"]
    assert (tmp_path / "setup.sh").read_text() == "#!/bin/bash\n"


def test_what_was_changed_since_is_replaced_after_a_yes_only(tmp_path: Path) -> None:
    write([SCRIPT, NOTE], tmp_path)
    (tmp_path / "setup.sh").write_text("#!/bin/sh\nmine\n")
    changed = File("setup.sh", "#!/bin/sh\ntheirs\n")
    with pytest.raises(ChangedFiles, match=r"setup\.sh"):
        write([changed, NOTE], tmp_path)
    assert (tmp_path / "setup.sh").read_text() == "#!/bin/sh\nmine\n"
    write([changed, NOTE], tmp_path, replace=True)
    assert (tmp_path / "setup.sh").read_text() == changed.text


def test_what_was_changed_and_is_no_longer_wanted_stays(tmp_path: Path) -> None:
    write([SCRIPT, NOTE], tmp_path)
    (tmp_path / NOTE.path).write_text("mine")
    assert write([SCRIPT], tmp_path).kept == (NOTE.path,)
    assert (tmp_path / NOTE.path).read_text() == "mine"
