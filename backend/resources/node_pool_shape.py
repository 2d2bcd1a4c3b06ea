"""What a GPU node pool is asked for, and where an existing one is another: pure functions of the spec.

Each way of buying has its own form: spot machines may be taken back at any time; flex-start pools stay at zero until
Pods ask, and their machines live seven days; a reservation is drawn on by name.
A resize changes ``initialNodeCount``, so that is the size last asked for (hashicorp/terraform-provider-google#6901);
what an autoscaler adds or takes does not show in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from backend.clients.google import Json
from backend.engine.resource import Change
from backend.resources import marks
from backend.resources.gke import POOL_DEFAULTS, dig, node_config
from backend.spec import GatewaySpec, GpuPool, Provisioning

NODES = "initialNodeCount"
"""Field of the size of a pool that does not scale: nodes in each zone."""
MOST_NODES = "autoscaling.totalMaxNodeCount"
"""Field of the size of a pool that scales: nodes in all zones at most."""
INSTEAD_OF = "mcig-instead-of"
"""Label of a pool that was made in another zone than the spec's; its value is the spec's zones."""


def zones_label(zones: Iterable[str]) -> str:
    """Zones as the value of a label."""
    whole = "_".join(sorted(zones))
    return whole if len(whole) <= 63 else hashlib.sha256(whole.encode()).hexdigest()[:16]


def body(spec: GatewaySpec, pool: GpuPool, *, project: str, instead_of: GpuPool | None = None) -> Json:
    """The node pool as Kubernetes Engine is asked for it; ``instead_of`` is the spec's own, where that is another."""
    config: Json = {
        "machineType": pool.machine_type,
        **node_config(spec, project),
        "accelerators": [
            {
                "acceleratorCount": str(pool.accelerators_per_node),
                "acceleratorType": pool.accelerator,
                "gpuDriverInstallationConfig": {"gpuDriverVersion": "LATEST"},
            }
        ],
        "resourceLabels": marks.labels(spec)
        | ({} if instead_of is None else {INSTEAD_OF: zones_label(instead_of.zones)}),
    }
    wanted: Json = {
        "name": pool.name,
        "initialNodeCount": pool.nodes,
        "locations": list(pool.zones),
        **POOL_DEFAULTS,
        "config": config,
    }
    match pool.provisioning:
        case Provisioning.SPOT:
            config["spot"] = True
        case Provisioning.FLEX_START:
            config["flexStart"] = True
            config["reservationAffinity"] = {"consumeReservationType": "NO_RESERVATION"}
            wanted |= {
                "initialNodeCount": 0,
                "management": {"autoRepair": False, "autoUpgrade": True},
                "autoscaling": {
                    "enabled": True,
                    "totalMaxNodeCount": pool.nodes * len(pool.zones),
                    "locationPolicy": "ANY",
                },
            }
        case Provisioning.RESERVATION:
            config["reservationAffinity"] = {
                "consumeReservationType": "SPECIFIC_RESERVATION",
                "key": "compute.googleapis.com/reservation-name",
                "values": [pool.reservation],
            }
        case Provisioning.ON_DEMAND:
            pass
    return wanted


def flags(pool: GpuPool) -> str:
    """The part of gcloud's command line that says how nodes are bought, and how many."""
    match pool.provisioning:
        case Provisioning.SPOT:
            return f"--num-nodes={pool.nodes} --spot"
        case Provisioning.FLEX_START:
            return (
                "--num-nodes=0 --flex-start --enable-autoscaling --total-min-nodes=0 "
                f"--total-max-nodes={pool.nodes * len(pool.zones)} --location-policy=ANY --reservation-affinity=none "
                "--no-enable-autorepair"
            )
        case Provisioning.RESERVATION:
            return f"--num-nodes={pool.nodes} --reservation-affinity=specific --reservation={pool.reservation}"
        case Provisioning.ON_DEMAND:
            return f"--num-nodes={pool.nodes}"


def stands_in(pool: GpuPool, seen: Json) -> bool:
    """Whether an existing pool was made in another zone because the spec's own were out of stock."""
    return bool((dig(seen, "config.resourceLabels") or {}).get(INSTEAD_OF) == zones_label(pool.zones))


def resize(pool: GpuPool, seen: Json) -> Change | None:
    """Where an existing pool has another size than is wanted; ``None`` for one that somebody else lets scale."""
    scales, nodes = bool(dig(seen, "autoscaling.enabled")), pool.nodes * len(pool.zones)
    flexible = pool.provisioning is Provisioning.FLEX_START
    if scales != flexible:
        return None
    if flexible:
        change = Change(MOST_NODES, int(dig(seen, MOST_NODES) or 0), nodes)
    else:
        per_zone = -(-nodes // max(1, len(seen.get("locations", ()))))
        change = Change(NODES, int(seen.get(NODES, 0)), per_zone)
    return None if change.before == change.after else change


def again(pool: GpuPool, seen: Json) -> Change | None:
    """The size that a pool of which some machines could not be had is asked for once more; ``None`` when it scales."""
    if dig(seen, "autoscaling.enabled") or pool.provisioning is Provisioning.FLEX_START:
        return None
    return Change(NODES, int(seen.get(NODES, 0)), int(seen.get(NODES, 0)))


def differences(pool: GpuPool, seen: Json) -> Iterator[Change]:
    """Where an existing pool is another than is wanted; none of these can be changed in place."""
    accelerator: Json = next(iter(dig(seen, "config.accelerators") or ()), {})
    pairs = {
        "config.machineType": (dig(seen, "config.machineType"), pool.machine_type),
        "config.accelerators.acceleratorType": (accelerator.get("acceleratorType"), pool.accelerator),
        "config.accelerators.acceleratorCount": (
            int(accelerator.get("acceleratorCount", 0)),
            pool.accelerators_per_node,
        ),
        "config.spot": (bool(dig(seen, "config.spot")), pool.provisioning is Provisioning.SPOT),
        "config.flexStart": (bool(dig(seen, "config.flexStart")), pool.provisioning is Provisioning.FLEX_START),
        "config.reservationAffinity.values": (
            list(dig(seen, "config.reservationAffinity.values") or ()),
            [pool.reservation] if pool.provisioning is Provisioning.RESERVATION else [],
        ),
        "locations": (sorted(seen.get("locations", ())), sorted(pool.zones)),
    }
    if stands_in(pool, seen):
        del pairs["locations"]
    for path, (before, after) in pairs.items():
        if before != after:
            yield Change(path, before, after)
