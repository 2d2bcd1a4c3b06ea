"""The service agent as which the multi-cluster controller works on the clusters of the fleet.

It comes into being with the fleet's feature, may do nothing until the project grants it a role, and nothing where the
fleet has lost its connection to the cluster.
"""

from __future__ import annotations

from backend.emulator import faults
from backend.emulator.google.iam import granted
from backend.emulator.kube.controllers.seams import World

ROLES = ("roles/container.admin", "roles/owner")
"""Roles that let the controller work, as far as this cloud knows their permissions."""


def refusal(world: World, cluster: str) -> str:
    """What the controller reports while it may not read a cluster; empty when it may."""
    location, _, name = cluster.partition("/")
    if faults.lost_connection(world, location, name):
        return f"error cause: lost connection to the cluster of membership {name}"
    email = f"service-{world.project_number}@gcp-sa-multiclusteringress.iam.gserviceaccount.com"
    if granted(world.tables.get("iam", {}), email, ROLES):
        return ""
    where = f"projects/{world.project}/locations/{location}/clusters/{name}"
    return (
        f'error cause: googleapi: Error 403: Required "container.clusters.get" permission(s) for "{where}"., forbidden'
    )
