"""What the full-screen app writes on request: a preset of the answers, and the plan as files.

Invariant: nothing that is there already is overwritten unless somebody says so.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.app import App

from backend import presets
from backend.errors import McigError, UsageError
from backend.presets import Places
from backend.spec import GatewaySpec
from tui.screens.choosing import ChoosingScreen
from tui.session import Session


def complain(app: App[Any], error: Exception) -> None:
    """Tell of a failure in front of the screen."""
    fix = getattr(error, "fix", "")
    app.notify(f"{error}\n{fix}".strip(), title="That did not work", severity="error", timeout=12, markup=False)


async def save_preset(app: App[Any], spec: GatewaySpec, places: Places) -> None:
    """Keep a specification as a preset under its own name."""
    text = presets.dump(spec)
    try:
        path = presets.save(spec.name, text, "these answers", places)
    except presets.PresetExists as error:
        ways = [("keep", "Keep the other one", ""), ("replace", "Replace it", "")]
        if await app.push_screen_wait(ChoosingScreen(error.message, ways)) != "replace":
            return
        path = presets.save(spec.name, text, "these answers", places, replace=True)
    except UsageError as error:
        complain(app, error)
        return
    app.notify(str(path), title="Kept as a preset", markup=False)


async def export_plan(app: App[Any], spec: GatewaySpec, session: Session) -> None:
    """Write a specification's plan into a folder named after the stack, below the working one."""
    from backend.export import Format, export, write

    ways = [
        (Format.GCLOUD, "Shell scripts", "setup.sh and teardown.sh for bash, gcloud and kubectl"),
        (Format.MANIFESTS, "Manifests", "the Kubernetes objects, with a kustomization for each cluster"),
        (Format.TERRAFORM, "Terraform", "for the providers google and kubernetes"),
    ]
    chosen = await app.push_screen_wait(ChoosingScreen("Write it as what?", ways))
    if chosen is None:
        return
    folder = await asyncio.to_thread(Path(f"{spec.name}-{chosen}").absolute)
    try:
        files = await asyncio.to_thread(export, spec, Format(chosen), environ=session.environ)
        written = await asyncio.to_thread(write, files, folder)
    except (McigError, OSError) as error:
        complain(app, error)
        return
    app.notify(f"{len(written.files)} files in {folder}", title="Written", markup=False)
