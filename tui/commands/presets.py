"""presets list, show, save, path and schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend import presets
from backend.errors import UsageError
from tui.invocation import Exit, Invocation


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Do what the sub-command says."""
    return {"list": _list, "show": _show, "save": _save, "path": _path, "schema": _schema}[options.presets](
        invocation, options
    )


def _list(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    found = list(presets.presets(invocation.places))
    if invocation.json:
        invocation.console.result(
            [{"name": item.name, "kind": item.kind, "description": item.description} for item in found]
        )
        return Exit.DONE
    width = max((len(item.name) for item in found), default=0)
    for item in found:
        own = " (your own)" if item.kind == "user preset" else ""
        invocation.console.say(f"{item.name:<{width}}  {item.description}{own}".rstrip())
    return Exit.DONE


def _show(invocation: Invocation, options: argparse.Namespace) -> int:
    source = presets.find(options.name, invocation.places)
    if invocation.json or invocation.settings or invocation.target:
        spec = invocation.spec(options.name)
        if invocation.json:
            invocation.console.result(spec.to_data())
        else:
            invocation.console.stream(presets.dump(spec))
        return Exit.DONE
    invocation.console.stream(source.text if source.text.endswith("\n") else f"{source.text}\n")
    return Exit.DONE


def _save(invocation: Invocation, options: argparse.Namespace) -> int:
    if options.file == "-":
        label, text = "stdin", sys.stdin.read()
    else:
        path = Path(options.file)
        if not path.is_file():
            raise UsageError(f"the file {options.file} does not exist", fix="name a YAML file, or - for standard input")
        label, text = options.file, presets.find(str(path.absolute()), invocation.places).text
    saved = presets.save(options.name, text, label, invocation.places)
    if invocation.json:
        invocation.console.result({"name": options.name, "path": str(saved)})
    else:
        invocation.console.say(f"saved as {saved}; use it with: mcig apply {options.name}")
    return Exit.DONE


def _path(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    folder = str(invocation.places.presets)
    if invocation.json:
        invocation.console.result({"path": folder})
    else:
        invocation.console.say(folder)
    return Exit.DONE


def _schema(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    invocation.console.result(presets.schema())
    return Exit.DONE
