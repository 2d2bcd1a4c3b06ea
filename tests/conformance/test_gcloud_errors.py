"""What the emulated cloud refuses, as the real gcloud tells it; and gcloud as a person starts it."""

from __future__ import annotations

import pytest

from backend.emulator import control
from tests.conformance.commands import CREATE, POOL, SUBNET, create
from tests.conformance.tools import GCLOUD, Tools

pytestmark = pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")


def test_errors_in_googles_own_words(tools: Tools) -> None:
    create(tools)
    zonal = POOL.format(pool="h100", name="gke-west", region="europe-west3-c", zone="europe-west3-c")
    tools.gcloud(f"{zonal} --async").failed(
        "code=404, message=Not found: projects/demo-project/locations/europe-west3-c/clusters/gke-west."
    )
    tools.gcloud("container clusters get-credentials gke-west --location europe-west3-c").failed(
        "Could not find [gke-west] in [europe-west3-c].", "Did you mean [gke-west] in [europe-west3]?"
    )
    tools.gcloud(CREATE.format(name="gke-west", region="europe-west3")).failed(
        "code=409, message=Already exists: projects/demo-project/locations/europe-west3/clusters/gke-west."
    )
    tools.gcloud(CREATE.format(name="other", region="europe-west3") + " --num-nodes=40").failed(
        'code=403, message=Insufficient regional quota to satisfy request: resource "C2_CPUS"', "is short"
    )
    tools.gcloud(SUBNET.format(subnet="s", region="us-east4", cidr="10.128.4.0/23")).failed(
        "Extended subnetworks in auto subnet mode networks cannot overlap with 10.128.0.0/9"
    )
    tools.gcloud("container clusters list --project=somebody-else").failed(
        'Required "container.clusters.list" permission(s) for "projects/somebody-else".'
    )
    missing = "projects/demo-project/locations/global/memberships/nobody"
    tools.gcloud(f"container fleet ingress enable --config-membership={missing}").failed("INVALID_ARGUMENT", "nobody")
    tools.gcloud("compute networks subnets delete default --region=us-east4").failed("Cannot delete auto subnetwork")
    tools.gcloud("services enable nothing.googleapis.com").failed("nothing.googleapis.com")
    tools.gcloud("services disable container.googleapis.com").failed("FAILED_PRECONDITION")


def test_an_api_that_is_off(tools: Tools) -> None:
    tools.reset("compute")
    done = tools.gcloud(CREATE.format(name="gke-west", region="europe-west3") + " --async")
    done.failed("container.googleapis.com is not enabled", "Kubernetes Engine API has not been used in project")
    tools.gcloud("container fleet memberships list").failed("PERMISSION_DENIED: GKE Hub API has not been used")


def test_an_operation_that_finishes_with_an_error(tools: Tools) -> None:
    create(tools)
    control.add_fault(tools.instance, "stockout zone=europe-west3-c")
    asked = POOL.format(pool="h100", name="gke-west", region="europe-west3", zone="europe-west3-c")
    tools.gcloud(asked).failed("finished with error", "GCE_STOCKOUT", "does not have enough resources available")
    state = tools.gcloud(
        "container node-pools describe h100 --cluster=gke-west --location=europe-west3 --format=value(status)"
    )
    assert state.ok().out == "ERROR\n"


def test_gcloud_as_a_person_starts_it(tools: Tools) -> None:
    done = tools.run([GCLOUD or "", "compute", "regions", "describe", "us-east4", "--format=value(status)"])
    assert done.ok().out == "UP\n"
