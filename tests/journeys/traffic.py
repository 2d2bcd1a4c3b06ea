"""A person's kubectl and clients at a stack that serves: changes objects by hand, asks, and counts who answered."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.journeys.terminal import Terminal
from tests.warm.client import TIMEOUT_S

SETTLE_S = 45.0
"""Seconds of wall clock within which a change has to show in the traffic."""
PATIENCE_S = 4.0
"""Seconds after which a client gives up."""
ASKED = {"model": "food-review-1", "prompt": "pizza", "max_tokens": 2}
"""What is asked when nothing else is said."""
KUBECTL = Path(sys.executable).with_name("kubectl")


class Serving:
    """The rehearsal, applied."""

    def __init__(self, terminal: Terminal, *settings: str) -> None:
        self._terminal = terminal
        options = [word for setting in settings for word in ("--set", setting)]
        terminal.mcig("apply", "rehearsal", "--yes", "--json", "--speed", "max", *options)
        status = terminal.mcig("status", "rehearsal", "--json").document
        self.doors = {each["region"]: each["base_url"] for each in status["addresses"]}
        """Region -> base URL of the gateway's address there, from this machine."""
        home = Path(terminal.environ["MCIG_HOME"])
        self._emulator = home / "emulator"
        clusters = yaml.safe_load((home / "state" / "kubeconfig").read_text())["clusters"]
        self._servers = {each["name"].rpartition("_")[2]: each["cluster"]["server"] for each in clusters}

    def kubectl(self, cluster: str, *words: str) -> str:
        """What kubectl prints; fails unless it ends with 0."""
        token = (self._emulator / "token").read_text().strip()
        access = ["--kubeconfig", os.devnull, "--server", self._servers[cluster], "--token", token]
        authority = f"--certificate-authority={self._emulator / 'ca.pem'}"
        environ = {name: value for name, value in self._terminal.environ.items() if not name.endswith("_PROXY")}
        run = subprocess.run(
            [KUBECTL, *access, authority, *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def patch(self, default: dict[str, Any]) -> None:
        """Change `spec.default` of the backend policy by a merge patch."""
        found = json.loads(self.kubectl("gke-west", "get", "gcpbackendpolicies", "-o", "json"))["items"]
        (name,) = (
            f"gcpbackendpolicy/{each['metadata']['name']}"
            for each in found
            if each["spec"]["targetRef"]["kind"] == "GCPInferencePoolImport"
        )
        change = json.dumps({"spec": {"default": default}})
        self.kubectl("gke-west", "patch", name, "--type", "merge", "-p", change)

    def asked(self, region: str, count: int = 1, **body: Any) -> Counter[int]:
        """Status -> how many of so many requests at once through a region's address got it; 0 is none in time."""
        return asyncio.run(self._ask(f"{self.doors[region]}/completions", count, body))

    def answered(self, *clusters: str) -> Counter[str]:
        """Cluster -> requests that its model servers have finished, by their own counters; all clusters unless told."""
        found: Counter[str] = Counter()
        for cluster in clusters or self._servers:
            names = self.kubectl(
                cluster, "get", "pods", "-l", "app=vllm-llama3-8b-instruct", "-o", "jsonpath={.items[*].metadata.name}"
            )
            for name in names.split():
                page = self.kubectl(
                    cluster, "get", "--raw", f"/api/v1/namespaces/default/pods/{name}:8000/proxy/metrics"
                )
                found[cluster] += sum(
                    map(int, re.findall(r"^vllm:request_success_total\{.*\} (\d+)", page, re.MULTILINE))
                )
        return found

    def asked_past_the_gateway(self, cluster: str) -> int:
        """Status of a request to a model server of a cluster through the API server's Pod proxy."""
        return asyncio.run(self._ask_pod(cluster))

    def split(self, region: str, count: int, **body: Any) -> Counter[str]:
        """Cluster -> how many of so many requests at once through a region's address it answered."""
        before = self.answered()
        assert self.asked(region, count, **body) == {200: count}
        return self.answered() - before

    def until(self, true: Callable[[], bool]) -> float:
        """Wait until something holds; the seconds that it took. Fails after `SETTLE_S`."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < SETTLE_S, "the traffic did not follow in time"
            time.sleep(0.2)
        return time.monotonic() - began

    async def _ask_pod(self, cluster: str) -> int:
        headers = {"Authorization": f"Bearer {(self._emulator / 'token').read_text().strip()}"}
        context = ssl.create_default_context(cafile=self._emulator / "ca.pem")
        pods = f"{self._servers[cluster]}/api/v1/namespaces/default/pods"
        chosen = {"labelSelector": "app=vllm-llama3-8b-instruct"}
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(headers=headers, connector=connector, raise_for_status=True) as http:
            async with http.get(pods, params=chosen) as listed:
                name = (await listed.json())["items"][0]["metadata"]["name"]
            async with http.post(f"{pods}/{name}:8000/proxy/v1/completions", json=ASKED) as response:
                await response.read()
                return response.status

    async def _ask(self, url: str, count: int, body: dict[str, Any]) -> Counter[int]:
        wanted = ASKED | body

        async def one(http: aiohttp.ClientSession) -> int:
            try:
                async with http.post(url, json=wanted) as response:
                    await response.read()
                    return response.status
            except TimeoutError:
                return 0

        patience, many = aiohttp.ClientTimeout(total=PATIENCE_S), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=patience, connector=many) as http:
            return Counter(await asyncio.gather(*(one(http) for _ in range(count))))
