"""A running emulator as the product knows it: found by its home, and asked over HTTP; standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.emulator.processes import process_start

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Goes past any proxy: the emulator is on this machine."""
LOCK = "emulator.lock"
"""File of a home folder that its emulator holds locked for as long as it lives."""
STATUS_TIMEOUT_S = 2.0
"""Seconds that a healthy emulator has for saying how it is."""


class EmulatorError(Exception):
    """The emulator could not be started, asked or stopped; `fix` says what to do about it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class WrongWish(EmulatorError):
    """The emulator runs and refuses what was asked of it."""


def world_file(home: Path) -> Path:
    """Where the world of a home folder is kept."""
    return home / "world.json"


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
    mend: str = "for example: mcig emulator fault add stockout zone=europe-west3-c",
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
            raise _refused(error, name, instance, mend) from None
    except (OSError, ValueError) as error:
        raise EmulatorError(
            f"The emulator at {instance.url} did not answer {name}: {error}",
            f"Read {instance.home / 'emulator.log'}, then run: mcig emulator start",
        ) from None


def _refused(error: urllib.error.HTTPError, name: str, instance: Instance, mend: str) -> EmulatorError:
    """What an error answer says, and what to do about it."""
    try:
        message = str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = str(error)
    if error.code == 400:
        return WrongWish(message, mend)
    return EmulatorError(
        f"The emulator at {instance.url} did not answer {name}: {message}",
        f"Read {instance.home / 'emulator.log'}, then run: mcig emulator start",
    )


def find(home: Path) -> Instance | None:
    """The healthy emulator of a home folder, or None."""
    try:
        record = json.loads((home / "emulator.json").read_text())
    except (OSError, ValueError):
        return None
    if process_start(record["pid"]) != record["process_start"]:
        return None
    instance = Instance(
        url=record["url"],
        token=record["token"],
        pid=record["pid"],
        started=record["started"],
        ca_file=Path(record["ca_file"]),
        home=home,
    )
    try:
        answer = call(instance, "GET", "status", STATUS_TIMEOUT_S)
    except EmulatorError:
        return None
    return instance if answer.get("pid") == instance.pid else None
