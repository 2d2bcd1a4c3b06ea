"""A region that a drill has taken out of the load balancing, and the policy's row that puts it back.

A drill adds a scope without capacity to the stack's GCPBackendPolicy, and the time until which it may stand, under a
field manager of its own; giving those fields up takes them away again. Invariants: no field of the row's own is
touched; a policy that still carries the time is drift, whoever left it, and applying the row mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backend.clients.kinds import BACKEND_POLICY
from backend.drill_mark import UNTIL
from backend.engine.events import Action
from backend.engine.resource import Change, Note, Step
from backend.resources.keys import Key
from backend.resources.manifests import BACKEND_POLICY_NAME, Object, is_ours
from backend.resources.objects import KubeObjects, Seen
from backend.resources.ownership import dropped
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients.kube import Kube

MANAGER = "mcig-drill"


def policy_key(spec: GatewaySpec) -> Key:
    """Where the policy stands."""
    return Key(BACKEND_POLICY, spec.pool.namespace, BACKEND_POLICY_NAME)


async def read(kube: Kube, spec: GatewaySpec) -> Object | None:
    """The policy as it is now; None when it is not there."""
    key = policy_key(spec)
    return await kube.get(key.kind, key.namespace, key.name)


def restored(spec: GatewaySpec) -> Object:
    """What a drill's field manager says of the policy when it is over: nothing."""
    key = policy_key(spec)
    meta: dict[str, Any] = {"name": key.name, "namespace": key.namespace}
    return {"apiVersion": key.kind.group_version, "kind": key.kind.name, "metadata": meta}


def drained(spec: GatewaySpec, region: str, until: datetime) -> Object:
    """What it says while a region is drained: its clusters have no capacity."""
    obj = restored(spec)
    scope = {"selector": {"gke.io/region": region}, "capacityScalerPercent": 0}
    return {
        **obj,
        "metadata": {**obj["metadata"], "annotations": {UNTIL: until.isoformat(timespec="seconds")}},
        "spec": {"default": {"scopes": [scope]}},
    }


def until(policy: Object | None) -> str | None:
    """When the drill on a policy meant to be over; None when there is none."""
    annotations = {} if policy is None else policy["metadata"].get("annotations") or {}
    found = annotations.get(UNTIL)
    return None if found is None else str(found)


class BackendPolicyRow(KubeObjects):
    """The policy, as it is without a drill."""

    def drift(self, wanted: Object, seen: Object) -> Iterator[Change]:
        """Differences of the policy, what a drill left on it among them."""
        yield from super().drift(wanted, seen)
        yield from dropped(wanted, seen, MANAGER)

    def diff(self, observed: Seen | None) -> Step:
        """Compare, and name a drill that is not over."""
        step = super().diff(observed)
        policy = None if observed is None else observed.objects.get(policy_key(self.spec))
        end = until(policy)
        if policy is None or end is None or step.action is Action.NO_OP or not is_ours(policy, self.spec):
            return step
        return replace(step, reason=f"a drill drains a region until {end}, or was killed: this restores it")

    async def apply(self, step: Step, note: Note) -> None:
        """Take away what a drill left, then apply the policy."""
        policy = await read(self.kube, self.spec)
        if policy is not None and until(policy) is not None and is_ours(policy, self.spec):
            note("restoring what a drill has drained")
            await self.kube.apply(restored(self.spec), manager=MANAGER)
        await super().apply(step, note)
