"""JSON patch (RFC 6902), JSON merge patch (RFC 7396) and Kubernetes' strategic merge patch.

Invariant: arguments are not changed; a patch that does not fit raises the Status that the API server would send.
"""

from __future__ import annotations

from typing import Any

from backend.emulator.kube.errors import ApiError, bad_request
from backend.emulator.kube.plain import clone
from backend.emulator.kube.shape import PATCH_KEYS, lookup

_DELETE, _REPLACE = "$patch", "$retainKeys"


def json_patch(obj: Any, operations: Any) -> Any:
    """Applies a list of add, remove, replace, move, copy and test operations."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch")
    result = clone(obj)
    for operation in operations:
        result = _operate(result, operation)
    return result


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    verb = operation.get("op")
    path = _pointer(operation.get("path"))
    if verb in ("move", "copy"):
        source = _pointer(operation.get("from"))
        value = clone(_get(document, source))
        if verb == "move":
            _remove(document, source)
        return _put(document, path, value, insert=True)
    if verb in ("add", "replace"):
        if verb == "replace":
            _get(document, path)
        return _put(document, path, clone(operation.get("value")), insert=verb == "add")
    if verb == "remove":
        _remove(document, path)
        return document
    if verb == "test":
        if _get(document, path) != operation.get("value"):
            raise _unprocessable(f"testing value {operation.get('path')} failed: test failed")
        return document
    raise _unprocessable(f'Unexpected kind: "{verb}"')


def _unprocessable(message: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {message}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise _unprocessable(f"invalid JSON pointer {text!r}")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _get(document: Any, path: list[str]) -> Any:
    for step in path:
        try:
            document = document[int(step)] if isinstance(document, list) else document[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _unprocessable(f"doc is missing path: /{'/'.join(path)}: missing value") from None
    return document


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
        return document
    if not isinstance(parent, list):
        raise _unprocessable(f"doc is missing path: /{'/'.join(path)}: missing value")
    index = len(parent) if path[-1] == "-" else int(path[-1]) if path[-1].isdigit() else -1
    if not 0 <= index <= len(parent):
        raise _unprocessable(f"Unable to access invalid index: {path[-1]}: invalid index referenced")
    if insert:
        parent.insert(index, value)
    else:
        parent[index] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    _get(document, path)
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent.pop(int(path[-1]))
    else:
        del parent[path[-1]]


def merge_patch(obj: Any, patch: Any) -> Any:
    """Lays a patch over an object; null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_merge(obj: Any, patch: Any, parent: str = "", field: str = "") -> Any:
    """Lays a patch over an object of a built-in kind: lists with a merge key are merged item by item."""
    if not isinstance(patch, dict):
        return clone(patch)
    if patch.get(_DELETE) == "replace":
        return {name: clone(value) for name, value in patch.items() if name != _DELETE}
    if patch.get(_DELETE) == "delete":
        return {}
    result = dict(obj) if isinstance(obj, dict) else {}
    retain = patch.get(_REPLACE)
    if retain is not None:
        result = {name: value for name, value in result.items() if name in retain}
    for name, value in patch.items():
        if name == _REPLACE or name.startswith("$setElementOrder/"):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            target = name.partition("/")[2]
            result[target] = [one for one in result.get(target) or [] if one not in value]
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{name}")
            result[name] = _merge_list(result.get(name) or [], value, field, name, order)
        else:
            result[name] = strategic_merge(result.get(name), value, field, name)
    return result


def _merge_list(live: list[Any], patch: list[Any], parent: str, name: str, order: list[Any] | None) -> list[Any]:
    if f"{parent}.{name}" == "metadata.finalizers":
        return [*live, *(one for one in patch if one not in live)]
    key = lookup(PATCH_KEYS, parent, name)
    if key is None or not all(isinstance(item, dict) for item in patch):
        return clone(patch)
    if any(item == {_DELETE: "replace"} for item in patch):
        return [clone(item) for item in patch if item != {_DELETE: "replace"}]
    items: dict[Any, Any] = {item.get(key): item for item in live}
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        if isinstance(item[key], dict | list):
            raise bad_request(f"map: {item} has a merge key that is no plain value: {key}")
        if item.get(_DELETE) == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = strategic_merge(items.get(item[key]), item, parent, name)
    if order:
        wanted = [one.get(key) for one in order]
        return sorted(items.values(), key=lambda item: wanted.index(item[key]) if item[key] in wanted else len(wanted))
    return list(items.values())
