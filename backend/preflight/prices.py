"""Spot prices: what Google says now against the catalogue's, by which plans count."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend import catalog
from backend.clients.machines import SpotPrice
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.spec import ClusterSpec, Provisioning

TOPIC = Topic.GPU
WORTH_TELLING = 0.1
"""Share by which a price must differ from the counted one to be told as a warning."""
WHY = "plans, guards and the money spent so far count by the catalogue's price"


async def _prices(question: Question) -> Sequence[Finding]:
    spot = [one for one in question.spec.targets if one.serving_pool.provisioning is Provisioning.SPOT]
    asked = (question.readings.spot_price(one.region, one.serving_pool.machine_type) for one in spot)
    return [judge(cluster, told) for cluster, told in zip(spot, await asyncio.gather(*asked), strict=True)]


def judge(cluster: ClusterSpec, told: SpotPrice | Gap | None) -> Finding:
    """Whether plans count by the price that Google tells."""
    machine, region = cluster.serving_pool.machine_type, cluster.region
    identity = f"price/{region}/{machine}"
    if isinstance(told, Gap):
        return unread(identity, told, what=f"The Spot price of {machine} in {region}", why=WHY, topic=TOPIC)
    counted = catalog.quote(machine, region, Provisioning.SPOT)
    by = "nothing" if counted is None else f"${counted.usd_per_hour:,.2f}, as of {counted.dated}"
    if told is None:
        text = f"Google tells no Spot price of {machine} in {region}; the plan counts {by}"
        return Finding(identity, Verdict.OK, text, WHY, None, TOPIC)
    text = f"a Spot {machine} costs ${told.usd_per_hour:,.2f}/h in {region} ({told.dated})"
    if counted is None or abs(told.usd_per_hour / counted.usd_per_hour - 1) > WORTH_TELLING:
        return Finding(identity, Verdict.WARN, f"{text}; the plan counts {by}", WHY, None, TOPIC)
    return Finding(identity, Verdict.OK, text, WHY, None, TOPIC)


CHECKS = (
    Check(
        "price/REGION/TYPE",
        TOPIC,
        "Compute Engine's history of Spot prices",
        "a bill that the plan did not show",
        _prices,
    ),
)
