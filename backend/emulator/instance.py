"""A running emulator as the product knows it: where it answers, and asking it over HTTP; standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Goes past any proxy: the emulator is on this machine."""


class EmulatorError(Exception):
    """The emulator could not be started, asked or stopped; `fix` says what to do about it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Instance:
    """A running emulator."""

    url: str
    """Root of its Google APIs."""
    token: str = field(repr=False)
    """Bearer token that all its APIs ask for."""
    pid: int
    started: float
    """Unix time of its start."""
    ca_file: Path
    """Certificate authority of its Kubernetes API servers, PEM."""
    home: Path


def call(
    instance: Instance,
    method: str,
    name: str,
    timeout_s: float,
    body: dict[str, Any] | None = None,
    *,
    mend: str = "Mend it, for example: mcig emulator fault add stockout zone=europe-west3-c",
) -> dict[str, Any]:
    """Ask one of the emulator's own addresses; ``mend`` is the fix for a refused request. Raises EmulatorError."""
    request = urllib.request.Request(  # noqa: S310 the address is the emulator's own, on loopback
        f"{instance.url}/emulator/v1/{name}",
        method=method,
        headers={"Authorization": f"Bearer {instance.token}"},
        data=None if body is None else json.dumps(body).encode(),
    )
    try:
        with _DIRECT.open(request, timeout=timeout_s) as answer:
            told: dict[str, Any] = json.loads(answer.read())
            return told
    except urllib.error.HTTPError as error:
        with error:
            raise EmulatorError(*_refused(error, name, instance, mend)) from None
    except (OSError, ValueError) as error:
        raise EmulatorError(
            f"The emulator at {instance.url} did not answer {name}: {error}",
            f"Read {instance.home / 'emulator.log'}, then run: mcig emulator start",
        ) from None


def _refused(error: urllib.error.HTTPError, name: str, instance: Instance, mend: str) -> tuple[str, str]:
    """What an error answer says, and what to do about it."""
    try:
        message = str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = str(error)
    if error.code == 400:
        return message, mend
    return (
        f"The emulator at {instance.url} did not answer {name}: {message}",
        f"Read {instance.home / 'emulator.log'}, then run: mcig emulator start",
    )
