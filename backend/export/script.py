"""What the two shell scripts have in common: their head, their constants and the functions that they call.

The functions are shell code of its own, in ``shell/``; what is written here only calls them with a stack's values.
Invariant: the scripts need no more than bash 3.2, gcloud, kubectl and what every Unix has, and may be run again at any
time.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from backend.engine.resource import About
from backend.export.recipe import Recipe
from backend.export.words import Expansion, line, quote
from backend.spec import ClusterSpec

RULE = 119
"""Columns of a part's title."""
MINUTE, HOUR = 60, 3600
"""Seconds."""


class Script:
    """A script that grows line by line."""

    def __init__(self, recipe: Recipe, head: str) -> None:
        self.recipe = recipe
        self.spec, self.project = recipe.spec, recipe.project
        self._lines = ["#!/usr/bin/env bash", *(f"# {text}".rstrip() for text in head.splitlines())]
        self._lines += ["set -euo pipefail", ""]

    @property
    def text(self) -> str:
        """The script so far."""
        return "\n".join(self._lines) + "\n"

    def add(self, *lines: str) -> None:
        """Add lines as they are."""
        self._lines += lines

    def constants(self) -> None:
        """Name what the functions and the steps work with."""
        spec, config = self.spec, self.spec.config
        values = {
            "project": self.project,
            "stack": spec.name,
            "network": spec.network.vpc,
            "node_account": self.recipe.node_account,
            "config_context": self.recipe.context(config),
            "namespace": spec.pool.namespace,
        }
        self.add(*(f"readonly {name}={quote(value)}" for name, value in values.items()))
        if spec.kubeconfig is None:
            self.add('export KUBECONFIG="${KUBECONFIG:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/kubeconfig}"', "")
        else:
            home, _, rest = spec.kubeconfig.partition("~/")
            path = f'"$HOME"/{quote(rest)}' if not home and rest else quote(spec.kubeconfig)
            self.add(f"export KUBECONFIG={path}", "")

    def functions(self, *names: str) -> None:
        """Add files of functions."""
        folder = files("backend.export").joinpath("shell")
        self.add(*(folder.joinpath(f"{name}.sh").read_text(encoding="utf-8") for name in names))

    def section(self, title: str) -> None:
        """Begin a part of the script."""
        self.add("", f"# --- {title} ".ljust(RULE, "-"))

    def step(self, about: About, *comments: str, title: str = "") -> None:
        """Begin a step: its title for people, and what can be said of it in a comment."""
        facts = [*comments]
        if about.estimate_s >= 90:
            facts.append(f"Usually takes about {about.estimate_s / 60:.0f} minutes.")
        if about.usd_per_hour:
            facts.append(f"Costs about {about.usd_per_hour:.2f} USD an hour from now on (an estimate).")
        self.add("", *(f"# {fact}" for fact in facts), f"step {quote(title or about.title)}")

    def title(self, text: str) -> None:
        """Begin a step that is told of by its title alone."""
        self.add("", f"step {quote(text)}")

    def variable(self, what: str, cluster: ClusterSpec) -> str:
        """Name of a shell variable about a cluster: names of clusters are none for a shell."""
        return f"{what}_{self.spec.clusters.index(cluster) + 1}"

    def run(self, words: Iterable[str], *, indent: str = "") -> None:
        """Add a command."""
        self.add(line(words, indent=indent))

    def call(self, *words: str, indent: str = "") -> None:
        """Call a function."""
        self.run(words, indent=indent)


def var(name: str) -> Expansion:
    """The value of a shell variable."""
    return Expansion(f'"${name}"')
