"""The one place that knows where a stack's cloud is.

The real and the emulated cloud differ in base URLs, credentials and the door to a gateway's address, and in nothing
else. Invariants: no client and no resource asks which of the two it is; an emulator that runs already is taken as it
is, and a wish that it does not meet becomes a note for people, never a restart.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from backend.clients.loading import SESSIONS, load, prefetch
from backend.errors import PATIENCE_S, CredentialsError, RehearsalError
from backend.spec import Rehearsal, Target

if TYPE_CHECKING:
    from backend.emulator.control import Instance

CREDENTIALS_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
"""Variable that names a file of credentials; where it is set, Google's library looks nowhere else."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOOPBACK = ("127.0.0.1", "localhost")
REHEARSING = "rehearsal@example.com"
"""Whom the emulated cloud takes its caller for."""
_PREFIXES = {
    "container": "/container",
    "gkehub": "/gkehub",
    "serviceusage": "/serviceusage",
    "cloudresourcemanager": "/cloudresourcemanager",
    "iam": "/iam",
    "cloudquotas": "/cloudquotas",
    "cloudbilling": "/cloudbilling",
    "huggingface": "/huggingface",
    "compute": "",
}
"""Path under which the emulated cloud has each API; Compute Engine's own paths already begin with its name."""
HUGGING_FACE = "https://huggingface.co"
"""The hub of models, for whom no endpoint is named."""

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
    account: str = ""
    """Email address of whom the credentials stand for; empty when they do not say."""
    speed: float | None = None
    """How many times faster than real time a rehearsal plays, infinite when waiting is left out; ``None`` on a real
    cloud."""
    patience_s: float = PATIENCE_S
    """See ``Unavailable.patience_s``."""
    notes: tuple[str, ...] = ()
    """What people should know about how the cloud was found."""

    @property
    def hub(self) -> str:
        """Base URL of Hugging Face's hub: its API is below ``/api``, its files below a repository's name."""
        return self.endpoints.get("huggingface", HUGGING_FACE)

    def door(self, region: str, address: str, port: int) -> str:
        """Base URL of the OpenAI API behind a gateway's address, for somebody who may reach it.

        On the emulator this is a port on this machine. On Google Cloud, and until the emulated gateway has such a
        port, it is the private address itself, which only the VPC network knows. Raises ``RehearsalError``.
        """
        local = None if self.doors is None else self.doors().get((region, address))
        if local is not None:
            return f"http://127.0.0.1:{local}/v1"
        return f"http://{address}/v1" if port == 80 else f"http://{address}:{port}/v1"


class Destination(Protocol):
    """Where to connect to; a specification is one."""

    @property
    def target(self) -> Target: ...
    @property
    def rehearsal(self) -> Rehearsal: ...


async def connect(spec: Destination, *, project: str, home: Path, speed: float | None = None) -> Connection:
    """Connect to the spec's target; an emulated cloud that does not run yet is started in ``home``.

    ``speed`` overrides the spec's when it is started. Raises ``CredentialsError`` and ``RehearsalError``.
    """
    prefetch((SESSIONS,))
    if spec.target is Target.EMULATOR:
        return await asyncio.to_thread(_rehearsal, spec, project, home, speed)
    return await asyncio.to_thread(_google_cloud, project)


def emulated(
    url: str,
    token: str,
    *,
    project: str,
    doors: Doors | None = None,
    speed: float = math.inf,
    notes: tuple[str, ...] = (),
) -> Connection:
    """Connect to an emulated cloud at a URL; takes loopback out of this process's proxy settings."""
    _no_proxy_for_loopback()
    return Connection(
        target=Target.EMULATOR,
        project=project,
        credentials=load("google.oauth2.credentials").Credentials(token),
        description=f"the emulated cloud at {url}",
        unreachable_fix="`mcig emulator status` says whether it runs, `mcig emulator start` starts it; "
        "then the same command again",
        sign_in_fix="`mcig emulator stop`, then the same command again: another emulator has taken its place",
        endpoints={api: f"{url}{prefix}" for api, prefix in _PREFIXES.items()},
        doors=doors,
        account=REHEARSING,
        speed=speed,
        patience_s=5.0,
        notes=notes,
    )


