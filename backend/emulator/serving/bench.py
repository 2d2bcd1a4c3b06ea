"""The emulated `vllm bench serve`: `python -m backend.emulator.serving.bench ARGS`.

Why: a load test is a Pod of the model server's image that runs vLLM's own client, and here no such image exists. Takes
that client's arguments, sends what it would send (random prompts of a length, at a rate with exponential gaps) and
prints the report in its form. Invariant: requests leave at their time whether or not earlier ones were answered, so a
slow server does not slow the load down.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvloop

WORDS = (
    "value",
    "river",
    "stone",
    "garden",
    "window",
    "letter",
    "market",
    "number",
    "winter",
    "paper",
    "train",
    "glass",
)
"""Words of one token each, of which prompts are made."""
_WIDTH = 50


@dataclass(slots=True)
class Answer:
    """What came back on one request; times in seconds."""

    ok: bool = False
    error: str = ""
    ttft: float = 0.0
    latency: float = 0.0
    between: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    tokens: int = 0


def parser() -> argparse.ArgumentParser:
    """The arguments of vLLM's client that are understood here."""
    found = argparse.ArgumentParser(prog="vllm bench serve", allow_abbrev=False)
    found.add_argument("--backend", "--endpoint-type", default="openai", choices=("openai", "vllm"))
    found.add_argument("--base-url", required=True)
    found.add_argument("--endpoint", default="/v1/completions")
    found.add_argument("--model", required=True)
    found.add_argument("--served-model-name")
    found.add_argument("--tokenizer")
    found.add_argument("--dataset-name", default="random", choices=("random",))
    found.add_argument("--random-input-len", type=int, default=1024)
    found.add_argument("--random-output-len", type=int, default=128)
    found.add_argument("--num-prompts", type=int, default=1000)
    found.add_argument("--request-rate", type=float, default=float("inf"))
    found.add_argument("--burstiness", type=float, default=1.0)
    found.add_argument("--max-concurrency", type=int)
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--ignore-eos", action="store_true")
    found.add_argument("--disable-tqdm", action="store_true")
    found.add_argument("--percentile-metrics", default="ttft,tpot,itl")
    found.add_argument("--metric-percentiles", default="99")
    return found


def prompt_of(length: int, seed: int) -> str:
    """A prompt of so many tokens that begins like no other."""
    words = random.Random(seed)
    return " ".join(words.choices(WORDS, k=max(1, length)))


async def ask(http: aiohttp.ClientSession, options: argparse.Namespace, seed: int) -> Answer:
    """Send one streaming request and follow it to its end; never raises for what the server does."""
    found = Answer()
    body = {
        "model": options.served_model_name or options.model,
        "prompt": prompt_of(options.random_input_len, seed),
        "max_tokens": options.random_output_len,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": options.ignore_eos,
    }
    began = last = time.perf_counter()
    try:
        async with http.post(options.base_url.rstrip("/") + options.endpoint, json=body) as response:
            if response.status != 200:
                found.error = f"{response.status} {response.reason}"
                return found
            async for line in response.content:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                event = json.loads(line[6:])
                now = time.perf_counter()
                if event.get("usage"):
                    found.prompt_tokens = event["usage"]["prompt_tokens"]
                    found.tokens = event["usage"]["completion_tokens"]
                if event.get("choices") and event["choices"][0].get("text"):
                    if found.ttft:
                        found.between.append(now - last)
                    else:
                        found.ttft = now - began
                    last = now
        found.latency = last - began
        found.ok = found.ttft > 0
        found.error = "" if found.ok else "the stream had no token"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
        found.error = f"{type(error).__name__}: {error}"
    return found


async def run(options: argparse.Namespace) -> tuple[list[Answer], float]:
    """Send all requests at their times; give the answers and how long it took in seconds."""
    gaps = random.Random(options.seed)
    bound = asyncio.Semaphore(options.max_concurrency or 10**9)
    timeout = aiohttp.ClientTimeout(total=6 * 3600)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as http:

        async def one(index: int) -> Answer:
            async with bound:
                return await ask(http, options, options.seed * 1_000_003 + index)

        began = due = time.perf_counter()
        tasks = []
        for index in range(options.num_prompts):
            tasks.append(asyncio.create_task(one(index)))
            if options.request_rate != float("inf"):
                theta = 1.0 / (options.request_rate * options.burstiness)
                due += gaps.gammavariate(options.burstiness, theta)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
        answers = await asyncio.gather(*tasks)
        return answers, time.perf_counter() - began


def report(answers: Sequence[Answer], seconds: float, say: Callable[[str], Any]) -> None:
    """Print the figures in vLLM's form."""
    good = [answer for answer in answers if answer.ok]
    tokens = sum(answer.tokens for answer in good)
    prompt = sum(answer.prompt_tokens for answer in good)

    def line(name: str, value: float, *, whole: bool = False) -> None:
        say(f"{name:<40} {value:<10}" if whole else f"{name:<40} {value:<10.2f}")

    say(" Serving Benchmark Result ".center(_WIDTH, "="))
    line("Successful requests:", len(good), whole=True)
    line("Benchmark duration (s):", seconds)
    line("Total input tokens:", prompt, whole=True)
    line("Total generated tokens:", tokens, whole=True)
    line("Request throughput (req/s):", len(good) / seconds)
    line("Output token throughput (tok/s):", tokens / seconds)
    line("Total Token throughput (tok/s):", (tokens + prompt) / seconds)
    per_token = [(a.latency - a.ttft) / (a.tokens - 1) for a in good if a.tokens > 1]
    for head, name, values in (
        ("Time to First Token", "TTFT", [answer.ttft for answer in good]),
        ("Time per Output Token (excl. 1st token)", "TPOT", per_token),
        ("Inter-token Latency", "ITL", [gap for answer in good for gap in answer.between]),
    ):
        say(head.center(_WIDTH, "-"))
        line(f"Mean {name} (ms):", statistics.fmean(values) * 1000 if values else 0.0)
        line(f"Median {name} (ms):", statistics.median(values) * 1000 if values else 0.0)
        line(f"P99 {name} (ms):", percentile(values, 0.99) * 1000)
    say("=" * _WIDTH)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies, with numpy's linear interpolation; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a load test; 0 when any request was answered, as vLLM's client ends."""
    options = parser().parse_args(argv)

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    say("Starting initial single prompt test run...")
    first = uvloop.run(_first(options))
    if not first.ok:
        say(
            "ValueError: Initial test run failed - Please make sure benchmark arguments are correctly specified. "
            f"Error: {first.error}"
        )
        return 1
    say("Initial test run completed. Starting main benchmark run...")
    say(f"Traffic request rate: {options.request_rate}")
    answers, seconds = uvloop.run(run(options))
    for text in sorted({answer.error for answer in answers if not answer.ok})[:5]:
        say(f"error: {text}")
    report(answers, seconds, say)
    return 0


async def _first(options: argparse.Namespace) -> Answer:
    async with aiohttp.ClientSession(trust_env=True) as http:
        return await ask(http, options, options.seed)


if __name__ == "__main__":
    sys.exit(main())
