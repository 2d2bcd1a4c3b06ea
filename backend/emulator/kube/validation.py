"""What the API server refuses: bodies that do not decode (400) and values that are not allowed (422).

Unknown fields are refused, reported or dropped as ``fieldValidation`` says. Rules of built-in kinds are in
:mod:`backend.emulator.kube.rules`; a custom resource is held against its structural schema, then against the rules of
its kind that a schema cannot express (:mod:`backend.emulator.kube.cel`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backend.emulator.kube import cel, errors, rules
from backend.emulator.kube.builtin import model_schema
from backend.emulator.kube.errors import Cause
from backend.emulator.kube.limits import check
from backend.emulator.kube.registry import Kind
from backend.emulator.kube.schema import Mistyped, Schema, missing, mistyped, prune

Object = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_FREE_NAMES = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
_GO_TYPES = {
    "integer": "int32",
    "string": "string",
    "boolean": "bool",
    "number": "float64",
    "array": "slice",
    "object": "map",
    "int-or-string": "intstr.IntOrString",
}


def typed(kind: Kind, version: str, obj: Object) -> None:
    """Raises 400 when a body is not of the kind and version that its path says; fills them in when absent."""
    wanted = kind.api_version(version)
    given = obj.setdefault("apiVersion", wanted)
    name = obj.setdefault("kind", kind.kind)
    if given != wanted:
        raise errors.bad_request(
            f"the API version in the data ({given}) does not match the expected API version ({wanted})"
        )
    if name != kind.kind:
        raise errors.bad_request(f"the kind in the data ({name}) does not match the expected kind ({kind.kind})")
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise errors.bad_request(
            f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: json: cannot unmarshal into Go '
            "struct field .metadata of type v1.ObjectMeta"
        )


def decode(kind: Kind, version: str, schema: Schema, obj: Object, directive: str) -> list[str]:
    """Drops unknown fields of a body in place and returns the warnings; raises 400 where ``directive`` is Strict."""
    prefix = f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}'
    if not kind.custom:
        _drop_nulls(obj)
        fill_nulls(schema, obj)
    for wrong in mistyped(schema, obj) if not kind.custom else _mistyped_meta(obj):
        path = re.sub(r"\[\d+\]", "", wrong.path)
        go_type = _GO_TYPES.get(wrong.wanted.type, wrong.wanted.type)
        raise errors.bad_request(
            f"{prefix}: json: cannot unmarshal {_json_name(wrong.value)} into Go struct field "
            f"{wrong.around}.{path} of type {go_type}"
        )
    unknown = [f'unknown field "{path}"' for path in prune(schema, obj)]
    if unknown and directive == "Strict":
        raise errors.bad_request(f"{prefix}: strict decoding error: {', '.join(unknown)}")
    return unknown if directive == "Warn" else []


def _mistyped_meta(obj: Object) -> Iterator[Mistyped]:
    """What is wrong in the metadata of a custom resource, which no definition describes."""
    fill_nulls(model_schema(META), obj["metadata"])
    return mistyped(model_schema(META), obj["metadata"], "metadata")


META = "V1ObjectMeta"
"""The model of any object's metadata."""


def _drop_nulls(value: Any) -> None:
    """Removes members that are null, as decoding into the API's own types does."""
    if isinstance(value, dict):
        for name in [name for name, member in value.items() if member is None]:
            del value[name]
        for member in value.values():
            _drop_nulls(member)
    elif isinstance(value, list):
        for item in value:
            _drop_nulls(item)


def fill_nulls(schema: Schema, value: Any) -> None:
    """Puts the zero value of its type in place of every null in a list, as decoding into Go's types does."""
    if isinstance(value, dict):
        for name, member in value.items():
            child = schema.child(name)
            if child is not None:
                fill_nulls(child, member)
    elif isinstance(value, list) and schema.items is not None:
        zero = _ZEROS.get(schema.items.type)
        for index, item in enumerate(value):
            if item is None and zero is not None:
                value[index] = zero()
            fill_nulls(schema.items, value[index])


