"""vLLM's Prometheus metrics with the names, types and labels of the version in the image tag.

Invariant: a series is exported only if that version of vLLM exports it. v0.8.5 has `vllm:gpu_cache_usage_perc` and not
`vllm:kv_cache_usage_perc`; 0.9 to 0.11 have both; later ones only the second (vLLM pull requests 18354 and 29330).
"""

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from backend.emulator.serving.vllm_args import ServerConfig

_TTFT = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_LATENCY = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0)
_FINISH_REASONS = ("stop", "length", "abort")


def _sizes(limit: int) -> tuple[float, ...]:
    """Buckets 1, 2, 5, 10, 20, 50 ... up to the context length, as vLLM builds them."""
    values = (float(digit * 10**power) for power in range(9) for digit in (1, 2, 5))
    return tuple(value for value in values if value <= limit)


class Metrics:
    """The metrics of one model server, in a registry of its own."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._registry = CollectorRegistry()
        self._labels = {"model_name": config.served_names[0]}
        if config.version >= (0, 9, 0):
            self._labels["engine"] = "0"
        self._running = self._gauge("vllm:num_requests_running", "Number of requests in model execution batches.")
        self._waiting = self._gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.")
        usage: list[Gauge] = []
        if config.version < (0, 12, 0):
            usage.append(self._gauge("vllm:gpu_cache_usage_perc", "GPU KV-cache usage. 1 means 100 percent usage."))
        if config.version >= (0, 9, 0):
            usage.append(self._gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage."))
        self._usage = usage
        prefix = "vllm:gpu_prefix_cache" if config.version < (0, 9, 0) else "vllm:prefix_cache"
        self.prefix_queries = self._counter(f"{prefix}_queries", "Prefix cache queries, in number of queried tokens.")
        self.prefix_hits = self._counter(f"{prefix}_hits", "Prefix cache hits, in number of cached tokens.")
        self.preemptions = self._counter("vllm:num_preemptions", "Cumulative number of preemption from the engine.")
        self.prompt_tokens = self._counter("vllm:prompt_tokens", "Number of prefill tokens processed.")
        self.generation_tokens = self._counter("vllm:generation_tokens", "Number of generation tokens processed.")
        success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*self._labels, "finished_reason"),
            registry=self._registry,
        )
        self._success = {r: success.labels(**self._labels, finished_reason=r) for r in _FINISH_REASONS}
        sizes = _sizes(config.max_model_len)
        self.request_prompt_tokens = self._histogram(
            "vllm:request_prompt_tokens", "Number of prefill tokens processed.", sizes
        )
        self.request_generation_tokens = self._histogram(
            "vllm:request_generation_tokens", "Number of generation tokens processed.", sizes
        )
        self.time_to_first_token = self._histogram(
            "vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", _TTFT
        )
        per_token = (
            "vllm:time_per_output_token_seconds" if config.version < (0, 11, 0) else "vllm:inter_token_latency_seconds"
        )
        self.time_per_token = self._histogram(per_token, "Histogram of inter-token latency in seconds.", _PER_TOKEN)
        self.e2e_latency = self._latency("e2e_request_latency", "end to end request latency")
        self.queue_time = self._latency("request_queue_time", "time spent in WAITING phase for request")
        self.inference_time = self._latency("request_inference_time", "time spent in RUNNING phase for request")
        self.prefill_time = self._latency("request_prefill_time", "time spent in PREFILL phase for request")
        self.decode_time = self._latency("request_decode_time", "time spent in DECODE phase for request")
        self._lora = (
            Gauge(
                "vllm:lora_requests_info",
                "Running stats on lora requests.",
                ("max_lora", "waiting_lora_adapters", "running_lora_adapters"),
                registry=self._registry,
            )
            if config.lora
            else None
        )
        cache = {"block_size": str(config.block_size), "num_gpu_blocks": str(config.gpu_blocks)}
        if config.version >= (0, 9, 0):
            cache["engine"] = "0"
        Gauge(
            "vllm:cache_config_info", "Information of the LLMEngine CacheConfig", tuple(cache), registry=self._registry
        ).labels(**cache).set(1)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, tuple(self._labels), registry=self._registry).labels(**self._labels)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, tuple(self._labels), registry=self._registry).labels(**self._labels)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        family = Histogram(name, text, tuple(self._labels), registry=self._registry, buckets=buckets)
        return family.labels(**self._labels)

    def _latency(self, name: str, text: str) -> Histogram:
        return self._histogram(f"vllm:{name}_seconds", f"Histogram of {text}.", _LATENCY)

    def watch(self, running: Callable[[], float], waiting: Callable[[], float], usage: Callable[[], float]) -> None:
        """Read the three gauges from these functions whenever they are scraped; usage is a fraction 0..1."""
        self._running.set_function(running)
        self._waiting.set_function(waiting)
        for gauge in self._usage:
            gauge.set_function(usage)

    def finished(self, reason: str) -> None:
        """Count one finished request: `stop`, `length`, or `abort` when its client hung up."""
        self._success[reason].inc()

    def adapters(self, running: Sequence[str], waiting: Sequence[str]) -> None:
        """Record which adapters have running and waiting requests; the newest series carries the highest time."""
        if self._lora is not None:
            self._lora.labels(
                max_lora=str(self._config.max_loras),
                waiting_lora_adapters=",".join(sorted(waiting)),
                running_lora_adapters=",".join(sorted(running)),
            ).set(time.time())

    def page(self) -> bytes:
        """Return the page that `GET /metrics` answers, in Prometheus text format."""
        return generate_latest(self._registry)
