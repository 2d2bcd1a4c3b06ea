"""The row ``model-server@CLUSTER``: what a cluster serves.

Invariant: what keeps a model server from getting ready is told in its own words, and one that only crashes ends the
wait; at most one cluster's servers are being replaced at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backend import catalog
from backend.clients.kinds import DEPLOYMENT, POD
from backend.clients.names import MODEL_SERVER
from backend.engine.events import Action
from backend.engine.resource import STATUS, About, Departure, Note, ResourceId, Step
from backend.errors import OperationFailed
from backend.resources.conditions import deployment_lacking
from backend.resources.keys import Key, kubectl
from backend.resources.manifests import Object
from backend.resources.manifests.serving import QUIET_FROM, model_servers
from backend.resources.objects import KubeObjects, Seen
from backend.resources.rollout import Rollouts
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

if TYPE_CHECKING:
    from backend.clients import Clients

MODEL_SERVER_TIMEOUT_S = 3600.0
FLEX_START_TIMEOUT_S = 24 * 3600.0
"""Longest wait for machines that come only when Google has them."""
FLEX_START_LIFE = timedelta(days=7)
CRASHES_TO_GIVE_UP = 4
"""Restarts after which a model server that still crashes is taken for broken."""


class ModelServers(KubeObjects):
    """The Deployment of model servers, whose Pods tell why they are not ready yet; updates take turns."""

    rollouts: Rollouts
    """Shared by the model servers of all clusters."""
    _rolling: bool = False

    async def apply(self, step: Step, note: Note) -> None:
        """Apply what differs; an update of what serves already waits for its turn."""
        if step.action is Action.UPDATE and any(change.field != STATUS for change in step.changes):
            await self.rollouts.begin(self.cluster.name, note)
            self._rolling = True
        try:
            await super().apply(step, note)
        except BaseException:
            self._rolled(failed=True)
            raise

    async def wait(self, note: Note) -> Seen:
        """Return once the model servers are ready, and let the next cluster be updated."""
        try:
            seen = await super().wait(note)
        except BaseException:
            self._rolled(failed=True)
            raise
        self._rolled(failed=False)
        return seen

    def _rolled(self, *, failed: bool) -> None:
        if self._rolling:
            self._rolling = False
            self.rollouts.end(failed=failed)

    async def explain(self, lack: str) -> str:
        """Add what keeps the Pods; raises ``OperationFailed`` when one only crashes."""
        pods = await self.kube.list(POD, self.spec.pool.namespace, {"app": self.spec.model.name})
        for pod in pods:
            await self._give_up_on(pod)
        reasons = Counter(reason for pod in pods for reason in _hindrances(pod))
        told = [lack, *(f"{count} {reason}" for reason, count in sorted(reasons.items()))]
        if self.cluster.serving_pool.provisioning is Provisioning.FLEX_START:
            told.append(flex_start_word(datetime.now(UTC)))
        return "; ".join(told)

    async def _give_up_on(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        for status in pod.get("status", {}).get("containerStatuses") or ():
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") != "CrashLoopBackOff" or status.get("restartCount", 0) < CRASHES_TO_GIVE_UP:
                continue
            log = await self.kube.logs(self.spec.pool.namespace, name, status["name"], 600)
            last = [line for line in log.splitlines() if line.strip()][-1:]
            raise OperationFailed(
                f"{status['name']} in {name} on {self.cluster.name} has crashed {status['restartCount']} times",
                cause=last[0] if last else str(waiting.get("message", "")),
                fix=f"{kubectl(self.clients.project, self.cluster)} logs -n {self.spec.pool.namespace} {name} "
                f"-c {status['name']} --previous; mend the model, the image or the token, then `mcig apply`",
            )


def flex_start_word(now: datetime) -> str:
    """What is special about machines bought by flex-start, if they come on the day of ``now``."""
    return f"flex-start machines come when Google has them, and end after 7 days: {now + FLEX_START_LIFE:%Y-%m-%d}"


def model_server(
    spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, rollouts: Rollouts | None = None
) -> ModelServers:
    """The row ``model-server@CLUSTER``; it outlives the export at destroy, so that no request hits a void.

    ``rollouts`` is shared by the stack's clusters, which are updated one after the other.
    """
    replicas = spec.replicas(cluster)
    kube = kubectl(clients.project, cluster)
    row = ModelServers(
        f"model-server@{cluster.name}",
        spec,
        cluster,
        clients,
        manager="mcig-model-server",
        wanted=model_servers(spec, cluster),
        about=About(
            title=f"Start {replicas} model servers on {cluster.name}",
            region=cluster.region,
            command=f"{kube} apply --server-side --field-manager=mcig-model-server -f model-server-{cluster.name}.yaml",
            permissions=(
                "container.deployments.create",
                "container.deployments.update",
                "container.configMaps.create",
                "container.configMaps.update",
                "container.pods.list",
            ),
            departures=tuple(_departures(spec, cluster)),
            estimate_s=catalog.duration("model-server"),
        ),
        depends_on=(f"secret/hf-token@{cluster.name}", f"node-pool/{cluster.name}/{cluster.serving_pool.name}"),
        timeout_s=FLEX_START_TIMEOUT_S
        if cluster.serving_pool.provisioning is Provisioning.FLEX_START
        else MODEL_SERVER_TIMEOUT_S,
        lacks=lambda seen: _lacks(spec, seen),
        anchor=Key(DEPLOYMENT, spec.pool.namespace, spec.model.name),
    )
    row.rollouts = rollouts or Rollouts()
    row.delete_after = frozenset({ResourceId(f"export@{cluster.name}")})
    return row


def _lacks(spec: GatewaySpec, seen: Seen) -> str | None:
    return deployment_lacking(seen.objects.get(Key(DEPLOYMENT, spec.pool.namespace, spec.model.name)), "model servers")


def _departures(spec: GatewaySpec, cluster: ClusterSpec) -> Iterator[Departure]:
    yield Departure(
        document="applies a manifest whose side-car has restartPolicy IfNotPresent",
        mcig="sets restartPolicy Always",
        because="API servers refuse every other value for a side-car, so the manifest cannot be applied as it is",
    )
    yield Departure(
        document="leaves the rollout strategy open, which starts new servers before old ones end",
        mcig="sets maxSurge 0 and maxUnavailable 1",
        because="with a server on every GPU there is none for one more, so no update would ever proceed",
    )
    if spec.model.version is None or spec.model.version >= QUIET_FROM:
        yield Departure(
            document="leaves the logging of requests off, as this image has it",
            mcig="adds --enable-log-requests",
            because="the model servers' log is the only place that tells who served a request",
        )
    if spec.model.max_model_len is not None:
        yield Departure(
            document="leaves the context as long as the model's own",
            mcig=f"sets --max-model-len {spec.model.max_model_len}",
            because="one longer context must fit into what the weights leave of a GPU's memory, or the server ends",
        )
    if cluster.serving_pool.provisioning is Provisioning.FLEX_START:
        yield Departure(
            document="waits for the GPUs where the node pool is created",
            mcig="waits for them here, and selects flex-start nodes",
            because="a flex-start pool stays empty until Pods ask for its nodes, which then live for 7 days",
        )
    if spec.replicas(cluster) != 3:
        yield Departure(
            document="runs 3 model servers on every cluster",
            mcig=f"runs {spec.replicas(cluster)} on a cluster with {cluster.serving_pool.gpus} GPUs",
            because="each server takes one GPU, and a GPU without one costs the same",
        )


def _hindrances(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    if conditions.get("Ready", {}).get("status") == "True":
        return
    if scheduled.get("status") == "False":
        yield f"not scheduled ({scheduled.get('message') or scheduled.get('reason')})"
        return
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waits = [state["waiting"] for container in containers if (state := container.get("state") or {}).get("waiting")]
    if waits:
        yield str(waits[0].get("reason", "waiting"))
    elif any("running" in (one.get("state") or {}) for one in containers if one["name"] == MODEL_SERVER):
        yield "loading the model"
