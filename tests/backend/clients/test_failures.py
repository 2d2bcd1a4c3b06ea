"""Google's real error bodies and the errors that they become."""

from __future__ import annotations

from typing import Any

import pytest

from backend.clients.connect import Connection
from backend.clients.failures import Refusal, of_refusal, operation_failed
from backend.errors import (
    AlreadyExists,
    Busy,
    CloudError,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    ServiceDisabled,
    Unauthenticated,
    Unavailable,
)
from backend.spec import Target

CONNECTION = Connection(
    target=Target.GKE,
    project="acme-inference",
    credentials=object(),
    description="Google Cloud project acme-inference",
    unreachable_fix="check the network",
    sign_in_fix="gcloud auth application-default login",
)


def google(code: int, message: str, *, status: str = "", reason: str = "", info: dict[str, Any] | None = None) -> Any:
    error: dict[str, Any] = {"code": code, "message": message}
    if status:
        error["status"] = status
    if reason:
        error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    if info:
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info},
        ]
    return {"error": error}


DISABLED = google(
    403,
    "Kubernetes Engine API has not been used in project 415104041262 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/container.googleapis.com/overview?project=415104041262 then retry.",
    status="PERMISSION_DENIED",
    info={
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": "container.googleapis.com", "consumer": "projects/415104041262"},
    },
)
QUOTA = google(
    403,
    "Insufficient regional quota to satisfy request: resource \"C2_CPUS\": request requires '144.0' and is short "
    "'120.0'. project has a quota of '24.0' with '24.0' available.",
    status="PERMISSION_DENIED",
)
QUOTA_LATER = google(
    429,
    "Insufficient quota to satisfy the request: Not all instances running in IGM after 38.19512474s. Expected 3, "
    "running 1, transitioning 2. Current errors: [GCE_QUOTA_EXCEEDED]: Instance 'gke-1' creation failed: Quota "
    "'PREEMPTIBLE_NVIDIA_H100_GPUS' exceeded.  Limit: 0.0 in region us-east4.",
    status="RESOURCE_EXHAUSTED",
)
BUSY = google(
    400,
    "Operation operation-1526938804121-56cbe250 is currently creating a node pool for cluster gke-west. "
    "Please wait and try again once it is done.",
    status="FAILED_PRECONDITION",
    reason="failedPrecondition",
)
TOO_MANY = google(
    429,
    'Too many operations: cluster "gke-west" hits the concurrent operations quota 5, please try again later.',
    status="RESOURCE_EXHAUSTED",
)
RATE = google(
    429,
    "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' of service "
    "'compute.googleapis.com' for consumer 'project_number:415104041262'.",
    status="RESOURCE_EXHAUSTED",
    info={"reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com"},
)
COMPUTE_RATE = google(
    403,
    "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service "
    "'compute.googleapis.com' for consumer 'project_number:415104041262'.",
    reason="rateLimitExceeded",
)
COMPUTE_RATE_OLD = google(
    403,
    "Quota exceeded for quota group 'ReadGroup' and limit 'Read requests per 100 seconds' of service "
    "'compute.googleapis.com' for consumer 'project_number:415104041262'.",
)
IN_USE = google(
    400,
    "The subnetwork resource 'projects/p/regions/us-east4/subnetworks/us-east4-subnet' is already being used by "
    "'projects/p/regions/us-east4/forwardingRules/x'",
    reason="resourceInUseByAnotherResource",
)
RANGE = google(
    400,
    "Invalid value for field 'resource.ipCidrRange': '10.5.0.0/23'. Invalid IPCidrRange: 10.5.0.0/23 conflicts with "
    "existing subnetwork 'gke-pods' in region 'us-east4'.",
    reason="invalid",
)
PERMISSION = google(
    403,
    'Required "container.clusters.create" permission(s) for "projects/acme-inference".',
    status="PERMISSION_DENIED",
    info={
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "container.googleapis.com",
        "metadata": {"permission": "container.clusters.create", "resource": "projects/acme-inference"},
    },
)
COMPUTE_PERMISSION = google(
    403, "Required 'compute.subnetworks.create' permission for 'projects/p/regions/r/subnetworks/s'", reason="forbidden"
)
DUPLICATE = google(
    409, "Already exists: projects/p/locations/r/clusters/c.", status="ALREADY_EXISTS", reason="alreadyExists"
)
COMPUTE_DUPLICATE = google(
    409, "The resource 'projects/p/regions/r/subnetworks/s' already exists", reason="alreadyExists"
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "fix"),
    [
        (403, DISABLED, ServiceDisabled, "gcloud services enable container.googleapis.com --project=acme-inference"),
        (403, QUOTA, QuotaExceeded, "console.cloud.google.com/iam-admin/quotas"),
        (429, QUOTA_LATER, QuotaExceeded, "console.cloud.google.com/iam-admin/quotas"),
        (400, BUSY, Busy, "apply"),
        (429, TOO_MANY, Busy, "apply"),
        (400, IN_USE, Busy, "apply"),
        (409, google(409, "another operation is in progress", status="ABORTED"), Busy, "apply"),
        (429, RATE, RateLimited, "wait"),
        (403, COMPUTE_RATE, RateLimited, "wait"),
        (403, COMPUTE_RATE_OLD, RateLimited, "wait"),
        (429, "Rate exceeded.", RateLimited, "wait"),
        (400, RANGE, InvalidRequest, "proxy_subnet"),
        (400, google(400, "Invalid value at 'cluster.name'", status="INVALID_ARGUMENT"), InvalidRequest, "value"),
        (403, PERMISSION, PermissionDenied, "container.clusters.create"),
        (403, COMPUTE_PERMISSION, PermissionDenied, "compute.subnetworks.create"),
        (401, google(401, "Request had invalid authentication credentials."), Unauthenticated, "application-default"),
        (404, google(404, "Not found: projects/p/locations/z/clusters/c.", status="NOT_FOUND"), NotFound, "mcig plan"),
        (409, DUPLICATE, AlreadyExists, "mcig plan"),
        (409, COMPUTE_DUPLICATE, AlreadyExists, "mcig plan"),
        (409, google(409, "The resource fingerprint changed"), Conflict, "apply"),
        (503, google(503, "The service is currently unavailable.", status="UNAVAILABLE"), Unavailable, "again"),
        (502, "<html>Bad Gateway</html>", Unavailable, "again"),
        (408, "Request Timeout", Unavailable, "again"),
    ],
)
def test_a_real_body_becomes_an_error_with_cause_and_fix(
    status: int, body: Any, kind: type[CloudError], fix: str
) -> None:
    error = of_refusal(Refusal.of(status, body), doing="creating cluster gke-west", connection=CONNECTION)

    assert type(error) is kind
    assert str(error).startswith("creating cluster gke-west: ")
    assert error.cause
    assert fix in error.fix
    assert error.status == status


def test_a_disabled_api_is_told_in_one_sentence() -> None:
    error = of_refusal(Refusal.of(403, DISABLED), doing="reading", connection=CONNECTION)

    assert "https://" not in error.message
    assert error.reason == "SERVICE_DISABLED"


@pytest.mark.parametrize(
    ("message", "cause", "fix"),
    [
        (
            "Google Compute Engine: Not all instances running in IGM after 35m. Current errors: [GCE_STOCKOUT]: x",
            "europe-west3-c",
            "gpu_pool.zones",
        ),
        ("Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally.", "quota", "iam-admin/quotas"),
        ("Retry budget exhausted (10 attempts): conflicts with reserved IP range", "range", "range"),
        ("Internal error.", "could not carry it out", "apply"),
    ],
)
def test_a_failed_operation_says_what_to_do(message: str, cause: str, fix: str) -> None:
    error = operation_failed("creating h100", message, project="acme", places=("europe-west3-c",), code=8)

    assert message in str(error)
    assert cause in error.cause
    assert fix in error.fix
    assert error.reason == "8"
