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
    servers = spec.replicas(near)
    if spec.balancing.mode is BalancingMode.CUSTOM_METRICS:
        percent = spec.balancing.max_utilization_percent or 0
        full = round(WIDTH * percent / 100)
        line = f"{percent} %"
        means = (
            f"Once the {servers} model servers in {near.region} use {percent} % of their KV cache, new requests go to "
            f"{far.region}. Long prompts fill it sooner than short ones. A burst runs over the line for some seconds, "
            "until the metrics have come."
        )
    else:
        each = spec.balancing.max_in_flight_requests_per_endpoint or 0
        full = round(WIDTH * 0.7)
        line = f"{each * servers} requests"
        means = (
            f"{servers} model servers in {near.region} take {each} requests each at one time; the next one goes to "
            f"{far.region} at once. A long request counts like a short one."
        )
    name = max(len(near.region), len(far.region))
    over = max(1, (WIDTH - full) // 2)
    first = f"{near.region:<{name}}  {'█' * full}{'░' * (WIDTH - full)}"
    mark = f"{'':<{name}}  {' ' * max(0, full - 1)}▲ {line}"
    second = f"{far.region:<{name}}  {'▒' * over}{'░' * (WIDTH - over)}  spills over"
    return f"{first}\n{mark}\n{second}\n\n{means}"
