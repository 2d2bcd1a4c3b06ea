"""The row ``metrics@CLUSTER``: the model servers' KV-cache use, made known to the load balancer.

Applied in either balancing mode, as in the document: with IN_FLIGHT it does no harm, and a change of mode then finds it
there. Invariant: the shape is read from the cluster's own definition of the kind and never guessed from its version;
what stands there in a shape that the cluster shows is judged in that shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backend import catalog
from backend.clients.kinds import AUTOSCALING_METRIC, CUSTOM_RESOURCE_DEFINITION
from backend.engine.resource import About, Departure, Note, Step
from backend.errors import InvalidRequest
from backend.resources.keys import Key, kubectl
from backend.resources.manifests import Object, marked
from backend.resources.manifests.metrics import CRD_NAME, NAME, Form, form_of, metric, taken_form
from backend.resources.objects import KIND_TIMEOUT_S, KubeObjects, Seen
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients

MANAGER = "mcig-metrics"
_FORM = "form"


class Metrics(KubeObjects):
    """The AutoscalingMetric; the fact ``form`` is its shape."""

    @property
    def manifests(self) -> tuple[Object, ...]:
        """The object in every shape that a cluster may take."""
        return tuple(marked(metric(self.spec, form), self.spec) for form in Form)

    async def observe(self) -> Seen | None:
        """Read it, and the cluster's definition of the kind where its own shape does not tell."""
        seen = await super().observe()
        if seen is None:
            return None
        form = form_of(seen.objects[self.key].get("spec") or {}) or await self._taken()
        return Seen(seen.objects, {_FORM: form} if form else {})

    def wants(self, observed: Seen) -> Mapping[Key, Object]:
        """The object in the shape that was seen; where there is none, in the one that the cluster was found to take."""
        if _FORM not in observed.facts:
            return self.wanted
        return {self.key: marked(metric(self.spec, Form(observed.facts[_FORM])), self.spec)}

    async def apply(self, step: Step, note: Note) -> None:
        """Apply it in the shape that the cluster takes, once the cluster knows the kind."""
        watch = self.watch(note, f"the kind {AUTOSCALING_METRIC.name} on {self.cluster.name}", KIND_TIMEOUT_S)

        async def known() -> Form | None:
            form = await self._taken()
            if form is None:
                watch.saw(f"{self.cluster.name} does not know {AUTOSCALING_METRIC.name} yet")
            return form

        form = await watch.until(known)
        self.wanted = {self.key: marked(metric(self.spec, form), self.spec)}
        await super().apply(step, note)

    @property
    def key(self) -> Key:
        """Where the object stands."""
        return Key(AUTOSCALING_METRIC, self.spec.pool.namespace, NAME)

    async def _taken(self) -> Form | None:
        """The shape that the cluster takes; ``None`` while it does not know the kind."""
        crd = await self.kube.get(CUSTOM_RESOURCE_DEFINITION, None, CRD_NAME)
        if crd is None:
            return None
        form = taken_form(crd)
        if form is None:
            raise InvalidRequest(
                f"{self.cluster.name} takes {AUTOSCALING_METRIC.name} in a shape that mcig does not know",
                cause="its GKE is newer than this mcig",
                fix=f"{kubectl(self.clients.project, self.cluster)} explain autoscalingmetric.spec; "
                "then set versions.gke to an older version, or update mcig",
            )
        return form


def metrics(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> Metrics:
    """The row ``metrics@CLUSTER``."""
    namespace = (f"secret/hf-token@{cluster.name}",) if spec.pool.namespace != "default" else ()
    kube = kubectl(clients.project, cluster)
    return Metrics(
        f"metrics@{cluster.name}",
        spec,
        cluster,
        clients,
        manager=MANAGER,
        wanted=[metric(spec, Form.ENDPOINTS)],
        about=About(
            title=f"Tell the load balancer how full the KV caches on {cluster.name} are",
            region=cluster.region,
            command=f"{kube} apply --server-side --field-manager={MANAGER} -f metrics.yaml",
            permissions=(
                "container.customResourceDefinitions.get",
                "container.thirdPartyObjects.get",
                "container.thirdPartyObjects.create",
                "container.thirdPartyObjects.update",
            ),
            departures=(
                Departure(
                    document="writes the AutoscalingMetric in the shape that GKE 1.34 takes",
                    mcig="writes the shape that the cluster's own definition of the kind has",
                    because="GKE 1.35 gave the same version of the kind another shape",
                ),
            ),
            estimate_s=catalog.duration("metrics"),
        ),
        depends_on=namespace,
    )
