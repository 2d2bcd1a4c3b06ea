"""What a Pod takes from the cluster before its process can start: environment values and files of ConfigMaps.

Pure reads of the store. Invariant: a Secret's value leaves here only inside the copy of the Pod that is handed to the
kubelet.
"""

from __future__ import annotations

import base64
import binascii

from backend.emulator.kube.controllers.objects import name_of, namespace_of
from backend.emulator.kube.controllers.seams import Object, Store


class Missing(LookupError):
    """A Secret, a ConfigMap or a key that a container needs does not exist; says which in the kubelet's words."""


def decoded(value: str) -> str:
    """A Secret's value as text."""
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def reference(store: Store, namespace: str, ref: Object, kind: str) -> str | None:
    """The value behind a secretKeyRef or configMapKeyRef; None when it is optional and absent; raises Missing."""
    resource, word = ("/secrets", "Secret") if kind == "secretKeyRef" else ("/configmaps", "ConfigMap")
    found = store.get(resource, namespace, ref["name"])
    value = (found or {}).get("data", {}).get(ref["key"])
    if value is not None:
        return decoded(value) if word == "Secret" else str(value)
    if ref.get("optional"):
        return None
    if found is None:
        raise Missing(f'{word.lower()} "{ref["name"]}" not found')
    raise Missing(f"couldn't find key {ref['key']} in {word} {namespace}/{ref['name']}")


def field(pod: Object, path: str) -> str:
    """The downward-API value of a fieldPath."""
    value: object = pod
    head, _, key = path.partition("[")
    for part in head.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    if key:
        value = value.get(key.strip("]'\""), "") if isinstance(value, dict) else ""
    return str(value)


def environment(store: Store, pod: Object, container: Object) -> list[Object]:
    """The container's env with every reference replaced by its value; raises Missing."""
    namespace = namespace_of(pod)
    env = []
    for source in container.get("envFrom", ()):
        kind, resource = ("secretRef", "/secrets") if "secretRef" in source else ("configMapRef", "/configmaps")
        found = store.get(resource, namespace, source[kind]["name"])
        if found is None and not source[kind].get("optional"):
            raise Missing(f'{kind.removesuffix("Ref").lower()} "{source[kind]["name"]}" not found')
        read = decoded if kind == "secretRef" else str
        data = (found or {}).get("data", {})
        env += [{"name": source.get("prefix", "") + key, "value": read(text)} for key, text in data.items()]
    for each in container.get("env", ()):
        origin = each.get("valueFrom", {})
        value: str | None = each.get("value", "")
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if kind in origin:
                value = reference(store, namespace, origin[kind], kind)
        if "fieldRef" in origin:
            value = field(pod, origin["fieldRef"]["fieldPath"])
        if value is not None:
            env.append({"name": each["name"], "value": value})
    return env


def resolved(store: Store, pod: Object) -> Object:
    """The Pod with plain env values, sharing all else with the given one; raises Missing."""
    spec = dict(pod["spec"])
    for group in ("initContainers", "containers"):
        if group in spec:
            spec[group] = [
                {key: value for key, value in each.items() if key != "envFrom"} | {"env": environment(store, pod, each)}
                for each in spec[group]
            ]
    return {**pod, "spec": spec}


def unmounted(volume: Object, kind: str, name: str) -> Missing:
    """That a volume's source is absent, in the kubelet's words."""
    return Missing(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind} "{name}" not found')


def files(store: Store, pod: Object) -> dict[str, dict[str, str]]:
    """Volume name -> {file name: text} of ConfigMap volumes; raises Missing for one that is needed and absent."""
    mounted = {}
    for volume in pod["spec"].get("volumes", ()):
        source = volume.get("configMap")
        if source is None:
            continue
        found = store.get("/configmaps", namespace_of(pod), source["name"])
        if found is None and not source.get("optional"):
            raise unmounted(volume, "configmap", source["name"])
        data = (found or {}).get("data", {})
        items = source.get("items")
        mounted[volume["name"]] = (
            {each["path"]: data[each["key"]] for each in items if each["key"] in data} if items else dict(data)
        )
    return mounted


def check_secret_volumes(store: Store, pod: Object) -> None:
    """Raise Missing when a Secret volume that is not optional has no Secret."""
    for volume in pod["spec"].get("volumes", ()):
        source = volume.get("secret")
        if source is None or source.get("optional"):
            continue
        if store.get("/secrets", namespace_of(pod), source["secretName"]) is None:
            raise unmounted(volume, "secret", source["secretName"])


def describe(pod: Object) -> str:
    """ "NAME_NAMESPACE(UID)", the kubelet's way to print a Pod."""
    return f"{name_of(pod)}_{namespace_of(pod)}({pod['metadata']['uid']})"
