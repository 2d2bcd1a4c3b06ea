"""GPU pool: the same machines everywhere, or each region its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Label, Select, Static

from backend.draft import EACH, Checked
from backend.fields import Field
from backend.money import costs
from tui.screens.pages.base import PageView
from tui.widgets.answer import Answer

ALL = -1


class GpuView(PageView):
    """The page."""

    HINT = "Each model server takes one GPU. GPUs without a server cost the same: `auto` leaves none idle."
    _scope: Sequence[int] | None = None

    def head(self) -> Iterable[Widget]:
        """For which regions the answers are."""
        pooled = [(index, cluster) for index, cluster in enumerate(self.draft.clusters) if cluster.get("gpu_pool")]
        options = [("all regions", ALL), *((f"only {cluster['region']}", index) for index, cluster in pooled)]
        with Horizontal(id="scope"):
            yield Label("For", classes="label")
            yield Select(options, value=ALL, allow_blank=False, compact=True, id="for")

    def tail(self) -> Iterable[Widget]:
        """Servers against GPUs."""
        yield Static("", id="servers", markup=False)

    def show(self, checked: Checked) -> None:
        """Show the answers, and whether GPUs stay idle."""
        super().show(checked)
        if checked.spec is None:
            return
        lines = []
        for cluster in checked.spec.targets:
            servers, gpus = checked.spec.replicas(cluster), cluster.serving_pool.gpus
            picture = ("▣" * min(servers, gpus) + "▢" * max(0, gpus - servers))[:32]
            state = f"{servers} of {gpus} GPUs serve" if servers < gpus else f"all {gpus} GPUs serve"
            lines.append(f"{cluster.region:<22} {picture}  {state}")
        cost = costs(checked.spec)
        if cost.idle_gpus:
            lines.append(f"! {cost.idle_gpus} GPUs stay idle and cost ${cost.idle:.2f}/h all the same")
        self.query_one("#servers", Static).update("\n".join(lines))

    @on(Select.Changed, "#for")
    def _scoped(self, event: Select.Changed) -> None:
        event.stop()
        self._scope = None if event.value == ALL else [int(str(event.value))]
        for row in self.query(Answer):
            if _apart(row.field):
                row.clusters = self._scope
                row.refresh_answer()


def _apart(field: Field) -> bool:
    return field.path.startswith(EACH) and not field.each
