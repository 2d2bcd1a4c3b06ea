"""The registry layer of one cluster: what is done to an object between a request and etcd.

Names, defaults, generations, field managers, no-op writes and finalizers are settled here, for the API server's clients
and for the controllers in this process alike; only the validation of what a client sends is left to the API server,
which hands it in as a check.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from backend.emulator.kube import defaults, deletion, errors
from backend.emulator.kube.apply import Manager, applied, updated
from backend.emulator.kube.objects import Object, Objects
from backend.emulator.kube.plain import clone
from backend.emulator.kube.registry import CRDS, Kind
from backend.emulator.kube.shape import BuiltinShape, CustomRoot, Shape
from backend.emulator.kube.versions import desired, normal, same, served

Check = Callable[[Kind, Object, Mapping[str, Any] | None], None]

NAMESPACES = ("default", "kube-system", "kube-public", "gmp-system", "gke-managed-system")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_FIXED_META = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_SERVER = "kube-apiserver"


class Store(Objects):
    """The objects of one cluster, as its API server and its controllers write them."""

    def shape(self, kind: Kind) -> Shape:
        """How objects of a kind merge."""
        return CustomRoot(kind.schema()) if kind.custom else BuiltinShape()

    def create(
        self, resource: str, obj: Mapping[str, Any], *, manager: str, check: Check | None = None, dry_run: bool = False
    ) -> Object:
        """Adds an object; raises 409 when the name is taken and 404 when its namespace is not there."""
        kind = self._kind(resource)
        new = self._admitted(kind, obj)
        name, namespace = new["metadata"].get("name", ""), new["metadata"].get("namespace")
        if self.get(resource, namespace, name) is not None:
            raise errors.already_exists(kind.group, kind.plural, name)
        new = updated(self.shape(kind), None, new, self._manager(manager, new), now=self.timestamp())
        return self._add(kind, new, check, dry_run=dry_run)

    def replace(self, resource: str, obj: Mapping[str, Any], *, manager: str) -> Object:
        """Replaces a whole object but its status; a no-op when nothing differs."""
        meta = obj["metadata"]
        live = self._live(resource, meta.get("namespace"), meta["name"])
        return self.write(resource, live, obj, manager=manager)

    def set_status(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        manager: str,
    ) -> Object:
        """Replaces the status of an object; a no-op when it is equal."""
        live = self._live(resource, namespace, name)
        if live.get("status") == status:
            return live
        return self.write(resource, live, {**live, "status": status}, manager=manager, subresource="status")

    def annotate(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        annotations: Mapping[str, str | None],
        *,
        manager: str,
    ) -> Object:
        """Sets annotations, and removes those whose value is None; a no-op when nothing differs."""
        live = self._live(resource, namespace, name)
        kept = {**(live["metadata"].get("annotations") or {}), **annotations}
        meta = {**live["metadata"], "annotations": {key: text for key, text in kept.items() if text is not None}}
        return self.write(resource, live, {**live, "metadata": meta}, manager=manager)

    def add_finalizer(self, resource: str, namespace: str | None, name: str, finalizer: str) -> None:
        """Adds a finalizer, unless it is there."""
        live = self._live(resource, namespace, name)
        finalizers = live["metadata"].get("finalizers") or []
        if finalizer not in finalizers:
            self._set_finalizers(resource, live, [*finalizers, finalizer])

    def drop_finalizer(self, resource: str, namespace: str | None, name: str, finalizer: str) -> None:
        """Removes a finalizer; the last one of an object that is being deleted lets it go."""
        live = self.get(resource, namespace, name)
        if live is not None and finalizer in (live["metadata"].get("finalizers") or []):
            kept = [one for one in live["metadata"]["finalizers"] if one != finalizer]
            self._set_finalizers(resource, live, kept)

    def apply(
        self,
        resource: str,
        config: Mapping[str, Any],
        *,
        manager: str,
        force: bool,
        shape: Shape | None = None,
        subresource: str = "",
        check: Check | None = None,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """Server-side apply: the object, and whether it was created; a ``shape`` with a schema refuses unknown fields.

        Raises 409 for conflicts with other managers, unless forced.
        """
        kind = self._kind(resource)
        meta = config["metadata"]
        live = self.get(resource, meta.get("namespace"), meta["name"])
        who = self._manager(manager, config, "Apply", subresource)
        if live is None and subresource:
            raise errors.not_found(kind.group, kind.plural, meta["name"])
        new = applied(shape or self.shape(kind), live, config, who, force=force, now=self.timestamp())
        if live is None:
            managed = new["metadata"].pop("managedFields", None)
            admitted = self._admitted(kind, new)
            if managed:
                admitted["metadata"]["managedFields"] = managed
            return self._add(kind, admitted, check, dry_run=dry_run), True
        return self._change(kind, live, new, check, subresource=subresource, dry_run=dry_run), False

    def write(
        self,
        resource: str,
        live: Object,
        obj: Mapping[str, Any],
        *,
        manager: str,
        subresource: str = "",
        check: Check | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Puts a new version of a live object; through a subresource only that part is taken from ``obj``."""
        kind = self._kind(resource)
        if subresource == "status":
            new: Object = {**live, "status": obj.get("status") or {}}
        else:
            new = {**obj, "metadata": dict(obj["metadata"])}
            if kind.has_status:
                new.pop("status", None)
                if "status" in live:
                    new["status"] = live["status"]
        new["apiVersion"], new["kind"] = live["apiVersion"], live["kind"]
        new = normal(kind, new)
        who = self._manager(manager, obj, subresource=subresource)
        new = updated(self.shape(kind), live, new, who, now=self.timestamp())
        return self._change(kind, live, new, check, subresource=subresource, dry_run=dry_run)

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        grace: int | None = None,
        propagation: str = "Background",
    ) -> Object | None:
        """Deletes as the API server does; returns the object that is still there (finalizers, grace), else None.

        A Pod on a node stays with a deletionTimestamp until :meth:`finalize_delete` or a ``grace`` of 0 seconds;
        ``propagation`` is Background, Foreground or Orphan.
        """
        live = self._live(resource, namespace, name)
        deletion.delete(self, resource, live, grace=grace, propagation=propagation)
        return self.get(resource, namespace, name)

    def finalize_delete(self, resource: str, namespace: str | None, name: str) -> None:
        """Ends the grace of an object that is being deleted; finalizers still hold it. A no-op when it is gone."""
        live = self.get(resource, namespace, name)
        if live is not None:
            deletion.finalize(self, resource, live)

    def _kind(self, resource: str) -> Kind:
        kind = self.registry.get(resource)
        if kind is None:
            raise errors.no_such_path()
        return kind

    def _live(self, resource: str, namespace: str | None, name: str) -> Object:
        live = self.get(resource, namespace, name)
        if live is None:
            kind = self._kind(resource)
            raise errors.not_found(kind.group, kind.plural, name)
        return live

    def _manager(self, name: str, obj: Mapping[str, Any], operation: str = "Update", subresource: str = "") -> Manager:
        return Manager(name, operation, obj.get("apiVersion") or "v1", subresource)

    def _admitted(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        """A new object with its name, place and identity, defaults filled in."""
        new: Object = clone(dict(obj))
        new["apiVersion"], new["kind"] = kind.api_version(), kind.kind
        meta = new["metadata"] = {
            key: value
            for key, value in (new.get("metadata") or {}).items()
            if key not in ("managedFields", "resourceVersion", "selfLink") and value not in (None, {}, [])
        }
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"][:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))
        if kind.namespaced:
            self._check_namespace(kind, meta.setdefault("namespace", "default"), meta.get("name", ""))
        else:
            meta.pop("namespace", None)
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = self.timestamp()
        if kind.generation:
            meta["generation"] = 1
        new = normal(kind, new)
        defaults.on_create(kind, new, self.list)
        return new

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        found = self.get("/namespaces", None, namespace)
        if found is None:
            raise errors.not_found("", "namespaces", namespace)
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise errors.forbidden(kind.group, kind.plural, name, why)

    def _add(self, kind: Kind, new: Object, check: Check | None, *, dry_run: bool) -> Object:
        if check is not None:
            check(kind, new, None)
        if dry_run:
            return new
        new = self.commit(kind.resource, "ADDED", new, None)
        if kind.resource == CRDS:
            self.register(new)
            new = self.set_status(CRDS, None, new["metadata"]["name"], served(new, self.timestamp()), manager=_SERVER)
        return new

    def _change(
        self, kind: Kind, live: Object, new: Object, check: Check | None, *, subresource: str, dry_run: bool
    ) -> Object:
        meta = new["metadata"] = dict(new["metadata"])
        for key in _FIXED_META:
            meta.pop(key, None)
            if key in live["metadata"]:
                meta[key] = live["metadata"][key]
        meta.pop("selfLink", None)
        meta.pop("resourceVersion", None)
        for key in ("labels", "annotations", "finalizers", "ownerReferences"):
            if meta.get(key) in (None, {}, []):
                meta.pop(key, None)
        new["apiVersion"], new["kind"] = live["apiVersion"], live["kind"]
        new = normal(kind, new)
        if not subresource:
            defaults.on_update(kind, new, live)
        meta = new["metadata"]
        meta.pop("generation", None)
        if "generation" in live["metadata"]:
            meta["generation"] = live["metadata"]["generation"] + (desired(new) != desired(live))
        if check is not None:
            check(kind, new, live)
        if same(new, live):
            return live
        if dry_run:
            meta["resourceVersion"] = live["metadata"]["resourceVersion"]
            return new
        new = self.commit(kind.resource, "MODIFIED", new, live)
        if kind.resource == CRDS and not subresource:
            self.register(new)
        deletion.let_go(self, kind.resource, new)
        return new

    def _set_finalizers(self, resource: str, live: Object, finalizers: list[str]) -> None:
        new = {**live, "metadata": {**live["metadata"], "finalizers": finalizers}}
        self.write(resource, live, new, manager=deletion.COLLECTOR)
