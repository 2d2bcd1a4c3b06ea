"""What mcig finds on a machine before it asks anybody: account, project, token, emulated cloud, stacks.

Reads the environment and files, and asks the emulated cloud on loopback. Invariant: nothing here fails because
something is absent or broken, and no token leaves this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backend.emulator import control
from backend.places import Places
from backend.surroundings import NoProject, gcloud_account, gcloud_project, hugging_face_token, project_of, token_source

__all__ = ["Found", "KeptStack", "NoProject", "hugging_face_token", "look", "project_of"]


@dataclass(frozen=True, slots=True)
class KeptStack:
    """A stack that was applied from this home."""

    name: str
    applied: datetime
    target: str
    """``gke`` or ``emulator``; empty when its file cannot be read."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is."""

    account: str | None
    """The Google account in words; ``None`` without credentials for programs."""
    project: str | None
    """The Google Cloud project that would be taken; ``None`` without one."""
    project_from: str
    """Where the project is named."""
    token_from: str | None
    """Where a Hugging Face token was found; ``None`` without one."""
    emulator: str | None
    """URL of the emulated cloud that runs; ``None`` when none does."""
    speed: float | None
    """How many times faster than real time it plays; ``None`` when it leaves all waiting out, or none runs."""
    stacks: tuple[KeptStack, ...]
    """Stacks, the one applied last first."""


def look(environ: Mapping[str, str], places: Places) -> Found:
    """Look around; takes milliseconds, and up to two seconds when an emulated cloud hangs."""
    named = environ.get("GOOGLE_CLOUD_PROJECT")
    project = named or gcloud_project(environ)
    url, speed = _emulator(places)
    return Found(
        account=_account(environ),
        project=project,
        project_from="GOOGLE_CLOUD_PROJECT" if named else "gcloud's configuration" if project else "",
        token_from=token_source(environ),
        emulator=url,
        speed=speed,
        stacks=_stacks(places),
    )


def _account(environ: Mapping[str, str]) -> str | None:
    """Whom Application Default Credentials stand for, as far as their file says."""
    folder = Path(environ.get("CLOUDSDK_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".config" / "gcloud")
    path = Path(environ.get("GOOGLE_APPLICATION_CREDENTIALS") or folder / "application_default_credentials.json")
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    named = content.get("client_email") or content.get("account") or gcloud_account(environ)
    return str(named) if named else "signed in (application default credentials)"


def _emulator(places: Places) -> tuple[str | None, float | None]:
    running = control.find(places.emulator)
    if running is None:
        return None, None
    try:
        return running.url, control.status(running)["speed"]
    except control.EmulatorError:
        return running.url, None


def _stacks(places: Places) -> tuple[KeptStack, ...]:
    found = []
    for path in places.stacks.glob("*.yaml") if places.stacks.is_dir() else ():
        try:
            applied = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        target = next((line.partition(":")[2].strip() for line in lines if line.startswith("target:")), "")
        found.append(KeptStack(path.stem, applied, target))
    return tuple(sorted(found, key=lambda stack: stack.applied, reverse=True))
