"""What was typed, in the form that every command takes.

Invariant: exit codes are the ones of the table below, in every command.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from backend.errors import UsageError
from tui.console import Console
from tui.interrupts import Interrupts

if TYPE_CHECKING:
    from backend.presets import Places, Source
    from backend.spec import GatewaySpec


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """A step or a prompt failed, or it was declined, or credentials, the lock or the emulator were missing."""
    USAGE = 2
    """What was typed or the specification cannot be."""
    PENDING = 3
    """``plan --detailed-exitcode`` found changes."""
    REFUSED = 4
    """A check of the preflight failed."""
    INTERRUPTED = 130


@dataclass(frozen=True)
class Invocation:
    """The options that all commands share, and the places and streams they work with."""

    environ: Mapping[str, str]
    places: Places
    console: Console
    interrupts: Interrupts
    settings: tuple[str, ...] = ()
    """``path=value`` overrides of the specification."""
    target: str | None = None
    yes: bool = False
    """Whether the question before a change is answered with yes."""
    asked: GatewaySpec | None = None
    """The specification that was asked for question by question, where no SPEC was typed."""

    @property
    def json(self) -> bool:
        """Whether the result is wanted as JSON."""
        return self.console.json

    def spec(self, reference: str | None) -> GatewaySpec:
        """The specification that SPEC and the options mean; without SPEC that of the last stack."""
        from backend import presets

        if reference is None and self.asked is not None:
            return self.asked
        return presets.load(self._source(reference), self.overrides)

    def origin(self, reference: str | None) -> str:
        """Where the specification comes from, in words: a name may be a stack's and a preset's, and the stack wins."""
        if reference is None and self.asked is not None:
            return "your answers"
        source = self._source(reference)
        words = {
            "file": f"the file {source.label}",
            "stack": "the stack as it was last applied" if reference else f"the last stack, {source.name}",
            "user preset": f"your preset {source.name}",
            "preset": f"the preset {source.name}",
        }[source.kind]
        return f"{words}, with {', '.join(self.overrides)}" if self.overrides else words

    def again(self, *command: str, added: Sequence[str] = ()) -> str:
        """A command line with the options that make it mean the same specification, and further ones.

        A setting of the same path among the further options takes the place of the earlier one.
        """
        target = [] if self.target is None else ["--target", self.target]
        changed = {one.partition("=")[0] for one in added}
        kept = [one for one in self.settings if one.partition("=")[0] not in changed]
        return shlex.join(["mcig", *command, *(part for one in kept for part in ("--set", one)), *target, *added])

    @property
    def overrides(self) -> tuple[str, ...]:
        """Every ``path=value`` override, the target's among them."""
        return self.settings if self.target is None else (*self.settings, f"target={self.target}")

    def _source(self, reference: str | None) -> Source:
        from backend import presets

        return presets.last_stack(self.places) if reference is None else presets.find(reference, self.places)


def speed(text: str) -> float:
    """Read a speed of the emulated cloud: ``max``, or how many times faster than real time."""
    if text == "max":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(
            f"{text!r} is no speed", cause="a speed is max or a number above 0", fix="for example --speed 60"
        )
    return value
