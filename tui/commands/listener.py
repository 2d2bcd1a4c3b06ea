"""Telling a run's events: a JSON line each, or to people in the plain printer's words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backend.engine.events import Emit, Event, Outcome, Recorder, RunFinished, RunStarted, Verb
from backend.errors import UsageError
from tui.commands import teardown
from tui.console import Console

if TYPE_CHECKING:
    from backend.spec import GatewaySpec


class Listener:
    """Gives each event as a JSON line or hands it to the plain printer; with JSON it ends runs that never began.

    The last line of a destroy also says what remains, so it is kept back until that is known.
    """

    def __init__(self, console: Console, verb: Verb) -> None:
        self._console = console
        self._verb = verb
        self._last: Event | None = None
        self.plain: Emit | None = None
        """Tells events to people; nobody does without it."""
        self.begun = False
        """Whether something may have been changed."""

    def __call__(self, event: Event) -> None:
        self.begun = True
        if not self._console.json:
            if self.plain is not None:
                self.plain(event)
        elif self._verb is Verb.DESTROY and isinstance(event.payload, RunFinished):
            self._last = event
        else:
            self._console.line(event.to_json())

    def release(self, more: Mapping[str, Any] = teardown.UNKNOWN) -> None:
        """Print the line that was kept back, with what else is known by now."""
        if self._last is not None:
            self._console.line({**self._last.to_json(), **more})
            self._last = None

    def finish(self, spec: GatewaySpec, verb: Verb, error: BaseException) -> None:
        """Tell that the run is over where it never began; a run that began tells of its end itself."""
        if self.begun or not self._console.json or isinstance(error, UsageError):
            return
        outcome = Outcome.CANCELLED if isinstance(error, KeyboardInterrupt) else Outcome.FAILED
        recorder = Recorder(self)
        recorder(RunStarted(uuid.uuid4().hex, spec.name, str(spec.target), verb, ()))
        recorder(RunFinished(outcome, 0.0, {}))
