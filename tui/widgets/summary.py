"""What the answers amount to, at the side of the wizard: regions, machines, cost."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backend.money import Costs
from backend.spec import BalancingMode, GatewaySpec, Target


class Summary(Widget):
    """A few lines about a specification."""

    text: reactive[Content] = reactive(Content(""), layout=True)

    def show(self, spec: GatewaySpec | None, cost: Costs | None) -> None:
        """Show a specification; one with something to mend keeps the last picture, dimmed by its heading."""
        if spec is not None and cost is not None:
            self.text = _lines(spec, cost)

    def render(self) -> Content:
        """The lines."""
        return self.text


def _lines(spec: GatewaySpec, cost: Costs) -> Content:
    head, dim = "bold $text", "$quiet"
    parts: list[tuple[str, str]] = []
    for cluster in spec.clusters:
        mark = "  ◆ config" if cluster.name == spec.config_cluster else ""
        parts += [(cluster.region, head), (f"{mark}\n", "$text-accent")]
        pool = cluster.gpu_pool
        if pool is None:
            parts.append(("  gateway only\n\n", dim))
            continue
        count = pool.nodes * len(pool.zones)
        parts += [
            (f"  {count} × {pool.machine_type}\n", ""),
            (f"  {pool.gpus} GPUs, {pool.provisioning}\n", dim),
            (f"  {spec.replicas(cluster)} model servers\n\n", dim),
        ]
    parts.append((f"{spec.model.id.rpartition('/')[2]}\n", ""))
    if spec.model.adapters:
        parts.append((f"  + {', '.join(adapter.name for adapter in spec.model.adapters)}\n", dim))
    by_metric = spec.balancing.mode is BalancingMode.CUSTOM_METRICS
    full = (
        f"full at {spec.balancing.max_utilization_percent} % KV cache"
        if by_metric
        else f"full at {spec.balancing.max_in_flight_requests_per_endpoint} in flight"
    )
    parts += [(f"{full}\n", ""), (f"answers within {spec.timeout_s} s\n\n", "")]
    return Content.assemble(*parts, *_money(spec, cost))


def _money(spec: GatewaySpec, cost: Costs) -> list[tuple[str, str]]:
    if spec.target is Target.EMULATOR:
        parts = [("costs nothing here\n", "$text-success"), (f"${cost.usd_per_hour:.2f}/h for real\n", "")]
    else:
        parts = [(f"${cost.usd_per_hour:.2f}/h", "bold $text-accent"), (f"  ${cost.usd_per_day:,.0f}/day\n", "")]
    parts.append(("estimate, without traffic\n", "$quiet"))
    if cost.idle_gpus:
        parts.append((f"! {cost.idle_gpus} GPUs idle: ${cost.idle:.2f}/h\n", "$text-warning"))
    if cost.unpriced:
        parts.append((f"without {', '.join(cost.unpriced)}: no price known\n", "$quiet"))
    return parts
