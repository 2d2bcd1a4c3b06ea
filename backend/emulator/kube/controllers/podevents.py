"""What the scheduler and the kubelet tell of a Pod, from one version of it to the next.

Texts are those of pkg/scheduler and pkg/kubelet of Kubernetes 1.34. Pure but for reads of the store. Invariant: a
version of a Pod in which nothing happened gives no news.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.emulator.kube.controllers.objects import condition, is_true, path_of, unix
from backend.emulator.kube.controllers.podspec import Missing, check_secret_volumes, describe, files
from backend.emulator.kube.controllers.seams import Object, Store
from backend.emulator.kube.events import News, reference

SCHEDULER, KUBELET = "default-scheduler", "kubelet"
_KILLED = 137
"""Exit code of a container that the kubelet ended."""
_PARTS = (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses"))


def pod_news(store: Store, pod: Object, before: Object | None) -> Iterator[News]:
    """What happened to a Pod; `before` is None for a new one."""
    yield from _made(pod, before)
    yield from _scheduling(pod, before)
    if not pod["spec"].get("nodeName"):
        return
    if before is None or not before["spec"].get("nodeName"):
        yield from _taken(store, pod)
    for container, status, old in _containers(pod, before):
        yield from _container(store, pod, container, status, old)
    if before is not None and pod["metadata"].get("deletionTimestamp") and not _deleting(before):
        for container, status, _ in _containers(pod, before):
            if "running" in status.get("state", {}):
                yield _kubelet(pod, "Killing", f"Stopping container {container['name']}", container)
    yield from _unready(pod, before)


def _made(pod: Object, before: Object | None) -> Iterator[News]:
    owner = next((each for each in pod["metadata"].get("ownerReferences", ()) if each.get("controller")), None)
    if before is None and owner is not None:
        about = {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}
        about["namespace"] = pod["metadata"]["namespace"]
        component = f"{owner['kind'].lower()}-controller"
        yield News(about, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", component)


def _scheduling(pod: Object, before: Object | None) -> Iterator[News]:
    node = pod["spec"].get("nodeName")
    if node and before is not None and not before["spec"].get("nodeName"):
        message = f"Successfully assigned {path_of(pod)} to {node}"
        yield News(reference(pod), "Scheduled", message, SCHEDULER)
    why, known = _unschedulable(pod), _unschedulable(before)
    if why and why != known:
        yield News(reference(pod), "FailedScheduling", why, SCHEDULER, warning=True)


def _unschedulable(pod: Object | None) -> str:
    found = condition((pod or {}).get("status", {}), "PodScheduled") or {}
    return str(found.get("message", "")) if found.get("status") == "False" else ""


def _taken(store: Store, pod: Object) -> Iterator[News]:
    """What a kubelet does first about a Pod: its volumes, else its images."""
    try:
        check_secret_volumes(store, pod)
        files(store, pod)
    except Missing as missing:
        yield _kubelet(pod, "FailedMount", str(missing), warning=True)
        return
    for part, _ in _PARTS:
        for container in pod["spec"].get(part, ()):
            if not _present(store, pod, container["image"]):
                yield _kubelet(pod, "Pulling", f'Pulling image "{container["image"]}"', container, part)


def _containers(pod: Object, before: Object | None) -> Iterator[tuple[Object, Object, Object]]:
    """Each container with its status now and before, empty where there is none."""
    for part, statuses in _PARTS:
        old = {each["name"]: each for each in (before or {}).get("status", {}).get(statuses, ())}
        specs = {each["name"]: {**each, "part": part} for each in pod["spec"].get(part, ())}
        for status in pod.get("status", {}).get(statuses, ()):
            if status["name"] in specs:
                yield specs[status["name"]], status, old.get(status["name"], {})


def _container(store: Store, pod: Object, container: Object, status: Object, old: Object) -> Iterator[News]:
    name, image = container["name"], container["image"]
    identity = status.get("containerID")
    if identity and identity != old.get("containerID"):
        known = old.get("containerID") or _present(store, pod, image)
        text = f'Container image "{image}" already present on machine' if known else _pulled(pod, status, image)
        yield _kubelet(pod, "Pulled", text, container)
        yield _kubelet(pod, "Created", f"Created container: {name}", container)
        yield _kubelet(pod, "Started", f"Started container {name}", container)
    if "running" in old.get("state", {}) and _gave_up(container, status, old):
        yield _kubelet(pod, "Killing", f"Container {name} failed startup probe, will be restarted", container)
    waiting = status.get("state", {}).get("waiting", {})
    if waiting == old.get("state", {}).get("waiting", {}):
        return
    if waiting.get("reason") == "CrashLoopBackOff":
        text = f"Back-off restarting failed container {name} in pod {describe(pod)}"
        yield _kubelet(pod, "BackOff", text, container, warning=True)
    elif waiting.get("reason") == "CreateContainerConfigError":
        yield _kubelet(pod, "Failed", f"Error: {waiting.get('message', '')}", container, warning=True)


def _gave_up(container: Object, status: Object, old: Object) -> bool:
    """Whether the kubelet has ended a container that was not started for its start-up probe."""
    ended = status.get("lastState", {}).get("terminated", {})
    killed = ended.get("exitCode") == _KILLED and ended != old.get("lastState", {}).get("terminated")
    return killed and "startupProbe" in container and not old.get("started")


def _pulled(pod: Object, status: Object, image: str) -> str:
    state = status.get("state", {})
    begun = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    since = pod["status"].get("startTime")
    took = _span(unix(begun) - unix(since)) if begun and since else "0s"
    return f'Successfully pulled image "{image}" in {took} ({took} including waiting).'


def _present(store: Store, pod: Object, image: str) -> bool:
    """Whether another Pod on the same node has run the image."""
    return any(
        status["image"] == image and status.get("imageID")
        for other in store.list("/pods")
        if other["spec"].get("nodeName") == pod["spec"]["nodeName"]
        and other["metadata"]["uid"] != pod["metadata"]["uid"]
        for _, statuses in _PARTS
        for status in other.get("status", {}).get(statuses, ())
    )


def _unready(pod: Object, before: Object | None) -> Iterator[News]:
    """A probe that fails: at first as nothing listens yet, later as nobody answers in time."""
    lost = before is not None and is_true(before, "Ready") and not _deleting(pod)
    for container, status, old in _containers(pod, before):
        if status.get("ready") or "running" not in status.get("state", {}):
            continue
        started = status.get("containerID") != old.get("containerID")
        kind = next((each for each in ("startup", "readiness") if f"{each}Probe" in container), "")
        kind = "readiness" if lost and "readinessProbe" in container else kind
        get = container.get(f"{kind}Probe", {}).get("httpGet")
        if get is None or not (started or lost):
            continue
        host = f"{pod['status'].get('podIP', '')}:{_port(container, get['port'])}"
        url = f"{get.get('scheme', 'HTTP').lower()}://{host}{get.get('path', '/')}"
        why = (
            f"dial tcp {host}: connect: connection refused"
            if started
            else "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )
        text = f'{kind.capitalize()} probe failed: Get "{url}": {why}'
        yield _kubelet(pod, "Unhealthy", text, container, warning=True)


def _port(container: Object, port: Any) -> Any:
    named = {each.get("name"): each["containerPort"] for each in container.get("ports", ())}
    return named.get(port, port)


def _kubelet(
    pod: Object,
    reason: str,
    message: str,
    container: Mapping[str, Any] | None = None,
    part: str = "",
    *,
    warning: bool = False,
) -> News:
    where = f"spec.{part or container.get('part', 'containers')}{{{container['name']}}}" if container else ""
    return News(reference(pod, where), reason, message, KUBELET, warning=warning, host=pod["spec"]["nodeName"])


def _deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _span(seconds: float) -> str:
    """Seconds as Go prints a duration: 0s, 42s, 1m9s."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
