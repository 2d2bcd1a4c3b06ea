"""Asking the model through a stack's gateway.

Invariant: a prompt goes through the relay on the config cluster, which is started when it is not there, and changes
nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from backend.address import Address
from backend.engine.events import Action
from backend.engine.resource import Resource
from backend.engine.together import together
from backend.errors import PromptError, UsageError
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.answers import Answer, Ask
    from backend.clients.connect import Connection
    from backend.clients.request_logs import RequestLogs

GATEWAY = "gateway"
RELAY = "relay@{}"
AT_ONCE = 8
"""Prompts that are asked side by side."""


class PromptListener(Protocol):
    """Follows prompts while they are answered, one after the other."""

    def begins(self, address: Address) -> None:
        """A prompt goes out through an address."""

    def token(self, text: str) -> None:
        """A piece of the answer has come."""

    def ends(self, answer: Answer) -> None:
        """The answer is complete, or has failed."""


class Prompts:
    """The ways into one stack's gateway, and what is asked through them."""

    def __init__(
        self, spec: GatewaySpec, *, connection: Connection, clients: Clients, resources: Sequence[Resource[Any]]
    ) -> None:
        self.spec, self.connection = spec, connection
        self._clients = clients
        self._resources = resources

    async def addresses(self) -> tuple[Address, ...]:
        """The gateway's addresses as they are now; empty while it has none."""
        gateway = self._resource(GATEWAY)
        observed = await gateway.observe()
        if observed is None:
            return ()
        port = self.spec.gateway.port
        found = [(item["region"], item["address"]) for item in gateway.detail(observed).get("addresses", ())]

        def with_doors() -> tuple[Address, ...]:
            return tuple(Address(region, ip, self.connection.door(region, ip, port)) for region, ip in found)

        return await asyncio.to_thread(with_doors)

    def request(
        self,
        text: str,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        objective: bool = True,
    ) -> Ask:
        """What is asked; ``model`` is the first adapter by default, and ``objective`` names the stack's in a header."""
        from backend.clients.answers import Ask

        ask = Ask(text, model or self.spec.model.served_name, objective=self.spec.objective.name if objective else None)
        if max_tokens is not None:
            ask = replace(ask, max_tokens=max_tokens)
        return ask if temperature is None else replace(ask, temperature=temperature)

    async def ask(
        self,
        ask: Ask,
        *,
        region: str | None = None,
        count: int = 1,
        listener: PromptListener | None = None,
        each: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        """Ask the model through the gateway, ``count`` times through each address, or through one region's only.

        With a listener prompts go one after the other, so that their words do not mix; ``each`` gets every answer as it
        comes. Raises ``PromptError`` when the gateway cannot be asked; then nothing is asked any more.
        """
        from backend.clients.request_logs import RequestLogs

        addresses = _through(await self.addresses(), region, self.spec.name)
        await self._start_relay()
        logs = RequestLogs(
            {cluster.name: self._clients.kube(cluster.name) for cluster in self.spec.targets},
            namespace=self.spec.pool.namespace,
            app=self.spec.model.name,
        )
        bound = asyncio.Semaphore(1 if listener is not None else AT_ONCE)

        async def one(address: Address) -> Answer:
            async with bound:
                answer = await self._one(ask, address, logs, listener)
            if each is not None:
                each(answer)
            return answer

        return await together(*(one(address) for address in addresses for _ in range(count)))

    async def _one(self, ask: Ask, address: Address, logs: RequestLogs, listener: PromptListener | None) -> Answer:
        from backend.clients import inference

        if listener is not None:
            listener.begins(address)
        answer = await inference.prompt(
            self._clients.kube(self.spec.config_cluster),
            logs,
            ask,
            namespace=self.spec.pool.namespace,
            region=address.region,
            address=address.address,
            port=self.spec.gateway.port,
            timeout_s=self.spec.timeout_s,
            on_token=None if listener is None else listener.token,
        )
        if listener is not None:
            listener.ends(answer)
        return answer

    async def _start_relay(self) -> None:
        relay = self._resource(RELAY.format(self.spec.config_cluster))
        step = relay.diff(await relay.observe())
        if step.action is not Action.NO_OP:
            await relay.apply(step, _unheard)
            await relay.wait(_unheard)

    def _resource(self, name: str) -> Resource[Any]:
        return next(resource for resource in self._resources if resource.id == name)


def _through(addresses: Sequence[Address], region: str | None, stack: str) -> Sequence[Address]:
    if not addresses:
        raise PromptError(
            f"the gateway of {stack} has no address",
            cause="the stack is not set up, or not completely",
            fix=f"mcig apply {stack}",
        )
    chosen = [address for address in addresses if region in {None, address.region}]
    if not chosen:
        raise UsageError(
            f"the gateway of {stack} has no address in {region}",
            cause=f"it has one in {', '.join(address.region for address in addresses)}",
            fix="name one of these after --address, or leave it out to ask through each",
        )
    return chosen


def _unheard(text: str, *, operation: str | None = None) -> None:
    del text, operation
