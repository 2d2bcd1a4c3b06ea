"""Requests that write: create, update, the four kinds of patch, and delete.

Invariant: a write is decoded against its schema, put together, filled with defaults, validated, and only then kept; on
the way from reading the live object to writing the new one nothing else runs, so no write of another client is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from backend.emulator.kube import access, admission, answers, body, errors, options, patch, validation
from backend.emulator.kube.builtin import model_schema
from backend.emulator.kube.objects import Object
from backend.emulator.kube.paging import Page
from backend.emulator.kube.plain import clone
from backend.emulator.kube.registry import Kind
from backend.emulator.kube.scale import scale_of, scaled
from backend.emulator.kube.schema import Schema
from backend.emulator.kube.shape import BuiltinShape, CustomRoot
from backend.emulator.kube.store import Check, Store
from backend.emulator.kube.target import Target

_JSON, _MERGE, _STRATEGIC, _APPLY = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_LASTING = ("default", "kube-public", "kube-system")


class Writer:
    """Writes what clients of the API server send."""

    def __init__(self, store: Store, denies: access.Denies) -> None:
        self._store = store
        self._denies = denies
        self._schemas: dict[str, Schema] = {}

    def existing(self, place: Target) -> Object:
        """The object at a path; raises 404."""
        found = self._store.get(place.resource, place.namespace, place.name or "")
        if found is None:
            raise errors.not_found(place.kind.group, place.kind.plural, place.name or "")
        return found

    async def create(self, request: web.Request, place: Target) -> web.Response:
        """POST of a new object."""
        obj = await body.read_object(request)
        validation.typed(place.kind, place.version, obj)
        status = access.answered(self._denies, self._store.registry, place.kind, obj)
        if status is not None:
            return body.answer(request, {**obj, "status": status}, status=201)
        _put_in_place(place, obj)
        schema = await self._schema(place.kind, place.version)
        warnings = validation.decode(place.kind, place.version, schema, obj, options.directive(request))
        if place.kind.has_status:
            obj.pop("status", None)
        new = self._store.create(
            place.resource,
            obj,
            manager=options.manager(request),
            check=self._check(request, place, warnings),
            dry_run=options.dry_run(request),
        )
        return answers.one(request, self._store, place, new, status=201, warnings=warnings)

    async def put(self, request: web.Request, place: Target) -> web.Response:
        """PUT of an object, its status or its scale."""
        obj = await body.read_object(request)
        if place.subresource == "scale":
            live = self.existing(place)
            _expect(place, live, obj)
            return self._write(request, place, live, scaled(live, obj))
        validation.typed(place.kind, place.version, obj)
        _put_in_place(place, obj)
        schema = await self._schema(place.kind, place.version)
        warnings = validation.decode(place.kind, place.version, schema, obj, options.directive(request))
        live = self.existing(place)
        _expect(place, live, obj)
        return self._write(request, place, live, obj, warnings=warnings)

    async def patch(self, request: web.Request, place: Target) -> web.Response:
        """PATCH of any of the four kinds."""
        kinds = [one for one in (_JSON, _MERGE, _STRATEGIC, _APPLY) if one != _STRATEGIC or not place.kind.custom]
        if request.content_type not in kinds or (place.subresource == "scale" and request.content_type == _APPLY):
            raise errors.unsupported_media_type(kinds)
        if request.content_type == _APPLY:
            return await self._apply(request, place)
        text = await body.read(request)
        change = body.parse(text, body.JSON)
        schema = await self._schema(place.kind, place.version)
        live = self.existing(place)
        base = scale_of(live) if place.subresource == "scale" else answers.versioned(live, place)
        if request.content_type == _JSON:
            obj = patch.json_patch(base, change)
        elif request.content_type == _MERGE:
            obj = patch.merge_patch(base, change)
        else:
            obj = patch.strategic_merge(base, change)
        if not isinstance(obj, dict):
            raise errors.bad_request("the patch leaves no object: couldn't get version/kind")
        _expect(place, live, obj)
        if place.subresource == "scale":
            return self._write(request, place, live, scaled(live, obj))
        obj = clone(obj)
        validation.typed(place.kind, place.version, obj)
        _put_in_place(place, obj)
        directive = options.directive(request)
        warnings = validation.decode_patched(place.kind, place.version, schema, obj, directive=directive, text=text)
        return self._write(request, place, live, obj, warnings=warnings)

    async def delete(self, request: web.Request, place: Target) -> web.Response:
        """DELETE of one object: answers what is still there of it, else a Status of success."""
        wanted = await options.delete_options(request)
        live = self.existing(place)
        meta = live["metadata"]
        _expect(place, live, {"metadata": wanted.preconditions})
        if place.resource == "/namespaces" and meta["name"] in _LASTING:
            raise errors.forbidden("", "namespaces", meta["name"], "this namespace may not be deleted")
        warnings: list[str] = []
        self._admit(request, place, warnings, new=None, old=live)
        if wanted.dry_run:
            return answers.one(request, self._store, place, live)
        left = self._store.delete(
            place.resource, place.namespace, meta["name"], grace=wanted.grace, propagation=wanted.propagation
        )
        if left is not None or place.resource == "/pods":
            return answers.one(request, self._store, place, left or live, warnings=warnings)
        details = {"name": meta["name"], "group": place.kind.group, "kind": place.kind.plural, "uid": meta["uid"]}
        success = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {key: value for key, value in details.items() if value},
        }
        return body.answer(request, success, warnings=warnings)

    async def delete_all(self, request: web.Request, place: Target) -> web.Response:
        """DELETE of a list."""
        wanted = await options.delete_options(request)
        match = options.selection(request, place)
        found = [obj for obj in self._store.list(place.resource, place.namespace) if match(obj)]
        for meta in (obj["metadata"] for obj in found if not wanted.dry_run):
            namespace, name = meta.get("namespace"), meta["name"]
            if self._store.get(place.resource, namespace, name) is not None:
                self._store.delete(place.resource, namespace, name, grace=wanted.grace, propagation=wanted.propagation)
        return answers.many(request, self._store, place, Page(found, {"resourceVersion": str(self._store.revision)}))

    async def _apply(self, request: web.Request, place: Target) -> web.Response:
        if not request.query.get("fieldManager"):
            cause = errors.required("fieldManager", "is required for apply patch")
            raise errors.invalid("meta.k8s.io", "PatchOptions", "", [cause])
        config = body.parse(await body.read(request), body.YAML)
        if not isinstance(config, dict):
            raise errors.bad_request("error decoding YAML: the body is not an object")
        for field in ("apiVersion", "kind"):
            if not config.get(field):
                raise errors.bad_request(f"Object '{field[0].upper()}{field[1:]}' is missing in the body")
        validation.typed(place.kind, place.version, config)
        if config["metadata"].get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        _put_in_place(place, config)
        schema = await self._schema(place.kind, place.version)
        if not place.kind.custom:
            validation.fill_nulls(schema, config)
        validation.typed_patch(place.kind, schema, config)
        live = self._store.get(place.resource, place.namespace, place.name or "")
        warnings: list[str] = []
        if live is not None:
            _expect(place, live, config)
        elif config["metadata"].get("resourceVersion"):
            raise errors.conflict(place.kind.group, place.kind.plural, place.name or "")
        obj, created = self._store.apply(
            place.resource,
            config,
            manager=request.query["fieldManager"],
            force=options.flag(request, "force"),
            shape=CustomRoot(schema) if place.kind.custom else BuiltinShape(schema),
            subresource=place.subresource,
            check=self._check(request, place, warnings),
            dry_run=options.dry_run(request),
        )
        return answers.one(request, self._store, place, obj, status=201 if created else 200, warnings=warnings)

    def _write(
        self,
        request: web.Request,
        place: Target,
        live: Object,
        obj: Object,
        *,
        warnings: list[str] | None = None,
    ) -> web.Response:
        warnings = [] if warnings is None else warnings
        new = self._store.write(
            place.resource,
            live,
            obj,
            manager=options.manager(request),
            subresource=place.subresource if place.subresource in ("scale", "status") else "",
            check=self._check(request, place, warnings),
            dry_run=options.dry_run(request),
        )
        shown = scale_of(new) if place.subresource == "scale" else new
        return answers.one(request, self._store, place, shown, warnings=warnings)

    def _check(self, request: web.Request, place: Target, warnings: list[str]) -> Check:
        """What a client's write must stand: the rules of its kind, then the cluster's admission policies."""

        def check(kind: Kind, new: Object, old: Mapping[str, Any] | None) -> None:
            validation.validate(kind, new, old)
            self._admit(request, place, warnings, new=new, old=old)

        return check

    def _admit(self, request: web.Request, place: Target, warnings: list[str], *, new: Object | None, old: Any) -> None:
        """Raises 403 or 422 when an admission policy denies a write; adds what policies warn of."""
        meta = (new or old)["metadata"]
        write = admission.Write(
            place.kind.group,
            place.version,
            place.kind.kind,
            place.kind.plural,
            "DELETE" if new is None else "CREATE" if old is None else "UPDATE",
            place.name or meta.get("name", ""),
            meta.get("namespace"),
            new=new,
            old=old,
            subresource=place.subresource,
            user=access.CALLER,
            dry_run=options.dry_run(request),
        )
        verdict = admission.judge(self._store, write)
        if verdict.refusal is not None:
            raise verdict.refusal
        warnings.extend(verdict.warnings)

    async def _schema(self, kind: Kind, version: str) -> Schema:
        if kind.custom:
            if validation.META not in self._schemas:
                self._schemas[validation.META] = await asyncio.to_thread(model_schema, validation.META)
            return kind.schema(version) or Schema({})
        found = self._schemas.get(kind.resource)
        if found is None:
            found = self._schemas[kind.resource] = await asyncio.to_thread(model_schema, kind.model or "")
        return found


def _put_in_place(place: Target, obj: Object) -> None:
    """Gives an object the name and namespace of its path; raises 400 when it says otherwise itself."""
    meta = obj["metadata"] = dict(obj["metadata"])
    if place.kind.namespaced:
        namespace = place.namespace or meta.get("namespace") or "default"
        if (meta.get("namespace") or namespace) != namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = namespace
    if place.name is not None and meta.setdefault("name", place.name) != place.name:
        raise errors.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({place.name})"
        )


def _expect(place: Target, live: Object, obj: Mapping[str, Any]) -> None:
    """Raises 409 when an object was made from another version of the live one."""
    meta = obj.get("metadata") or {}
    uid, version = meta.get("uid"), meta.get("resourceVersion")
    name = live["metadata"]["name"]
    if uid and uid != live["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {live['metadata']['uid']}"
        raise errors.conflict(place.kind.group, place.kind.plural, name, why)
    if version and version != live["metadata"]["resourceVersion"]:
        raise errors.conflict(place.kind.group, place.kind.plural, name)
