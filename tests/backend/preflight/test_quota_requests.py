"""Quotas that are short, and asking Google for more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.clients.google import Google
from backend.errors import UsageError
from backend.preflight import Survey, Topic, Verdict
from tests.backend.preflight.conftest import Surveyed, spec_of

H100 = "PREEMPTIBLE_NVIDIA_H100_GPUS"


async def test_more_quota_is_asked_for_on_the_users_word_alone(healthy: Surveyed) -> None:
    healthy.set(f"quota.us-east4.{H100}=1")
    identity = f"quota/us-east4/{H100}"
    finding = (await healthy.found())[identity]
    assert finding.fix == f"mcig doctor two-region-h100 --request {identity}"
    answer = await healthy.survey.request_quota(spec_of(healthy.places), identity)
    assert answer.startswith(identity)
    assert (await healthy.found())[identity].status is Verdict.OK


async def test_more_quota_may_be_asked_for_again_and_where_the_console_was_asked_before(healthy: Surveyed) -> None:
    identity, path = f"quota/us-east4/{H100}", "/v1/projects/demo-project/locations/global/quotaPreferences"
    google = Google(emulated(healthy.emulator.url, healthy.emulator.world.token, project="demo-project"))
    asked = {
        "service": "compute.googleapis.com",
        "quotaId": "PREEMPTIBLE-NVIDIA-H100-GPUS-per-project-region",
        "dimensions": {"region": "us-east4"},
        "quotaConfig": {"preferredValue": "3"},
    }
    await google.rest("cloudquotas", "POST", f"{path}?quotaPreferenceId=by-hand", asked, doing="asking")
    for nodes in (3, 4):
        spec = spec_of(healthy.places, "two-region-h100", f"clusters.gke-east.gpu_pool.nodes={nodes}")
        healthy.set(f"quota.us-east4.{H100}=1")
        assert await healthy.survey.request_quota(spec, identity) == (
            f"{identity}: {2 * nodes} were asked for; Google decides at once or within days"
        )
        healthy.survey.refresh()
        assert {one.id: one for one in await healthy.survey.findings(spec)}[identity].status is Verdict.OK
    assert [*healthy.emulator.world.tables["quotaPreferences"]] == ["by-hand"]
    await google.close()


async def test_who_asks_for_quota_leaves_an_address(healthy: Surveyed, tmp_path: Path) -> None:
    identity, spec = f"quota/us-east4/{H100}", spec_of(healthy.places)
    healthy.set(f"quota.us-east4.{H100}=1")
    known = emulated(healthy.emulator.url, healthy.emulator.world.token, project="demo-project")
    clients = Clients(replace(known, account=""))
    nobody = Survey(clients, places=healthy.places, environ={"HOME": str(tmp_path)})
    with pytest.raises(UsageError, match="no email address") as caught:
        await nobody.request_quota(spec, identity)
    assert caught.value.fix == f"mcig doctor two-region-h100 --request {identity} --email ADDRESS"
    assert await nobody.request_quota(spec, identity, email="me@example.com")
    await nobody.close()
    await clients.close()


async def test_a_quota_that_nobody_shows_is_unknown(healthy: Surveyed) -> None:
    healthy.set(f"quota.us-east4.{H100}=absent")
    found = await healthy.found(topics=(Topic.GPU,))
    assert found[f"quota/us-east4/{H100}"].status is Verdict.UNKNOWN
    assert found[f"quota/europe-west3/{H100}"].status is Verdict.OK


async def test_quotas_that_nobody_has_heard_of_are_passed_over(healthy: Surveyed) -> None:
    before = await healthy.found(topics=(Topic.GPU, Topic.REGIONS))
    healthy.set("quota.us-east4.QUBITS=0", "quota.global.NEW_GPUS_ALL_PLANETS=0")
    after = await healthy.found(topics=(Topic.GPU, Topic.REGIONS))
    assert {one.id: one.status for one in after.values()} == {one.id: one.status for one in before.values()}
