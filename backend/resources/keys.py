"""Where Kubernetes objects stand, and looking whether they are there.

Invariant: a set of objects is read with few requests: one list for each namespaced kind of which several are wanted or
that several resources read, one get for each of the others. Secrets and Pods are read one by one, so that nobody
else's are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.clients.kinds import (
    BACKEND_POLICY,
    CONFIG_MAP,
    DEPLOYMENT,
    GATEWAY,
    HEALTH_CHECK_POLICY,
    INFERENCE_POOL,
    POD,
    SECRET,
    Kind,
)
from backend.errors import NotFound
from backend.resources.manifests import Object
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec

if TYPE_CHECKING:
    from backend.clients.kube import Kube

DELETE_TIMEOUT_S = 1200.0
_LISTED = frozenset({BACKEND_POLICY, CONFIG_MAP, DEPLOYMENT, GATEWAY, HEALTH_CHECK_POLICY, INFERENCE_POOL})
"""Kinds of which several resources have objects in the same namespace: their lists are one request."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object stands in its cluster."""

    kind: Kind
    namespace: str | None
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """The place of an object."""
        meta = obj["metadata"]
        return cls(Kind.of(obj), meta.get("namespace"), meta["name"])

    def __str__(self) -> str:
        return f"{self.kind.name}/{self.name}"


async def look(kube: Kube, keys: Iterable[Key], labels: Mapping[str, str] | None = None) -> dict[Key, Object]:
    """Read objects side by side; those that are not there are left out.

    Where several of a kind stand outside namespaces, of which a cluster has hundreds, those that carry ``labels`` are
    listed, and only what is then missing is read one by one.
    """
    wanted = list(keys)
    marked = [kind for kind in {key.kind for key in wanted} if labels and _several(Key(kind, None, ""), wanted)]
    listed = {
        (key.kind, key.namespace)
        for key in wanted
        if key.kind in _LISTED or (key.namespace is not None and _several(key, wanted))
    }
    single = [key for key in wanted if (key.kind, key.namespace) not in listed and key.kind not in marked]
    lists, objects = await asyncio.gather(
        asyncio.gather(
            *(kube.list(kind, namespace) for kind, namespace in listed),
            *(kube.list(kind, None, labels) for kind in marked),
        ),
        asyncio.gather(*(kube.get(key.kind, key.namespace, key.name) for key in single)),
    )
    found = {Key.of(obj): obj for items in lists for obj in items}
    missing = [key for key in wanted if key.kind in marked and key not in found]
    objects += await asyncio.gather(*(kube.get(key.kind, key.namespace, key.name) for key in missing))
    found |= {key: obj for key, obj in zip([*single, *missing], objects, strict=True) if obj is not None}
    return {key: found[key] for key in wanted if key in found}


async def gone(kube: Kube, keys: Sequence[Key], watch: Watch) -> bool | None:
    """Give True once none of the objects exists, else tell the watch which remain."""
    try:
        left = await look(kube, keys)
    except NotFound:
        return True
    if left:
        watch.saw(f"waiting until {', '.join(map(str, left))} is gone")
    return None if left else True


def kubectl(project: str, cluster: ClusterSpec) -> str:
    """``kubectl`` with the context that gcloud gives a cluster."""
    return f"kubectl --context {context(project, cluster)}"


def context(project: str, cluster: ClusterSpec) -> str:
    """Name of the context that gcloud gives a cluster."""
    return f"gke_{project}_{cluster.region}_{cluster.name}"


def _several(key: Key, keys: Sequence[Key]) -> bool:
    alone = key.kind in {SECRET, POD}
    return not alone and sum((other.kind, other.namespace) == (key.kind, key.namespace) for other in keys) > 1
