"""Local SSDs that come with GPU machines: counted by machine family where they are bought for as long as wanted."""

from __future__ import annotations

from backend.preflight import Verdict
from tests.backend.preflight.conftest import Surveyed, spec_of

ON_DEMAND = tuple(
    f"clusters.{cluster}.gpu_pool.{field}"
    for cluster in ("gke-west", "gke-east")
    for field in ("machine_type=a3-highgpu-8g", "accelerators_per_node=8", "provisioning=on-demand", "nodes=1")
)
METRIC = "LOCAL_SSD_TOTAL_GB_PER_VM_FAMILY"
CHECK = f"quota/us-east4/{METRIC}/A3"


async def test_on_demand_machines_draw_on_the_quota_of_their_family(healthy: Surveyed) -> None:
    found = await healthy.found(*ON_DEMAND)
    assert CHECK in found
    assert "limit 40960, in use unknown, needed 6000" in found[CHECK].message
    assert found[CHECK].status is Verdict.WARN, "nobody tells how much of it is in use"
    assert not [one for one in found if "PREEMPTIBLE_LOCAL_SSD_GB" in one]

    healthy.set(f"quota.us-east4.{METRIC}/A3=3000")
    assert CHECK in await healthy.failing(*ON_DEMAND)
    await healthy.survey.request_quota(spec_of(healthy.places, "two-region-h100", *ON_DEMAND), CHECK)
    assert CHECK not in await healthy.failing(*ON_DEMAND)


async def test_short_lived_machines_draw_on_the_quota_of_all_families(healthy: Surveyed) -> None:
    found = await healthy.found()
    assert found["quota/us-east4/PREEMPTIBLE_LOCAL_SSD_GB"].status is Verdict.OK
    assert not [one for one in found if METRIC in one]
