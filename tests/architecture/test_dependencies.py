"""The dependency rules of backend/ARCHITECTURE.md, read from the source."""

import ast
import sys

import pytest

from tests.architecture.imports import Import, imports, sources, within

EVERY = imports()
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
    "backend.errors",
    "backend.emulator.control",
    "backend.engine",
)
"""What the front ends may know of the back end."""


def offenders(importer: tuple[str, ...], *, allowed: tuple[str, ...] = (), forbidden: tuple[str, ...]) -> list[str]:
    return [
        str(found)
        for found in EVERY
        if within(found.importer, *importer) and within(found.module, *forbidden) and not within(found.module, *allowed)
    ]


def test_there_is_something_to_check() -> None:
    assert len(EVERY) > 200


def test_front_ends_go_through_the_doors() -> None:
    assert offenders(("tui",), allowed=DOORS, forbidden=("backend",)) == []


def test_the_back_end_knows_no_front_end() -> None:
    assert offenders(("backend", "presets"), forbidden=("tui", *TERMINAL_LIBRARIES)) == []


def test_the_engine_imports_the_standard_library_only() -> None:
    foreign = [
        str(found)
        for found in EVERY
        if within(found.importer, "backend.engine")
        and not within(found.module, "backend.engine")
        and found.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_cloud_libraries_are_imported_by_clients_only_and_when_they_connect() -> None:
    def allowed(found: Import) -> bool:
        return found.deferred and within(found.importer, "backend.clients", "backend.emulator")

    assert [str(found) for found in EVERY if within(found.module, *CLOUD_LIBRARIES) and not allowed(found)] == []


def test_only_clients_load_packages_by_name() -> None:
    """What is loaded by its name is not seen by the rules above; the command line loads its own commands so."""
    outside = [found for found in EVERY if not within(found.importer, "backend.clients", "backend.emulator", "tui.cli")]
    assert [str(f) for f in outside if within(f.module, "backend.clients.loading", "importlib.import_module")] == []


def test_the_emulator_shares_no_code_with_what_it_judges() -> None:
    foreign = [
        str(found)
        for found in EVERY
        if within(found.importer, "backend.emulator")
        and within(found.module, "backend")
        and not within(found.module, "backend.emulator")
    ]
    assert foreign == []


def test_the_product_knows_only_the_door_of_the_emulator() -> None:
    foreign = [
        str(found)
        for found in EVERY
        if within(found.module, "backend.emulator")
        and not within(found.importer, "backend.emulator")
        and not within(found.module, "backend.emulator.control")
    ]
    assert foreign == []


def test_the_door_of_the_emulator_imports_the_standard_library_only() -> None:
    foreign = [
        str(found)
        for found in EVERY
        if found.importer == "backend.emulator.control" and found.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_imports_go_one_way_between_the_layers() -> None:
    layers = [
        ("backend.errors", "backend.engine", "backend.emulator"),
        ("backend.spec", "backend.catalog", "backend.places", "backend.lock"),
        ("backend.rules", "backend.catalog_rules", "backend.fit"),
        ("backend.presets", "backend.clients"),
        ("backend.resources",),
        ("backend.stack", "backend.departures"),
        ("tui",),
    ]
    upward = []
    for height, layer in enumerate(layers):
        above = tuple(name for higher in layers[height + 1 :] for name in higher)
        upward += offenders(layer, forbidden=above)
    assert upward == []


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
    calls = [
        f"{module}:{node.lineno}"
        for module, path in sources()
        if not within(module, *programs)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]
    assert calls == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        name
        for name, path in sources()
        if (tree := ast.parse(path.read_text(encoding="utf-8"))).body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_targets_are_told_apart_only_where_they_are_connected() -> None:
    """One code path: no branch on the emulator outside the code that connects and starts."""
    allowed = ("backend.clients.connect", "backend.emulator", "backend.spec", "backend.stack", "tui")
    branches = [
        f"{module}:{node.lineno}"
        for module, path in sources()
        if not within(module, *allowed)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.If | ast.IfExp | ast.Match) and "emulator" in ast.unparse(_condition(node)).lower()
    ]
    assert branches == []


def _condition(node: ast.If | ast.IfExp | ast.Match) -> ast.AST:
    return node.subject if isinstance(node, ast.Match) else node.test
