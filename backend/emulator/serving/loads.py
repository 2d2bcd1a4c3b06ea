"""What the gateway knows of its Pods: their own metric pages, and the requests that Envoy has under way at each.

A request that was admitted is counted in, with what a request took on average, until Envoy has counted it, so that a
burst does not overshoot. Invariants: nothing is asked while no request comes and none is under way; a Pod whose page
fails has no data.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from backend.emulator.serving.balance import PodLoad, Terms

PERIOD_S = 0.25
"""Real seconds between two looks while there is traffic."""
QUIET_S = 3.0
"""Real seconds without a request after which looking stops."""
ON_ITS_WAY_S = 2.0
"""Real seconds after which an admitted request that Envoy never sent is forgotten: its client hung up."""

WAITING = "vllm:num_requests_waiting"
CACHES = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_TIMEOUT = aiohttp.ClientTimeout(total=1.0)
_SMOOTH = 0.3

Counts = Mapping[str, tuple[float, float]]
"""Address -> requests that Envoy has under way there, and has ever sent there."""


@dataclass(slots=True)
class _Pod:
    address: str
    cluster: str = ""
    region: str = ""
    terms: Terms = field(default_factory=Terms)
    pages: dict[str, frozenset[str]] = field(default_factory=dict)
    """Page address -> the series that are wanted of it."""
    values: dict[str, float] = field(default_factory=dict)
    healthy: bool = True
    in_flight: float = 0
    sent: float = 0
    """Requests that Envoy has ever sent here."""
    admitted: deque[float] = field(default_factory=deque)
    """When the requests were admitted that Envoy had not sent at the last look."""
    per_request: dict[str, float] = field(default_factory=dict)
    """Series -> what one request under way takes of it, smoothed."""
    arrivals: deque[float] = field(default_factory=deque)

    def arrived(self, sent: float) -> None:
        """Take over how many requests Envoy has sent; as many of those on their way have come."""
        come, self.sent = sent - self.sent, sent
        while self.admitted and come >= 1:
            self.admitted.popleft()
            come -= 1

    def forget(self, before: float) -> None:
        """Forget requests that were admitted earlier than that and never came."""
        while self.admitted and self.admitted[0] < before:
            self.admitted.popleft()


def series(page: str, wanted: Iterable[str]) -> dict[str, float]:
    """The values of the wanted series on a Prometheus text page; several of one name add up, odd lines are skipped."""
    names = frozenset(wanted)
    found: dict[str, float] = {}
    for line in page.split("\n"):
        end = line.find("{")
        name = line[:end] if end > 0 else line.partition(" ")[0]
        if name not in names:
            continue
        with contextlib.suppress(ValueError, IndexError):
            value = float(line.rpartition("}")[2].split()[0] if end > 0 else line.split()[1])
            if math.isfinite(value):
                found[name] = found.get(name, 0.0) + value
    return found


class Loads:
    """The loads of all Pods behind the gateway."""

    def __init__(self, admin: aiohttp.ClientSession, pages: aiohttp.ClientSession) -> None:
        self._admin = admin
        self._pages = pages
        self._pods: dict[str, _Pod] = {}
        self._wake = asyncio.Event()
        self._last_request = float("-inf")
        self._task = asyncio.create_task(self._run())

    def want(self, endpoints: Iterable[Mapping[str, Any]]) -> None:
        """Know exactly these endpoints; what is known of those that stay is kept."""
        pods: dict[str, _Pod] = {}
        for each in endpoints:
            address = f"{each['host']}:{each['port']}"
            terms = Terms(**{**each["terms"], "gauges": each["gauges"]})
            pages: dict[str, set[str]] = {f"http://{address}/metrics": {WAITING, *CACHES}}
            for gauge in terms.gauges:
                pages.setdefault(f"http://{each['host']}:{gauge.port}{gauge.path}", set()).add(gauge.series)
            pod = self._pods.get(address) or _Pod(address)
            pod.cluster, pod.region, pod.terms = each["cluster"], each["region"], terms
            pod.pages = {url: frozenset(names) for url, names in pages.items()}
            pods[address] = pod
        self._pods = pods

    def of(self, addresses: Iterable[str]) -> list[PodLoad]:
        """What is known of these Pods now, the unhealthy ones left out."""
        now = asyncio.get_running_loop().time()
        self._last_request = now
        self._wake.set()
        return [self._load(pod, now) for each in addresses if (pod := self._pods.get(each)) and pod.healthy]

    def admit(self, address: str) -> None:
        """Count a request that is sent to a Pod now."""
        pod = self._pods[address]
        now = asyncio.get_running_loop().time()
        pod.admitted.append(now)
        pod.arrivals.append(now)

    async def look(self) -> None:
        """Ask Envoy, then every Pod side by side, so that what Envoy had sent is on the Pods' pages."""
        counts = await self._ask_envoy()
        await asyncio.gather(*(self._ask_pod(pod, counts) for pod in self._pods.values()))

    async def close(self) -> None:
        """Stop looking."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _load(self, pod: _Pod, now: float) -> PodLoad:
        while pod.arrivals and pod.arrivals[0] < now - 1:
            pod.arrivals.popleft()

        def value(name: str) -> float | None:
            seen = pod.values.get(name)
            return None if seen is None else min(1.0, seen + len(pod.admitted) * pod.per_request.get(name, 0.0))

        gauges = {gauge.series: found for gauge in pod.terms.gauges if (found := value(gauge.series)) is not None}
        caches = [found for name in CACHES if (found := value(name)) is not None]
        return PodLoad(
            address=pod.address,
            cluster=pod.cluster,
            region=pod.region,
            terms=pod.terms,
            in_flight=pod.in_flight + len(pod.admitted),
            rate=len(pod.arrivals),
            utilisation=gauges,
            waiting=pod.values.get(WAITING, 0.0),
            cache=caches[0] if caches else None,
        )

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            busy = any(pod.in_flight or pod.admitted for pod in self._pods.values())
            if not busy and loop.time() - self._last_request > QUIET_S:
                self._wake.clear()
                await self._wake.wait()
            await self.look()
            await asyncio.sleep(PERIOD_S)

    async def _ask_envoy(self) -> Counts | None:
        """Requests under way and ever sent by address, None without an answer; who is healthy is taken over."""
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._admin.get("http://envoy/clusters?format=json", timeout=_TIMEOUT) as response:
                clusters = json.loads(await response.text()).get("cluster_statuses", [])
            counts: dict[str, tuple[float, float]] = {}
            failed: set[str] = set()
            for host in (host for cluster in clusters for host in cluster.get("host_statuses", [])):
                socket = host.get("address", {}).get("socket_address")
                if socket is None:
                    continue
                address = f"{socket['address']}:{socket['port_value']}"
                stats = {each["name"]: float(each.get("value", 0)) for each in host.get("stats", [])}
                active, sent = counts.get(address, (0.0, 0.0))
                counts[address] = active + stats.get("rq_active", 0.0), sent + stats.get("rq_total", 0.0)
                if any(state for name, state in host.get("health_status", {}).items() if name.startswith("failed_")):
                    failed.add(address)
            for pod in self._pods.values():
                pod.healthy = pod.address not in failed
            return counts
        return None

    async def _ask_pod(self, pod: _Pod, counts: Counts | None) -> None:
        """Read a Pod's pages, and take them over together with what Envoy had counted before."""
        values: dict[str, float] = {}
        for url, wanted in pod.pages.items():
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, UnicodeDecodeError):
                async with self._pages.get(url, timeout=_TIMEOUT) as response:
                    if response.status == 200:
                        values |= series(await response.text(), wanted)
        pod.values = values
        if counts is not None:
            pod.in_flight, sent = counts.get(pod.address, (0.0, 0.0))
            pod.arrived(sent)
        pod.forget(asyncio.get_running_loop().time() - ON_ITS_WAY_S)
        if pod.in_flight >= 1:
            for name, value in values.items():
                if name != WAITING and value > 0:
                    one = value / pod.in_flight
                    last = pod.per_request.get(name, one)
                    pod.per_request[name] = last + _SMOOTH * (one - last)
