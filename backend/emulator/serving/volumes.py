"""ConfigMap volumes as files, and where a container's path is on this machine.

Invariant: only the owner of the emulator can read them.
"""

from collections.abc import Mapping
from pathlib import Path

from backend.emulator.serving.podspec import Files


def write_files(folder: Path, files: Files) -> None:
    """Write ConfigMap volumes below a folder that only its owner can enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for volume, texts in files.items():
        place = folder / volume
        place.mkdir(mode=0o700, exist_ok=True)
        for name, text in texts.items():
            path = place / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")


def local_path(text: str, mounts: Mapping[str, str], folder: Path) -> str:
    """Replace a path below a mount by the file's place below `folder`; other text is returned as it is.

    `mounts` maps paths in the container to paths below `folder`; the longest one that fits counts.
    """
    for path, place in sorted(mounts.items(), key=lambda item: -len(item[0])):
        if text == path or text.startswith(path.rstrip("/") + "/"):
            return str(folder / place) + text[len(path.rstrip("/")) :]
    return text
