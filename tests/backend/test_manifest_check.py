"""A plan for clusters that are not there is checked all the same, and says how."""

from __future__ import annotations

import pytest

from backend import manifest_check
from backend.clients import Clients
from backend.engine.events import Verb
from backend.engine.plan import plan
from backend.errors import UsageError
from backend.resources import declare, shipped
from backend.spec import GatewaySpec


async def test_the_plan_says_that_no_api_server_was_asked(spec: GatewaySpec, clients: Clients) -> None:
    rows = declare(spec, clients)
    made = await plan(rows, Verb.APPLY)
    await manifest_check.refuse(rows, made)
    (note,) = manifest_check.notes(rows, made)
    assert note.path == "clusters"
    assert note.text.startswith("gke-west and gke-east are not there yet, so the 5")
    assert "schemas that come with mcig" in note.text


async def test_a_value_that_no_api_server_takes_is_refused_with_resource_field_and_reason(
    spec: GatewaySpec, clients: Clients
) -> None:
    check = spec.health_check.model_copy(update={"path": "/health#ready"})
    rows = declare(spec.model_copy(update={"health_check": check}), clients)
    made = await plan(rows, Verb.APPLY)
    with pytest.raises(UsageError) as caught:
        await manifest_check.refuse(rows, made)
    field = "spec.default.config.httpHealthCheck.requestPath: '/health#ready' does not match"
    assert f"health-policy: HealthCheckPolicy/health-check-policy {field}" in caught.value.message
    assert "beyond_catalog" in caught.value.fix


async def test_nothing_is_checked_of_what_is_to_be_deleted(
    spec: GatewaySpec, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(shipped, "check")
    rows = declare(spec, clients)
    made = await plan(rows, Verb.DESTROY)
    await manifest_check.refuse(rows, made)
    assert list(manifest_check.notes(rows, made)) == []
