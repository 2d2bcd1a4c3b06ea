"""The Job of a load test, as a plain dict: vLLM's own client in the model server's image.

Invariants: the Job carries the stack's marks, tries once, ends by itself and is forgotten by itself; the Hugging Face
token reaches it from the cluster's Secret only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.clients.kinds import JOB
from backend.errors import UsageError
from backend.resources.manifests import SECRET_KEY, SECRET_NAME, marked
from backend.spec import ClusterSpec, GatewaySpec

NAME = "mcig-load"
CONTAINER = "load"
OF_JOB = {"batch.kubernetes.io/job-name": NAME}
"""Label that Kubernetes puts on the Pods of the Job."""
PROMPT_TOKENS, MAX_TOKENS = 4000, 200
"""Lengths by default: long enough that an H100's KV cache, not its arithmetic, is what fills."""
LONGEST_S = 6 * 3600
MOST_A_SECOND = 10_000
START_S = 1800
"""Seconds that pulling the image and loading the tokenizer may take beside the test itself."""
KEPT_S = 600
"""Seconds for which an ended Job and its log are kept."""
STARTS_ANYWHERE = (0, 11)
"""vLLM's command line starts on a node without a GPU from here on (vllm-project/vllm pull request 25283)."""
AS_ON_A_CPU = (
    "from vllm.platforms import current_platform as found; "
    "found.device_type = found.device_type or 'cpu'; "
    "from vllm.entrypoints.cli.main import main; main()"
)
"""The same command line for older versions, which else end with "Failed to infer device type" where no GPU is; the
client runs no model, so what it takes the node for does not matter."""


@dataclass(frozen=True, slots=True)
class Load:
    """The traffic that is wanted; raises ``UsageError`` for what cannot be."""

    rate: float
    """Requests a second, with exponential gaps."""
    seconds: float
    """How long requests go out; the last ones are waited for."""
    region: str | None = None
    """Region of the cluster that they come from; the config cluster without one."""
    prompt_tokens: int = PROMPT_TOKENS
    max_tokens: int = MAX_TOKENS
    """Tokens of every answer: none ends earlier."""

    def __post_init__(self) -> None:
        for name, value, most in (("--rate", self.rate, MOST_A_SECOND), ("--seconds", self.seconds, LONGEST_S)):
            if not (math.isfinite(value) and 0 < value <= most):
                raise UsageError(
                    f"{name} {value:g} cannot be", cause=f"it is a number above 0 and at most {most}", fix=f"{name} 10"
                )
        for name, tokens in (("--prompt-tokens", self.prompt_tokens), ("--max-tokens", self.max_tokens)):
            if tokens < 1:
                raise UsageError(f"{name} {tokens} cannot be", cause="it is a whole number from 1", fix=f"{name} 100")

    @property
    def requests(self) -> int:
        """How many requests are sent."""
        return max(1, round(self.rate * self.seconds))

    def check(self, spec: GatewaySpec) -> None:
        """Raise ``UsageError`` when the model cannot take such requests."""
        longest, asked = spec.model.max_model_len, self.prompt_tokens + self.max_tokens
        if longest is not None and asked > longest:
            raise UsageError(
                f"{self.prompt_tokens} and {self.max_tokens} tokens do not fit the model's context of {longest}",
                cause="model.max_model_len of the specification bounds prompt and answer together",
                fix=f"--prompt-tokens {max(1, longest - self.max_tokens)}",
            )

    def source(self, spec: GatewaySpec) -> ClusterSpec:
        """The cluster that the requests come from; raises ``UsageError`` when the region has none."""
        if self.region is None:
            return spec.config
        for cluster in (*spec.targets, *spec.clusters):
            if cluster.region == self.region:
                return cluster
        raise UsageError(
            f"{spec.name} has no cluster in {self.region}",
            cause=f"its clusters are in {', '.join(sorted({cluster.region for cluster in spec.clusters}))}",
            fix="name one of these regions",
        )


def words(spec: GatewaySpec, load: Load, address: str) -> list[str]:
    """The command line of vLLM's client against one address of the gateway."""
    port = "" if spec.gateway.port == 80 else f":{spec.gateway.port}"
    version = spec.model.version
    old = version is not None and version < STARTS_ANYWHERE
    return [
        *(("python3", "-c", AS_ON_A_CPU) if old else ("vllm",)), "bench", "serve",
        "--base-url", f"http://{address}{port}",
        "--model", spec.model.id,
        "--dataset-name", "random",
        "--random-input-len", str(load.prompt_tokens),
        "--random-output-len", str(load.max_tokens),
        "--num-prompts", str(load.requests),
        "--request-rate", f"{load.rate:g}",
        "--ignore-eos",
        "--disable-tqdm",
    ]  # fmt: skip


def job(spec: GatewaySpec, load: Load, address: str) -> dict[str, Any]:
    """The Job that sends the requests to one address of the gateway."""
    token: Mapping[str, Any] = {"secretKeyRef": {"name": SECRET_NAME, "key": SECRET_KEY}}
    container = {
        "name": CONTAINER,
        "image": spec.model.image,
        "imagePullPolicy": "IfNotPresent",
        "command": words(spec, load, address),
        "env": [{"name": "HF_TOKEN", "valueFrom": token}, {"name": "HOME", "value": "/scratch"}],
        "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "8Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    made = {
        "apiVersion": JOB.group_version,
        "kind": JOB.name,
        "metadata": {"name": NAME, "namespace": spec.pool.namespace},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "activeDeadlineSeconds": START_S + math.ceil(load.seconds) + spec.timeout_s,
            "template": {"metadata": {"labels": {"app": NAME}}, "spec": pod},
        },
    }
    return marked(made, spec)
