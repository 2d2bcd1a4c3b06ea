"""Where mcig keeps its files on this machine.

Invariants: ``MCIG_HOME`` moves all of them, so that two homes never meet; folders are readable by their owner only
(0700), and so are the files that ``write_private`` makes (0600).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MODE_FOLDER = 0o700
MODE_FILE = 0o600


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one home; nothing is made until something is written."""

    config: Path
    """What the user writes: presets."""
    state: Path
    """What mcig writes: stacks, journals, locks, crash reports."""
    cache: Path
    """What can be fetched again."""
    emulator: Path
    """The world of the emulated cloud."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Places:
        """Folders below ``MCIG_HOME`` where that is set, else where the operating system wants them."""
        if home := environ.get("MCIG_HOME"):
            root = Path(home).expanduser().absolute()
            return cls(root / "config", root / "state", root / "cache", root / "emulator")
        import platformdirs

        state = platformdirs.user_state_path("mcig", appauthor=False)
        return cls(
            platformdirs.user_config_path("mcig", appauthor=False),
            state,
            platformdirs.user_cache_path("mcig", appauthor=False),
            state / "emulator",
        )

    @property
    def presets(self) -> Path:
        """The user's own presets, one YAML file each."""
        return self.config / "presets"

    @property
    def stacks(self) -> Path:
        """Specifications as last applied, one YAML file a stack."""
        return self.state / "stacks"

    @property
    def kubeconfig(self) -> Path:
        """The contexts of clusters, where the user names no file of their own."""
        return self.state / "kubeconfig"

    def stack(self, name: str) -> Path:
        """The saved specification of one stack."""
        return self.stacks / f"{name}.yaml"

    @property
    def journals(self) -> Path:
        """A folder for each stack, with a journal for each of its runs."""
        return self.state / "journals"

    def retired(self, stack: str) -> Path:
        """Earlier specifications of one stack of which something may be left, one YAML file each."""
        return self.state / "retired" / stack

    def journal(self, stack: str, run: str) -> Path:
        """The journal of one run."""
        return self.journals / stack / f"{run}.jsonl"

    def lock(self, stack: str) -> Path:
        """The lock of one stack."""
        return self.state / "locks" / f"{stack}.lock"

    def trouble(self) -> str:
        """Why nothing can be written below the home, found by trying; empty where it can be."""
        try:
            with tempfile.TemporaryFile(dir=private_folder(self.state)):
                return ""
        except OSError as error:
            return f"{error.filename or self.state}: {error.strerror or error}"

    def keep_crash(self, report: str) -> Path:
        """Write down an unexpected failure for a bug report; raises ``OSError``."""
        path = self.state / "crashes" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
        write_private(path, report)
        return path


def private_folder(path: Path) -> Path:
    """Make a folder and its missing parents, closed to others; an existing one is left as it is."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=MODE_FOLDER, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one move; the new file is readable by its owner only."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
