"""Jobs to Pods, until enough of them ended well or too many did not.

Invariant: a Job that is Complete or Failed makes no more Pods.
"""

from __future__ import annotations

from backend.emulator.kube.controllers.objects import (
    Condition,
    conditions,
    deleting,
    is_true,
    name_of,
    namespace_of,
    owned_by,
    timestamp,
    uid_of,
    unix,
)
from backend.emulator.kube.controllers.replicasets import MANAGER, finished, make
from backend.emulator.kube.controllers.seams import Cluster, Object
from backend.emulator.kube.controllers.turn import Turn

DEFAULT_BACKOFF_LIMIT = 6
"""Failed Pods before a Job gives up (batch/v1 default)."""


def outcome(job: Object, succeeded: int, failed: int) -> list[Condition]:
    """The Job's final conditions; empty while it goes on."""
    spec = job["spec"]
    if succeeded >= spec.get("completions", 1):
        message = "Reached expected number of succeeded pods"
        return [
            Condition("SuccessCriteriaMet", "True", "CompletionsReached", message),
            Condition("Complete", "True", "CompletionsReached", message),
        ]
    if failed > spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT):
        message = "Job has reached the specified backoff limit"
        return [
            Condition("FailureTarget", "True", "BackoffLimitExceeded", message),
            Condition("Failed", "True", "BackoffLimitExceeded", message),
        ]
    return []


def overdue(turn: Turn, job: Object) -> list[Condition]:
    """The final conditions of a Job that has run longer than its activeDeadlineSeconds; empty while it has not."""
    limit, since = job["spec"].get("activeDeadlineSeconds"), job.get("status", {}).get("startTime")
    if limit is None or since is None:
        return []
    end = unix(since) + float(limit)
    if turn.now < end:
        turn.wake_at(end)
        return []
    message = "Job was active longer than specified deadline"
    return [
        Condition("FailureTarget", "True", "DeadlineExceeded", message),
        Condition("Failed", "True", "DeadlineExceeded", message),
    ]


def reconcile_job(turn: Turn, cluster: Cluster, job: Object) -> None:
    """One step of one Job towards its end."""
    store, namespace, name = cluster.store, namespace_of(job), name_of(job)
    previous = job.get("status", {})
    if is_true(job, "Complete") or is_true(job, "Failed"):
        expire(turn, cluster, job)
        return
    pods = owned_by(store.list("/pods", namespace), uid_of(job))
    phases = [pod.get("status", {}).get("phase") for pod in pods]
    succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
    running = [pod for pod in pods if not finished(pod) and not deleting(pod)]
    final = outcome(job, succeeded, failed) or overdue(turn, job)
    if final:
        for pod in running:
            store.delete("/pods", namespace, name_of(pod))
        running = []
    else:
        missing = min(job["spec"].get("parallelism", 1), job["spec"].get("completions", 1) - succeeded) - len(running)
        running += make(turn, cluster, job, missing)[0]
    counts = {"active": len(running), "succeeded": succeeded, "failed": failed}
    status: Object = {
        "startTime": previous.get("startTime", timestamp(turn.now)),
        "ready": sum(is_true(pod, "Ready") for pod in running),
        **{key: count for key, count in counts.items() if count},
        "uncountedTerminatedPods": {},
    }
    if final:
        status["conditions"] = [
            {**each, "lastProbeTime": each["lastTransitionTime"]} for each in conditions((), final, turn.now)
        ]
        if final[-1].type == "Complete":
            status["completionTime"] = timestamp(turn.now)
    if status != previous:
        store.set_status("batch/jobs", namespace, name, status, manager=MANAGER)


def expire(turn: Turn, cluster: Cluster, job: Object) -> None:
    """Delete an ended Job whose ttlSecondsAfterFinished is over."""
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None:
        return
    end = unix(job["status"]["conditions"][-1]["lastTransitionTime"]) + lifetime
    if turn.now >= end:
        cluster.store.delete("batch/jobs", namespace_of(job), name_of(job))
    else:
        turn.wake_at(end)


async def reconcile(turn: Turn) -> None:
    """One step of every Job towards its end."""
    for cluster in turn.world.kube.values():
        for job in cluster.store.list("batch/jobs"):
            if not deleting(job):
                reconcile_job(turn, cluster, job)
