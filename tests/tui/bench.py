"""A small stack of an emulated cloud, and the run screen over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.widgets import Button

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine.resource import Resource
from backend.places import Places
from backend.resources import declare
from backend.spec import GatewaySpec
from backend.stack import Stack
from tests.tui.screens import Stage
from tui.runs import LiveRun
from tui.screens.run import RunScreen

POOL = "node-pool/gke-east/h100"


class Bench:
    """Opens small stacks of an emulated cloud: a node pool and all that it needs."""

    def __init__(self, connection: Connection, clients: Clients, folder: Path) -> None:
        self.connection, self._clients, self._folder = connection, clients, folder
        self.opened: list[Stack] = []

    async def open(self, spec: GatewaySpec) -> Stack:
        spec = spec.model_copy(update={"project": self.connection.project})
        self._clients.know(spec)
        places = Places.of({"MCIG_HOME": str(self._folder / "home")})
        stack = Stack(spec, connection=self.connection, clients=self._clients, declare=self._rows, places=places)
        self.opened.append(stack)
        return stack

    def _rows(self, spec: GatewaySpec) -> list[Resource[Any]]:
        rows: dict[str, Resource[Any]] = {
            row.id: row for row in declare(spec, self._clients, hf_token=None, kubeconfig=self._folder / "k")
        }
        wanted = [rows[POOL]]
        for row in wanted:
            needed = {*row.depends_on, *row.delete_after, *([row.within] if row.within else [])}
            wanted += [rows[name] for name in needed if rows[name] not in wanted]
        return [row for row in rows.values() if row in wanted]


class Running(Stage):
    """The run screen, which may open the stack with other answers."""

    def __init__(self, run: LiveRun, bench: Bench) -> None:
        self.run_screen = RunScreen(run, reopen=bench.open)
        super().__init__(self.run_screen)

    @property
    def ended(self) -> bool:
        return self.run_screen.progress.finished is not None and not self.run_screen.going_on

    @property
    def offered(self) -> set[str | None]:
        return {button.id for button in self.run_screen.query(Button) if button.display}
