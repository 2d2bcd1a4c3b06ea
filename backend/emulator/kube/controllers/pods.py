"""Pods to processes: placed on a Node, started after their images and weights would be there, watched, ended.

`tables["processes"]` holds what was handed to the kubelet (Pod uid -> where, since when, how often restarted): the
processes themselves die with the emulator and are started again from it. Invariant: a process runs only for a Pod
that exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any

from backend.emulator import faults
from backend.emulator.kube.controllers.objects import (
    deleting,
    digest,
    name_of,
    namespace_of,
    path_of,
    timestamp,
    uid_of,
    unix,
)
from backend.emulator.kube.controllers.podspec import Missing, check_secret_volumes, describe, files, resolved
from backend.emulator.kube.controllers.podstatus import Life, Stage, pending, placed
from backend.emulator.kube.controllers.preemption import ending
from backend.emulator.kube.controllers.replicasets import finished
from backend.emulator.kube.controllers.scheduling import choose, tolerations
from backend.emulator.kube.controllers.seams import Cluster, Object, Store
from backend.emulator.kube.controllers.turn import Turn
from backend.emulator.serving.podspec import ServerWork, work_of

SCHEDULER, KUBELET = "kube-scheduler", "kubelet"
PULL_SHARE = 0.25
"""Part of a model server's start that goes by before its container runs: 69 of 278 s in the llm-d H100 benchmark."""
CRASHED, KILLED = 1, 137
"""Exit codes of a process that a fault ends, and of one that the kubelet does."""
BACKOFF_S, LONGEST_BACKOFF_S = 10, 300
"""The kubelet's pause before a restart doubles from 10 s to 5 minutes."""
FORGIVEN_S = 600
"""After so many seconds of running the kubelet forgets earlier ends."""


def is_model_server(pod: Object) -> bool:
    """Whether the Pod loads a model before it is ready; vLLM's load-test client has the same image and does not."""
    return isinstance(work_of(pod, {}), ServerWork)


def place(cluster: Cluster, pod: Object, pods: list[Object], now: float) -> Object | None:
    """Bind a Pod to a Node; None when no Node can take it, which its status then says."""
    store = cluster.store
    living = [each for each in pods if each["spec"].get("nodeName") and not finished(each)]
    node, message = choose(pod, store.list("/nodes"), living)
    if node is not None:
        spec = {**pod["spec"], "nodeName": node, "tolerations": tolerations(pod["spec"])}
        return store.replace("/pods", {**pod, "spec": spec}, manager=SCHEDULER)
    write(store, pod, pending(pod, message, now), SCHEDULER)
    return None


def write(store: Store, pod: Object, status: Object, manager: str) -> Object:
    """Write a Pod's status if it says something new and the Pod is still there; returns the Pod as it is then."""
    present = store.get("/pods", namespace_of(pod), name_of(pod))
    if present is None or uid_of(present) != uid_of(pod) or present.get("status") == status:
        return pod
    return store.set_status("/pods", namespace_of(pod), name_of(pod), status, manager=manager)


def pod_ip(pod: Object, node: Object, pods: list[Object]) -> str:
    """The Pod's address: the one it has, else one of its Node's range that no other Pod has."""
    own: str = pod.get("status", {}).get("podIP", "")
    if own:
        return own
    taken = {each.get("status", {}).get("podIP") for each in pods}
    network = IPv4Network(node["spec"]["podCIDR"])
    first = digest(path_of(pod), uid_of(pod)) % 250
    hosts = (str(network.network_address + 2 + (first + step) % 250) for step in range(250))
    return next((host for host in hosts if host not in taken), "")


