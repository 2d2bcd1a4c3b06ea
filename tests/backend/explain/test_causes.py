"""The table of causes: what controllers, kubelets and Google say is known, with a way out."""

from __future__ import annotations

import pytest

from backend.explain import TABLE, known

GATEWAY = 'GWCER104: HTTPRoute "default/r" is misconfigured, err:'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"ResolvedRefs is False: BackendNotFound: {GATEWAY} GCPInferencePoolImport default/p not found.",
         "import-missing"),
        (f"ResolvedRefs is False: BackendNotFound: {GATEWAY} err: InferencePool extension service d/p-epp not found.",
         "pool-extension-missing"),
        (f"Reconciled is False: {GATEWAY} backend kind Service is not supported.", "route-misconfigured"),
        ('Programmed is False: Invalid: Error GWCER106: Gateway "default/g" is invalid, err: unsupported address type',
         "gateway-invalid"),
        ("Programmed is False: Error GWCER113: something new", "gateway-error"),
        ("googleapi: Error 400: no active proxy-only subnetwork in us-east4", "proxy-subnet-missing"),
        ("Quota for NEGs per backend service: limit of 50 exceeded", "neg-limit"),
        ("GatewayHealthy is False: Unhealthy: no healthy backend", "health-check-failing"),
        ("upstream answered 503 no healthy upstream", "health-check-failing"),
        ("Lost connection", "membership-lost"),
        ("membership: absent", "membership-missing"),
        ("feature: absent", "feature-missing"),
        ("feature: ERROR the agent lacks a role", "feature-state"),
        ("GatewayClass: absent", "class-missing"),
        ("import: absent", "import-missing"),
        ("OSError: You are trying to access a gated repo. 401 Client Error.", "gated-model"),
        ("Running; Killing: Container m failed startup probe, will be restarted", "startup-probe"),
        ("Running; Unhealthy: Startup probe failed: connection refused", "loading"),
        ("CrashLoopBackOff; BackOff: Back-off restarting failed container", "crash-loop"),
        ("Running; Unhealthy: Readiness probe failed: statuscode: 503", "loading"),
        ("OOMKilled", "out-of-memory"),
        ("ImagePullBackOff", "image"),
        ('CreateContainerConfigError; Failed: secret "hf-token" not found', "secret-missing"),
        ("The zone 'us-east4-c' does not have enough resources: ZONE_RESOURCE_POOL_EXHAUSTED", "stock-out"),
        ("Pending; FailedScheduling: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "no-gpu-node"),
        ("metric: its metrics name no KV cache", "metric-missing"),
        ("cannot list pods on gke-west: no answer from the cluster's API server", "cluster-unreachable"),
        ("drained: my-backend-policy gives it no capacity", "drained"),
        ("drifted: spec.default.config.port of the health check is 9 and should be 8000", "drifted"),
        ("absent: objective@gke-east", "absent"),
        ("unwanted: node-pool/gke-east/old", "unwanted"),
    ],
)  # fmt: skip
def test_what_is_said_is_known(text: str, name: str) -> None:
    row = known(text)
    assert row is not None
    assert row.name == name


def test_a_fix_names_the_stack_and_the_cluster() -> None:
    row = known("CrashLoopBackOff", stack="s", project="p", cluster="c", region="r", namespace="n", pod="q", config="x")
    assert row is not None
    assert row.fix == "`kubectl logs q -n n --previous --context=gke_p_r_c`"


def test_every_row_says_something_and_fills_all_its_names() -> None:
    names = dict.fromkeys(("stack", "project", "cluster", "region", "namespace", "pod", "config", "resource"), "x")
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        filled = row.filled(names)
        assert filled.cause
        assert "`" in filled.fix or "set " in filled.fix
        assert "{" not in filled.cause + filled.fix, row.name


def test_what_nobody_knows_is_not_guessed_at() -> None:
    assert known("the moon is in the wrong house") is None
