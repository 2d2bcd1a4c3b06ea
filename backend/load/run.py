"""Carries a load test out: makes the Job, looks at the Pods until it ends, and reads its report.

Invariants: a Job that is there already is never disturbed while it runs; a test that is stopped takes its Job with it
where the API server answers, and else the Job ends by itself; an API server that hiccups costs a look and no test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.address import Address
from backend.clients.kinds import JOB, POD
from backend.errors import CloudError, Conflict, PromptError, RateLimited, StepTimeout, Unavailable
from backend.load import report
from backend.load.job import CONTAINER, NAME, OF_JOB, START_S, Load, job
from backend.load.result import ClusterPoint, LoadResult, Point, totals
from backend.load.tally import Tally
from backend.monitor.objects import pod_seen
from backend.monitor.snapshot import Snapshot
from backend.resources.keys import kubectl
from backend.resources.manifests import is_ours
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.clients import Clients
    from backend.monitor import Monitor

LOOK_S = 1.0
"""Seconds between two looks at the Job and the Pods."""
GONE_S, GONE_LOOK_S = 60.0, 0.2
"""Seconds that deleting an ended Job may take, and between two looks at it."""
BLIND_S = 120.0
"""Seconds without an answer of the Job's API server after which a test is given up."""
LOG_LINES = 8
"""Lines of a failed client's log that are told."""

Each = Callable[[Point], Awaitable[None]]
Object = dict[str, Any]


@dataclass(slots=True)
class _Course:
    """What a running test has shown so far."""

    began: float | None = None
    """When the client's container was first seen running."""
    last: float = 0.0
    phase: str = ""
    answered: float = 0.0
    """When the Job's API server answered last."""