_ZEROS: Mapping[str, Callable[[], Any]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": int,
    "boolean": bool,
}


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def typed_patch(kind: Kind, schema: Schema, config: Mapping[str, Any]) -> None:
    """Raises what server-side apply answers to a value of the wrong type."""
    wrongs = [*mistyped(schema, config), *(_mistyped_meta(dict(config)) if kind.custom else ())]
    found = [
        f".{wrong.path}: expected {_EXPECTED.get(wrong.wanted.type, wrong.wanted.type)}, got {_json_name(wrong.value)}"
        for wrong in wrongs
    ]
    if found:
        meta = config.get("metadata") or {}
        place = "/".join(part for part in (meta.get("namespace"), meta.get("name")) if part)
        text = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in found)
        message = f"failed to create typed patch object ({place}; {config.get('apiVersion')}, Kind={kind.kind}): {text}"
        raise errors.ApiError(500, "", message)


_EXPECTED = {"integer": "numeric (int or float)", "number": "numeric (int or float)", "array": "list", "object": "map"}


def validate(kind: Kind, new: Object, old: Mapping[str, Any] | None) -> None:
    """Raises 422 with every cause when an object, defaults filled in, is not allowed."""
    causes = list(_metadata(kind, new["metadata"]))
    if old is None or {**new, "metadata": None} != {**old, "metadata": None}:
        if kind.custom:
            schema = kind.schema()
            if schema is not None:
                structural = list(check(schema, new))
                causes.extend(structural)
                if not structural:
                    causes.extend(cel.broken(kind.resource, new))
        else:
            causes.extend(rules.broken(kind, new, old))
            known = {cause.field for cause in causes}
            causes.extend(cause for cause in _incomplete(kind, new) if cause.field not in known)
    if causes:
        raise errors.invalid(kind.group, kind.kind, new["metadata"].get("name", ""), causes)


def _incomplete(kind: Kind, new: Object) -> Iterator[Cause]:
    """What the published model asks for in a spec; numbers and flags are zero where they are not said."""
    spec = model_schema(kind.model or "").child("spec")
    if spec is not None and isinstance(new.get("spec"), dict):
        yield from missing(spec, new["spec"], "spec")


def _metadata(kind: Kind, meta: Mapping[str, Any]) -> Iterator[Cause]:
    name = meta.get("name")
    if not name:
        yield errors.required("metadata.name", "name or generateName is required")
    elif kind.plural not in _FREE_NAMES:
        expression, rule, limit = _SUBDOMAIN, _SUBDOMAIN_RULE, 253
        if kind.resource == "/namespaces":
            expression, rule, limit = _LABEL, _LABEL_RULE, 63
        elif kind.resource == "/services":
            expression, rule, limit = _LABEL_1035, _LABEL_1035_RULE, 63
        if len(name) > limit:
            yield errors.invalid_value("metadata.name", name, f"must be no more than {limit} bytes")
        if not expression.fullmatch(name):
            yield errors.invalid_value("metadata.name", name, rule)
    labels = meta.get("labels") or {}
    yield from labels_allowed(labels, "metadata.labels")


def labels_allowed(labels: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """The rules of label keys and values."""
    for key, value in labels.items():
        _, _, bare = key.rpartition("/")
        if not _QUALIFIED.fullmatch(bare) or len(bare) > 63:
            yield errors.invalid_value(path, key, _QUALIFIED_RULE)
        if value and (not _QUALIFIED.fullmatch(value) or len(value) > 63):
            yield errors.invalid_value(path, value, _LABEL_VALUE_RULE)


_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def decode_patched(kind: Kind, version: str, schema: Schema, obj: Object, *, directive: str, text: bytes) -> list[str]:
    """As :func:`decode`, for an object that a patch made: an unknown field is blamed on the patch (422)."""
    if directive != "Strict":
        return decode(kind, version, schema, obj, directive)
    unknown = decode(kind, version, schema, obj, "Warn")
    if unknown:
        detail = f"strict decoding error: {', '.join(unknown)}"
        raise errors.invalid("", "", "", [errors.invalid_value("patch", text.decode(errors="replace"), detail)])
    return []
