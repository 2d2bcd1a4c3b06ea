"""Pictures of the screens for the README: ``python tests/pictures.py`` writes them anew.

Recordings and presets are the only sources, so that the same code makes the same bytes; a test holds that they are
current.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from textual.app import App  # noqa: E402 - run by path
from textual.pilot import Pilot  # noqa: E402
from textual.screen import Screen  # noqa: E402

from backend import presets  # noqa: E402
from backend.address import Address  # noqa: E402
from backend.clients.answers import Answer, ServedBy  # noqa: E402
from backend.draft import Draft  # noqa: E402
from backend.engine import journal  # noqa: E402
from backend.engine.events import StepFinished  # noqa: E402
from backend.fields import PAGES  # noqa: E402
from backend.kept import Kept  # noqa: E402
from backend.places import Places  # noqa: E402
from tests.tui.screens import still, text_of, until  # noqa: E402
from tui.app import McigApp  # noqa: E402
from tui.replay_app import ReplayApp  # noqa: E402
from tui.runs import RecordedRun  # noqa: E402
from tui.screens.wizard import WizardScreen  # noqa: E402
from tui.session import Session  # noqa: E402
from tui.widgets.prompt_entry import PromptEntry  # noqa: E402

if TYPE_CHECKING:
    from backend.prompting import PromptListener
    from backend.spec import GatewaySpec
    from backend.stack import Stack

FOLDER = ROOT / "docs" / "pictures"
SIZE = (120, 36)
JOURNAL = ROOT / "tests" / "tui" / "journals" / "succeeded.jsonl"


def picture(app: App[Any]) -> str:
    """The screen in front as an SVG whose ids do not depend on where it was made, without fonts from elsewhere."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", app.export_screenshot(title="mcig"), flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:40000", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def app_in(home: Path) -> McigApp:
    """The app on a machine with nothing on it."""
    environ = {"HOME": str(home), "MCIG_HOME": str(home / "mcig")}
    return McigApp(Session(Places.of(environ), environ, speed=math.inf))


async def home(folder: Path) -> str:
    """The way in."""
    app = app_in(folder)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "Emulated cloud" in text_of(app))
        return picture(app)


async def page(folder: Path, name: str, ready: Callable[[Pilot[int]], Awaitable[None]]) -> str:
    """A page of the wizard with the answers of the rehearsal."""
    app = app_in(folder)
    draft = Draft.of(presets.load(presets.find("rehearsal", app.session.places)))
    order = [page.name for page in PAGES]
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(WizardScreen(app.session, Kept(draft, name, tuple(order[: order.index(name)]))))
        await ready(pilot)
        return picture(app)


async def regions(folder: Path) -> str:
    """Regions, with the quotas of an emulated cloud."""
    from backend.emulator import control

    async def ready(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: (text := text_of(pilot.app)).count("fits") > 1 and "checks are fine" in text)
        await until(pilot, lambda: "asking the cloud" not in text_of(pilot.app))

    running = await asyncio.to_thread(control.start, folder / "mcig" / "emulator", speed=math.inf)
    try:
        return await page(folder, "regions", ready)
    finally:
        await asyncio.to_thread(control.stop, running)


async def balancing(folder: Path) -> str:
    """Where spill-over begins."""

    async def ready(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "spills over" in text_of(pilot.app) and "estimate" in text_of(pilot.app))

    return await page(folder, "balancing", ready)


async def run(folder: Path) -> str:
    """A run at its end, from its journal."""
    del folder
    app = ReplayApp(RecordedRun(list(journal.read(JOURNAL)), pace=math.inf))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "✓ done" in text_of(app))
        await still(app)
        return picture(app)


async def monitor(folder: Path) -> str:
    """Traffic that spills over, from a recording."""
    del folder
    from tests.backend.monitor.snapshots import spill
    from tui.looks import RecordedLooks

    looks = RecordedLooks([spill(at) for at in range(0, 90, 2)], clock=lambda: 0.0)
    looks.toggle()
    looks.seek(70.0)
    app = ReplayApp(looks)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "gke-east" in text_of(app))
        await still(app)
        return picture(app)


