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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from textual.app import App  # noqa: E402 - run by path
from textual.pilot import Pilot  # noqa: E402

from backend import presets  # noqa: E402
from backend.draft import Draft  # noqa: E402
from backend.engine import journal  # noqa: E402
from backend.fields import PAGES  # noqa: E402
from backend.kept import Kept  # noqa: E402
from backend.places import Places  # noqa: E402
from tests.tui.screens import text_of, until  # noqa: E402
from tui.app import McigApp  # noqa: E402
from tui.replay_app import ReplayApp  # noqa: E402
from tui.runs import RecordedRun  # noqa: E402
from tui.screens.wizard import WizardScreen  # noqa: E402
from tui.session import Session  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
SIZE = (120, 36)
JOURNAL = ROOT / "tests" / "tui" / "journals" / "succeeded.jsonl"


def picture(app: App[Any]) -> str:
    """The screen in front as an SVG whose ids do not depend on where it was made, without fonts from elsewhere."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", app.export_screenshot(title="mcig"), flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
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
        await pilot.pause(0.4)
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
        await pilot.pause(0.3)
        return picture(app)


PICTURES: dict[str, Callable[[Path], Awaitable[str]]] = {
    "home": home,
    "regions": regions,
    "balancing": balancing,
    "run": run,
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