def awake(target: Target, home: Path) -> bool:
    """Whether a cloud can be asked as it is, without an emulated one being started in ``home``."""
    if target is not Target.EMULATOR:
        return True
    from backend.emulator import control

    return control.find(home) is not None


def _rehearsal(spec: Destination, project: str, home: Path, speed: float | None) -> Connection:
    from backend.emulator import control

    wanted = speed if speed is not None else spec.rehearsal.speed
    pace = math.inf if wanted == "max" else float(wanted)
    try:
        running = control.find(home)
        instance = running or control.start(home, speed=pace, seed=spec.rehearsal.seed)
        told = control.status(instance)
    except control.EmulatorError as error:
        raise RehearsalError(error.message, fix=error.fix) from error
    actual = math.inf if told["speed"] is None else float(told["speed"])
    notes: tuple[str, ...] = ()
    if running is None:
        _play(instance, spec.rehearsal.faults)
        notes = (f"started the emulated cloud at {instance.url} (`mcig emulator stop` ends it)",)
        if told["set_aside"]:
            notes += (f"its world of before cannot be read, so it begins empty; that world is now {told['set_aside']}",)
    elif speed is not None and actual != pace:
        paces = f"at speed {_spelled(actual)} and not {_spelled(pace)}"
        notes = (f"the emulated cloud runs already, {paces}; `mcig emulator stop` first to change that",)
    if running is not None and spec.rehearsal.faults:
        notes += ("rehearsal.faults are played where mcig starts the emulated cloud; now: mcig emulator fault add",)

    def doors() -> dict[tuple[str, str], int]:
        try:
            found = control.status(instance)["doors"]
        except control.EmulatorError as error:
            raise RehearsalError(error.message, fix=error.fix) from error
        return {(door["region"], door["vip"]): door["port"] for door in found}

    return emulated(instance.url, instance.token, project=project, doors=doors, speed=actual, notes=notes)


def _play(instance: Instance, faults: Sequence[str]) -> None:
    """Begin to play a spec's faults; an emulator with a fault that cannot be is not left running."""
    from backend.emulator import control

    try:
        for fault in faults:
            control.add_fault(instance, fault)
    except control.EmulatorError as error:
        control.stop(instance)
        raise RehearsalError(
            f"rehearsal.faults: {error.message}", fix="mend it, for example: stockout zone=europe-west3-c"
        ) from error


def _spelled(speed: float) -> str:
    """A speed as the command line takes it."""
    return "max" if math.isinf(speed) else f"{speed:g}"


def _google_cloud(project: str) -> Connection:
    auth = load("google.auth")
    try:
        credentials, _ = auth.default(scopes=[SCOPE], quota_project_id=project)
    except (load("google.auth.exceptions").DefaultCredentialsError, OSError) as error:
        raise _no_credentials(error) from error
    return Connection(
        target=Target.GKE,
        project=project,
        credentials=credentials,
        account=_account(credentials),
        description=f"Google Cloud project {project}",
        unreachable_fix="check the network, any proxy and the way to the cluster (VPN, authorized networks), "
        "then the same command again; a run continues where it stopped",
        sign_in_fix="gcloud auth application-default login",
    )


def _no_credentials(error: Exception) -> CredentialsError:
    if file := os.environ.get(CREDENTIALS_FILE):
        return CredentialsError(
            f"the Google credentials that {CREDENTIALS_FILE} names cannot be used: {file}",
            cause=str(error) if isinstance(error, OSError) else _said(error),
            fix=f"mend that file, or `unset {CREDENTIALS_FILE}`, then gcloud auth application-default login",
        )
    return CredentialsError(
        "no Google credentials were found",
        cause="nobody has signed in on this machine for programs to use",
        fix="gcloud auth application-default login; or rehearse without any: --target emulator",
    )


def _said(error: Exception) -> str:
    """What google-auth says; its errors may hold a tuple, of which the rest is where it comes from."""
    told = error.args[0] if error.args else ""
    return str(told[0] if isinstance(told, tuple) and told else told)


def _account(credentials: Any) -> str:
    named = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
    return str(named) if "@" in str(named) else ""


def _no_proxy_for_loopback() -> None:
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
