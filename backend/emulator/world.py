"""The emulated cloud's state: one world per home folder.

Everything that lasts is plain JSON-able data in `tables` and in each cluster's store, so that a world that was killed
comes back as it was. What is still to happen is data too: it holds the time when it is due, and whoever reads
compares with `now()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.emulator.instance import world_file
from backend.emulator.pace import Pace

if TYPE_CHECKING:
    from backend.emulator.kube.cluster import KubeCluster
    from backend.emulator.kube.pki import Authority
    from backend.emulator.serving.envoy import GatewayDataPlane
    from backend.emulator.serving.kubelet import Kubelet

PROJECT = "demo-project"
PROJECT_NUMBER = "415104041262"
_FORMAT = 1
_TABLES = (
    "addresses", "backendServices", "clusters", "faults", "features", "firewalls", "forwardingRules", "healthChecks",
    "iam", "machines", "memberships", "networkEndpointGroups", "networks", "operations", "preempted",
    "quotaPreferences", "quotas", "services", "settings", "subnetworkChanges", "subnetworks", "targetHttpProxies",
    "timers", "told", "urlMaps",
)  # fmt: skip

Json = dict[str, Any]
_log = logging.getLogger(__name__)


class World:
    """State, clock and pace of one emulated cloud; the server puts in the parts that run."""

    authority: Authority
    """Signs the certificate of every Kubernetes API server of this world."""
    kubelet: Kubelet
    """Runs the processes of Pods."""
    gateway: GatewayDataPlane
    """Carries the traffic of Gateways."""

    def __init__(self, home: Path, *, token: str, pace: Pace, clock: Callable[[], float]) -> None:
        self.home = home
        self.token = token
        self.pace = pace
        self.seed = pace.seed
        self.project = PROJECT
        self.project_number = PROJECT_NUMBER
        self.tables: dict[str, Json] = empty_tables()
        self.kube: dict[str, KubeCluster] = {}
        self.hub: str | None = None
        """Where model servers find Hugging Face, a URL; None while nothing listens."""
        self.set_aside: Path | None = None
        """Where a world is that could not be read at the start."""
        self.wake = asyncio.Event()
        self.unsaved = asyncio.Event()
        self.settling = asyncio.Lock()
        self.last_request = clock()
        self._clock = clock

    def now(self) -> float:
        """Unix time in seconds."""
        return self._clock()

    def touch(self) -> None:
        """Something changed: wakes the controllers and asks for a save."""
        self.wake.set()
        self.unsaved.set()

    def seen(self) -> None:
        """A request arrived on one of the APIs; an emulator that nobody asks ends itself."""
        self.last_request = self.now()

    def clear(self) -> None:
        """Forget everything; the caller has stopped what runs."""
        self.tables.clear()
        self.tables.update(empty_tables())
        self.kube.clear()
        self.touch()

    def dump(self) -> Json:
        """All that lasts, as JSON-able data; Secret values are digests in it."""
        kube = {key: {"port": port_of(cluster.endpoint), "state": cluster.dump()} for key, cluster in self.kube.items()}
        return {"format": _FORMAT, "tables": self.tables, "kube": kube}

    def save(self) -> None:
        """Write the world to its file in one step; raises OSError."""
        write_private(self.file, json.dumps(self.dump(), separators=(",", ":")))

    def load(self) -> dict[str, Json]:
        """Read the tables back and return `{cluster key: {"port", "state"}}`; empty without a world that can be read.

        A file that is torn or of another format is moved aside, and `set_aside` says where to.
        """
        try:
            saved = json.loads(self.file.read_text())
            if saved["format"] != _FORMAT:
                raise ValueError(f"format {saved['format']}, and not {_FORMAT}")
            tables, kube = dict(saved["tables"]), dict(saved["kube"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            self.set_aside = self.file.with_suffix(".unreadable")
            self.file.replace(self.set_aside)
            _log.error("the world of before cannot be read (%s): it was moved to %s", error, self.set_aside)
            return {}
        self.tables.update(tables)
        return kube

    @property
    def file(self) -> Path:
        """Where the world is kept."""
        return world_file(self.home)


def empty_tables() -> dict[str, Json]:
    """The tables of a world in which nothing was made yet."""
    return {name: {} for name in _TABLES}


def port_of(endpoint: str) -> int:
    """The port of `HOST:PORT`."""
    return int(endpoint.rpartition(":")[2])


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only; raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def token_of(home: Path) -> str:
    """The bearer token kept in a home folder, made on first use; the file is readable by its owner only."""
    path = home / "token"
    with contextlib.suppress(FileNotFoundError):
        if token := path.read_text().strip():
            return token
    token = secrets.token_urlsafe(32)
    write_private(path, token)
    return token
