"""The rows ``secret/hf-token@CLUSTER`` and ``model-server@CLUSTER``: what a cluster serves, and with whose token.

Invariant: the token's value goes into the body of one API request and nowhere else; what is observed of a Secret has no
values.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr

from backend import catalog
from backend.clients.kinds import DEPLOYMENT, NAMESPACE, POD, SECRET
from backend.engine.events import Action
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import NotFound, OperationFailed, UsageError
from backend.resources import marks
from backend.resources.compare import ABSENT
from backend.resources.conditions import deployment_lacking
from backend.resources.keys import DELETE_TIMEOUT_S, Key, gone, kubectl, look
from backend.resources.manifests import SECRET_KEY, SECRET_NAME, Object, is_ours, marked, namespace
from backend.resources.manifests_serving import CONTAINER, QUIET_FROM, model_servers
from backend.resources.objects import STATUS, KubeObjects, Seen
from backend.resources.rollout import Rollouts
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec, Provisioning

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

MODEL_SERVER_TIMEOUT_S = 3600.0
FLEX_START_TIMEOUT_S = 24 * 3600.0
"""Longest wait for machines that come only when Google has them."""
FLEX_START_LIFE = timedelta(days=7)
CRASHES_TO_GIVE_UP = 4
"""Restarts after which a model server that still crashes is taken for broken."""
TOKEN_DIGEST = "mcig/token-digest"  # noqa: S105 - the name of an annotation
"""Annotation that tells whether another token was given since, without telling the token."""
SECRET_MANAGER = "mcig-secret"  # noqa: S105 - the name of a field manager


class HfTokenSecret(Resource[Object]):
    """The Secret from which the model servers take the Hugging Face token, and its namespace."""

    def __init__(
        self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, hf_token: SecretStr | None
    ) -> None:
        self.id = ResourceId(f"secret/hf-token@{cluster.name}")
        self.within = ResourceId(f"cluster/{cluster.name}")
        self._spec, self._cluster, self._clients = spec, cluster, clients
        self._token = hf_token
        self._key = Key(SECRET, spec.pool.namespace, SECRET_NAME)
        self._namespace = Key(NAMESPACE, None, spec.pool.namespace)

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return About(
            title=f"Give {self._cluster.name} the Hugging Face token",
            region=self._cluster.region,
            command=f'printf %s "$HF_TOKEN" | {kubectl(self._clients.project, self._cluster)} create secret generic '
            f"{SECRET_NAME} -n {self._spec.pool.namespace} --from-file={SECRET_KEY}=/dev/stdin",
            permissions=("container.secrets.get", "container.secrets.create", "container.secrets.update"),
            departures=(
                Departure(
                    document="puts the token into kubectl's command line",
                    mcig="sends it in the body of an API request",
                    because="a command line is kept in the shell's history and shown to everybody on the machine",
                ),
            ),
            estimate_s=catalog.duration("secret"),
        )

    async def observe(self) -> Object | None:
        """Give the Secret without its values; ``None`` when absent."""
        try:
            found = await self._kube.get(SECRET, self._key.namespace, SECRET_NAME)
        except NotFound:
            return None
        return None if found is None else found | {"data": dict.fromkeys(found.get("data") or {}, "")}

    def diff(self, observed: Object | None) -> Step:
        """Make it, or mend it; one that has a token is left alone unless another token was given."""
        if observed is None:
            return self.create()
        if SECRET_KEY not in observed["data"]:
            return self.update(Change(f"data.{SECRET_KEY}", ABSENT, "present"))
        if not is_ours(observed, self._spec):
            return self.no_op("adopted")
        known = (observed["metadata"].get("annotations") or {}).get(TOKEN_DIGEST)
        if self._token is not None and known != self._digest(self._token):
            return self.update(Change(f"data.{SECRET_KEY}", "another token", "the token that was given"))
        return self.no_op()

    def removal(self, observed: Object | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not is_ours(observed, self._spec):
            return self.no_op("not made by mcig: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Send the Secret; raises ``UsageError`` when there is no token to send."""
        if self._token is None:
            raise UsageError(
                f"no Hugging Face token for {self.id}",
                cause="HF_TOKEN is not set and `hf auth login` was not done on this machine",
                fix="export HF_TOKEN=hf_... (from huggingface.co/settings/tokens), then run the same command again",
            )
        if self._spec.pool.namespace != "default":
            await self._make_namespace()
        seen = await self.observe()
        foreign = seen is not None and not is_ours(seen, self._spec)
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET_NAME, "namespace": self._spec.pool.namespace},
            "data": {SECRET_KEY: base64.b64encode(self._token.get_secret_value().encode()).decode()},
        }
        if not foreign:
            body["type"] = "Opaque"
            body["metadata"]["annotations"] = {TOKEN_DIGEST: self._digest(self._token)}
            body = marked(body, self._spec)
        await self._kube.apply(body, manager=SECRET_MANAGER, force=seen is not None and not foreign)

    async def wait(self, note: Note) -> Object:
        """Return the Secret; it is there as soon as it was accepted."""
        seen = await self.observe()
        if seen is None:
            raise NotFound(f"{self.id} vanished after it was made", fix="run the same command again")
        return seen

    async def delete(self, note: Note) -> None:
        """Delete it, and the namespace where mcig made that, and return once they are gone."""
        kube, mine = self._kube, []
        for key, found in (await self._existing()).items():
            if is_ours(found, self._spec):
                await kube.delete(key.kind, key.namespace, key.name)
                mine.append(key)
        look = f"{kubectl(self._clients.project, self._cluster)} get -n {self._spec.pool.namespace} secrets"
        watch = Watch(note, f"deleting {self.id}", timeout_s=DELETE_TIMEOUT_S, look=look)
        await watch.until(lambda: gone(kube, mine, watch))

    @property
    def _kube(self) -> Kube:
        return self._clients.kube(self._cluster.name)

    async def _existing(self) -> dict[Key, Object]:
        try:
            return await look(self._kube, [self._key, self._namespace])
        except NotFound:
            return {}

    async def _make_namespace(self) -> None:
        if await self._kube.get(NAMESPACE, None, self._spec.pool.namespace) is None:
            await self._kube.apply(marked(namespace(self._spec), self._spec), manager=SECRET_MANAGER)

    def _digest(self, token: SecretStr) -> str:
        salt = marks.description(self._spec).encode()
        return hmac.new(salt, token.get_secret_value().encode(), hashlib.sha256).hexdigest()[:16]


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


def hf_token_secret(
    spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, hf_token: SecretStr | None
) -> HfTokenSecret:
    """The row ``secret/hf-token@CLUSTER``."""
    return HfTokenSecret(spec, cluster, clients, hf_token=hf_token)


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
    elif any("running" in (container.get("state") or {}) for container in containers if container["name"] == CONTAINER):
        yield "loading the model"
