"""A Pod's status in each stage of its life, as a kubelet writes it.

Pure functions. Invariant: the same Pod in the same stage gives the same status, whenever it is asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from backend.emulator.kube.controllers.objects import Condition, conditions, timestamp
from backend.emulator.kube.controllers.seams import Object

NOT_READY = "ContainersNotReady"


class Stage(Enum):
    """Where the Pod's containers are."""

    WAITING = auto()
    """Not started: images are pulled, or something they need is missing."""
    STARTED = auto()
    """Started, not yet ready."""
    READY = auto()
    CRASHED = auto()
    """Ended, to be started again after a pause."""
    SUCCEEDED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a placed Pod's containers."""

    stage: Stage
    reason: str = ""
    """Why they wait or why they ended: ContainerCreating, CrashLoopBackOff, Completed, Error, DeadlineExceeded ..."""
    message: str = ""
    started: float = 0.0
    """Unix seconds of the last start."""
    ended: float = 0.0
    """Unix seconds of the last end; 0 when there was none."""
    exit_code: int = 0
    """Exit code of the last end."""
    restarts: int = 0


def is_sidecar(container: Object) -> bool:
    """Whether an init container runs as long as the Pod."""
    return container.get("restartPolicy") == "Always"


def container_id(uid: str, name: str, number: int) -> str:
    """A containerd id that depends on the Pod, the container and the restart alone."""
    return f"containerd://{hashlib.sha256(f'{uid}/{name}/{number}'.encode()).hexdigest()}"


def terminated(life: Life, container: str) -> Object:
    """The terminated state of the last end."""
    return {
        "exitCode": life.exit_code,
        "reason": life.reason if life.stage is not Stage.CRASHED else "Error" if life.exit_code else "Completed",
        "startedAt": timestamp(life.started),
        "finishedAt": timestamp(life.ended),
        "containerID": container,
    }


def container_status(pod: Object, container: Object, life: Life) -> Object:
    """The status of one container that lives as long as the Pod."""
    waiting = life.stage in (Stage.WAITING, Stage.CRASHED)
    over = life.stage in (Stage.SUCCEEDED, Stage.FAILED)
    identity = container_id(pod["metadata"]["uid"], container["name"], life.restarts)
    status: dict[str, Any] = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "lastState": {},
        "ready": life.stage is Stage.READY,
        "restartCount": life.restarts,
        "started": life.stage is Stage.READY,
    }
    if life.stage is not Stage.WAITING:
        repository = container["image"].partition("@")[0].rpartition(":")[0] or container["image"]
        status["imageID"] = f"{repository}@sha256:{hashlib.sha256(container['image'].encode()).hexdigest()}"
        status["containerID"] = identity
    if waiting:
        message = {"message": life.message} if life.message else {}
        status["state"] = {"waiting": {"reason": life.reason, **message}}
    elif over:
        status["state"] = {"terminated": terminated(life, identity)}
    else:
        status["state"] = {"running": {"startedAt": timestamp(life.started)}}
    if life.ended and not over:
        status["lastState"] = {"terminated": terminated(life, identity)}
    return status


def init_status(pod: Object, container: Object, life: Life) -> Object:
    """The status of an init container: a side-car runs as long as the Pod, others are done before it starts."""
    if is_sidecar(container):
        if life.stage not in (Stage.STARTED, Stage.READY, Stage.CRASHED):
            return container_status(pod, container, life)
        before = pod.get("status", {}).get("initContainerStatuses", ())
        ran = (each for each in before if each["name"] == container["name"] and "running" in each["state"])
        return next(ran, None) or container_status(pod, container, Life(Stage.READY, started=life.started))
    if life.stage is Stage.WAITING:
        reason = "PodInitializing" if life.reason == "ContainerCreating" else life.reason
        return container_status(pod, container, Life(Stage.WAITING, reason, life.message))
    done = Life(Stage.SUCCEEDED, "Completed", started=life.started, ended=life.started)
    return {**container_status(pod, container, done), "ready": True, "started": False}


def pending(pod: Object, message: str, now: float) -> Object:
    """The status of a Pod that no Node can take."""
    why = Condition("PodScheduled", "False", "Unschedulable", message)
    found = conditions(pod.get("status", {}).get("conditions", ()), [why], now)
    return {"phase": "Pending", "conditions": plain(found), "qosClass": quality(pod)}


def plain(found: list[Object]) -> list[Object]:
    """Pod conditions without the members that a kubelet leaves out when they are empty."""
    return [{key: value for key, value in each.items() if value != ""} for each in found]


def quality(pod: Object) -> str:
    """The Pod's quality-of-service class, as admission found it."""
    return str(pod.get("status", {}).get("qosClass", "BestEffort"))


def placed(pod: Object, life: Life, *, host_ip: str, pod_ip: str, since: str, now: float) -> Object:
    """The status of a Pod on a Node; `since` is the time stamp at which the kubelet saw it first."""
    spec = pod["spec"]
    names = " ".join(each["name"] for each in spec["containers"])
    begun = life.stage is not Stage.WAITING
    over = life.stage in (Stage.SUCCEEDED, Stage.FAILED)
    ready = "True" if life.stage is Stage.READY else "False"
    why = ("PodCompleted", "") if over else (NOT_READY, f"containers with unready status: [{names}]")
    if ready == "True":
        why = ("", "")
    plain_init = any(not is_sidecar(each) for each in spec.get("initContainers", ()))
    wanted = [
        Condition("PodReadyToStartContainers", "True" if begun and not over else "False", ""),
        Condition("Initialized", "True" if begun or not plain_init else "False", ""),
        Condition("Ready", ready, *why),
        Condition("ContainersReady", ready, *why),
        Condition("PodScheduled", "True", ""),
    ]
    phases = {Stage.WAITING: "Pending", Stage.SUCCEEDED: "Succeeded", Stage.FAILED: "Failed"}
    status: Object = {
        "phase": phases.get(life.stage, "Running"),
        "conditions": plain(conditions(pod.get("status", {}).get("conditions", ()), wanted, now)),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "qosClass": quality(pod),
        "startTime": since,
        "containerStatuses": [container_status(pod, each, life) for each in spec["containers"]],
    }
    if begun:
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [init_status(pod, each, life) for each in spec["initContainers"]]
    if life.stage is Stage.FAILED and life.reason in ("DeadlineExceeded", "Terminated"):
        status |= {"reason": life.reason, "message": life.message}
    return status
