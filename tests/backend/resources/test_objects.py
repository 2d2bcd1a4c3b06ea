"""Sets of objects against a real API server's rules: whose fields are whose, what is drift, and what is left alone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.clients.kinds import CONFIG_MAP, DEPLOYMENT
from backend.clients.kube import Kube
from backend.engine.events import Action
from backend.engine.resource import About, Change, ResourceId, Step
from backend.errors import Conflict, InvalidRequest
from backend.resources.compare import differences
from backend.resources.conditions import deployment_lacking, lacking
from backend.resources.keys import Key
from backend.resources.manifests import is_ours
from backend.resources.manifests.serving import deployment
from backend.resources.objects import KubeObjects, Seen
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients, Notes, api_server, client_of, config_map

Json = dict[str, Any]


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    async with api_server() as cluster:
        made = client_of(cluster)
        yield made
        await made.close()


def row(spec: GatewaySpec, kube: Kube, *wanted: Json, **options: Any) -> KubeObjects:
    clients = FakeClients({"gke-west": kube}).as_clients()
    options = {"manager": "mcig-test", "about": About("Test"), **options}
    return KubeObjects("test@gke-west", spec, spec.config, clients, wanted=wanted, **options)


async def carry_out(resource: KubeObjects) -> Action:
    """Plan and apply as one run would."""
    step = resource.diff(await resource.observe())
    if step.action is not Action.NO_OP:
        await resource.apply(step, Notes())
        await resource.wait(Notes())
    return step.action


async def test_what_was_applied_is_as_wanted(spec: GatewaySpec, kube: Kube) -> None:
    boxes = row(spec, kube, config_map("one", a="1"), config_map("two", b="2"))
    assert await carry_out(boxes) is Action.CREATE
    assert await carry_out(boxes) is Action.NO_OP
    found = await kube.get(CONFIG_MAP, "default", "one")
    assert found is not None
    assert is_ours(found, spec)


async def test_drift_of_ours_is_told_and_mended_whoever_made_it(spec: GatewaySpec, kube: Kube) -> None:
    boxes = row(spec, kube, config_map("one", a="1"), config_map("two", b="2"))
    await carry_out(boxes)
    await kube.apply(config_map("one", a="changed", extra="kept"), manager="kubectl", force=True)
    await kube.delete(CONFIG_MAP, "default", "two")
    step = boxes.diff(await boxes.observe())
    assert [(change.field, change.before, change.after) for change in step.changes] == [
        ("ConfigMap/one: data.a", "changed", "1"),
        ("ConfigMap/two", "absent", "present"),
    ]
    await carry_out(boxes)
    found = await kube.get(CONFIG_MAP, "default", "one")
    assert found is not None
    assert found["data"] == {"a": "1", "extra": "kept"}


async def test_what_is_not_ours_is_adopted_and_never_changed_or_deleted(spec: GatewaySpec, kube: Kube) -> None:
    before = await kube.apply(config_map("one", a="theirs"), manager="kubectl")
    boxes = row(spec, kube, config_map("one", a="1"))
    step = boxes.diff(await boxes.observe())
    assert step.action is Action.NO_OP
    assert step.reason == 'adopted; left as it is: ConfigMap/one: data.a is "theirs" (set by kubectl), not "1"'
    assert step.changes == (Change("ConfigMap/one: data.a", "theirs", "1"),)
    assert boxes.removal(await boxes.observe()).action is Action.NO_OP
    await boxes.apply(step, Notes())
    await boxes.delete(Notes())
    assert await kube.get(CONFIG_MAP, "default", "one") == before


async def test_what_fits_is_adopted_without_a_word_of_difference(spec: GatewaySpec, kube: Kube) -> None:
    await kube.apply(config_map("one", a="1"), manager="helm")
    boxes = row(spec, kube, config_map("one", a="1"))
    assert boxes.diff(await boxes.observe()).reason == "adopted"


async def test_only_what_is_ours_of_a_set_is_deleted(spec: GatewaySpec, kube: Kube) -> None:
    await kube.apply(config_map("theirs"), manager="helm")
    boxes = row(spec, kube, config_map("theirs"), config_map("ours"))
    await carry_out(boxes)
    assert boxes.removal(await boxes.observe()).action is Action.DELETE
    await boxes.delete(Notes())
    assert await kube.get(CONFIG_MAP, "default", "theirs") is not None
    assert await kube.get(CONFIG_MAP, "default", "ours") is None
    await boxes.delete(Notes())


async def test_one_rows_fields_survive_the_other_rows_apply(spec: GatewaySpec, kube: Kube) -> None:
    boxes = row(spec, kube, config_map("one", a="1"))
    await carry_out(boxes)
    await kube.apply(config_map("one", mine="2"), manager="mcig-other")
    await boxes.apply(boxes.diff(await boxes.observe()), Notes())
    found = await kube.get(CONFIG_MAP, "default", "one")
    assert found is not None
    assert found["data"] == {"a": "1", "mine": "2"}


async def test_nothing_is_applied_when_one_object_is_refused(spec: GatewaySpec, kube: Kube) -> None:
    broken = config_map("two") | {"immutabel": True}
    boxes = row(spec, kube, config_map("one", a="1"), broken)
    with pytest.raises(InvalidRequest):
        await boxes.apply(boxes.create(), Notes())
    assert await kube.get(CONFIG_MAP, "default", "one") is None


async def test_an_absent_cluster_has_nothing(spec: GatewaySpec) -> None:
    boxes = KubeObjects(
        "test@gke-west",
        spec,
        spec.config,
        FakeClients({}).as_clients(),
        manager="mcig-test",
        wanted=[config_map("one")],
        about=About("Test"),
    )
    assert await boxes.observe() is None
    assert boxes.diff(None).action is Action.CREATE
    await boxes.delete(Notes())


async def test_what_is_not_ready_is_waited_for(spec: GatewaySpec, kube: Kube) -> None:
    def lacks(seen: Seen) -> str | None:
        data = next(iter(seen.objects.values()))["data"]
        return None if "done" in data else "not done"

    boxes = row(spec, kube, config_map("one", a="1"), lacks=lacks)
    await boxes.apply(boxes.create(), Notes())
    step = boxes.diff(await boxes.observe())
    assert [(change.field, change.before) for change in step.changes] == [("status", "not done")]
    notes = Notes()

    async def finish(lack: str) -> str:
        await kube.apply(config_map("one", done="yes"), manager="controller")
        return lack

    boxes.explain = finish  # type: ignore[method-assign]
    assert await boxes.wait(notes)
    assert notes.texts == ["not done"]


async def test_replicas_are_the_autoscalers_once_it_set_them_but_not_a_persons(spec: GatewaySpec, kube: Kube) -> None:
    servers = row(spec, kube, deployment(spec, spec.config))
    await servers.apply(servers.create(), Notes())
    found = await kube.get(DEPLOYMENT, "default", spec.model.name)
    assert found is not None

    def scaled_by(manager: str) -> Seen:
        entry = {"manager": manager, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        fields = [*found["metadata"]["managedFields"], entry]
        obj = found | {
            "metadata": found["metadata"] | {"managedFields": fields},
            "spec": found["spec"] | {"replicas": 9},
        }
        return Seen(dict.fromkeys(servers.wanted, obj))

    assert servers.diff(scaled_by("kube-controller-manager")).action is Action.NO_OP
    drift = servers.diff(scaled_by("kubectl")).changes
    assert [(change.field.partition(": ")[2], change.before, change.after) for change in drift] == [
        ("spec.replicas", 9, 6)
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_nothing_differs_from_itself(obj: Json) -> None:
    assert list(differences(obj, obj)) == []


@given(st.dictionaries(st.text(), json_values), st.dictionaries(st.text(), json_values))
def test_what_others_add_is_no_difference(wanted: Json, added: Json) -> None:
    assert list(differences(wanted, added | wanted)) == []


@pytest.mark.parametrize(
    ("wanted", "seen", "paths"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 2}}, ["spec.a"]),
        ({"spec": {"a": 1}}, {"spec": {}}, ["spec.a"]),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": "8000"}, {"a": 8000}, []),
        ({"spec": {"resources": {"limits": {"gpu": 1}}}}, {"spec": {"resources": {"limits": {"gpu": "1"}}}}, []),
        ({"c": {"resources": {"limits": {"cpu": "1"}}}}, {"c": {"resources": {"limits": {"cpu": "1000m"}}}}, []),
        (
            {"c": {"resources": {"limits": {"memory": "128Mi"}}}},
            {"c": {"resources": {"limits": {"memory": "128M"}}}},
            ["c.resources.limits.memory"],
        ),
        ({"data": {"a.yaml": "b: [1]\n"}}, {"data": {"a.yaml": "b:\n  - 1"}}, []),
        ({"data": {"a.yaml": "b: 1"}}, {"data": {"a.yaml": "b: 2"}}, ["data.a.yaml"]),
        ({"data": {"a.yaml": "b: 1"}}, {"data": {"a.yaml": "b: ["}}, ["data.a.yaml"]),
        ({"args": ["--a", "1"]}, {"args": ["--a", "2"]}, ["args[1]"]),
        ({"args": ["--a"]}, {"args": ["--a", "--b"]}, ["args"]),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "B"}, {"name": "A", "value": "1"}]}, []),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}, ["env[A].value"]),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": []}, ["env[A]"]),
        ({"ports": [{"port": 1}, {"port": 2}]}, {"ports": [{"port": 2, "nodePort": 7}, {"port": 1}]}, []),
        ({"customMetrics": [{"name": "a"}]}, {"customMetrics": [{"name": "a"}, {"name": "b"}]}, ["customMetrics"]),
        ({"labels": {"app.kubernetes.io/version": "1"}}, {"labels": {"app.kubernetes.io/version": "2"}}, []),
    ],
)
def test_differences_are_by_value(wanted: Json, seen: Json, paths: list[str]) -> None:
    assert [change.field for change in differences(wanted, seen)] == paths


def test_a_condition_about_an_older_generation_does_not_count() -> None:
    told = [{"type": "Ready", "status": "True", "observedGeneration": 1}]
    assert lacking(told, ["Ready"], 1) is None
    assert lacking(told, ["Ready"], 2) == "Ready is not reported yet"
    assert lacking(None, ["Ready"], None) == "Ready is not reported yet"
    failed = [{"type": "Ready", "status": "False", "reason": "Invalid", "message": "no such class"}]
    assert lacking(failed, ["Ready"], 1) == "Ready is False (Invalid: no such class)"


@pytest.mark.parametrize(
    ("status", "lack"),
    [
        ({}, "the rollout of servers has not begun"),
        (
            {"observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 2},
            "the rollout of servers has not begun",
        ),
        (
            {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 2, "replicas": 2},
            "1 of 2 servers ready",
        ),
        (
            {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2, "replicas": 3},
            "former servers still to end: 1",
        ),
        ({"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2, "replicas": 2}, None),
    ],
)
def test_a_deployment_is_ready_when_the_new_pods_are_all_there_is(status: Json, lack: str | None) -> None:
    obj = {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}
    assert deployment_lacking(obj, "servers") == lack


async def edited(kube: Kube, name: str, change: Json) -> None:
    """Change an object as ``kubectl edit`` does: a merge patch by a manager that owns by updating."""
    await kube._send(
        "PATCH",
        f"/api/v1/namespaces/default/configmaps/{name}?fieldManager=kubectl-edit",
        "edit",
        body=change,
        content_type="application/merge-patch+json",
        writes=True,
    )


async def test_what_kubectl_edit_changed_of_ours_is_shown_and_mended(spec: GatewaySpec, kube: Kube) -> None:
    boxes = row(spec, kube, config_map("one", a="1", b="2"))
    await carry_out(boxes)
    await edited(kube, "one", {"data": {"a": "edited", "b": None, "c": "3"}})
    with pytest.raises(Conflict, match="kubectl-edit"):
        await kube.apply(boxes.wanted[next(iter(boxes.wanted))], manager="mcig-test")
    step = boxes.diff(await boxes.observe())
    assert [(change.field, change.before, change.after) for change in step.changes] == [
        ("ConfigMap/one: data.a", "edited", "1"),
        ("ConfigMap/one: data.b", "absent", "2"),
    ]
    assert await carry_out(boxes) is Action.UPDATE
    found = await kube.get(CONFIG_MAP, "default", "one")
    assert found is not None
    assert found["data"] == {"a": "1", "b": "2", "c": "3"}
    assert await carry_out(boxes) is Action.NO_OP


async def test_what_we_no_longer_want_is_shown_and_goes_and_nobody_elses_does(spec: GatewaySpec, kube: Kube) -> None:
    await carry_out(row(spec, kube, config_map("one", a="1", b="2")))
    await kube.apply(config_map("one", theirs="3"), manager="mcig-other")
    boxes = row(spec, kube, config_map("one", a="1"))
    step = boxes.diff(await boxes.observe())
    assert step.changes == (Change("ConfigMap/one: data.b", "2", "absent"),)
    await carry_out(boxes)
    found = await kube.get(CONFIG_MAP, "default", "one")
    assert found is not None
    assert found["data"] == {"a": "1", "theirs": "3"}
    assert await carry_out(boxes) is Action.NO_OP


async def test_no_longer_wanted_items_of_lists_are_shown(spec: GatewaySpec, kube: Kube) -> None:
    await row(spec, kube, deployment(spec, spec.config)).apply(Step(ResourceId("x"), Action.CREATE), Notes())
    wanted = deployment(spec, spec.config)
    pod = wanted["spec"]["template"]["spec"]
    pod["containers"][0]["env"].pop(0)
    del pod["initContainers"]
    del pod["containers"][0]["resources"]["requests"]
    servers = row(spec, kube, wanted)
    step = servers.diff(await servers.observe())
    place = f"Deployment/{spec.model.name}: spec.template.spec"
    gone = {change.field for change in step.changes if change.after == "absent"}
    assert {
        f"{place}.containers[vllm].env[VLLM_USE_V1].value",
        f"{place}.initContainers[lora-adapter-syncer].image",
    } <= gone
    assert f"{place}.containers[vllm].resources.requests.nvidia.com/gpu" in gone
    assert all(change.after == "absent" for change in step.changes)
    await servers.apply(step, Notes())
    assert servers.diff(await servers.observe()).changes == ()


async def test_a_difference_of_somebody_elses_names_who_set_it(spec: GatewaySpec, kube: Kube) -> None:
    theirs = deployment(spec, spec.config)
    theirs["spec"]["replicas"] = 1
    theirs["spec"]["template"]["spec"]["containers"][0]["image"] = "vllm/vllm-openai:v0.9.0"
    await kube.apply(theirs, manager="argocd")
    before = await kube.get(DEPLOYMENT, "default", spec.model.name)
    servers = row(spec, kube, deployment(spec, spec.config))
    step = servers.diff(await servers.observe())
    assert step.action is Action.NO_OP
    assert "spec.replicas is 1 (set by argocd), not 6" in step.reason
    assert 'containers[vllm].image is "vllm/vllm-openai:v0.9.0" (set by argocd)' in step.reason
    await servers.apply(step, Notes())
    assert await kube.get(DEPLOYMENT, "default", spec.model.name) == before


async def test_a_set_that_somebody_else_made_gets_nothing_added(spec: GatewaySpec, kube: Kube) -> None:
    await kube.apply(config_map("one"), manager="helm")
    anchor = Key(CONFIG_MAP, "default", "one")
    boxes = row(spec, kube, config_map("one"), config_map("two"), anchor=anchor)
    step = boxes.diff(await boxes.observe())
    assert (step.action, step.reason) == (Action.NO_OP, "adopted; left as it is: ConfigMap/two is absent")
    await boxes.apply(step, Notes())
    assert await kube.get(CONFIG_MAP, "default", "two") is None
    ours = row(spec, kube, config_map("two"), config_map("three"), anchor=Key(CONFIG_MAP, "default", "two"))
    assert await carry_out(ours) is Action.CREATE


async def test_replicas_that_an_autoscaler_set_survive_another_change(spec: GatewaySpec, kube: Kube) -> None:
    servers = row(spec, kube, deployment(spec, spec.config))
    await servers.apply(servers.create(), Notes())
    path = f"/apis/apps/v1/namespaces/default/deployments/{spec.model.name}/scale"
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": spec.model.name, "namespace": "default"},
        "spec": {"replicas": 2},
    }
    manager = "fieldManager=horizontal-pod-autoscaler"
    await kube._send("PUT", f"{path}?{manager}", "scale", body=scale, writes=True)
    newer = GatewaySpec.model_validate(spec.to_data() | {"model": {"image": "vllm/vllm-openai:v0.9.1"}})
    changed = row(newer, kube, deployment(newer, newer.config))
    step = changed.diff(await changed.observe())
    assert [change.field.rpartition(".")[2] for change in step.changes] == ["image"]
    await changed.apply(step, Notes())
    found = await kube.get(DEPLOYMENT, "default", spec.model.name)
    assert found is not None
    assert found["spec"]["replicas"] == 2
    assert changed.diff(await changed.observe()).action is Action.NO_OP
