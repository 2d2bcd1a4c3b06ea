"""export: a specification as scripts, manifests or Terraform."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.invocation import Exit, Invocation

NEXT = {
    "gcloud": ("HF_TOKEN=hf_... {folder}/setup.sh", "{folder}/teardown.sh"),
    "manifests": ("less {folder}/README.md",),
    "terraform": ("less {folder}/README.md",),
}


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Write the files; asks no cloud and changes nothing in any."""
    from backend.export import ChangedFiles, Format, export, write

    console = invocation.console
    spec = invocation.spec(options.spec)
    folder = Path(options.out).expanduser()
    files = export(spec, Format(options.format), environ=invocation.environ)
    try:
        written = write(files, folder, replace=invocation.yes)
    except ChangedFiles as error:
        if not console.terminal or not console.ask(f"{error.message}. Replace them?"):
            raise
        written = write(files, folder, replace=True)
    if invocation.json:
        console.result({"format": options.format, "folder": str(folder), "files": list(written.files)})
        return Exit.DONE
    console.say(f"wrote {len(written.files)} files to {folder}")
    for words, paths in (
        ("removed, since the specification no longer has them", written.removed),
        ("kept, because they were changed by hand", written.kept),
    ):
        if paths:
            console.say(f"{words}: {', '.join(paths)}")
    console.say("", "Next:", *(f"  {line.format(folder=_typed(folder))}" for line in NEXT[options.format]))
    return Exit.DONE


def _typed(folder: Path) -> str:
    """The folder as a shell takes it at the beginning of a command."""
    import shlex

    return shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")