class LoadTest:
    """One load test of one stack."""

    def __init__(
        self,
        spec: GatewaySpec,
        clients: Clients,
        load: Load,
        *,
        addresses: Sequence[Address],
        monitor: Monitor,
        note: Callable[[str], None],
        look_s: float = LOOK_S,
    ) -> None:
        """Raises ``UsageError`` and ``PromptError`` for a test that cannot be."""
        load.check(spec)
        self._spec, self._load = spec, load
        self._cluster = load.source(spec)
        self._address = _address(spec, addresses, self._cluster.region)
        self._kube = clients.kube(self._cluster.name)
        self._kubectl = f"{kubectl(clients.project, self._cluster)} -n {spec.pool.namespace}"
        self._monitor, self._note, self._look_s = monitor, note, look_s
        self.tally: Tally = Tally()
        """What came to each cluster since the test began."""
        self._timeline: list[Point] = []
        self._snapshot: Snapshot | None = None
        self._arrived: dict[str, float] = {}
        monitor.listen(self.tally.take)

    async def run(self, each: Each) -> LoadResult:
        """Run to the end; ``each`` gets every look from the moment the client runs.

        Raises ``Conflict`` while another test runs, and what ``each`` raises.
        """
        await self._make_way()
        await self._monitor.look()
        self.tally.begin()
        await self._kube.create(job(self._spec, self._load, self._address.address))
        self._note(f"Job {NAME} on {self._cluster.name} is made; its client starts")
        try:
            failure = await self._follow(each)
        except BaseException:
            await self._take_away()
            raise
        return await self._result(failure)

    async def _take_away(self) -> None:
        with suppress(CloudError):
            await self._kube.delete(JOB, self._spec.pool.namespace, NAME)
            self._note(f"stopped: Job {NAME} on {self._cluster.name} is deleted")

    async def _make_way(self) -> None:
        namespace = self._spec.pool.namespace
        seen = await self._kube.get(JOB, namespace, NAME)
        if seen is None:
            return
        if _end(seen) is None or not is_ours(seen, self._spec):
            whose = "still runs" if is_ours(seen, self._spec) else "belongs to another stack"
            raise Conflict(
                f"Job {NAME} on {self._cluster.name} {whose}",
                cause="one load test at a time: two would measure each other",
                fix=f"wait for its end, or {self._kubectl} delete job {NAME}",
            )
        await self._kube.delete(JOB, namespace, NAME)
        for _ in range(round(GONE_S / GONE_LOOK_S)):
            if await self._kube.get(JOB, namespace, NAME) is None:
                return
            await asyncio.sleep(GONE_LOOK_S)
        raise StepTimeout(
            f"Job {NAME} of an earlier test on {self._cluster.name} does not go away",
            cause="a finalizer holds it",
            fix=f"{self._kubectl} get job {NAME} -o yaml",
        )

    async def _follow(self, each: Each) -> str | None:
        """Look until the Job has ended; why it failed, or None."""
        course = _Course(answered=time.monotonic())
        began = time.monotonic()
        limit = began + START_S + self._load.seconds + self._spec.timeout_s + 60
        while True:
            at = time.monotonic()
            seen, snapshot = await asyncio.gather(self._job(course), self._monitor.look())
            self._snapshot = snapshot
            if course.began is None and await self._running(course):
                course.began = course.last = at
            if course.began is not None:
                point = self._point(snapshot, time.monotonic(), course)
                self._timeline.append(point)
                await each(point)
            end = None if seen is None else _end(seen)
            if end is not None:
                return None if end[0] else end[1]
            if time.monotonic() > limit or time.monotonic() - course.answered > BLIND_S:
                raise StepTimeout(
                    f"the load test on {self._cluster.name} did not end in time",
                    cause=course.phase or "its API server does not answer",
                    fix=f"{self._kubectl} describe job {NAME}",
                )
            await asyncio.sleep(max(0.0, self._look_s - (time.monotonic() - at)))

    async def _job(self, course: _Course) -> Object | None:
        """The Job; None when nobody says. Raises ``Conflict`` when somebody took it away."""
        try:
            seen = await self._kube.get(JOB, self._spec.pool.namespace, NAME)
        except CloudError as error:
            course.phase = error.message
            return None
        course.answered = time.monotonic()
        if seen is None:
            raise Conflict(f"Job {NAME} on {self._cluster.name} was deleted while it ran", fix="run it again")
        return seen

    async def _pod(self) -> Object | None:
        pods = await self._kube.list(POD, self._spec.pool.namespace, OF_JOB)
        return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)

    async def _running(self, course: _Course) -> bool:
        """Whether the client runs, or has run; tells what it waits for."""
        try:
            pod = await self._pod()
        except CloudError:
            return False
        if pod is None:
            return False
        phase = pod_seen(pod).phase
        if phase in {"Running", "Succeeded", "Failed"}:
            return True
        scheduled = next((one for one in _conditions(pod) if one["type"] == "PodScheduled"), {})
        why = str(scheduled.get("message") or "") if scheduled.get("status") == "False" else phase
        if why != course.phase:
            course.phase = why
            self._note(f"the load's Pod waits: {why}")
        return False

    def _point(self, snapshot: Snapshot, at: float, course: _Course) -> Point:
        came = {}
        for cluster in snapshot.clusters:
            count = self.tally.counts.get(cluster.name)
            arrived = 0.0 if count is None else count.arrived
            came[cluster.name] = arrived - self._arrived.get(cluster.name, 0.0)
            self._arrived[cluster.name] = arrived
        total = sum(came.values())
        began = at if course.began is None else course.began
        point = Point(
            round(at - began, 3),
            round(at - course.last, 3),
            tuple(
                ClusterPoint(
                    each.name,
                    came[each.name],
                    came[each.name] / total if total > 0 else None,
                    each.kv_cache,
                    each.running,
                    each.waiting,
                    each.reason,
                )
                for each in snapshot.clusters
            ),
        )
        course.last = at
        return point

    async def _result(self, failure: str | None) -> LoadResult:
        log, unread = await self._log()
        found = report.parse(log)
        failure = failure or unread
        spec, gateway = self._spec, None if self._snapshot is None else self._snapshot.gateway
        counts = [self.tally.counts.get(cluster.name) for cluster in spec.targets]
        if failure is None and found is None:
            failure = "its log has no report"
        if failure is not None and (why := report.cause(log)) is not None:
            failure = f"{why} ({failure})"
        last = [line for line in log.splitlines() if line.strip()][-LOG_LINES:]
        return LoadResult(
            stack=spec.name,
            load=self._load,
            cluster=self._cluster.name,
            region=self._address.region,
            address=self._address.address,
            image=spec.model.image,
            mode=str(spec.balancing.mode),
            target=None if gateway is None else gateway.target,
            report=found,
            errors=report.errors(log),
            clusters=totals(
                [(cluster.name, cluster.region) for cluster in spec.targets],
                [0.0 if count is None else count.arrived for count in counts],
                [0.0 if count is None else count.tokens for count in counts],
                self._timeline,
            ),
            timeline=tuple(self._timeline),
            failure=failure,
            log=() if found is not None else tuple(last),
        )

    async def _log(self) -> tuple[str, str | None]:
        """What the client wrote, and why that could not be read."""
        began = time.monotonic()
        while True:
            try:
                return await self._written(), None
            except CloudError as error:
                passing = isinstance(error, (Unavailable, RateLimited))
                if not passing or time.monotonic() - began > BLIND_S:
                    return "", f"its log could not be read: {error.message}"
            await asyncio.sleep(self._look_s)

    async def _written(self) -> str:
        pod = await self._pod()
        if pod is None:
            return ""
        namespace = self._spec.pool.namespace
        return await self._kube.logs(namespace, pod["metadata"]["name"], CONTAINER, START_S + 2 * self._load.seconds)


def _address(spec: GatewaySpec, addresses: Sequence[Address], region: str) -> Address:
    """The gateway's address in the region, else its first."""
    if not addresses:
        raise PromptError(
            f"the gateway of {spec.name} has no address",
            cause="the stack is not set up, or not completely",
            fix=f"mcig apply {spec.name}",
        )
    return next((one for one in addresses if one.region == region), addresses[0])


def _conditions(obj: Object) -> Sequence[Mapping[str, Any]]:
    return (obj.get("status") or {}).get("conditions") or ()


def _end(seen: Object) -> tuple[bool, str] | None:
    """Whether an ended Job ended well, and what Kubernetes says of it; None while it goes on."""
    for one in _conditions(seen):
        if one.get("status") == "True" and one.get("type") in {"Complete", "Failed"}:
            return one["type"] == "Complete", str(one.get("message") or one.get("reason") or one["type"])
    return None
