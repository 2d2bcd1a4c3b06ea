"""What a shell offers at the tab key: commands, options and the values that they can have here and now.

A value is offered by what its option is called, so that a new command gets its offers by its words. Invariants: a tab
loads only what its own offer needs, and nothing that draws or connects; it changes and starts nothing; what cannot be
found out is not offered, and never an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backend.errors import McigError
from backend.presets import Places

if TYPE_CHECKING:
    from backend.emulator.control import Instance
    from backend.spec import GatewaySpec

SHELLS = ("bash", "zsh", "fish")
Offers = Iterable[str] | Mapping[str, str]
"""Values, or values with what they are."""
_ZSH = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
_HINTS = {
    "bash": """# for good: echo 'eval "$(mcig completion bash)"' >> ~/.bashrc""",
    "zsh": """# for good: echo 'eval "$(mcig completion zsh)"' >> ~/.zshrc""",
    "fish": "# for good: mcig completion fish > ~/.config/fish/completions/mcig.fish",
}


def script(shell: str) -> str:
    """What a shell has to read so that it asks ``mcig`` at the tab key."""
    from argcomplete.shell_integration import shellcode

    head = _ZSH if shell == "zsh" else ""
    return f"{head}{shellcode(['mcig'], shell=shell).strip()}\n{_HINTS[shell]}\n"


