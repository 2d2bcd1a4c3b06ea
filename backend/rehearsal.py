"""The emulated cloud of this machine, as a stack finds it.

Starts it where none runs, and says at which pace it plays. Invariant: an emulator that runs already is taken as it
is; a wish that it does not meet becomes a note for people, never a restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from backend.emulator import control
from backend.errors import RehearsalError
from backend.spec import GatewaySpec


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An emulated cloud that runs."""

    speed: float
    """How many times faster than in life; infinite when waiting times are left out."""
    notes: tuple[str, ...] = ()
    """What people should know about it."""


def prepare(spec: GatewaySpec, home: Path, speed: float | None) -> Rehearsal:
    """Make sure that the emulated cloud runs. Blocks; raises ``RehearsalError``.

    ``speed`` overrides the one of the spec; either counts only for an emulator that this call starts.
    """
    wanted = speed if speed is not None else spec.rehearsal.speed
    pace = math.inf if wanted == "max" else float(wanted)
    try:
        running = control.find(home)
        instance = running or control.start(home, speed=pace, seed=spec.rehearsal.seed)
        told = control.status(instance)["speed"]
    except control.EmulatorError as error:
        raise RehearsalError(error.message, fix=error.fix) from error
    actual = math.inf if told is None else float(told)
    if running is None:
        return Rehearsal(actual, (f"started the emulated cloud at {instance.url} (`mcig emulator stop` ends it)",))
    if speed is not None and actual != pace:
        note = (
            f"the emulated cloud runs already, at speed {spelled(actual)} and not {spelled(pace)}; "
            "`mcig emulator stop` first to change that"
        )
        return Rehearsal(actual, (note,))
    return Rehearsal(actual)


def spelled(speed: float) -> str:
    """A speed as the command line takes it."""
    return "max" if math.isinf(speed) else f"{speed:g}"
