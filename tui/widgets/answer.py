"""One question of the wizard: its label, the control for its answer, and what is wrong with it.

Invariant: a control shows what the draft holds, and every change of it is told as ``Answer.Given`` with plain data;
nothing here decides whether an answer is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Label, Select

from backend.draft import Draft
from backend.errors import Problem
from backend.fields import Field, Kind
from tui.widgets.one_of import OneOf

FEW = 5
"""Up to so many choices stand side by side or below each other; more drop down."""
LONGEST_TEXT = 2000
"""Characters that a field takes; a larger paste is cut."""


class Answer(Vertical):
    """A row of a page."""

    @dataclass
    class Given(Message):
        """The answer was changed."""

        answer: Answer
        value: Any

    @dataclass
    class Reached(Message):
        """The field has the focus now."""

        answer: Answer

    def __init__(self, field: Field, draft: Draft, clusters: Sequence[int] | None = None, label: str = "") -> None:
        super().__init__(classes="answer")
        self.field = field
        self.clusters = clusters
        """Positions of the clusters that it is for; ``None`` for all."""
        self._draft = draft
        self._label = label or field.label
        self._shown = self._text()
        self._told = ""

    @property
    def paths(self) -> list[str]:
        """Paths of the specification that it answers."""
        return self._draft.paths(self.field.path, self.clusters)

    def compose(self) -> ComposeResult:
        """Label, control, unit; below it what is wrong."""
        with Horizontal(classes="line"):
            yield Label(self._label, classes="label", markup=False)
            yield self._control()
            if self.field.unit:
                yield Label(self.field.unit, classes="unit", markup=False)

    def tell(self, problems: Sequence[Problem]) -> None:
        """Show what is wrong with the answer; nothing when that is all right."""
        found = next((problem for path in self.paths for problem in problems if problem.path.startswith(path)), None)
        told = "" if found is None else f"✗ {found.message}"
        if told == self._told:
            return
        self._told = told
        self.set_class(found is not None, "wrong")
        labels = self.query(".problem")
        if labels:
            labels.first(Label).update(told)
            labels.first().display = bool(told)
        else:
            self.mount(Label(told, classes="problem", markup=False))

    def refresh_answer(self) -> None:
        """Show what the draft holds now, where another answer has changed it."""
        if (now := self._text()) == self._shown and self.field.options is None:
            return
        controls = self.query(".control")
        if not controls:
            return
        self._shown, control = now, controls.first()
        with self.prevent(Input.Changed, Select.Changed, Checkbox.Changed, OneOf.Changed):
            if isinstance(control, Input) and control.value != now and not control.has_focus:
                control.value = now
                control.placeholder = self._placeholder()
            elif isinstance(control, Checkbox):
                control.value = now == "yes"
            elif isinstance(control, OneOf):
                control.show(self.field.choices(self._draft), now)
            elif isinstance(control, Select):
                control.set_options(self._options())
                control.value = now if any(now == value for _, value in self._options()) else Select.NULL

    def _control(self) -> Widget:
        field, choices = self.field, self.field.choices(self._draft)
        if field.kind is Kind.YES_NO:
            return Checkbox("", self._shown == "yes", compact=True, classes="control")
        if field.kind is Kind.CHOICE and (field.advanced or len(choices) > FEW):
            options = self._options()
            value = self._shown if any(self._shown == value for _, value in options) else Select.NULL
            return Select(options, value=value, compact=True, prompt=self._placeholder() or "choose", classes="control")
        if field.kind is Kind.CHOICE:
            return OneOf(choices, self._shown, classes="control")
        return Input(
            self._shown,
            compact=True,
            placeholder=self._placeholder(),
            max_length=LONGEST_TEXT,
            suggester=SuggestFromList([choice.value for choice in choices], case_sensitive=False) if choices else None,
            select_on_focus=False,
            classes="control",
        )

    def _options(self) -> list[tuple[str, str]]:
        return [(f"{choice.label}  {choice.hint}".rstrip(), choice.value) for choice in self.field.choices(self._draft)]

    def _text(self) -> str:
        """The answer as text; empty where clusters differ."""
        answers = {self.field.show(value) for value in self._draft.all(self.field.path, self.clusters)}
        return answers.pop() if len(answers) == 1 else ""

    def _placeholder(self) -> str:
        answers = [self.field.show(value) for value in self._draft.all(self.field.path, self.clusters)]
        if len(set(answers)) > 1:
            return f"differs: {', '.join(answers)}"
        return "none" if self.field.optional else ""

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(OneOf.Changed)
    def _changed(self, event: Input.Changed | Checkbox.Changed | Select.Changed | OneOf.Changed) -> None:
        event.stop()
        if event.value is Select.NULL:
            return
        value: Any = event.value if isinstance(event.value, bool) else self.field.parse(str(event.value))
        self._shown = self.field.show(value)
        self.post_message(self.Given(self, value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell which field is being answered."""
        del event
        self.post_message(self.Reached(self))