def answer(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Answer a shell's question, which is in the environment, and end the process."""
    import argcomplete

    _attach(parser, offers(environ))
    argcomplete.autocomplete(parser, always_complete_options=False)


def _attach(parser: argparse.ArgumentParser, by_name: Mapping[str, Callable[..., Offers]]) -> None:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to go through what was added
        if isinstance(action.choices, dict):
            for name, command in action.choices.items():
                own = by_name.get(f"name of {name}")
                _attach(command, by_name if own is None else {**by_name, "name": own})
        elif action.dest in by_name:
            action.completer = by_name[action.dest]  # type: ignore[attr-defined]


def offers(environ: Mapping[str, str]) -> dict[str, Callable[..., Offers]]:
    """Offers by the name of what is asked for."""
    from argcomplete.completers import DirectoriesCompleter, FilesCompleter

    places = Places.of(environ)
    files, folders, none = FilesCompleter(), DirectoriesCompleter(), (lambda **_: ())

    def offer(found: Callable[..., Offers]) -> Callable[..., Offers]:
        def quietly(*, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> Offers:
            try:
                return found(_Asked(places, prefix, parsed_args))
            except (McigError, OSError, ValueError, KeyError):
                return ()

        return quietly

    return {
        "spec": offer(_specs),
        "settings": offer(_settings),
        "settings_before": offer(_settings),
        "target": lambda **_: ("gke", "emulator"),
        "only": offer(_resources),
        "ignore": offer(_checks),
        "request": offer(_quotas),
        "model": offer(_models),
        "address": offer(_regions),
        "region": offer(_regions),
        "confirm": offer(_clusters),
        "speed": lambda **_: ("1", "20", "60", "max"),
        "text": none,
        "file": offer(_recordings),
        "out": folders,
        "record": files,
        "name of show": offer(_presets),
        "name of save": offer(_own_presets),
        "kind": offer(_faults),
        "parameters": offer(_parameters),
        "setting": offer(_emulator_settings),
    }


class _Asked:
    """A question at the tab key: what was typed of the word, and the words before it."""

    def __init__(self, places: Places, prefix: str, typed: argparse.Namespace) -> None:
        self.places, self.prefix, self.typed = places, prefix, typed

    @property
    def spec(self) -> GatewaySpec:
        """The specification that the command line means so far; raises ``UsageError``."""
        from backend import presets

        reference = getattr(self.typed, "spec", None)
        source = presets.last_stack(self.places) if reference is None else presets.find(reference, self.places)
        return presets.load(source)

    @property
    def emulator(self) -> Instance:
        """The emulated cloud that runs; raises ``ValueError`` when none does."""
        from backend.emulator import control

        running = control.find(self.places.emulator)
        if running is None:
            raise ValueError("no emulated cloud runs")
        return running


def _specs(asked: _Asked) -> Offers:
    from backend import presets

    named = {source.name: source.kind for source in reversed(list(presets.available(asked.places)))}
    return named | _files(asked, "yaml", "yml")


def _files(asked: _Asked, *endings: str) -> dict[str, str]:
    """Files that end so; folders on the way to others only where something was typed."""
    from argcomplete.completers import FilesCompleter

    found = FilesCompleter(endings)(asked.prefix)
    return {path: "file" for path in found if asked.prefix or not path.endswith("/")}


def _presets(asked: _Asked) -> Offers:
    from backend import presets

    return {source.name: source.kind for source in presets.available(asked.places)}


def _own_presets(asked: _Asked) -> Offers:
    return [path.stem for path in asked.places.presets.glob("*.y*ml")]


def _settings(asked: _Asked) -> Iterator[str]:
    """Paths of a specification's fields, and behind the equals sign what a field may be."""
    from backend.draft import Draft
    from backend.fields import PAGES, Kind

    spec = _spec_or_none(asked)
    names = [cluster.name for cluster in spec.clusters] if spec is not None else []
    draft = Draft({} if spec is None else Draft.of(spec).data)
    path, equals, _ = asked.prefix.partition("=")
    for field in (field for page in PAGES for field in page.fields if field.kind is not Kind.CLUSTERS):
        before, each, after = field.path.partition("clusters[].")
        for one in [f"clusters.{name}.{after}" for name in names] or [f"clusters[0].{after}"] if each else [before]:
            if not equals:
                yield f"{one}="
            elif one == path:
                yield from (f"{one}={value}" for value in _values(field, draft))


def _values(field: Any, draft: Any) -> Iterator[str]:
    from backend.fields import Kind

    if field.kind is Kind.YES_NO:
        yield from ("true", "false")
    else:
        yield from (choice.value for choice in field.choices(draft))


def _resources(asked: _Asked) -> Offers:
    from backend.only import names

    return names(asked.spec)


def _checks(asked: _Asked) -> Iterator[str]:
    """Ids of checks; the beginning of one stands for all that begin so, as a region's quotas."""
    from backend.preflight import CHECKS

    spec = _spec_or_none(asked)
    for shape in dict.fromkeys(one for check in CHECKS for one in check.ids.split(", ")):
        parts = shape.split("/")
        known = [part for part in parts if not part.isupper() or part == "REGION"]
        yield parts[0]
        if parts[: len(known)] == known and len(known) > 1:
            for region in spec.regions if spec is not None else ():
                yield "/".join(known).replace("REGION", region)


def _quotas(asked: _Asked) -> Iterator[str]:
    return (one for one in _checks(asked) if one.startswith("quota/"))


def _regions(asked: _Asked) -> Offers:
    return {cluster.region: cluster.name for cluster in asked.spec.targets}


def _clusters(asked: _Asked) -> Offers:
    return {cluster.name: cluster.region for cluster in asked.spec.clusters}


def _models(asked: _Asked) -> Offers:
    model = asked.spec.model
    return {model.id: "model"} | {adapter.name: "adapter" for adapter in model.adapters}


def _recordings(asked: _Asked) -> Offers:
    stacks = [path.name for path in asked.places.journals.glob("*") if path.is_dir()]
    return dict.fromkeys(stacks, "stack") | _files(asked, "jsonl")


def _faults(asked: _Asked) -> Offers:
    from backend.emulator import control

    return {name: kind["does"] for name, kind in control.fault_kinds(asked.emulator).items()}


def _parameters(asked: _Asked) -> Offers:
    from backend.emulator import control

    kind = control.fault_kinds(asked.emulator).get(asked.typed.kind)
    return [f"{name}=" for name in kind["parameters"]] if kind else []


def _emulator_settings(asked: _Asked) -> Iterator[str]:
    """Beginnings of the paths that can be set, what is set, and the words that a setting may be."""
    from backend.emulator import control

    told = control.settings(asked.emulator)
    for setting in told["settings"]:
        yield f"{setting['path']}="
    for form in (one["form"] for one in told["forms"]):
        path, _, values = form.partition("=")
        fixed = [part for part in path.split(".") if part == part.lower()]
        if ".".join(fixed) != path:
            yield f"{fixed[0]}."
        elif asked.prefix.startswith(f"{path}="):
            yield from (f"{path}={value}" for value in (*values.split("|"), "usual"))
        else:
            yield f"{path}="


def _spec_or_none(asked: _Asked) -> GatewaySpec | None:
    try:
        return asked.spec
    except McigError:
        return None
