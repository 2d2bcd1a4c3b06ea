"""The one place that knows where a stack's cloud is.

The real and the emulated cloud differ in base URLs, credentials and the door to a gateway's address, and in nothing
else. Invariant: nothing outside this module asks which of the two it is.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.clients.google import prefetch
from backend.errors import CredentialsError, RehearsalError, UsageError
from backend.spec import GatewaySpec, Target

EMULATED_PROJECT = "demo-project"
"""The project that the emulated cloud knows."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SDK = (
    "google.cloud.service_usage_v1",
    "google.cloud.container_v1",
    "google.cloud.gkehub_v1",
    "google.cloud.compute_v1",
)
"""The packages that every plan needs, the slowest last."""
LOOPBACK = ("127.0.0.1", "localhost")
_PREFIXES = {
    "container": "/container",
    "gkehub": "/gkehub",
    "serviceusage": "/serviceusage",
    "cloudresourcemanager": "/cloudresourcemanager",
    "compute": "",
}
"""Path under which the emulated cloud has each API; Compute Engine's own paths already begin with its name."""

Doors = Callable[[], Mapping[tuple[str, str], int]]
"""Loopback ports by (region, private address)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one cloud."""

    target: Target
    project: str
    credentials: Any = field(repr=False)
    """A credentials object of google-auth."""
    description: str
    """The cloud in words, such as ``Google Cloud project my-project``."""
    unreachable_fix: str
    """What to do when nothing answers."""
    sign_in_fix: str
    """What to do when the credentials are not accepted."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Base URL by API, such as ``container``; Google's own where missing."""
    doors: Doors | None = None
    """Looks up the loopback doors to gateway addresses; ``None`` where addresses are reached directly."""

    def door(self, region: str, address: str, port: int) -> str:
        """Base URL of the OpenAI API behind a gateway's address, for somebody who may reach it.

        On the emulator this is a port on this machine. On Google Cloud, and until the emulated gateway has such a
        port, it is the private address itself, which only the VPC network knows. Raises ``RehearsalError``.
        """
        local = None if self.doors is None else self.doors().get((region, address))
        if local is not None:
            return f"http://127.0.0.1:{local}/v1"
        return f"http://{address}/v1" if port == 80 else f"http://{address}:{port}/v1"


async def connect(
    spec: GatewaySpec, *, environ: Mapping[str, str], home: Path, speed: float | None = None
) -> Connection:
    """Connect to the spec's target; an emulated cloud that does not run yet is started in ``home``.

    ``speed`` overrides the spec's when it is started. Raises ``CredentialsError``, ``RehearsalError``, and
    ``UsageError`` without a project.
    """
    prefetch(SDK)
    if spec.target is Target.EMULATOR:
        return await asyncio.to_thread(_rehearsal, spec, home, speed)
    return await asyncio.to_thread(_google_cloud, spec, environ)


def emulated(url: str, token: str, *, project: str = EMULATED_PROJECT, doors: Doors | None = None) -> Connection:
    """Connect to an emulated cloud at a URL; takes loopback out of this process's proxy settings."""
    from google.oauth2.credentials import Credentials

    _no_proxy_for_loopback()
    return Connection(
        target=Target.EMULATOR,
        project=project,
        credentials=Credentials(token),  # type: ignore[no-untyped-call]
        description=f"the emulated cloud at {url}",
        unreachable_fix="`mcig emulator start`, then `mcig apply` again; it continues where it stopped",
        sign_in_fix="`mcig emulator stop`, then `mcig apply` again: another emulator has taken its place",
        endpoints={api: f"{url}{prefix}" for api, prefix in _PREFIXES.items()},
        doors=doors,
    )


def _rehearsal(spec: GatewaySpec, home: Path, speed: float | None) -> Connection:
    from backend.emulator import control

    wanted = speed if speed is not None else spec.rehearsal.speed
    try:
        instance = control.find(home)
        if instance is None:
            pace = math.inf if wanted == "max" else float(wanted)
            instance = control.start(home, speed=pace, seed=spec.rehearsal.seed)
    except control.EmulatorError as error:
        raise RehearsalError(error.message, fix=error.fix) from error

    def doors() -> dict[tuple[str, str], int]:
        try:
            found = control.status(instance)["doors"]
        except control.EmulatorError as error:
            raise RehearsalError(error.message, fix=error.fix) from error
        return {(door["region"], door["vip"]): door["port"] for door in found}

    return emulated(instance.url, instance.token, project=spec.project or EMULATED_PROJECT, doors=doors)


def _google_cloud(spec: GatewaySpec, environ: Mapping[str, str]) -> Connection:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    wanted = spec.project or environ.get("GOOGLE_CLOUD_PROJECT") or None
    try:
        credentials, found = google.auth.default(scopes=[SCOPE], quota_project_id=wanted)
    except DefaultCredentialsError as error:
        raise CredentialsError(
            "no Google credentials were found",
            cause="nobody has signed in on this machine for programs to use",
            fix="gcloud auth application-default login; or rehearse without any: --target emulator",
        ) from error
    project = wanted or found
    if not project:
        raise UsageError(
            "no Google Cloud project was named",
            cause="neither the spec, GOOGLE_CLOUD_PROJECT nor gcloud's configuration names one",
            fix="add --set project=PROJECT_ID, or `gcloud config set project PROJECT_ID`",
        )
    if wanted is None and hasattr(credentials, "with_quota_project"):
        credentials = credentials.with_quota_project(project)
    return Connection(
        target=Target.GKE,
        project=project,
        credentials=credentials,
        description=f"Google Cloud project {project}",
        unreachable_fix="check the network and any proxy, then `mcig apply` again; it continues where it stopped",
        sign_in_fix="gcloud auth application-default login",
    )


def _no_proxy_for_loopback() -> None:
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
