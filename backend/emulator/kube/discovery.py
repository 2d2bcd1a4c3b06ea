"""What a cluster says it serves: aggregated and plain discovery, and its version.

Source of the shapes: k8s.io/api/apidiscovery/v2 and k8s.io/apimachinery/pkg/apis/meta/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from backend.emulator.kube import body
from backend.emulator.kube.errors import no_such_path
from backend.emulator.kube.registry import Kind, Registry

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
_EXTRA: dict[str, tuple[tuple[str, str, str, tuple[str, ...]], ...]] = {
    "/pods": (
        ("attach", "v1", "PodAttachOptions", ("create", "get")),
        ("exec", "v1", "PodExecOptions", ("create", "get")),
        ("log", "v1", "Pod", ("get",)),
        ("proxy", "v1", "PodProxyOptions", ("create", "delete", "get", "patch", "update")),
    ),
    "/services": (("proxy", "v1", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update")),),
}
_SUB_VERBS = ("get", "patch", "update")


def version(gke: str) -> dict[str, str]:
    """The answer of /version for a GKE version such as ``1.34.1-gke.1127000``."""
    found = re.match(r"(\d+)\.(\d+)", gke)
    major, minor = found.groups() if found else ("1", "34")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"v{gke}",
        "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean",
        "buildDate": "2025-10-01T00:00:00Z",
        "goVersion": "go1.24.6 X:boringcrypto",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def paths(registry: Registry) -> list[str]:
    """The answer of / : every path prefix that is served."""
    found = ["/api", "/api/v1", "/apis"]
    for group, versions in registry.groups().items():
        if group:
            found.append(f"/apis/{group}")
            found.extend(f"/apis/{group}/{one}" for one in versions)
    return [*sorted(found), "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]


def answer(request: web.Request, path: str, registry: Registry) -> web.Response | None:
    """The discovery document at a path, or None when the path is none of discovery's."""
    steps = path.split("/")[1:]
    if steps[0] not in ("api", "apis") or len(steps) > (2 if steps[0] == "api" else 3):
        return None
    if request.method != "GET":
        raise no_such_path()
    groups = registry.groups()
    if len(steps) == 1:
        core = steps[0] == "api"
        for wanted in ("v2", "v2beta1"):
            accepted = request.headers.get("Accept", "").replace(" ", "")
            if f"g=apidiscovery.k8s.io;v={wanted};as=APIGroupDiscoveryList" in accepted:
                document = _aggregated({name: one for name, one in groups.items() if bool(name) != core}, wanted)
                content_type = _AGGREGATED.format(wanted)
                return web.Response(body=body.dumps(document), headers={"Content-Type": content_type})
        if core:
            address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.host}]
            return body.answer(
                request, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
            )
        listed = [_group(name, list(versions)) for name, versions in groups.items() if name]
        return body.answer(request, {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
    group, wanted = ("", steps[1]) if steps[0] == "api" else (steps[1], steps[2] if len(steps) > 2 else "")
    if group not in groups or (wanted and wanted not in groups[group]):
        raise no_such_path()
    if not wanted:
        return body.answer(request, {"kind": "APIGroup", "apiVersion": "v1", **_group(group, list(groups[group]))})
    resources = [one for kind in groups[group][wanted] for one in _resources(kind)]
    return body.answer(
        request,
        {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": f"{group}/{wanted}" if group else wanted,
            "resources": resources,
        },
    )


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{one}", "version": one} for one in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _subresources(kind: Kind) -> Iterator[tuple[str, str, str, str, tuple[str, ...]]]:
    """Name, group, version, kind and verbs of each subresource."""
    for name in kind.subresources:
        if name == "scale":
            yield name, "autoscaling", "v1", "Scale", _SUB_VERBS
        else:
            yield name, kind.group, kind.versions[0], kind.kind, _SUB_VERBS
    for name, wanted, response, verbs in _EXTRA.get(kind.resource, ()):
        yield name, "", wanted, response, verbs


def _resources(kind: Kind) -> Iterator[dict[str, Any]]:
    resource: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        resource["shortNames"] = list(kind.short)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    yield resource
    for name, group, wanted, response, verbs in _subresources(kind):
        inner: dict[str, Any] = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        if group != kind.group:
            inner |= {"group": group, "version": wanted}
        yield {**inner, "kind": response, "verbs": list(verbs)}


def _aggregated(groups: dict[str, dict[str, list[Kind]]], form: str) -> dict[str, Any]:
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None},
            "versions": [
                {
                    "version": wanted,
                    "resources": [_aggregated_resource(kind, wanted) for kind in kinds],
                    "freshness": "Current",
                }
                for wanted, kinds in versions.items()
            ],
        }
        for name, versions in groups.items()
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{form}",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(kind: Kind, wanted: str) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": wanted, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        resource["shortNames"] = list(kind.short)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    inner = [
        {
            "subresource": name,
            "responseKind": {"group": group, "version": version, "kind": response},
            "verbs": list(verbs),
        }
        for name, group, version, response, verbs in _subresources(kind)
    ]
    if inner:
        resource["subresources"] = inner
    return resource
