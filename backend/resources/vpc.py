"""The VPC network that the clusters are to stand in: refused, with what mends it, before anything is made in it."""

from __future__ import annotations

from backend.clients import Clients
from backend.errors import InvalidRequest
from backend.resources.subnets import in_region
from backend.spec import GatewaySpec


async def check_ordinary(spec: GatewaySpec, clients: Clients, region: str) -> None:
    """Raise ``InvalidRequest`` unless the stack's VPC has an ordinary subnetwork for the nodes of a region."""
    vpc, wanted, project = spec.network.vpc, spec.network.subnetwork, clients.project
    network = await clients.compute.network(vpc)
    if network is None:
        raise InvalidRequest(
            f"project {project} has no VPC network {vpc}",
            cause="it was deleted, or is in another project",
            fix=f"set network.vpc to one of `gcloud compute networks list --project={project}`",
        )
    ordinary = [
        subnetwork["name"]
        for subnetwork in await clients.compute.subnetworks(vpc)
        if in_region(subnetwork, region) and subnetwork.get("purpose", "PRIVATE") == "PRIVATE"
    ]
    if wanted is None and not network.get("autoCreateSubnetworks"):
        raise InvalidRequest(
            f"VPC network {vpc} is in custom mode, and network.subnetwork is not set",
            cause="in custom mode a cluster must be told its subnetwork, of one name in the region of each cluster",
            fix=f"set network.subnetwork; {region} has {', '.join(ordinary) or 'none'}",
        )
    if wanted is not None and wanted not in ordinary:
        raise InvalidRequest(
            f"{region} has no ordinary subnetwork {wanted} in VPC network {vpc}",
            cause=f"it has {', '.join(ordinary) or 'none'}; clusters need one of that name in each of their regions",
            fix=(
                f"gcloud compute networks subnets create {wanted} --network={vpc} --region={region} "
                f"--range=A_FREE_RANGE/20 --project={project}; or set network.subnetwork to what is there"
            ),
        )
