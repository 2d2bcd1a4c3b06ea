"""Files stay in one home and closed to others."""

import stat
from pathlib import Path

import pytest

from backend.places import Places, private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_mcig_home_moves_everything(tmp_path: Path) -> None:
    places = Places.of({"MCIG_HOME": str(tmp_path / "home")})
    everything = [places.presets, places.stack("a"), places.journal("a", "r"), places.lock("a"), places.cache]
    everything += [places.emulator]
    assert all(path.is_relative_to(tmp_path / "home") for path in everything)
    assert not (tmp_path / "home").exists()


def test_a_relative_home_does_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = Places.of({"MCIG_HOME": "here"})
    monkeypatch.chdir("/")
    assert places.config == tmp_path / "here" / "config"


def test_without_a_home_the_operating_system_decides() -> None:
    places = Places.of({})
    assert len({places.config, places.state, places.cache, places.emulator}) == 4
    assert all(path.is_absolute() and "mcig" in path.parts for path in (places.config, places.state, places.cache))


def test_folders_and_files_are_the_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_private(path, "first")
    write_private(path, "second")
    assert path.read_text() == "second"
    assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    private_folder(folder)
    assert mode(folder) == 0o755


def test_a_crash_is_kept_for_the_report(tmp_path: Path) -> None:
    path = Places.of({"MCIG_HOME": str(tmp_path)}).keep_crash("what happened")
    assert path.read_text() == "what happened"
    assert (mode(path), path.is_relative_to(tmp_path)) == (0o600, True)


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
