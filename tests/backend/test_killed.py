"""Runs that end without a word, again and again: the next one goes on, and the world is that of one whole run."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from backend.clients import Clients
from backend.clients.connect import emulated
from backend.emulator.management import resources
from backend.emulator.server import Emulator
from backend.engine.apply import Run, apply
from backend.engine.events import Event, Verb
from backend.engine.plan import plan
from backend.resources import declare
from backend.spec import GatewaySpec

TOKEN = SecretStr("hf_of_the_tests_0123456789")
KILLED_AFTER = (1, 6, 17, 4, 29, 11, 2, 23, 9, 41, 5, 35)
"""Events after which the first run is killed, the second, and so on."""
PASSING = frozenset({"events", "pods", "replicasets", "nodes", "leases", "endpointslices"})
"""Kinds whose objects come and go by themselves."""
BY_CHANCE = re.compile(r"-[0-9a-f]{4,}\b")
"""What the cloud adds to names that it makes up."""
RELAY = "mcig-relay"
"""What comes with a change and goes with the last prompt."""


async def run(spec: GatewaySpec, emulator: Emulator, *, killed_after: int | None = None) -> bool:
    """A run as a process of its own, killed right after so many events; whether it came to its end."""
    clients = Clients(emulated(emulator.url, emulator.token, project=emulator.world.project), spec)
    told: list[Event] = []

    def hear(event: Event) -> None:
        told.append(event)
        if len(told) == killed_after:
            work.cancel()

    try:
        rows = declare(spec, clients, hf_token=TOKEN)
        made = await plan(rows, Verb.APPLY)
        work = asyncio.ensure_future(apply(made, rows, run=Run("t", spec.name, "emulator"), emit=hear))
        await asyncio.wait({work})
        if work.cancelled():
            return False
        assert [(step.resource, step.error) for step in work.result().failures] == []
        return True
    finally:
        await clients.close()


def objects(emulator: Emulator) -> Iterator[tuple[str, ...]]:
    """What the clusters hold: where it is, and whose."""
    for key, cluster in emulator.world.kube.items():
        for kind, one in cluster.store.everything():
            meta: dict[str, Any] = one["metadata"]
            if kind.rpartition("/")[2] not in PASSING and meta["name"] != RELAY:
                marks = sorted((meta.get("labels") or {}).items())
                yield key, kind, meta.get("namespace", ""), BY_CHANCE.sub("", meta["name"]), str(marks)


def everything(emulator: Emulator) -> Counter[Any]:
    """The world, how often each thing is there."""
    cloud = [one for one in resources(emulator.world) if RELAY not in one]
    named = ("process" if one.startswith("process/") else BY_CHANCE.sub("", one) for one in cloud)
    return Counter([*named, *objects(emulator)])


async def test_runs_that_are_killed_at_any_event_end_in_the_world_of_a_whole_one(
    spec: GatewaySpec, emulator: Emulator, tmp_path: Path
) -> None:
    spec = GatewaySpec.model_validate(spec.to_data() | {"model": {"replicas": 1}})
    assert await run(spec, emulator)

    async with Emulator(tmp_path / "killed", speed=math.inf) as killed:
        ends = [await run(spec, killed, killed_after=events) for events in KILLED_AFTER]
        assert ends.count(False) >= 8, "a run that has nothing more to do is no kill"
        assert await run(spec, killed)
        assert everything(killed) == everything(emulator)
        clients = Clients(emulated(killed.url, killed.token, project=killed.world.project), spec)
        left = (await plan(declare(spec, clients, hf_token=TOKEN), Verb.APPLY)).changes
        await clients.close()
    assert [step.resource for step in left] == []
