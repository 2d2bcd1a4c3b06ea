"""What every cluster serves: the model, its server, and the pool that groups the servers."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from backend.spec.part import DnsLabel, Part, Port


class Adapter(Part):
    """A LoRA adapter that the model servers load beside the base model."""

    name: str = Field(min_length=1, max_length=128)
    """The model name that requests use."""
    source: str = Field(min_length=1)
    """Hugging Face repository of the adapter."""


class Model(Part):
    """What is served, and by which server."""

    name: DnsLabel = "vllm-llama3-8b-instruct"
    """Name of the Deployment and value of the Pods' ``app`` label."""
    id: str = Field(default="meta-llama/Llama-3.1-8B-Instruct", pattern=r"^[\w.-]+/[\w.-]+$")
    """Hugging Face repository of the base model."""
    image: str = Field(default="vllm/vllm-openai:v0.8.5", pattern=r"^\S+:\S+$")
    """Container image with a tag; the tag decides the name of the KV-cache metric."""
    replicas: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = "auto"
    """Pods per cluster; ``auto`` is one for each GPU of the pool."""
    max_model_len: int | None = Field(default=None, ge=256)
    """Longest context in tokens; ``null`` leaves the model's own."""
    adapters: tuple[Adapter, ...] = (Adapter(name="food-review-1", source="Kawon/llama3.1-food-finetune_v14_r8"),)
    """LoRA adapters of the base model; ``[]`` for none."""

    @property
    def version(self) -> tuple[int, int, int] | None:
        """The vLLM version in the image's tag; ``None`` when the tag is not a version."""
        found = re.search(r":v?(\d+)\.(\d+)(?:\.(\d+))?", self.image)
        return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None

    @property
    def served_name(self) -> str:
        """What is asked for when nothing is named: the first adapter, else the base model."""
        return self.adapters[0].name if self.adapters else self.id

    @property
    def kv_cache_metric(self) -> str:
        """The Prometheus name under which this vLLM reports KV-cache use (renamed in 0.9, vllm-project/vllm#18354)."""
        old = self.version is not None and self.version < (0, 9, 0)
        return "vllm:gpu_cache_usage_perc" if old else "vllm:kv_cache_usage_perc"

    @property
    def kv_cache_export(self) -> str:
        """The document's export name of that metric, as the load balancer then knows it."""
        return "kv-cache-old" if self.kv_cache_metric.startswith("vllm:gpu") else "kv-cache"


class Objective(Part):
    """The InferenceObjective that requests may name in a header."""

    name: DnsLabel = "food-review"
    """Name that requests give in the header ``x-gateway-inference-objective``."""
    priority: int = Field(default=10, ge=-1000, le=1000)
    """Requests of a negative one are refused first when the servers are full."""


class Pool(Part):
    """The InferencePool on every cluster, as the inferencepool chart renders it."""

    name: DnsLabel = "vllm-llama3-8b-instruct"
    """Name of the pool and of the Helm release whose objects it is made of."""
    namespace: DnsLabel = "default"
    """Namespace of everything that is not cluster-wide, on every cluster."""
    port: Port = 8000
    """Port of the model servers."""
    chart: Literal["v1.1.0"] = "v1.1.0"
    """Version of the chart whose objects are applied."""
    monitoring: bool = True
    """Whether the chart's seven monitoring objects are part of it."""
