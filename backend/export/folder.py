"""Writing an export into a folder.

Invariants: a folder that holds anything but an earlier export is refused; a file that somebody has changed since is
never replaced without a yes; files are readable by their owner only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backend.errors import UsageError
from backend.places import MODE_FOLDER, private_folder, write_private

RECORD = ".mcig-export.json"
"""File in which an export notes what it wrote, to tell its own files from those of others."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an export."""

    path: str
    """Where it stands below the folder, with slashes."""
    text: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to a folder."""

    files: tuple[str, ...]
    """Paths of all files of the export, below the folder."""
    removed: tuple[str, ...] = ()
    """Files of an earlier export that this one no longer has."""
    kept: tuple[str, ...] = ()
    """Such files that stay because somebody has changed them."""


class ChangedFiles(UsageError):
    """Files of an earlier export were changed since; ``write`` with ``replace`` writes over them."""


def write(files: Iterable[File], folder: Path, *, replace: bool = False) -> Written:
    """Write an export; raises ``UsageError`` for a folder of something else and ``ChangedFiles``."""
    wanted = {file.path: file for file in files}
    try:
        earlier = _earlier(folder)
        changed = [path for path in wanted if _stands_in_the_way(folder / path, wanted[path], earlier.get(path))]
        if changed and not replace:
            raise ChangedFiles(
                f"{folder} has files that were changed since they were exported: {', '.join(sorted(changed))}",
                cause="the export would write over them",
                fix="name another folder with --out, or add --yes to replace them",
            )
        removed, kept = _clear(folder, {path: told for path, told in earlier.items() if path not in wanted})
        private_folder(folder)
        for path, file in wanted.items():
            write_private(folder / path, file.text)
            if file.executable:
                (folder / path).chmod(MODE_FOLDER)
        record = {"files": {path: _digest(file.text) for path, file in sorted(wanted.items())}}
        write_private(folder / RECORD, json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written", cause=str(error), fix="name another folder with --out"
        ) from error
    return Written(tuple(sorted(wanted)), removed, kept)


def _earlier(folder: Path) -> Mapping[str, str]:
    """Files of the export that a folder holds, with their digests; none for a new or an empty folder."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file", fix="name a folder with --out")
    try:
        told = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        return {path: str(digest) for path, digest in told.items() if _within(path)}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder} holds something else than an export of mcig",
            cause=f"it is not empty, and {RECORD}, which an export leaves, is missing or cannot be read",
            fix="name a new or an empty folder with --out",
        ) from error


def _within(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts


def _stands_in_the_way(path: Path, file: File, digest: str | None) -> bool:
    """Whether a file has a content that neither this export nor the earlier one wrote."""
    found = _content(path)
    return found is not None and found != file.text and _digest(found) != digest


def _clear(folder: Path, stale: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete files of the earlier export that nobody has changed; give these, and those that stay."""
    removed, kept = [], []
    for path, digest in sorted(stale.items()):
        found = _content(folder / path)
        if found is None:
            continue
        if _digest(found) != digest:
            kept.append(path)
            continue
        (folder / path).unlink()
        removed.append(path)
        for parent in PurePosixPath(path).parents:
            if str(parent) != "." and not any((folder / parent).iterdir()):
                (folder / parent).rmdir()
    return tuple(removed), tuple(kept)


def _content(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