def internal_ip(node: Object) -> str:
    """The Node's address in the VPC."""
    return str(next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"))


async def live(turn: Turn, cluster: Cluster, pod: Object) -> Life:
    """Take a placed Pod as far as it can go now, and say where it is."""
    store, uid = cluster.store, uid_of(pod)
    processes: dict[str, Any] = turn.world.tables.setdefault("processes", {})
    record = processes.get(uid)
    try:
        check_secret_volumes(store, pod)
        mounted = files(store, pod)
    except Missing:
        if record is None:
            return Life(Stage.WAITING, "ContainerCreating")
        mounted = {}
    loads = is_model_server(pod)
    what, key = ("model-server.start" if loads else "pod.start"), f"{cluster.key}/{path_of(pod)}"
    if record is None and not turn.waited(what, key, uid, PULL_SHARE if loads else 1.0):
        return Life(Stage.WAITING, "ContainerCreating")
    try:
        plain = resolved(store, pod)
    except Missing as missing:
        if record is None:
            return Life(Stage.WAITING, "CreateContainerConfigError", str(missing))
        plain = None
    if record is None:
        record = processes[uid] = {"cluster": cluster.key, "started": turn.now, "restarts": 0, "loading": loads}
    if record["loading"] and record.get("endedRun") == record["restarts"]:
        return await again(turn, cluster, pod, record, record["exitCode"])
    if record["loading"] and not loaded(turn, key, uid, record["restarts"]):
        if impatient(turn, pod, record["restarts"]):
            return await again(turn, cluster, pod, record, KILLED)
        return life_of(Stage.STARTED, record)
    record["loading"] = False
    if loads and faults.crashing(turn.world, cluster.key.partition("/")[0]):
        return await crash(turn, cluster, pod, record)
    if plain is not None:
        has_model = record.get("servedRun") == record["restarts"]
        await turn.world.kubelet.run(cluster.key, plain, mounted, has_model=has_model)
    return await watch(turn, cluster, pod, record)


def loaded(turn: Turn, key: str, uid: str, restarts: int) -> bool:
    """Whether the weights are in the GPUs; another start loads them anew."""
    again = f" {restarts}" if restarts else ""
    return turn.waited("model-server.start", f"{key}{again}", f"{uid} loading{again}", 1 - PULL_SHARE)


def impatient(turn: Turn, pod: Object, restarts: int) -> bool:
    """Whether a start-up probe has failed as often as it may, which ends its container; paced like the loading."""
    probes = [each["startupProbe"] for each in pod["spec"]["containers"] if "startupProbe" in each]
    patience = [
        float(one.get("initialDelaySeconds", 0)) + float(one.get("periodSeconds", 10)) * one.get("failureThreshold", 3)
        for one in probes
    ]
    limit = turn.world.pace.played(min(patience, default=0.0))
    return bool(probes) and turn.elapsed(f"startup {uid_of(pod)} {restarts}", limit)


def life_of(stage: Stage, record: dict[str, Any]) -> Life:
    """A stage with what is known of the last start and the last end."""
    return Life(
        stage,
        started=record["started"],
        ended=record.get("ended", 0.0),
        exit_code=record.get("exitCode", 0),
        restarts=record["restarts"],
    )


async def watch(turn: Turn, cluster: Cluster, pod: Object, record: dict[str, Any]) -> Life:
    """Where the Pod's process is; one that ended is started again when its restart policy says so."""
    state = turn.world.kubelet.state(cluster.key, uid_of(pod))
    if state.exit_code is None:
        if state.ready:
            record["servedRun"] = record["restarts"]
        return life_of(Stage.READY if state.ready else Stage.STARTED, record)
    return await again(turn, cluster, pod, record, state.exit_code)


async def crash(turn: Turn, cluster: Cluster, pod: Object, record: dict[str, Any]) -> Life:
    """Where a Pod is whose process ends as soon as it runs."""
    await turn.world.kubelet.end(cluster.key, uid_of(pod))
    return await again(turn, cluster, pod, record, CRASHED)


async def again(turn: Turn, cluster: Cluster, pod: Object, record: dict[str, Any], code: int) -> Life:
    """Where a Pod is whose process has ended: over, or between two runs."""
    kubelet, uid, restarts = turn.world.kubelet, uid_of(pod), record["restarts"]
    policy = pod["spec"].get("restartPolicy", "Always")
    if record.get("endedRun") != restarts:
        forgiven = turn.now - record["started"] > FORGIVEN_S
        ends = 0 if forgiven else record.get("ends", restarts)
        record |= {"endedRun": restarts, "ended": turn.now, "exitCode": code, "ends": ends + 1}
    past = {"started": record["started"], "ended": record["ended"], "exit_code": code, "restarts": restarts}
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        stage, reason = (Stage.FAILED, "Error") if code else (Stage.SUCCEEDED, "Completed")
        return Life(stage, reason, **past)
    pause = min(BACKOFF_S * 2 ** (record["ends"] - 1), LONGEST_BACKOFF_S)
    if not turn.elapsed(f"restart {uid} {restarts}", pause):
        container = pod["spec"]["containers"][0]["name"]
        message = f"back-off {pause}s restarting failed container={container} pod={describe(pod)}"
        return Life(Stage.CRASHED, "CrashLoopBackOff", message, **past)
    await kubelet.end(cluster.key, uid)
    record |= {"restarts": restarts + 1, "started": turn.now}
    turn.wake_at(turn.now)
    return Life(Stage.STARTED, **{**past, "started": turn.now, "restarts": restarts + 1})


def overdue(turn: Turn, pod: Object) -> bool:
    """Whether the Pod has run longer than its activeDeadlineSeconds."""
    limit, since = pod["spec"].get("activeDeadlineSeconds"), pod.get("status", {}).get("startTime")
    if limit is None or since is None:
        return False
    end = unix(since) + float(limit)
    turn.wake_at(end)
    return turn.now >= end


async def advance(turn: Turn, cluster: Cluster, pod: Object, pods: list[Object], nodes: Mapping[str, Object]) -> Object:
    """One step of one Pod that is on a Node; returns the Pod after it."""
    store, node = cluster.store, nodes[pod["spec"]["nodeName"]]
    since = pod.get("status", {}).get("startTime", timestamp(turn.now))
    if overdue(turn, pod):
        await turn.world.kubelet.end(cluster.key, uid_of(pod))
        record = turn.world.tables.get("processes", {}).get(uid_of(pod), {})
        message = "Pod was active on the node longer than the specified deadline"
        life = Life(Stage.FAILED, "DeadlineExceeded", message, record.get("started", turn.now), turn.now, 137)
    elif ending(turn.world, name_of(node)):
        await turn.world.kubelet.end(cluster.key, uid_of(pod))
        record = turn.world.tables.get("processes", {}).get(uid_of(pod), {})
        message = "Pod was terminated in response to imminent node shutdown."
        life = Life(Stage.FAILED, "Terminated", message, record.get("started", turn.now), turn.now, 137)
    else:
        life = await live(turn, cluster, pod)
    status = placed(pod, life, host_ip=internal_ip(node), pod_ip=pod_ip(pod, node, pods), since=since, now=turn.now)
    return write(store, pod, status, KUBELET)


async def sweep(turn: Turn) -> None:
    """End every process whose Pod, or whose cluster, is gone."""
    processes = turn.world.tables.get("processes", {})
    living = {uid_of(pod) for cluster in turn.world.kube.values() for pod in cluster.store.list("/pods")}
    for uid in processes.keys() - living:
        await turn.world.kubelet.end(processes[uid]["cluster"], uid)
        processes.pop(uid, None)


async def remove(turn: Turn, cluster: Cluster, pod: Object) -> None:
    """End a Pod that was asked to go: its process first, then the object."""
    await turn.world.kubelet.end(cluster.key, uid_of(pod))
    turn.world.tables.get("processes", {}).pop(uid_of(pod), None)
    cluster.store.finalize_delete("/pods", namespace_of(pod), name_of(pod))


async def reconcile_cluster(turn: Turn, cluster: Cluster) -> None:
    """One step of every Pod of a cluster."""
    store = cluster.store
    nodes = {name_of(each): each for each in store.list("/nodes")}
    pods = {uid_of(each): each for each in store.list("/pods")}
    for uid, seen in list(pods.items()):
        pod = store.get("/pods", namespace_of(seen), name_of(seen))
        if pod is None or uid_of(pod) != uid:
            continue
        others = [other for other in pods.values() if other is not seen]
        node = pod["spec"].get("nodeName")
        if deleting(pod) or (node and node not in nodes):
            await remove(turn, cluster, pod)
            del pods[uid]
        elif not finished(pod):
            bound = pod if node else place(cluster, pod, others, turn.now)
            if bound is not None:
                pods[uid] = await advance(turn, cluster, bound, others, nodes)


async def reconcile(turn: Turn) -> None:
    """One step of every Pod; those of a cluster that is down stay as they are."""
    await sweep(turn)
    for cluster in list(turn.world.kube.values()):
        if not faults.down(turn.world, cluster.key.partition("/")[0]):
            await reconcile_cluster(turn, cluster)
