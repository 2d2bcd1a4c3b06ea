"""Ports on 127.0.0.1, and the private files that remember them.

Invariant: nothing of the emulator listens on any other address.
"""

import json
import os
import socket
from pathlib import Path


class KeptPorts:
    """Ports by name that stay the same over restarts, as long as nobody else takes them in between."""

    def __init__(self, path: Path) -> None:
        """`path` is the file that remembers them; its folder is made when the first port is asked for."""
        self._path = path
        self._ports: dict[str, int] = {}
        self._checked: set[str] = set()

    def of(self, name: str) -> int:
        """Return the port of this name: the remembered one if it is still free, else a new one. Raises OSError."""
        if name in self._checked:
            return self._ports[name]
        if not self._ports and self._path.exists():
            self._ports = json.loads(self._path.read_text())
        port = free_port(self._ports.get(name))
        while port in {other for key, other in self._ports.items() if key != name}:
            port = free_port()
        self._ports[name] = port
        self._checked.add(name)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path, json.dumps(self._ports, indent=1))
        return port


def free_port(wanted: int | None = None) -> int:
    """Return `wanted` if nothing listens on it, else a port that is free now."""
    if wanted is not None:
        try:
            return _bound(wanted)
        except OSError:
            pass
    return _bound(0)


def _bound(port: int) -> int:
    with socket.create_server(("127.0.0.1", port)) as listener:
        number: int = listener.getsockname()[1]
        return number


def private_socket(path: str) -> socket.socket:
    """Return a Unix socket that listens at `path`; only its owner may connect."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(1024)
    return listener


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only; who watches its folder sees one rename."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
