"""Finding specifications by name, and keeping one's own.

A SPEC on the command line is a path, else a saved stack, else a user preset, else a preset of the package. Invariants:
listing names and descriptions reads YAML only, and the models load when a specification is really needed; one file that
cannot be read or used is told as such and never hides the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import UsageError
from backend.places import Places, write_private

if TYPE_CHECKING:
    from backend.spec import GatewaySpec

__all__ = [
    "NoSuchName",
    "Places",
    "PresetExists",
    "Source",
    "available",
    "dump",
    "find",
    "last_stack",
    "load",
    "presets",
    "save",
    "saved",
    "schema",
    "trouble",
]

_SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[a-z][-a-z0-9]{0,39}")


class PresetExists(UsageError):
    """A preset of that name with another content is there, and nobody said that it may be replaced."""


class NoSuchName(UsageError):
    """No file, stack or preset has the name."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place that a specification can be read from."""

    kind: str
    """``file``, ``stack``, ``user preset`` or ``preset``."""
    name: str
    """What it is called; a file by its name without the suffix."""
    label: str
    """How messages name it: a path, or a file name of the package."""
    text: str
    unreadable: UsageError | None = None
    """Why its text could not be read, which is empty then; ``None`` when it was."""

    @property
    def description(self) -> str:
        """Its one-line description; empty where it has none or cannot be read."""
        import yaml

        try:
            data = yaml.load(self.text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        except yaml.YAMLError:
            return ""
        return str(data.get("description") or "") if isinstance(data, dict) else ""


def load(source: Source, settings: Sequence[str] = ()) -> GatewaySpec:
    """Read the specification of a source with ``path=value`` settings; raises ``SpecError``."""
    from backend import spec_yaml

    if source.unreadable is not None:
        raise source.unreadable
    return spec_yaml.load(source.text, source.label, name=source.name, settings=settings)


def trouble(source: Source) -> str | None:
    """Say in one line why a source cannot be used; ``None`` when it can."""
    try:
        load(source)
    except UsageError as error:
        first, *rest = error.message.splitlines()
        return f"{first} (and {len(rest)} more)" if rest else first
    return None


def dump(spec: GatewaySpec) -> str:
    """Write a specification as YAML with every field."""
    from backend import spec_yaml

    return spec_yaml.dump(spec)


def find(reference: str, places: Places) -> Source:
    """Find what a SPEC stands for; raises ``UsageError`` naming what there is."""
    path = Path(reference).expanduser()
    if path.is_file():
        return Source("file", path.stem, reference, _read(path))
    if path.suffix in _SUFFIXES or "/" in reference:
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"the file {reference} {what}", fix="name a YAML file, or a preset of `mcig presets list`")
    found = list(available(places))
    for source in found:
        if source.name == reference:
            if source.unreadable is not None:
                raise source.unreadable
            return source
    raise _unknown(reference, found)


def last_stack(places: Places) -> Source:
    """The stack that was applied last; raises ``UsageError`` when there is none."""
    saved = _saved(places)
    if not saved:
        raise UsageError(
            "no stack is set up",
            cause="none was applied on this machine, or what was applied is destroyed",
            fix="mcig apply rehearsal",
        )
    path = max(saved, key=lambda path: (path.stat().st_mtime_ns, path.name))
    return Source("stack", path.stem, str(path), _read(path))


def available(places: Places) -> Iterator[Source]:
    """Everything that has a name: stacks, then user presets, then those of the package."""
    for path in _saved(places):
        yield _source("stack", path)
    yield from presets(places)


def presets(places: Places) -> Iterator[Source]:
    """The presets: the user's own, then those of the package, each kind by name."""
    from importlib.resources import files

    for path in _yaml_files(places.presets):
        yield _source("user preset", path)
    for item in sorted(files("presets").iterdir(), key=lambda item: item.name):
        if item.name.endswith(_SUFFIXES):
            text = item.read_text(encoding="utf-8")
            yield Source("preset", item.name.rpartition(".")[0], f"presets/{item.name}", text)


def saved(name: str, places: Places) -> Path | None:
    """The file of a user preset; ``None`` when there is none of that name."""
    return next((path for path in _yaml_files(places.presets) if path.stem == name), None)


def save(name: str, text: str, label: str, places: Places, *, replace: bool = False) -> Path:
    """Keep a specification as a user preset, word for word.

    Raises ``SpecError`` when it has problems, ``UsageError`` for a name that cannot be, and ``PresetExists`` when
    another is kept under the name, unless that may be replaced.
    """
    from backend import spec_yaml

    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a preset's name",
            cause="a name has lower-case letters, digits and hyphens, starts with a letter and has 40 at most",
            fix="choose another name",
        )
    spec_yaml.load(text, label, name=name)
    kept = saved(name, places)
    if kept is not None and not replace and _read(kept) != text:
        raise PresetExists(
            f"you have another preset called {name}",
            cause=f"it is in {kept}",
            fix="add --yes to replace it, or choose another name",
        )
    path = kept or places.presets / f"{name}.yaml"
    write_private(path, text)
    return path


def schema() -> dict[str, Any]:
    """The JSON Schema of a specification, for editors and checks."""
    from backend.spec_schema import json_schema

    return json_schema()


def _saved(places: Places) -> list[Path]:
    return _yaml_files(places.stacks)


def _yaml_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith("."))


def _source(kind: str, path: Path) -> Source:
    try:
        return Source(kind, path.stem, str(path), _read(path))
    except UsageError as error:
        return Source(kind, path.stem, str(path), "", error)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text in UTF-8", fix="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", fix="check the file's permissions") from error


def _unknown(reference: str, found: Sequence[Source]) -> NoSuchName:
    from difflib import get_close_matches

    names = list(dict.fromkeys(source.name for source in found))
    close = get_close_matches(reference, names, 1, 0.5)
    listed = "; ".join(f"{source.name} ({source.kind})" for source in found)
    return NoSuchName(
        f"there is no file, stack or preset called {reference}",
        cause=f"there is {listed}",
        fix=f"did you mean {close[0]}?" if close else "name one of these, or a YAML file",
    )
