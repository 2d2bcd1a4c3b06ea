"""What the checks found, as a list that is gone through: open what is folded, ignore what fails.

Invariant: a failure that is ignored says so, and is told with its fix all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from backend.preflight.findings import Finding, Verdict
from tui.check_groups import Group, groups
from tui.widgets.findings import GLYPHS, STYLES, WORDS


class CheckList(OptionList):
    """Findings by kind, the worst first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "ignore", "Ignore", tooltip="Start although this check fails, or not", id="checks.ignore"),
        Binding("enter", "select", "Open", show=False, tooltip="Open or close the line", id="checks.open"),
    ]

    class Ignored(Message):
        """A person has chosen which failures are no reason to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.ignored: set[str] = set()
        """Ids of the failures that are no reason to stop."""
        self._found: Sequence[Finding] = ()
        self._state = ""
        self._opened: set[str] = set()
        self._shown: list[tuple[str, Content]] = []

    def show(self, found: Iterable[Finding], state: str = "") -> None:
        """Show these; ``state`` says what is still done."""
        self._found, self._state = tuple(found), state
        self._fill()

    @property
    def fix(self) -> str:
        """What mends the selected line; empty where nothing has to be mended."""
        key = self._key
        for group in groups(self._found):
            if group.key == key:
                return group.fix
        return next((one.fix or "" for one in self._found if key == f"one {one.id}"), "")

    @property
    def _key(self) -> str:
        option = None if self.highlighted is None else self.get_option_at_index(self.highlighted)
        return "" if option is None else option.id or ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A failure can be ignored, anything else cannot."""
        del parameters
        return action != "ignore" or any(one.id == self._key and one.status is Verdict.FAIL for one in self._found)

    def action_ignore(self) -> None:
        """Ignore the failure that is selected, or mind it again."""
        self.ignored ^= {self._key}
        self._fill()
        self.post_message(self.Ignored())

    def on_option_list_option_highlighted(self) -> None:
        """Other lines, other keys."""
        self.screen.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open what is folded, or close it."""
        event.stop()
        self._opened ^= {event.option_id or ""}
        self._fill()

    def _fill(self) -> None:
        lines = [line for group in groups(self._found) for line in self._rows(group)]
        if self._state:
            lines.append(("", Content.styled(f"… {self._state}", "$quiet")))
        if lines == self._shown:
            return
        before, self._shown = self._key, lines
        self.clear_options()
        self.add_options(Option(told, id=key or None, disabled=not key) for key, told in lines)
        keys = [key for key, _ in lines]
        self.highlighted = keys.index(before) if before in keys else 0 if lines and lines[0][0] else None

    def _rows(self, group: Group) -> Iterable[tuple[str, Content]]:
        many, opened = len(group.found) > 1, group.key in self._opened
        sign = f"{'▾' if opened else '▸'} " if many else ""
        word = "ignored" if group.key in self.ignored else WORDS[group.status]
        parts = [(f"{GLYPHS[group.status]} {word}  ", STYLES[group.status]), (sign, "$quiet"), (group.message, "")]
        if group.status is Verdict.FAIL and (why := group.found[0].why):
            parts.append((f"\n  why: {why}", "$quiet"))
        if group.fix and (not many or opened):
            parts += [(f"\n  fix: {fix}", "$quiet") for fix in group.fix.splitlines()]
        yield group.key, Content.assemble(*parts)
        if many and opened:
            for one in group.found:
                yield f"one {one.id}", Content.assemble(("    ", ""), (one.message, "$quiet"))
