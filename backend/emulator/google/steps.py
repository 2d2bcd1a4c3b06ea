"""Which kind of step of a recipe a call belongs to: faults and permissions are told of by these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.emulator.google.routing import Route

Json = dict[str, Any]


def step_of(route: Route, path: Mapping[str, str], body: Json) -> tuple[str, str]:
    """The kind of step that a call belongs to, and the name of what it is about; empty where it names nothing."""
    template = route.template
    if "/nodePools" in template:
        pool = path.get("pool") or _name(body, "nodePool", "node_pool")
        return "node-pool", f"{path.get('cluster', '')}/{pool}" if pool else ""
    if "/clusters" in template:
        return "cluster", path.get("cluster") or _name(body, "cluster")
    if "/memberships" in template:
        return "membership", path.get("membership", "")
    if "/features" in template:
        return "fleet-ingress", path.get("feature", "")
    if "/subnetworks" in template:
        return "subnet", path.get("region", "")
    if route.service == "serviceusage.googleapis.com":
        return "services", ""
    if route.service in {"iam.googleapis.com", "cloudresourcemanager.googleapis.com"}:
        return "iam", ""
    return route.service.partition(".")[0], ""


def _name(body: Json, *fields: str) -> str:
    """The name of what a body makes, which is not checked yet."""
    found: Json = next((body[field] for field in fields if isinstance(body.get(field), dict)), {})
    return str(found.get("name", ""))
