"""Screens that may be left at any moment: by a key pressed twice, by another screen, by the end of the app.

A screen's widgets go before the screen itself, and what its workers wait for may come in between. Invariants: once a
screen begins to go, nothing of its workers runs but their cleaning up; leaving twice is leaving once, and never takes
the screen below along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.messages import Prune
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.worker import Worker


class Leavable(Screen[ScreenResultType]):
    """A screen that may be left while something is awaited."""

    going = False
    """Whether it is being taken away: its widgets may be gone, and what is still told to it is for nobody."""

    async def on_prune(self, event: Prune) -> None:
        """Stop what is under way here; as the app ends, everything."""
        del event
        self.going = True
        ends = not self.app.is_running
        for worker in list(self.app.workers):
            if ends or self in worker.node.ancestors_with_self:
                worker.cancel()

    def run_worker(self, *args: Any, **kwargs: Any) -> Worker[Any]:
        """Begin something; what a last message begins while the screen goes ends at once."""
        worker = super().run_worker(*args, **kwargs)
        if self.going:
            worker.cancel()
        return worker

    def holds(self, then: Callable[[], object]) -> bool:
        """Whether something is under way here that is asked about first; ``then`` follows once that was ended."""
        del then
        return False

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Leave with everything in front of it; nothing where it was left before."""
        if self not in self.app.screen_stack:
            return AwaitComplete()
        while (front := self.app.screen) is not self:
            front.dismiss()
        return super().dismiss(result)


class LeavableModal(ModalScreen[ScreenResultType], Leavable[ScreenResultType]):
    """The same in front of another screen; the app can be left from here, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "app.interrupt", "Quit", show=False),
        Binding("ctrl+q", "app.quit", "Quit", show=False),
    ]
