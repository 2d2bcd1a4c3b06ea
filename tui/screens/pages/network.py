"""Network: the VPC as it is, and a free range for each region's proxies."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from backend.preflight.offers import NetworkOffer
from backend.spec import GatewaySpec
from tui.screens.pages.base import PageView


class NetworkView(PageView):
    """The page."""

    def tail(self) -> Iterable[Widget]:
        """What is there."""
        yield Static("", id="ranges", markup=False)

    async def look(self, spec: GatewaySpec) -> None:
        """Read the networks, and propose free ranges."""
        survey = await self.session.survey(spec)
        networks = await survey.networks()
        proposed = await survey.propose_ranges(spec)
        network = next((one for one in networks if one.name == spec.network.vpc), None)
        if network is None:
            names = ", ".join(one.name for one in networks)
            told = (
                f"✗ there is no VPC {spec.network.vpc}; there is {names}" if names else "? the VPCs are not known yet"
            )
            self.query_one("#ranges", Static).update(told)
            return
        lines = [f"{network.name}: a VPC in {'auto' if network.auto else 'custom'} mode"]
        for cluster in spec.targets:
            lines += _region(network, cluster.region, str(proposed.get(cluster.region, "")))
        if any(line.endswith("free") for line in lines):
            lines.append("The answer `auto` takes the free ranges.")
        self.query_one("#ranges", Static).update("\n".join(lines))


def _region(network: NetworkOffer, region: str, proposed: str) -> Iterable[str]:
    here = network.in_region(region)
    ordinary = ", ".join(str(one.range) for one in here if not one.proxy_only and one.range)
    proxy = next((one for one in here if one.proxy_only), None)
    yield f"{region:<19} nodes {ordinary or 'none'}"
    if proxy is not None:
        used = proxy.purpose == "GLOBAL_MANAGED_PROXY"
        yield f"{'':<19} {'proxies' if used else '✗ there'} {proxy.range}"
        yield f"{'':<19} {proxy.name}: {'there already, and used' if used else f'for {proxy.purpose}'}"
    elif proposed:
        yield f"{'':<19} proxies {proposed}, free"
