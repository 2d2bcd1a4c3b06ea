"""The few protobuf messages that ``kubectl create`` posts, read into their JSON form.

kubectl does not fall back to JSON when protobuf is refused. Source of the field numbers: the generated.proto files of
k8s.io/api/{core,apps,batch,rbac,authorization}/v1, k8s.io/api/autoscaling/v2 and k8s.io/apimachinery/pkg/apis/meta/v1.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from backend.emulator.kube.errors import bad_request

MAGIC = b"k8s\x00"

Field = tuple[str, Any]
_TEXT = "text"
_TEXT_MAP = "text map"
_BYTES_MAP = "bytes map"
_TEXTS = "texts"
_BOOL = "bool"
_NUMBER = "number"
_REFERENCE: Mapping[int, Field] = {1: ("kind", _TEXT), 3: ("name", _TEXT), 4: ("uid", _TEXT), 5: ("apiVersion", _TEXT)}
_META: Mapping[int, Field] = {
    1: ("name", _TEXT),
    2: ("generateName", _TEXT),
    3: ("namespace", _TEXT),
    5: ("uid", _TEXT),
    6: ("resourceVersion", _TEXT),
    11: ("labels", _TEXT_MAP),
    12: ("annotations", _TEXT_MAP),
    13: ("ownerReferences", [_REFERENCE]),
    14: ("finalizers", _TEXTS),
}
_CONTAINER: Mapping[int, Field] = {
    1: ("name", _TEXT),
    2: ("image", _TEXT),
    3: ("command", _TEXTS),
    4: ("args", _TEXTS),
    6: ("ports", [{1: ("name", _TEXT), 3: ("containerPort", _NUMBER), 4: ("protocol", _TEXT)}]),
    7: ("env", [{1: ("name", _TEXT), 2: ("value", _TEXT)}]),
    14: ("imagePullPolicy", _TEXT),
}
_TEMPLATE: Mapping[int, Field] = {
    1: ("metadata", _META),
    2: ("spec", {2: ("containers", [_CONTAINER]), 3: ("restartPolicy", _TEXT)}),
}
_ROLE: Mapping[int, Field] = {
    1: ("metadata", _META),
    2: (
        "rules",
        [
            {
                1: ("verbs", _TEXTS),
                2: ("apiGroups", _TEXTS),
                3: ("resources", _TEXTS),
                4: ("resourceNames", _TEXTS),
                5: ("nonResourceURLs", _TEXTS),
            }
        ],
    ),
}
_BINDING: Mapping[int, Field] = {
    1: ("metadata", _META),
    2: ("subjects", [{1: ("kind", _TEXT), 2: ("apiGroup", _TEXT), 3: ("name", _TEXT), 4: ("namespace", _TEXT)}]),
    3: ("roleRef", {1: ("apiGroup", _TEXT), 2: ("kind", _TEXT), 3: ("name", _TEXT)}),
}
_RESOURCE_METRIC: Mapping[int, Field] = {
    1: ("name", _TEXT),
    2: ("target", {1: ("type", _TEXT), 4: ("averageUtilization", _NUMBER)}),
}
_MESSAGES: Mapping[str, Mapping[int, Field]] = {
    "ConfigMap": {
        1: ("metadata", _META),
        2: ("data", _TEXT_MAP),
        3: ("binaryData", _BYTES_MAP),
        4: ("immutable", _BOOL),
    },
    "Secret": {
        1: ("metadata", _META),
        2: ("data", _BYTES_MAP),
        3: ("type", _TEXT),
        4: ("stringData", _TEXT_MAP),
        5: ("immutable", _BOOL),
    },
    "Namespace": {1: ("metadata", _META)},
    "Deployment": {
        1: ("metadata", _META),
        2: (
            "spec",
            {1: ("replicas", _NUMBER), 2: ("selector", {1: ("matchLabels", _TEXT_MAP)}), 3: ("template", _TEMPLATE)},
        ),
    },
    "Job": {1: ("metadata", _META), 2: ("spec", {6: ("template", _TEMPLATE), 7: ("backoffLimit", _NUMBER)})},
    "ServiceAccount": {1: ("metadata", _META)},
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "HorizontalPodAutoscaler": {
        1: ("metadata", _META),
        2: (
            "spec",
            {
                1: ("scaleTargetRef", {1: ("kind", _TEXT), 2: ("name", _TEXT), 3: ("apiVersion", _TEXT)}),
                2: ("minReplicas", _NUMBER),
                3: ("maxReplicas", _NUMBER),
                4: ("metrics", [{1: ("type", _TEXT), 4: ("resource", _RESOURCE_METRIC)}]),
            },
        ),
    },
    "SelfSubjectReview": {1: ("metadata", _META)},
    "SelfSubjectRulesReview": {1: ("metadata", _META), 2: ("spec", {1: ("namespace", _TEXT)})},
    "SelfSubjectAccessReview": {
        1: ("metadata", _META),
        2: (
            "spec",
            {
                1: (
                    "resourceAttributes",
                    {
                        1: ("namespace", _TEXT),
                        2: ("verb", _TEXT),
                        3: ("group", _TEXT),
                        4: ("version", _TEXT),
                        5: ("resource", _TEXT),
                        6: ("subresource", _TEXT),
                        7: ("name", _TEXT),
                    },
                ),
                2: ("nonResourceAttributes", {1: ("path", _TEXT), 2: ("verb", _TEXT)}),
            },
        ),
    },
}


def decode(body: bytes) -> dict[str, Any] | None:
    """The object in a protobuf body; None when its kind has no decoder here. Raises 400 for a broken body."""
    try:
        if not body.startswith(MAGIC):
            raise ValueError("the magic number is missing")
        envelope = dict(_fields(body[len(MAGIC) :]))
        names = dict(_fields(envelope[1]))
        api_version, kind = names[1].decode(), names[2].decode()
        if kind not in _MESSAGES:
            return None
        return {"apiVersion": api_version, "kind": kind, **_message(envelope[2], _MESSAGES[kind])}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise bad_request(f"unable to decode the protobuf body: {error}") from None


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        size, position = _varint(data, position) if wire == 2 else ({1: 8, 5: 4}[wire], position)
        if position + size > len(data):
            raise ValueError("unexpected end of message")
        yield tag >> 3, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _message(data: bytes, known: Mapping[int, Field]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in known:
            continue
        name, form = known[number]
        if form == _TEXT:
            if value:
                found[name] = value.decode()
        elif form == _BOOL:
            found[name] = bool(value)
        elif form == _NUMBER:
            found[name] = int(value)
        elif form == _TEXTS:
            found.setdefault(name, []).append(value.decode())
        elif form in (_TEXT_MAP, _BYTES_MAP):
            entry = dict(_fields(value))
            content = entry.get(2, b"")
            text = content.decode() if form == _TEXT_MAP else base64.b64encode(content).decode()
            found.setdefault(name, {})[entry[1].decode()] = text
        elif isinstance(form, list):
            found.setdefault(name, []).append(_message(value, form[0]))
        else:
            found[name] = _message(value, form)
    return found
