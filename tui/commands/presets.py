"""presets list, show, save, path and schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend import presets
from backend.errors import UsageError
from backend.presets import PresetExists
from tui.invocation import Exit, Invocation


def run(invocation: Invocation, options: argparse.Namespace) -> int:
    """Do what the sub-command says."""
    return {"list": _list, "show": _show, "save": _save, "path": _path, "schema": _schema}[options.presets](
        invocation, options
    )


def _list(invocation: Invocation, options: argparse.Namespace) -> int:
    del options
    found = list(presets.presets(invocation.places))
    broken = {item: presets.trouble(item) for item in found if item.kind == "user preset"}
    if invocation.json:
        invocation.console.result(
            [
                {"name": item.name, "kind": item.kind, "description": item.description, "error": broken.get(item)}
                for item in found
            ]
        )
        return Exit.DONE
    style = invocation.console.style
    own_names = {item.name for item in found if item.kind == "user preset"}
    width = max((len(item.name) for item in found), default=0)
    for item in found:
        hidden = " (hidden by your own)" if item.name in own_names else ""
        own = " (your own)" if item.kind == "user preset" else hidden
        head, indent = f"{item.name:<{width}}  ", " " * (width + 2)
        invocation.console.say_all(style.wrap(f"{item.description}{own}".strip(), first=head, indent=indent))
        if trouble := broken.get(item):
            said = style.wrap(f"{style.glyph('failed')} cannot be used: {trouble}", first=indent, indent=f"{indent}  ")
            invocation.console.say_all(style.paint("failed", line) for line in said)
    return Exit.DONE


def _show(invocation: Invocation, options: argparse.Namespace) -> int:
    named = [item for item in presets.presets(invocation.places) if item.name == options.name]
    source = named[0] if named else presets.find(options.name, invocation.places)
    if source.unreadable is not None:
        raise source.unreadable
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
    console, name = invocation.console, options.name
    replace = invocation.yes
    try:
        saved = presets.save(name, text, label, invocation.places, replace=replace)
    except PresetExists as error:
        if options.file == "-" or not console.terminal or not console.ask(f"{error.message}. Replace it?"):
            raise
        saved = presets.save(name, text, label, invocation.places, replace=True)
    if invocation.json:
        console.result({"name": name, "path": str(saved)})
        return Exit.DONE
    console.say(f"saved as {saved}")
    first, stack = presets.find(name, invocation.places), presets.load(presets.find(str(saved), invocation.places)).name
    if any(item.kind == "preset" and item.name == name for item in presets.presets(invocation.places)):
        console.say(f"it hides the preset {name} of the package for as long as that file is there")
    use = name if first.label == str(saved) else str(saved)
    if first.label != str(saved):
        console.say(f"the {first.kind} {name} comes first under this name")
    called = "" if stack == name else f", which changes the stack {stack}"
    console.say(f"use it with: mcig apply {use}{called}")
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
