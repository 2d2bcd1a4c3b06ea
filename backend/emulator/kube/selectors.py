"""Label and field selectors of lists and watches, and the LabelSelector of objects.

Invariant: a selector that is not understood is an error, never "everything".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from backend.emulator.kube.errors import bad_request

Match = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s+\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=,()]+)$")
_FIELDS = {
    "": ("metadata.name", "metadata.namespace"),
    "/pods": ("spec.nodeName", "status.phase", "spec.restartPolicy", "spec.serviceAccountName", "status.podIP"),
    "/events": (
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "reportingComponent",
        "type",
    ),
    "/secrets": ("type",),
    "/namespaces": ("status.phase",),
    "/nodes": ("spec.unschedulable",),
}


def labels_match(text: str) -> Match:
    """What ``labelSelector=`` asks for; raises 400 when it cannot be read."""
    rules = [_label_rule(part.strip()) for part in re.split(r",(?![^()]*\))", text) if part.strip()]

    def match(obj: Mapping[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(rule(labels) for rule in rules)

    return match


def _label_rule(text: str) -> Match:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key, absent = found["key"], bool(found["no"])
        return lambda labels: (key in labels) != absent
    raise bad_request(f'unable to parse requirement: found "{text}", expected: a label selector')


def fields_match(text: str, resource: str) -> Match:
    """What ``fieldSelector=`` asks for; raises 400 for a field that this resource cannot be selected by."""
    rules: list[tuple[list[str], str, bool]] = []
    for part in filter(None, text.split(",")):
        path, operator, value = re.split(r"(!=|==|=)", part, maxsplit=1) if "=" in part else (part, "", "")
        if not operator:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if path not in _FIELDS[""] and path not in _FIELDS.get(resource, ()):
            raise bad_request(f'field label not supported: "{path}"')
        rules.append((path.split("."), value, operator != "!="))

    def match(obj: Mapping[str, Any]) -> bool:
        return all((_at(obj, path) == value) == wanted for path, value, wanted in rules)

    return match


def _at(obj: Any, path: list[str]) -> str:
    for step in path:
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)


def matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether a LabelSelector selects `labels`."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        expression_holds(term, labels) for term in selector.get("matchExpressions", ())
    )


def expression_holds(term: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether one matchExpressions term holds for `labels`; operators Gt and Lt compare integers."""
    key, operator, values = term["key"], term["operator"], term.get("values", ())
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt" | "Lt":
            if not str(labels.get(key, "")).lstrip("-").isdigit():
                return False
            difference = int(labels[key]) - int(values[0])
            return difference > 0 if operator == "Gt" else difference < 0
        case _:
            return False
