"""The dependency rules of backend/ARCHITECTURE.md, read from the source."""

import ast
import graphlib
import sys

import pytest

from tests.architecture.imports import Import, calls, imports, sources, trees, within

CLOUD_LIBRARIES = ("google", "kubernetes", "grpc")
TERMINAL_LIBRARIES = ("textual", "questionary", "rich", "prompt_toolkit")
DOORS = (
    "backend.stack",
    "backend.spec",
    "backend.fields",
    "backend.draft",  # the answers while they are given
    "backend.kept",  # and those of last time
    "backend.money",  # what answers would cost
    "backend.found",  # what there is on this machine before anything is asked
    "backend.presets",
    "backend.monitor",
    "backend.explain",
    "backend.load",
    "backend.preflight",
    "backend.export",
    "backend.bundle",  # a bug report
    "backend.only",  # names of steps
    "backend.stockout",  # where else GPUs may be had
    "backend.errors",
    "backend.emulator.control",
    "backend.engine",
)
"""What the front ends may know of the back end."""


def offenders(importer: tuple[str, ...], *, allowed: tuple[str, ...] = (), forbidden: tuple[str, ...]) -> list[str]:
    return [
        str(found)
        for found in imports()
        if within(found.importer, *importer) and within(found.module, *forbidden) and not within(found.module, *allowed)
    ]


def needs() -> dict[str, set[str]]:
    """For each module the modules that it imports, at its top or when something is called."""
    names = {name for name, _ in sources()}
    found: dict[str, set[str]] = {name: set() for name in names}
    for each in imports():
        owner = each.module if each.module in names else each.module.rpartition(".")[0]
        if owner in names and owner != each.importer:
            found[each.importer].add(owner)
    return found


def test_there_is_something_to_check() -> None:
    assert len(imports()) > 200


def test_front_ends_go_through_the_doors() -> None:
    assert offenders(("tui",), allowed=DOORS, forbidden=("backend",)) == []


def test_the_back_end_knows_no_front_end() -> None:
    assert offenders(("backend", "presets"), forbidden=("tui", *TERMINAL_LIBRARIES)) == []


def test_the_engine_imports_the_standard_library_only() -> None:
    foreign = [
        str(found)
        for found in imports()
        if within(found.importer, "backend.engine")
        and not within(found.module, "backend.engine")
        and found.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_cloud_libraries_are_imported_by_clients_only_and_when_they_connect() -> None:
    def allowed(found: Import) -> bool:
        return found.deferred and within(found.importer, "backend.clients", "backend.emulator")

    assert [str(found) for found in imports() if within(found.module, *CLOUD_LIBRARIES) and not allowed(found)] == []


def test_only_clients_load_packages_by_name() -> None:
    """What is loaded by its name is not seen by the rules above; the command line loads its own commands so."""
    outside = [
        found for found in imports() if not within(found.importer, "backend.clients", "backend.emulator", "tui.cli")
    ]
    assert [str(f) for f in outside if within(f.module, "backend.clients.loading", "importlib.import_module")] == []


def test_the_emulator_shares_no_code_with_what_it_judges() -> None:
    foreign = [
        str(found)
        for found in imports()
        if within(found.importer, "backend.emulator")
        and within(found.module, "backend")
        and not within(found.module, "backend.emulator")
    ]
    assert foreign == []


def test_the_product_knows_only_the_door_of_the_emulator() -> None:
    foreign = [
        str(found)
        for found in imports()
        if within(found.module, "backend.emulator")
        and not within(found.importer, "backend.emulator")
        and not within(found.module, "backend.emulator.control")
    ]
    assert foreign == []


def test_the_door_of_the_emulator_imports_the_standard_library_only() -> None:
    """The door, and the modules that it is made of."""
    graph, made_of = needs(), ["backend.emulator.control"]
    for module in made_of:
        made_of += sorted(graph[module] - {*made_of})
    foreign = [
        str(found)
        for found in imports()
        if found.importer in made_of
        and found.module.split(".")[0] not in sys.stdlib_module_names
        and not within(found.module, *made_of)
    ]
    assert foreign == []
    assert all(within(module, "backend.emulator") for module in made_of)
    assert len(made_of) > 1


def test_imports_go_one_way_between_the_layers() -> None:
    layers = [
        ("backend.errors", "backend.engine", "backend.emulator", "backend.catalog", "backend.places"),
        ("backend.spec", "backend.eta", "backend.fit", "backend.lock"),
        ("backend.catalog_rules", "backend.clients", "backend.money", "backend.spec_fields"),
        ("backend.rules", "backend.monitor", "backend.prompting", "backend.status"),
        ("backend.spec_yaml", "backend.stockout"),
        ("backend.draft", "backend.presets", "backend.resources", "backend.retire"),
        ("backend.departures", "backend.explain", "backend.export", "backend.load", "backend.preflight"),
        ("backend.stack",),
        ("tui",),
    ]
    upward = []
    for height, layer in enumerate(layers):
        above = tuple(name for higher in layers[height + 1 :] for name in higher)
        upward += offenders(layer, forbidden=above)
    assert upward == []


def test_nothing_imports_itself_in_a_circle() -> None:
    """Neither a module nor a whole part of the back end; ``CycleError`` names the circle."""
    modules = needs()
    parts: dict[str, set[str]] = {}
    for module, needed in modules.items():
        mine, *theirs = (".".join(name.split(".")[:2]) for name in (module, *needed))
        if mine != "backend":
            parts.setdefault(mine, set()).update(part for part in theirs if part not in {mine, "backend"})
    for graph in (modules, {part: needed for part, needed in parts.items() if within(part, "backend")}):
        graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", ["print", "input", "exit", "quit", "sys.exit", "os._exit"])
def test_nothing_prints_asks_or_exits_below_the_command_line(name: str) -> None:
    """Processes of their own (``__main__`` of the emulator, a model server, the relay's script) are programs, too."""
    programs = (
        "tui",
        "backend.emulator.__main__",
        "backend.emulator.serving.bench",
        "backend.emulator.serving.leash",
        "backend.emulator.serving.modelserver",
        "backend.resources.relay_script",
    )
    said = [f"{module}:{line}" for module, line, called in calls() if called == name and not within(module, *programs)]
    assert said == []


def test_every_module_says_why_it_exists() -> None:
    silent = [name for name, tree in trees().items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_targets_are_told_apart_only_where_they_are_connected() -> None:
    """One code path: no branch on the emulator outside the code that connects and starts."""
    allowed = ("backend.clients.connect", "backend.emulator", "backend.spec", "backend.stack", "tui")
    branches = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        if not within(module, *allowed)
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.IfExp | ast.Match) and "emulator" in ast.unparse(_condition(node)).lower()
    ]
    assert branches == []


def _condition(node: ast.If | ast.IfExp | ast.Match) -> ast.AST:
    return node.subject if isinstance(node, ast.Match) else node.test
