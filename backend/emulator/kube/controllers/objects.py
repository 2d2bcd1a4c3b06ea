"""Small truths about Kubernetes objects that every controller shares: names, times, conditions, owners.

Invariant: everything here is a pure function of its arguments, so two passes over the same objects write the same
bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from backend.emulator.kube.controllers.seams import Object

GATEWAY_CONTROLLER = "networking.gke.io/gateway"
"""controllerName of GKE's GatewayClasses, also in HTTPRoute status."""

SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of Kubernetes' generated names (k8s.io/apimachinery/pkg/util/rand)."""
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def digest(*parts: object) -> int:
    """A number that depends on nothing but `parts`."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest(), "big")


def suffix(length: int, *parts: object, alphabet: str = SAFE) -> str:
    """A random-looking suffix derived from `parts`."""
    number, letters = digest(*parts), []
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        letters.append(alphabet[index])
    return "".join(letters)


def timestamp(when: float) -> str:
    """Unix seconds in Kubernetes' whole-second RFC 3339 form."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(stamp: str) -> float:
    """The Unix seconds of an RFC 3339 time stamp."""
    return datetime.fromisoformat(stamp).timestamp()


def name_of(obj: Object) -> str:
    """metadata.name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    """metadata.namespace of a namespaced object."""
    return str(obj["metadata"]["namespace"])


def uid_of(obj: Object) -> str:
    """metadata.uid."""
    return str(obj["metadata"]["uid"])


def path_of(obj: Object) -> str:
    """ "NAMESPACE/NAME", the way controllers print objects."""
    return f"{namespace_of(obj)}/{name_of(obj)}"


def deleting(obj: Object) -> bool:
    """True when the object waits for its finalizers."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def owner(obj: Object) -> Object:
    """The ownerReference that makes `obj` the controller of another object."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": name_of(obj),
        "uid": uid_of(obj),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned_by(objects: Iterable[Object], uid: str) -> list[Object]:
    """Those of `objects` whose controller has this uid."""
    return [
        obj
        for obj in objects
        if any(ref.get("controller") and ref["uid"] == uid for ref in obj["metadata"].get("ownerReferences", ()))
    ]


class Condition(NamedTuple):
    """A status condition before it has a time."""

    type: str
    status: str
    """"True", "False" or "Unknown"."""
    reason: str
    message: str = ""


def conditions(
    previous: Sequence[Object], wanted: Iterable[Condition], now: float, *, generation: int | None = None
) -> list[Object]:
    """`wanted` as API conditions; a condition keeps its transition time while its status stays the same."""
    times = {
        (old["type"], old["status"]): old["lastTransitionTime"] for old in previous if old.get("lastTransitionTime")
    }
    return [
        {
            "lastTransitionTime": times.get((each.type, each.status), timestamp(now)),
            "message": each.message,
            **({} if generation is None else {"observedGeneration": generation}),
            "reason": each.reason,
            "status": each.status,
            "type": each.type,
        }
        for each in wanted
    ]


def condition(obj_or_status: Object, kind: str) -> Object | None:
    """The condition of this type in an object's status or in a status-like mapping."""
    status = obj_or_status.get("status", obj_or_status)
    return next((each for each in status.get("conditions", ()) if each["type"] == kind), None)


def is_true(obj_or_status: Object, kind: str) -> bool:
    """Whether the condition of this type is True."""
    found = condition(obj_or_status, kind)
    return found is not None and found["status"] == "True"
