"""The row ``relay@CONFIG``: a small Pod inside the VPC that forwards prompts to the gateway's addresses.

It ends by itself after an hour, so whoever wants to prompt looks first and has it made again. Invariant: a Pod that has
ended, or that forwards to other addresses than the gateway has now, is replaced and never reused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from backend import catalog
from backend.clients.kinds import POD
from backend.clients.names import RELAY_POD
from backend.engine.resource import About, Departure, Note, Step
from backend.errors import Conflict, NotFound
from backend.resources import marks
from backend.resources.conditions import lacking
from backend.resources.gateway import addresses_of, gateway_key
from backend.resources.keys import DELETE_TIMEOUT_S, Key, gone, kubectl, look
from backend.resources.manifests import Object, is_ours, labels_of, marked
from backend.resources.manifests.relay import LIFETIME_S, relay_config, relay_pod
from backend.resources.objects import KubeObjects, Seen, differences_of_others
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients

TIMEOUT_S = 600.0
_ADDRESSES = "addresses"


class Relay(KubeObjects):
    """The relay's script and Pod; the fact ``addresses`` is where it has to forward to."""

    only_after_change: ClassVar[bool] = True

    async def observe(self) -> Seen | None:
        """Read script and Pod, a Pod that has ended counting as absent, and the gateway's addresses."""
        seen, addresses = await asyncio.gather(super().observe(), self._addresses())
        if seen is None:
            return None
        living = {key: obj for key, obj in seen.objects.items() if key != self.pod_key or not _ended(obj)}
        return Seen(living, {_ADDRESSES: ",".join(addresses)}) if living else None

    def wants(self, observed: Seen) -> Mapping[Key, Object]:
        """The script, and a Pod for the gateway's present addresses."""
        addresses = [address for address in observed.facts.get(_ADDRESSES, "").split(",") if address]
        return self.wanted | {self.pod_key: marked(relay_pod(self.spec, addresses), self.spec)}

    async def apply(self, step: Step, note: Note) -> None:
        """Put the script there, and a Pod that runs it; a Pod cannot be changed, so another one takes its place."""
        addresses = await self._addresses()
        if not addresses:
            raise NotFound(
                f"gateway {self.spec.gateway.name} has no address to forward to",
                cause="it is not programmed yet",
                fix="mcig status shows what it waits for",
            )
        pod = marked(relay_pod(self.spec, addresses), self.spec)
        config_key, config = next((key, obj) for key, obj in self.wanted.items() if key != self.pod_key)
        present = await self.kube.get(config_key.kind, config_key.namespace, config_key.name)
        if present is None or self._differs(config, present):
            if present is not None and (other := marks.other_stack(self.spec, labels_of(present))):
                raise marks.refusal(other, f"{config_key} on {self.cluster.name}")
            await self.put([(config, present is not None and is_ours(present, self.spec))], note)
        seen = await self.kube.get(POD, self.pod_key.namespace, RELAY_POD)
        if seen is not None and not _ended(seen) and not self._differs(pod, seen):
            return
        if seen is not None:
            await self._clear(seen, note)
        await self.put([(pod, False)], note)

    @property
    def pod_key(self) -> Key:
        """Where the Pod stands."""
        return Key(POD, self.spec.pool.namespace, RELAY_POD)

    async def _addresses(self) -> list[str]:
        key = gateway_key(self.spec)
        try:
            found = await look(self.kube, [key])
        except NotFound:
            return []
        return addresses_of(found[key]) if key in found else []

    def _differs(self, wanted: Object, seen: Object) -> bool:
        ours = is_ours(seen, self.spec)
        return any(self.drift(wanted, seen) if ours else differences_of_others(wanted, seen))

    async def _clear(self, seen: Object, note: Note) -> None:
        if not is_ours(seen, self.spec):
            kube = kubectl(self.clients.project, self.cluster)
            raise Conflict(
                f"Pod {RELAY_POD} on {self.cluster.name} belongs to something else",
                cause="another stack keeps its relay in the same namespace, or somebody made a Pod of that name",
                fix=f"{kube} delete pod -n {self.spec.pool.namespace} {RELAY_POD}",
            )
        await self.kube.delete(POD, self.pod_key.namespace, RELAY_POD)
        watch = self.watch(note, "replacing the relay", DELETE_TIMEOUT_S)
        await watch.until(lambda: gone(self.kube, [self.pod_key], watch))


def relay(spec: GatewaySpec, clients: Clients) -> Relay:
    """The row ``relay@CONFIG``."""
    kube = kubectl(clients.project, spec.config)
    return Relay(
        f"relay@{spec.config_cluster}",
        spec,
        spec.config,
        clients,
        manager=RELAY_POD,
        wanted=[relay_config(spec), relay_pod(spec, [])],
        about=About(
            title=f"Run a relay to the gateway's addresses for {LIFETIME_S // 60} minutes",
            command=f"{kube} apply --server-side --field-manager={RELAY_POD} -f relay.yaml",
            permissions=(
                "container.pods.create",
                "container.pods.delete",
                "container.pods.proxy",
                "container.configMaps.create",
            ),
            departures=(
                Departure(
                    document="opens a shell in a Pod and calls kubectl and curl there",
                    mcig="forwards through a Pod without a shell, without rights, to these addresses only",
                    because="the guide's image has no kubectl, and a Pod that was left open is a way in",
                ),
            ),
            estimate_s=catalog.duration("relay"),
        ),
        depends_on=("gateway",),
        timeout_s=TIMEOUT_S,
        lacks=lambda seen: _lacks(spec, seen),
    )


def _lacks(spec: GatewaySpec, seen: Seen) -> str | None:
    pod = seen.objects[Key(POD, spec.pool.namespace, RELAY_POD)]
    return lacking((pod.get("status") or {}).get("conditions"), ("Ready",), None)


def _ended(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in {"Succeeded", "Failed"} or "deletionTimestamp" in pod["metadata"]
