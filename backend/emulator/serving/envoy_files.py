"""What all of Envoy's resource files share: where they are, and how times and addresses are written.

Invariant: a file has a folder of its own, because Envoy re-reads all files of a watched one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

Json = dict[str, Any]

TYPES = "type.googleapis.com/envoy"
"""Start of the names of Envoy's types."""


def resource_path(folder: Path, stem: str) -> Path:
    """Return the place of a resource file: a folder of its own, because Envoy re-reads all files of a watched one."""
    return folder / stem / "resources.json"


def file_source(folder: Path, stem: str) -> Json:
    """Where Envoy reads a resource file, and what it watches for changes of it."""
    path = resource_path(folder, stem)
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
    }


def duration(seconds: float) -> str:
    """Seconds as a duration in JSON, which knows no exponent."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def address(port: int, host: str = "127.0.0.1") -> Json:
    """A socket address in Envoy's words."""
    return {"socket_address": {"address": host, "port_value": port}}
