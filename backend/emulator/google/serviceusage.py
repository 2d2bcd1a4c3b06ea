"""Service Usage: which APIs are on.

A fresh project is one where somebody has looked at quotas before: besides the basics, what tells of quotas, networks
and billing is on. Every other API answers 403 SERVICE_DISABLED until it is enabled here, and that counts once its
operation is done.
"""

from __future__ import annotations

import uuid
from typing import Any

from backend.emulator.google import messages, operations
from backend.emulator.google.errors import ApiError, error_info, failed_precondition, invalid
from backend.emulator.google.routing import Call, Routes, page
from backend.emulator.world import World

Json = dict[str, Any]
API = "serviceusage"
routes = Routes("serviceusage.googleapis.com", "/serviceusage/v1")

TITLES = {
    "aiplatform.googleapis.com": "Vertex AI API",
    "autoscaling.googleapis.com": "Cloud Autoscaling API",
    "cloudapis.googleapis.com": "Google Cloud APIs",
    "cloudbilling.googleapis.com": "Cloud Billing API",
    "cloudquotas.googleapis.com": "Cloud Quotas API",
    "cloudresourcemanager.googleapis.com": "Cloud Resource Manager API",
    "compute.googleapis.com": "Compute Engine API",
    "connectgateway.googleapis.com": "Connect Gateway API",
    "container.googleapis.com": "Kubernetes Engine API",
    "dns.googleapis.com": "Cloud DNS API",
    "gkeconnect.googleapis.com": "GKE Connect API",
    "gkehub.googleapis.com": "GKE Hub API",
    "gkerecommender.googleapis.com": "GKE Recommender API",
    "iam.googleapis.com": "Identity and Access Management (IAM) API",
    "iamcredentials.googleapis.com": "IAM Service Account Credentials API",
    "logging.googleapis.com": "Cloud Logging API",
    "modelarmor.googleapis.com": "Model Armor API",
    "monitoring.googleapis.com": "Cloud Monitoring API",
    "multiclusteringress.googleapis.com": "Multi Cluster Ingress API",
    "multiclusterservicediscovery.googleapis.com": "Multi-cluster Service Discovery API",
    "networkservices.googleapis.com": "Network Services API",
    "secretmanager.googleapis.com": "Secret Manager API",
    "servicemanagement.googleapis.com": "Service Management API",
    "serviceusage.googleapis.com": "Service Usage API",
    "storage.googleapis.com": "Cloud Storage API",
    "trafficdirector.googleapis.com": "Traffic Director API",
}
"""Titles of the APIs that the emulated cloud knows of."""
INITIAL = frozenset(
    {
        "cloudapis.googleapis.com",
        "cloudbilling.googleapis.com",
        "cloudquotas.googleapis.com",
        "cloudresourcemanager.googleapis.com",
        "compute.googleapis.com",
        "servicemanagement.googleapis.com",
        "serviceusage.googleapis.com",
    }
)
"""What is on in a fresh project; the setting ``service.NAME`` turns one off."""


def enabled(world: World, service: str) -> bool:
    """Whether an API is on; the table holds departures from the initial state."""
    record = world.tables["services"].get(service)
    return record["state"] == "ENABLED" if record else service in INITIAL


def _view(world: World, service: str) -> Json:
    number = world.project_number
    return {
        "name": f"projects/{number}/services/{service}",
        "parent": f"projects/{number}",
        "config": {
            "name": service,
            "title": TITLES[service],
            "usage": {"requirements": ["serviceusage.googleapis.com/tos/cloud"]},
        },
        "state": "ENABLED" if enabled(world, service) else "DISABLED",
    }


def _known(service: str) -> str:
    if service not in TITLES:
        message = f"Not found or permission denied for service(s): {service}."
        info = error_info(
            "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED", "serviceusage.googleapis.com", services=service
        )
        raise ApiError(403, message, details=[info])
    return service


def _operation(world: World, record: Json) -> Json:
    view: Json = {"name": record["name"]}
    if record["done"]:
        view["done"] = True
        view |= {"error": record["error"]} if record["error"] else {"response": _response(world, record["view"])}
    return view


