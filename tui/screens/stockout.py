"""What else there is where a zone has no GPUs, as numbered ways on.

Invariant: escape changes nothing; the choice alone starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.leaving import LeavableModal

if TYPE_CHECKING:
    from backend.spec import GatewaySpec
    from backend.stockout import Alternative


class StockOutScreen(LeavableModal["Alternative | None"]):
    """Gives the alternative that was chosen, ``None`` for none."""

    CSS_PATH = "question.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "None of these", tooltip="Leave it as it is"),
        *(Binding(str(number), f"take({number})", f"Way {number}", show=False) for number in range(1, 10)),
    ]

    def __init__(self, cluster: str, ways: Sequence[Alternative]) -> None:
        super().__init__()
        self._cluster, self._ways = cluster, ways

    def compose(self) -> ComposeResult:
        """Lay out."""
        with Vertical(id="question") as box:
            box.border_title = f"No GPUs for {self._cluster}"
            yield Static("In their place mcig can take:", classes="quiet")
            yield OptionList(*(_option(number, way) for number, way in enumerate(self._ways, 1)), id="ways")
            yield Static("a number or enter takes it   escape leaves it as it is", classes="quiet")

    def action_take(self, number: int) -> None:
        """Take the way with this number."""
        if number <= len(self._ways):
            self.dismiss(self._ways[number - 1])

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._ways[event.option_index])


async def elsewhere(app: App[Any], spec: GatewaySpec, clusters: Iterable[str]) -> GatewaySpec | None:
    """Ask for something else in place of the GPUs of each cluster; ``None`` where one is left as it is."""
    from backend.stockout import alternatives

    for cluster in clusters:
        chosen = await app.push_screen_wait(StockOutScreen(cluster, alternatives(spec, cluster)))
        if chosen is None:
            return None
        spec = chosen.spec
    return spec


def _option(number: int, way: Alternative) -> Option:
    return Option(Content.assemble((f"{number}. {way.kind}  ", "bold"), (way.words, "")))
