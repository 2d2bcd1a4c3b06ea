"""What goes into a bug report: of this machine, of earlier runs, and of the cloud as it is.

Invariants: everything here reads; a rehearsal's cloud that does not run is not started; each reading of the cloud has
a limit of its own, and whatever goes wrong with one leaves the others alone.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.bundle import machine
from backend.clients.connect import awake
from backend.emulator import control
from backend.errors import McigError
from backend.places import Places
from backend.presets import Source, dump
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.stack import Stack

LIMIT_S = 60.0
"""Longest time for one reading of the cloud."""
RUNS, CRASHES = 5, 5
"""Latest journals of the stack, and latest crash reports."""
MOST_BYTES = 1 << 20
"""The end of a file that is longer."""
_PLAN = ("plan.json", "what apply would change now")
_STATUS = ("status.json", "resources, conditions and why something is not ready")
_DOCTOR = ("doctor.json", "what the checks find")
_CLOUD = (_PLAN, _STATUS, _DOCTOR)


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a bug report, before anything is redacted."""

    name: str
    """Its path inside the bundle."""
    about: str
    """What it is, in a few words."""
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that could not be made."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What the report is about."""

    source: Source | None
    """Where the specification comes from; ``None`` where there is none yet."""
    spec: GatewaySpec | None
    """What it means; ``None`` when it has problems."""
    trouble: str = ""
    """Those problems."""

    @property
    def name(self) -> str | None:
        """The stack's name; ``None`` when nobody knows."""
        if self.spec is not None:
            return self.spec.name
        return None if self.source is None else self.source.name


async def gather(
    subject: Subject,
    *,
    environ: Mapping[str, str],
    places: Places,
    offline: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> list[Piece | Missing]:
    """Read everything that a report has; ``offline`` asks no cloud, ``note`` gets what takes a while."""
    found: list[Piece | Missing] = [
        Piece("versions.json", "mcig, Python, libraries, terminal", _json(machine.describe(environ))),
        *_specification(subject),
    ]
    found += await _cloud(subject.spec, environ, places, offline, note)
    found += await asyncio.to_thread(lambda: [*_records(subject.name, places), *_emulator(places)])
    return found


def _specification(subject: Subject) -> Iterator[Piece | Missing]:
    if subject.spec is not None:
        yield Piece("spec.yaml", "the specification with every field", dump(subject.spec))
    elif subject.source is not None:
        yield Piece("spec.yaml", "the specification as it is written", subject.source.text)
        yield Piece("problems.txt", "why the specification cannot be used", subject.trouble + "\n")
    else:
        yield Missing("spec.yaml", "no SPEC was named, and no stack is set up")


async def _cloud(
    spec: GatewaySpec | None,
    environ: Mapping[str, str],
    places: Places,
    offline: bool,
    note: Callable[[str], None],
) -> list[Piece | Missing]:
    why, home = "", places.emulator
    if offline:
        why = "no cloud was to be asked"
    elif spec is None:
        why = "there is no specification that can be used"
    elif not await asyncio.to_thread(awake, spec.target, home):
        why = "no emulated cloud runs, and a report starts none; first: mcig emulator start --detach"
    if spec is None or why:
        return [Missing(name, why) for name, _ in _CLOUD]
    note(f"asking the cloud how {spec.name} stands; this takes {LIMIT_S:g} s at most")
    from backend.stack import open_stack

    try:
        async with open_stack(spec, environ=environ, places=places) as stack:
            readings = (_plan(stack), _status(stack), _doctor(stack))
            parts = zip(_CLOUD, readings, strict=True)
            read = await asyncio.gather(*(reading(*kind, answer) for kind, answer in parts))
            return [one for several in read for one in several]
    except McigError as error:
        return [Missing(name, _told(error)) for name, _ in _CLOUD]


async def _plan(stack: Stack) -> Any:
    made = await stack.plan()
    return {
        **made.to_json(stack=stack.spec.name, target=str(stack.spec.target)),
        "notes": [asdict(one) for one in stack.notes_on(made)],
    }


async def _status(stack: Stack) -> Any:
    return (await stack.status()).to_json()


async def _doctor(stack: Stack) -> Any:
    from backend.preflight import in_order

    found = in_order([one async for one in stack.preflight()])
    return {"stack": stack.spec.name, "checks": [one.to_json() for one in found]}


async def reading(name: str, about: str, answer: Coroutine[Any, Any, Any]) -> list[Piece | Missing]:
    """One reading of the cloud; an unexpected failure is what reports are for, so it is kept whole."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return [Piece(name, about, _json(await answer))]
    except TimeoutError:
        return [Missing(name, f"no answer within {LIMIT_S:g} s")]
    except McigError as error:
        return [Missing(name, _told(error))]
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        return [
            Missing(name, why),
            Piece(f"{name}.traceback.txt", "how that failed", "".join(traceback.format_exception(error))),
        ]


def _records(stack: str | None, places: Places) -> Iterator[Piece | Missing]:
    folder = places.journals if stack is None else places.journals / stack
    for path in _latest(folder.rglob("*.jsonl"), RUNS):
        yield _file(f"journals/{path.parent.name}/{path.name}", "a run, event by event", path)
    for path in _latest((places.state / "crashes").glob("*.txt"), CRASHES):
        yield _file(f"crashes/{path.name}", "an unexpected failure", path)


def _emulator(places: Places) -> Iterator[Piece | Missing]:
    running = control.find(places.emulator)
    if running is not None:
        try:
            told = {"status": control.status(running), "settings": control.settings(running)["settings"]}
            yield Piece("emulator/status.json", "the emulated cloud: what it holds, faults, settings", _json(told))
        except control.EmulatorError as error:
            yield Missing("emulator/status.json", error.message)
    log = places.emulator / "emulator.log"
    if log.exists():
        yield _file("emulator/emulator.log", "what the emulated cloud logged", log)


def _latest(paths: Iterable[Path], most: int) -> list[Path]:
    """The files that were written last, the oldest of them first."""
    return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))[-most:]


def _file(name: str, about: str, path: Path) -> Piece | Missing:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_BYTES))
            end = file.read().decode(errors="replace")
    except OSError as error:
        return Missing(name, str(error.strerror))
    if size <= MOST_BYTES:
        return Piece(name, about, end)
    return Piece(name, f"{about}; its last {MOST_BYTES >> 20} MiB", end.partition("\n")[2])


def _told(error: McigError) -> str:
    return f"{error.message} ({error.cause})" if error.cause else error.message


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