def _response(world: World, view: Json) -> Json:
    kind = f"type.googleapis.com/google.api.serviceusage.v1.{view['response']}"
    services = [_view(world, service) for service in view["services"]]
    if view["response"] == "BatchEnableServicesResponse":
        return {"@type": kind, "services": services}
    return {"@type": kind, "service": services[0]}


def _begin(world: World, services: list[str], *, state: str, response: str) -> Json:
    view = {"services": services, "state": state, "response": response}
    if all(enabled(world, service) == (state == "ENABLED") for service in services):
        return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": _response(world, view)}
    name = f"operations/acat.p2-{world.project_number}-{uuid.uuid4()}"
    key = ",".join(sorted(services))
    record = operations.start(
        world, api=API, location="", what="services.switch", pace="services.enable", key=key, name=name, **view
    )
    return _operation(world, record)


@operations.effect("services.switch")
def _switch(world: World, record: Json) -> None:
    for service in record["view"]["services"]:
        world.tables["services"][service] = {"state": record["view"]["state"]}


@routes.add("GET", "/projects/{project}/services", "serviceusage.services.list")
def list_services(call: Call) -> Json:
    """Services of the project, all or by state."""
    wanted = call.query.get("filter", "")
    if wanted not in {"", "state:ENABLED", "state:DISABLED"}:
        raise invalid(f"The filter '{wanted}' is not supported. Use state:ENABLED or state:DISABLED.")
    state = wanted.partition(":")[2]
    views = (_view(call.world, service) for service in sorted(TITLES))
    found, following = page(call, [one for one in views if state in {"", one["state"]}], default=200)
    return {"services": found} | ({"nextPageToken": following} if following else {})


@routes.add("GET", "/projects/{project}/services/{service}", "serviceusage.services.get")
def get_service(call: Call) -> Json:
    """One service and whether it is on."""
    return _view(call.world, _known(call.path["service"]))


@routes.add("GET", "/projects/{project}/services:batchGet", "serviceusage.services.get")
def batch_get(call: Call) -> Json:
    """Several services at once; `names` repeats."""
    names = [name for name in call.query.get("names", "").split(",") if name]
    if len(names) > 30:
        raise invalid("A batchGet request can hold at most 30 services.")
    return {"services": [_view(call.world, _known(name.rpartition("/")[2])) for name in names]}


@routes.add("POST", "/projects/{project}/services/{service}:enable", "serviceusage.services.enable", messages.ENABLE)
def enable(call: Call) -> Json:
    """Turn one API on."""
    return _begin(call.world, [_known(call.path["service"])], state="ENABLED", response="EnableServiceResponse")


@routes.add("POST", "/projects/{project}/services/{service}:disable", "serviceusage.services.disable", messages.DISABLE)
def disable(call: Call) -> Json:
    """Turn one API off; refused while it is in use unless `checkIfServiceHasUsage` says to skip the check."""
    service = _known(call.path["service"])
    world = call.world
    used = {
        "container.googleapis.com": "clusters",
        "gkehub.googleapis.com": "memberships",
        "multiclusteringress.googleapis.com": "features",
    }
    if call.body.get("checkIfServiceHasUsage") not in {"SKIP", 1} and world.tables.get(used.get(service, ""), {}):
        raise failed_precondition(
            f"The service {service} is in use by resources of project {world.project}; delete them first."
        )
    return _begin(world, [service], state="DISABLED", response="DisableServiceResponse")


@routes.add("POST", "/projects/{project}/services:batchEnable", "serviceusage.services.enable", messages.BATCH_ENABLE)
def batch_enable(call: Call) -> Json:
    """Turn up to 20 APIs on."""
    wanted: list[str] = call.body.get("serviceIds", [])
    if not 0 < len(wanted) <= 20:
        raise invalid("A batchEnable request must hold between 1 and 20 services.", field="service_ids")
    services = [_known(service) for service in wanted]
    return _begin(call.world, services, state="ENABLED", response="BatchEnableServicesResponse")


@routes.add("GET", "/operations/{operation}", "serviceusage.operations.get")
def get_operation(call: Call) -> Json:
    """An enabling or disabling under way or done."""
    name = f"operations/{call.path['operation']}"
    if name == "operations/noop.DONE_OPERATION":
        return {"name": name, "done": True}
    record = operations.find(call.world, API, name, "")
    if record is None:
        raise ApiError(404, f"Operation {name} not found.")
    return _operation(call.world, record)
