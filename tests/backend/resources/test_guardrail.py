"""The guardrail: off unless asked for, the ConfigMap first and last, and lists that are really split."""

from typing import Any

import pytest

from backend.clients.kinds import ADMISSION_BINDING, ADMISSION_POLICY, CONFIG_MAP
from backend.clients.kube import Kube
from backend.engine.events import Action
from backend.resources import declare
from backend.resources.guardrail import guardrail, guardrail_objects
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of

Json = dict[str, Any]
ORDER = ["configmaps", "validatingadmissionpolicies", "validatingadmissionpolicybindings"]


@pytest.fixture
def guarded(spec: GatewaySpec) -> GatewaySpec:
    wish = {"namespaces": ["serving", "batch"], "compute_classes": ["h100", "autopilot-spot"]}
    return GatewaySpec.model_validate(spec.to_data() | {"guardrail": wish})


def test_it_is_a_row_only_of_a_spec_that_asks_for_it(spec: GatewaySpec, guarded: GatewaySpec) -> None:
    def rows(one: GatewaySpec) -> set[str]:
        return {row.id for row in declare(one, FakeClients({}).as_clients()) if row.id.startswith("guardrail")}

    assert rows(spec) == set()
    assert rows(guarded) == {"guardrail@gke-west", "guardrail@gke-east"}
    with pytest.raises(ValueError, match="asks for no guardrail"):
        guardrail(spec, spec.config, FakeClients({}).as_clients())


def test_the_lists_are_the_users_and_are_split_at_line_breaks(guarded: GatewaySpec) -> None:
    assert guarded.guardrail is not None
    parameters, policy, _ = guardrail_objects(guarded.guardrail)
    assert parameters["data"] == {"namespaces": "serving\nbatch", "computeClasses": "h100\nautopilot-spot"}
    (condition,) = policy["spec"]["matchConditions"]
    (validation,) = policy["spec"]["validations"]
    for expression in (condition["expression"], validation["expression"]):
        assert r".split('\n')" in expression
        assert r"\\n" not in expression
    assert "has(object.spec.tolerations) &&" in condition["expression"]


async def test_it_goes_in_and_out_in_the_order_that_refuses_nobody(
    guarded: GatewaySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_server() as cluster:
        kube = client_of(cluster)
        written: list[tuple[str, str]] = []
        real = kube._send

        async def send(method: str, url: str, *args: Any, **options: Any) -> Any:
            if method == "DELETE" or options.get("writes"):
                written.append((method, next(plural for plural in reversed(ORDER) if f"/{plural}/" in url)))
            return await real(method, url, *args, **options)

        monkeypatch.setattr(kube, "_send", send)
        row = guardrail(guarded, guarded.config, FakeClients({"gke-west": kube}).as_clients())
        await row.apply(row.diff(await row.observe()), Notes())
        assert row.diff(await row.wait(Notes())).action is Action.NO_OP
        assert await there(kube)
        await row.delete(Notes())
        assert written == [("PATCH", plural) for plural in ORDER] + [("DELETE", plural) for plural in reversed(ORDER)]
        assert not await there(kube)
        await kube.close()


async def there(kube: Kube) -> bool:
    places = [
        (CONFIG_MAP, "default", "allowed-ccc-namespaces"),
        (ADMISSION_POLICY, None, "restrict-toleration"),
        (ADMISSION_BINDING, None, "restrict-toleration-binding"),
    ]
    found = [await kube.get(*place) for place in places]
    return any(obj is not None for obj in found)
