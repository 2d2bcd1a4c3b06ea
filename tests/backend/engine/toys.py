"""A toy world and toy resources, so that the engine is tested without any cloud."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import strategies as st

from backend.engine.events import Event
from backend.engine.resource import About, Change, Note, Resource, ResourceId, Step


@dataclass
class ToyWorld:
    """What exists, and everything that was done to it, in order."""

    values: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Names whose apply and delete raise."""
    hanging: set[str] = field(default_factory=set)
    """Names whose wait never returns."""
    running: int = 0
    most_running: int = 0


class Broken(Exception):
    """What a broken toy raises; carries a cause and a fix as product errors do."""

    cause = "it is a broken toy"
    fix = "mend the toy"


class Toy(Resource[str]):
    """A named value in the toy world."""

    def __init__(
        self,
        world: ToyWorld,
        name: str,
        *needs: str,
        value: str = "new",
        within: str | None = None,
        delete_after: tuple[str, ...] = (),
    ) -> None:
        self.world = world
        self.id = ResourceId(name)
        self.depends_on = frozenset(ResourceId(need) for need in needs)
        self.within = ResourceId(within) if within else None
        self.delete_after = frozenset(ResourceId(later) for later in delete_after)
        self.value = value

    @property
    def about(self) -> About:
        return About(title=f"Make {self.id}", estimate_s=1.0, usd_per_hour=0.5)

    async def observe(self) -> str | None:
        self.world.log.append(f"observe {self.id}")
        return self.world.values.get(self.id)

    def diff(self, observed: str | None) -> Step:
        if observed is None:
            return self.create()
        return self.update(*([] if observed == self.value else [Change("value", observed, self.value)]))

    async def apply(self, step: Step, note: Note) -> None:
        self.world.running += 1
        self.world.most_running = max(self.world.most_running, self.world.running)
        try:
            await asyncio.sleep(0)
            self.world.log.append(f"apply {self.id}")
            note(f"making {self.id}", operation=f"op-{self.id}")
            if self.id in self.world.broken:
                raise Broken(f"{self.id} is broken") from OSError("wire cut")
            self.world.values[self.id] = self.value
        finally:
            self.world.running -= 1

    async def wait(self, note: Note) -> str:
        if self.id in self.world.hanging:
            await asyncio.Event().wait()
        return self.world.values[self.id]

    async def delete(self, note: Note) -> None:
        self.world.log.append(f"delete {self.id}")
        if self.id in self.world.broken:
            raise Broken(f"{self.id} is broken")
        self.world.values.pop(self.id, None)

    def detail(self, observed: str) -> dict[str, str]:
        return {"value": observed}


class Check(Toy):
    """A toy that only makes sense after a change."""

    only_after_change = True

    def diff(self, observed: str | None) -> Step:
        return self.create()


class Silent(Toy):
    """A toy that cannot be looked at, and is neither made nor deleted."""

    async def observe(self) -> str | None:
        raise ConnectionError(f"{self.id} says nothing")

    async def delete(self, note: Note) -> None:
        raise ConnectionError(f"{self.id} still says nothing")


class Hanging(Toy):
    """A toy that never answers."""

    async def observe(self) -> str | None:
        await asyncio.Event().wait()
        return None


def types(events: list[Event]) -> list[str]:
    """The events' types, in order."""
    return [event.payload.type for event in events]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Acyclic graphs: each node needs some of the earlier ones."""
    names = [f"r{index}" for index in range(draw(st.integers(1, 12)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }
