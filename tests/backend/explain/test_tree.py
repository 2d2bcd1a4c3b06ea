"""The tree of a stack's parts, from what the cloud says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.explain import Node, State, explain
from backend.explain.evidence import ClusterEvidence, Evidence, Silence
from backend.monitor import ConditionSnapshot, DriftedSnapshot, DriftSnapshot
from backend.spec import GatewaySpec
from tests.backend.monitor import snapshots

OK = {
    "state": {"state": {"code": "OK"}},
    "membershipStates": {"projects/1/memberships/gke-east": {"state": {"code": "OK"}}},
}


def kube_pod(name: str, *, ready: bool = True, waiting: str | None = None) -> dict[str, Any]:
    state: Mapping[str, Any] = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "m", "restartCount": 0 if ready else 5, "state": state}],
        },
    }


def evidence(spec: GatewaySpec, **changes: Any) -> Evidence:
    """All is well, but for what is changed."""
    clusters = tuple(
        ClusterEvidence(
            one, {"name": f"projects/1/memberships/{one.name}", "state": {"code": "READY"}}, [kube_pod("p")]
        )
        for one in spec.targets
    )
    seen = snapshots.snapshot(0, *(snapshots.cluster(one.name, one.region) for one in spec.targets))
    return replace(Evidence(OK, True, True, clusters, seen), **changes)


def leaves(spec: GatewaySpec, **changes: Any) -> dict[str, Node]:
    tree = explain(spec, "demo-project", evidence(spec, **changes))
    return {leaf.name: leaf for leaf in tree.leaves()}


def test_a_stack_that_is_well_has_no_leaf_to_tell_of(spec: GatewaySpec) -> None:
    tree = explain(spec, "demo-project", evidence(spec))
    assert tree.state is State.READY
    assert [child.name for child in tree.children] == [
        "fleet", "gateway", "gke-west (europe-west3)", "gke-east (us-east4)", "specification",
    ]  # fmt: skip


def test_each_part_of_the_fleet_is_told(spec: GatewaySpec) -> None:
    lost = {
        **OK,
        "membershipStates": {
            "projects/1/memberships/gke-east": {"state": {"code": "ERROR", "description": "Lost connection"}}
        },
    }
    found = leaves(spec, feature=lost, gateway_class=False, imported=False)
    assert {name: leaf.known_as for name, leaf in found.items()} == {
        "GatewayClass on the config cluster": "class-missing",
        "GCPInferencePoolImport": "import-missing",
        "membership": "membership-lost",
    }
    assert "multi-cluster-services enable --project=demo-project" in found["GCPInferencePoolImport"].fix
    assert leaves(spec, feature=None)["feature multiclusteringress"].known_as == "feature-missing"


def test_pods_say_why_and_logs_say_more(spec: GatewaySpec) -> None:
    first = spec.targets[0]
    told = ClusterEvidence(
        first,
        None,
        [kube_pod("gated", ready=False, waiting="CrashLoopBackOff"), kube_pod("slow", ready=False), kube_pod("fine")],
        {"slow": ["Killing: Container m failed startup probe, will be restarted"]},
        {"gated": "loading\nGatedRepoError: 403 Client Error. Cannot access gated repo"},
    )
    found = leaves(spec, clusters=(told,))
    assert {name: leaf.known_as for name, leaf in found.items()} == {
        "membership": "membership-missing",
        "Pod gated": "gated-model",
        "Pod slow": "startup-probe",
    }
    assert "GatedRepoError" in found["Pod gated"].said


def test_a_ready_pod_without_the_policys_metric_is_not_ready(spec: GatewaySpec) -> None:
    first = spec.targets[0]
    seen = replace(snapshots.pod("x", kv_cache=None, reason="its metrics name no KV cache"), name="p")
    snapshot = snapshots.snapshot(0, snapshots.cluster(first.name, first.region, seen))
    found = leaves(spec, snapshot=snapshot)
    assert {leaf.known_as for leaf in found.values()} == {"metric-missing"}


def test_what_cannot_be_asked_is_unknown_and_not_ready(spec: GatewaySpec) -> None:
    first = spec.targets[0]
    silent = ClusterEvidence(
        first, Silence("no permission"), Silence("cannot list pods: no answer from the API server")
    )
    tree = explain(spec, "demo-project", evidence(spec, clusters=(silent,), feature=Silence("no permission")))
    assert tree.state is State.UNKNOWN
    assert [leaf.known_as for leaf in tree.leaves()] == ["fleet-unread", "fleet-unread", "cluster-unreachable"]


def test_what_a_question_tells_of_its_failure_wins_over_the_table(spec: GatewaySpec) -> None:
    denied = Silence("Permission 'gkehub.features.get' denied", "the credentials lack it", "ask an owner")
    leaf = leaves(spec, feature=denied)["feature multiclusteringress"]
    assert (leaf.state, leaf.cause, leaf.fix) == (State.UNKNOWN, "the credentials lack it", "ask an owner")
    leaf = leaves(spec, feature=Silence("no answer within 5 s"))["feature multiclusteringress"]
    assert "fleet API is slow" in leaf.cause
    assert "`mcig status " in leaf.fix


def test_conditions_count_and_deprecated_ones_do_not(spec: GatewaySpec) -> None:
    old = ConditionSnapshot("Gateway/g", "Ready", "False", "Deprecated", "")
    bad = ConditionSnapshot("Gateway/g", "networking.gke.io/GatewayHealthy", "False", "Unhealthy", "no healthy backend")
    snapshot = snapshots.snapshot(0, gateway={"conditions": (old, bad), "drained": {"us-east4": "policy: 0"}})
    found = leaves(spec, snapshot=snapshot)
    assert {name: leaf.known_as for name, leaf in found.items()} == {
        "GatewayHealthy": "health-check-failing",
        "capacity": "drained",
    }


def test_the_tree_as_json_has_the_reasons_of_what_is_not_ready_only(spec: GatewaySpec) -> None:
    data = explain(spec, "demo-project", evidence(spec, feature=None)).to_json()
    assert data["state"] == "not ready"
    fleet = data["children"][0]["children"]
    assert fleet[0]["fix"] == "`mcig apply two-regions --only fleet-ingress`".replace("two-regions", spec.name)
    assert "fix" not in fleet[1]


def test_drift_is_told_with_the_step_that_mends_it(spec: GatewaySpec) -> None:
    change = {"field": "spec.default.timeoutSec", "before": 30, "after": None}
    found = leaves(
        spec,
        drift=DriftSnapshot(
            (DriftedSnapshot("backend-policy", "drifted", (change,)), DriftedSnapshot("objective@gke-east", "absent"))
        ),
    )
    assert {name: leaf.known_as for name, leaf in found.items()} == {
        "backend-policy": "drifted",
        "objective@gke-east": "absent",
    }
    assert found["backend-policy"].said == "drifted: spec.default.timeoutSec is 30 and should be not set"
    assert f"`mcig apply {spec.name} --only backend-policy`" in found["backend-policy"].fix


def test_a_drill_is_told_once_beside_its_region_and_a_killed_one_with_the_way_out(spec: GatewaySpec) -> None:
    drift = DriftSnapshot((DriftedSnapshot("backend-policy", "drained", words="us-east4 is drained by a drill"),))
    on = {"us-east4": "my-policy gives it no capacity, by a drill until 12:00:00"}
    found = leaves(spec, drift=drift, snapshot=snapshots.snapshot(0, gateway={"drained": on}))
    assert {name: leaf.known_as for name, leaf in found.items()} == {"capacity": "draining"}
    killed = {"us-east4": "my-policy gives it no capacity: a drill that meant to be over at 12:00:00 was killed"}
    (leaf,) = leaves(spec, drift=drift, snapshot=snapshots.snapshot(0, gateway={"drained": killed})).values()
    assert (leaf.known_as, f"`mcig apply {spec.name} --only backend-policy`" in leaf.fix) == ("drained", True)
    assert list(leaves(spec, drift=drift)) == ["backend-policy"], "where the policy itself cannot be read"


def test_what_was_not_said_yet_is_unknown_and_no_word_of_an_api(spec: GatewaySpec) -> None:
    first = spec.targets[0]
    silent = ClusterEvidence(first, {"name": "projects/1/memberships/x", "state": {}}, [kube_pod("p")])
    tree = explain(spec, "demo-project", evidence(spec, feature={"name": "f"}, clusters=(silent,)))
    assert tree.state is State.UNKNOWN
    told = [(leaf.said, leaf.known_as) for leaf in tree.leaves()]
    assert told == [(f"the {what} has not said yet how it is", "under-way") for what in ("feature", "membership")]
    busy = ClusterEvidence(first, {"name": "projects/1/memberships/x", "state": {"code": "UPDATING"}}, [kube_pod("p")])
    enabling = {"resourceState": {"state": "ENABLING"}}
    (leaf,) = leaves(spec, feature=enabling, clusters=(busy,)).values()
    assert (leaf.said, leaf.state, leaf.known_as) == ("the feature is being enabled", State.NOT_READY, "under-way")


def test_many_that_are_absent_are_one_leaf_and_unread_ones_are_none(spec: GatewaySpec) -> None:
    absent = tuple(DriftedSnapshot(f"step-{number}", "absent") for number in range(20))
    found = leaves(spec, drift=DriftSnapshot(absent, "gke-west: no answer within 8 s"))
    assert list(found) == ["20 resources"]
    assert found["20 resources"].said == "absent: step-0, step-1, step-2 and 17 more"
