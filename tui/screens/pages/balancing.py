"""Balancing: where spill-over begins, as a picture."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from backend.draft import Checked
from backend.spec import BalancingMode, GatewaySpec
from tui.screens.pages.base import PageView

WIDTH = 32


class BalancingView(PageView):
    """The page."""

    def tail(self) -> Iterable[Widget]:
        """The picture."""
        yield Static("", id="picture", markup=False)

    def show(self, checked: Checked) -> None:
        """Draw the picture anew."""
        super().show(checked)
        if checked.spec is not None:
            self.query_one("#picture", Static).update(picture(checked.spec))


def picture(spec: GatewaySpec) -> str:
    """How the nearest region fills up, where the next one begins, and what that means for this set-up."""
    near, far = spec.targets[0], spec.targets[1]
    if spec.balancing.mode is BalancingMode.CUSTOM_METRICS:
        percent = spec.balancing.max_utilization_percent or 0
        full = round(WIDTH * percent / 100)
        below = f"{percent} % of the KV cache"
        share = full
    else:
        each = spec.balancing.max_in_flight_requests_per_endpoint or 0
        share = full = round(WIDTH * 0.7)
        below = f"{each} × {spec.replicas(near)} servers = {each * spec.replicas(near)} requests at once"
    name = max(len(near.region), len(far.region))
    first = f"{near.region:<{name}}  {'█' * share}{'░' * (WIDTH - share)}"
    mark = f"{'':<{name}}  {' ' * max(0, full - 1)}▲ {below}"
    second = f"{far.region:<{name}}  {'▒' * max(1, (WIDTH - full) // 2)}{'░' * (WIDTH - max(1, (WIDTH - full) // 2))}"
    return f"{first}\n{mark}\n{second}  spills over"
