"""The CustomResourceDefinition of InferenceObjective, which GKE does not install by itself.

Says the same as Gateway API Inference Extension v1.1.0's own definition: group, version, names, columns, and every
field with its bounds. Invariant: the status stays structural, so that later endpoint pickers can write it.
"""

from __future__ import annotations

from typing import Any

NAME = "inferenceobjectives.inference.networking.x-k8s.io"
_DNS_PATTERN = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_KIND_PATTERN = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
_REASON_PATTERN = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
_TYPE_PATTERN = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)


def inference_objective_crd() -> dict[str, Any]:
    """The definition, v1alpha2 served and stored."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": NAME,
            "annotations": {"inference.networking.k8s.io/bundle-version": "v1.1.0"},
        },
        "spec": {
            "group": "inference.networking.x-k8s.io",
            "scope": "Namespaced",
            "names": {
                "kind": "InferenceObjective",
                "listKind": "InferenceObjectiveList",
                "plural": "inferenceobjectives",
                "singular": "inferenceobjective",
            },
            "versions": [
                {
                    "name": "v1alpha2",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Inference Pool", "type": "string", "jsonPath": ".spec.poolRef.name"},
                        {"name": "Priority", "type": "string", "jsonPath": ".spec.priority"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def _schema() -> dict[str, Any]:
    return {
        "description": "How urgent a kind of request is, compared with others of the same pool.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": ["poolRef"],
                "properties": {
                    "priority": {
                        "description": "Higher is more urgent; unset counts as 0. Requests below 0 are shed first.",
                        "type": "integer",
                    },
                    "poolRef": _pool_ref(),
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "conditions": {
                        "type": "array",
                        "maxItems": 8,
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                        "default": [
                            {
                                "type": "Ready",
                                "status": "Unknown",
                                "reason": "Pending",
                                "message": "Waiting for controller",
                                "lastTransitionTime": "1970-01-01T00:00:00Z",
                            }
                        ],
                        "items": _condition(),
                    }
                },
            },
        },
    }


def _pool_ref() -> dict[str, Any]:
    return {
        "description": "The pool it is for, in the same namespace.",
        "type": "object",
        "required": ["name"],
        "properties": {
            "group": {
                "type": "string",
                "default": "inference.networking.k8s.io",
                "maxLength": 253,
                "pattern": _DNS_PATTERN,
            },
            "kind": {
                "type": "string",
                "default": "InferencePool",
                "minLength": 1,
                "maxLength": 63,
                "pattern": _KIND_PATTERN,
            },
            "name": {"type": "string", "minLength": 1, "maxLength": 253},
        },
    }


def _condition() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        "properties": {
            "type": {"type": "string", "maxLength": 316, "pattern": _TYPE_PATTERN},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": _REASON_PATTERN},
            "message": {"type": "string", "maxLength": 32768},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    }
