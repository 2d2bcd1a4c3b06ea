"""Reads the import statements of the project's source files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tui", "backend", "presets")


@dataclass(frozen=True)
class Import:
    """One imported module, and where the statement stands."""

    importer: str
    """Dotted name of the importing module."""
    module: str
    """Dotted name of what is imported."""
    line: int
    deferred: bool
    """True inside a function: it runs when called, not when the module is imported."""

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}"


def sources() -> Iterator[tuple[str, Path]]:
    """Give each module's dotted name and file."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def trees() -> dict[str, ast.Module]:
    """What stands in each module, by its dotted name."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in sources()}


@cache
def imports() -> list[Import]:
    """Give every import of the project, those under ``if TYPE_CHECKING`` left out."""
    found: list[Import] = []
    for name, path in sources():
        _walk(trees()[name], name, path.name == "__init__.py", False, found)
    return found


@cache
def calls() -> list[tuple[str, int, str]]:
    """Every call: module, line and what is called as it is spelled."""
    return [
        (name, node.lineno, ast.unparse(node.func))
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def _walk(node: ast.AST, importer: str, is_package: bool, deferred: bool, found: list[Import]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _name(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            found.extend(Import(importer, alias.name, child.lineno, deferred) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                parent = importer.split(".")[: None if is_package and child.level == 1 else -child.level]
                base = ".".join([*parent, *([child.module] if child.module else [])])
            found.extend(Import(importer, f"{base}.{alias.name}", child.lineno, deferred) for alias in child.names)
        inside = deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        _walk(child, importer, is_package, inside, found)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def within(module: str, *packages: str) -> bool:
    """Say whether a dotted name is one of the packages or lies inside one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
