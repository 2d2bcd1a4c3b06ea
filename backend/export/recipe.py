"""The recipe as the exports read it: the rows that an apply carries out, declared without any cloud.

Commands, titles and manifests come from the rows themselves, so that what is exported is what mcig does. Invariant: an
export accounts for every row that it declares; one that it does not know ends in ``LookupError``, never in a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backend.clients import Clients
from backend.clients.connect import Connection
from backend.engine.resource import About, Resource
from backend.resources import declare, keys, marks
from backend.resources.gke import node_account
from backend.resources.manifests import Object
from backend.resources.objects import KubeObjects
from backend.spec import ClusterSpec, GatewaySpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """A specification and its rows."""

    spec: GatewaySpec
    project: str
    rows: Mapping[str, Resource[Any]]
    """Every row of the recipe by its id, in the order in which a person reads them."""

    @classmethod
    def of(cls, spec: GatewaySpec, project: str) -> Recipe:
        """Declare the rows of a specification."""
        nowhere = Connection(spec.target, project, None, "no cloud", "", "")
        rows = declare(spec, Clients(nowhere, spec), kubeconfig=Path("kubeconfig"))
        return cls(spec, project, {row.id: row for row in rows})

    def about(self, row: str) -> About:
        """What a row says of itself; ``LookupError`` where the recipe has no such row."""
        return self.rows[row].about

    def objects(self, row: str) -> list[Object]:
        """The Kubernetes objects of a row, with the stack's marks, in the order in which they are applied."""
        return list(self._kube(row).wanted.values())

    def manager(self, row: str) -> str:
        """The field manager under which a row's objects are applied."""
        return self._kube(row).manager

    def context(self, cluster: ClusterSpec) -> str:
        """Name of the context that gcloud gives a cluster."""
        return keys.context(self.project, cluster)

    @property
    def node_account(self) -> str:
        """Email of the service account that all nodes run as."""
        return node_account(self.spec, self.project)

    @property
    def description(self) -> str:
        """The stack's marks where an API has no labels."""
        return marks.description(self.spec)

    @property
    def usd_per_hour(self) -> float:
        """Estimated running cost of the whole stack, in US dollars an hour."""
        return sum(row.about.usd_per_hour for row in self.rows.values())

    def _kube(self, row: str) -> KubeObjects:
        found = self.rows[row]
        if not isinstance(found, KubeObjects):
            raise LookupError(f"{row} is no set of Kubernetes objects")
        return found


_Fastest: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):  # type: ignore[misc]
    """YAML as people write it: texts of several lines as blocks, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
    return node


_Dumper.add_representer(str, _text)


def yaml_text(objects: Iterable[Mapping[str, Any]], *, head: str = "") -> str:
    """Objects as a YAML file of several documents, with a comment on top."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    documents = [yaml.dump(dict(obj), Dumper=_Dumper, sort_keys=False, width=120) for obj in objects]
    return comment + "---\n".join(documents)
