"""The file itself: a zip that its owner alone may read.

Invariants: nothing is packed that was not redacted; an existing file is never replaced; a list of everything that is
and is not inside is inside, too.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.bundle.contents import Missing, Piece
from backend.bundle.redaction import HOME, MARK, PROJECT, Redaction
from backend.errors import UsageError
from backend.places import MODE_FILE

README = "README.txt"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a bundle."""

    name: str
    about: str
    size: int
    """Bytes before it was compressed."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written."""

    path: Path
    size: int
    """Bytes."""
    contents: tuple[Entry, ...]
    missing: tuple[Missing, ...]
    taken: Mapping[str, int]
    """How often something was taken out, by what it was."""


def free_path(wanted: str | None, stack: str | None, *, now: datetime | None = None) -> Path:
    """Where a bundle can be written: as wanted, else in this folder, named by stack and time.

    Raises ``UsageError`` where a file of that name is there already or the folder is not.
    """
    at = now or datetime.now(UTC)
    path = Path(wanted or f"mcig-{stack or 'support'}-{at:%Y%m%dT%H%M%SZ}.zip").expanduser()
    if path.exists():
        raise _exists(path)
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", fix="name a file in another folder with --out")
    return path


def pack(found: Sequence[Piece | Missing], path: Path, redact: Redaction, *, now: datetime | None = None) -> Bundle:
    """Redact and write; raises ``UsageError`` where the file exists already or cannot be written."""
    pieces = [Piece(redact(one.name), one.about, redact(one.text)) for one in found if isinstance(one, Piece)]
    missing = tuple(Missing(one.name, redact(one.why)) for one in found if isinstance(one, Missing))
    entries = tuple(Entry(one.name, one.about, len(_bytes(one.text))) for one in pieces)
    made = now or datetime.now(UTC)
    readme = _readme(entries, missing, redact, made)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ((README, readme), *((one.name, one.text) for one in pieces)):
            info = zipfile.ZipInfo(f"{path.stem}/{name}", made.timetuple()[:6])
            info.external_attr = MODE_FILE << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _bytes(text))
    data = stream.getvalue()
    _write(path, data)
    return Bundle(path, len(data), entries, missing, dict(sorted(redact.taken.items())))


def _write(path: Path, data: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE_FILE)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", fix="name a file in another folder with --out"
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists already", fix="name another file with --out")


def _readme(entries: Sequence[Entry], missing: Sequence[Missing], redact: Redaction, made: datetime) -> str:
    lines = [
        f"A support bundle of mcig, made {made:%Y-%m-%d %H:%M} UTC, for a bug report.",
        "",
        *(f"{one.name}: {one.about}" for one in entries),
        "",
        *(f"{one.name} is missing: {one.why}" for one in missing),
        *([""] if missing else []),
        f"Taken out: secrets (now {MARK}), project ids and numbers (now {PROJECT} and NUMBER),",
        f"mail addresses of people (now person-N@example.com), and home folders (now {HOME}).",
        *(f"  {kind}: {count}" for kind, count in sorted(redact.taken.items())),
        "Names of stacks, clusters, regions, models and Hugging Face accounts were kept. mcig sent this to nobody.",
    ]
    return "\n".join(lines) + "\n"


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")
