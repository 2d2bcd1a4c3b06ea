"""The row ``verify``: one short prompt through every regional address, and the metric that traffic is balanced by.

Invariant: it succeeds only when a model has answered through each address and, with CUSTOM_METRICS, every model server
reports the policy's metric; what the answers were is told in its detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from backend import catalog
from backend.clients.answers import Answer, Ask
from backend.clients.inference import prompt
from backend.clients.request_logs import RequestLogs
from backend.engine.events import Action
from backend.engine.resource import About, Departure, Note, Resource, ResourceId, Step
from backend.engine.together import together
from backend.errors import PromptError, Unavailable
from backend.resources.gateway import GatewayRow
from backend.resources.keys import kubectl
from backend.resources.kv_metric import metric_reported
from backend.resources.objects import KubeObjects
from backend.resources.waiting import Watch
from backend.spec import BalancingMode, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients

ID = ResourceId("verify")
TIMEOUT_S = 600.0
TEXT = "What is the best pizza in the world?"
"""The document's own question."""
MAX_TOKENS = 24
NOT_YET = frozenset({404, 429, 502, 503, 504})
"""Statuses of a gateway or a model server that is not quite ready: no backend yet, adapter not loaded yet, overload."""


class Verify(Resource[tuple[Answer, ...]]):
    """A prompt through every address of the gateway."""

    only_after_change: ClassVar[bool] = True

    def __init__(
        self, spec: GatewaySpec, clients: Clients, gateway: GatewayRow, relay: KubeObjects | None = None
    ) -> None:
        self.id = ID
        names = [f"model-server@{cluster.name}" for cluster in spec.targets]
        names += [f"metrics@{cluster.name}" for cluster in spec.targets]
        names += [f"relay@{spec.config_cluster}", "health-policy", "backend-policy"]
        self.depends_on = frozenset(map(ResourceId, names))
        self._spec, self._clients, self._gateway, self._relay = spec, clients, gateway, relay

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        spec = self._spec
        return About(
            title="Ask the model through every address",
            command=f"{kubectl(self._clients.project, spec.config)} run curly -it --rm --image=curlimages/curl -n "
            f"{spec.pool.namespace} -- curl -sS http://ADDRESS:{spec.gateway.port}/v1/completions "
            f"-H 'Content-Type: application/json' -H 'x-gateway-inference-objective: {spec.objective.name}' "
            f'-d \'{{"model": "{spec.model.served_name}", "prompt": "{TEXT}", "max_tokens": {MAX_TOKENS}}}\'',
            permissions=("container.pods.proxy", "container.pods.list", "container.pods.getLogs"),
            departures=(
                Departure(
                    document="does not look whether the model servers report the metric that it balances by",
                    mcig="looks for it on every Pod when the mode is CUSTOM_METRICS",
                    because="without the metric no cluster ever counts as full, and nothing else tells so",
                ),
                Departure(
                    document="sends one request to one address, without naming the objective",
                    mcig="sends one to every address, with the objective's header",
                    because="an objective counts only for requests that name it, and each region has its own way in",
                ),
            ),
            estimate_s=catalog.duration("verify"),
        )

    async def observe(self) -> tuple[Answer, ...] | None:
        """Nothing lasts of an answer."""
        return None

    def diff(self, observed: tuple[Answer, ...] | None) -> Step:
        """Ask; the plan leaves it out when nothing before it changes."""
        return self.create()

    async def apply(self, step: Step, note: Note) -> None:
        """Look at the relay again: the gateway may have got other addresses since the plan was made."""
        if self._relay is None:
            return
        again = self._relay.diff(await self._relay.observe())
        if again.action is not Action.NO_OP:
            await self._relay.apply(again, note)
            await self._relay.wait(note)

    async def wait(self, note: Note) -> tuple[Answer, ...]:
        """Ask every address at the same time, then look for the policy's metric on every Pod.

        Raises ``PromptError`` for an answer that will not get better, ``OperationFailed`` for a metric under another
        name, ``StepTimeout`` when there is no answer or no metric in time.
        """
        seen = await self._gateway.observe()
        addresses = [] if seen is None else self._gateway.detail(seen)["addresses"]
        missing = set(self._spec.regions) - {place["region"] for place in addresses}
        if missing:
            raise PromptError(
                f"the gateway has no address in {', '.join(sorted(missing))}",
                cause="its forwarding rules are gone or cannot be read",
                fix="mcig status shows the gateway's conditions",
            )
        kubes = {cluster.name: self._clients.kube(cluster.name) for cluster in self._spec.targets}
        logs = RequestLogs(kubes, namespace=self._spec.pool.namespace, app=self._spec.model.name)
        asks = [self._ask(place["region"], place["address"], logs, note) for place in addresses]
        answers = await together(*asks)
        if self._spec.balancing.mode is BalancingMode.CUSTOM_METRICS:
            await together(*(metric_reported(self._spec, one, self._clients, note) for one in self._spec.targets))
        return tuple(answers)

    async def delete(self, note: Note) -> None:
        """Nothing is left behind."""

    def detail(self, observed: tuple[Answer, ...]) -> Mapping[str, Any]:
        """The answers as ``mcig prompt`` gives them."""
        return {"answers": [answer.to_json() for answer in observed]}

    async def _ask(self, region: str, address: str, logs: RequestLogs, note: Note) -> Answer:
        spec, clients = self._spec, self._clients
        look = f"{kubectl(clients.project, spec.config)} describe gateway -n {spec.pool.namespace} {spec.gateway.name}"
        watch = Watch(note, f"an answer from {region}", timeout_s=TIMEOUT_S, look=look)
        ask = Ask(TEXT, spec.model.served_name, max_tokens=MAX_TOKENS, objective=spec.objective.name)

        async def answered() -> Answer | None:
            try:
                answer = await prompt(
                    clients.kube(spec.config_cluster),
                    logs,
                    ask,
                    namespace=spec.pool.namespace,
                    region=region,
                    address=address,
                    port=spec.gateway.port,
                    timeout_s=spec.timeout_s,
                )
            except PromptError as error:
                if isinstance(error.__cause__, Unavailable):
                    raise error.__cause__ from error
                watch.saw(f"{region}: {error.message}")
                return None
            if answer.ok:
                return answer
            if answer.status not in NOT_YET | {200}:
                raise PromptError(
                    f"{region} ({address}) answered {answer.status}: {answer.error}",
                    cause="the model server refuses the request",
                    fix=f"mcig prompt --address {region} shows it again",
                )
            watch.saw(f"{region} answers {answer.status}: {answer.error}")
            return None

        return await watch.until(answered)


def verify(spec: GatewaySpec, clients: Clients, gateway: GatewayRow, relay: KubeObjects | None = None) -> Verify:
    """The row ``verify``."""
    return Verify(spec, clients, gateway, relay)
