"""ConfigMap volumes as files.

Invariant: only the owner of the emulator can read them.
"""

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