class Panel(McigApp):
    """The app with one screen in front."""

    def __init__(self, folder: Path, front: Callable[[], Screen[None]]) -> None:
        environ = {"HOME": str(folder), "MCIG_HOME": str(folder / "mcig")}
        super().__init__(Session(Places.of(environ), environ, speed=math.inf))
        self._front = front

    def on_mount(self) -> None:
        """Show it."""
        self.push_screen(self._front())


async def review(folder: Path) -> str:
    """The plan of the rehearsal, against an emulated cloud with nothing in it."""
    from backend.clients import Clients
    from backend.clients.connect import emulated
    from backend.emulator.server import Emulator
    from backend.resources import declare
    from backend.stack import Stack
    from tui.screens.review import ReviewScreen

    places = Places.of({"MCIG_HOME": str(folder / "mcig")})
    async with Emulator(folder / "emulator", speed=40.0) as cloud:
        connection = replace(emulated(cloud.url, cloud.token, project=cloud.world.project), speed=40.0)
        spec = presets.load(presets.find("rehearsal", places)).model_copy(update={"project": connection.project})
        clients = Clients(connection, spec)

        def rows(of: GatewaySpec) -> Any:
            return declare(of, clients, hf_token=None, kubeconfig=folder / "kubeconfig")

        stack = Stack(spec, connection=connection, clients=clients, declare=rows, places=places)
        plan = await stack.plan()
        app = Panel(folder, lambda: ReviewScreen(stack, plan, []))
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: "shared" in text_of(app))
            await pilot.press(*["down"] * 4)
            await until(pilot, lambda: "command" in text_of(app))
            drawn = picture(app)
        await clients.close()
    return drawn


class Recorded:
    """A stack that gives the answers that a run's final check was given."""

    def __init__(self, spec: GatewaySpec) -> None:
        self.spec = spec
        self.connection = SimpleNamespace(description="the emulated cloud at http://127.0.0.1:40000", speed=40.0)
        ends = [event.payload for event in journal.read(JOURNAL) if isinstance(event.payload, StepFinished)]
        verify = next(one for one in ends if one.resource == "verify")
        self._answers = [
            Answer(**{**given, "served_by": ServedBy(**given["served_by"])}) for given in verify.detail["answers"]
        ]

    async def addresses(self) -> list[Address]:
        """Those that were asked."""
        return [Address(one.region, one.address, f"http://{one.address}/v1") for one in self._answers]

    async def prompt(self, text: str, *, listener: PromptListener, **chosen: object) -> None:
        """Give the answers once more."""
        del text, chosen
        for address, answer in zip(await self.addresses(), self._answers, strict=True):
            listener.begins(address)
            listener.token(answer.text)
            listener.ends(answer)

    def curl(self, text: str, base: str, **chosen: object) -> str:
        """The same as a command, in short."""
        del chosen
        return f"curl {base}/completions -d '{text}'"


async def prompt(folder: Path) -> str:
    """Answers through each address, as a run's final check was given them."""
    from tui.screens.prompt import PromptScreen

    stack = Recorded(presets.load(presets.find("rehearsal", Places.of({"MCIG_HOME": str(folder)}))))
    app = Panel(folder, lambda: PromptScreen(cast("Stack", stack)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "Enter asks" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: text_of(app).count("✓ 200") == len(stack._answers))
        app.screen.query_one(PromptEntry).cursor_blink = False
        await pilot.pause()
        return picture(app)


PICTURES: dict[str, Callable[[Path], Awaitable[str]]] = {
    "home": home,
    "regions": regions,
    "balancing": balancing,
    "review": review,
    "run": run,
    "prompt": prompt,
    "monitor": monitor,
}
"""How each picture is made."""


async def made(name: str) -> str:
    """One picture, in a home folder of its own and in the time zone of the recordings."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory() as folder:
        return await PICTURES[name](Path(folder))


def main() -> None:
    """Write all of them, or those that are named."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        svg = asyncio.run(made(name))
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"{name}.svg: {len(svg.encode()) // 1000} kB")  # noqa: T201


if __name__ == "__main__":
    main()
