"""The scheduler behind one emulated model server: batches, blocks, queue, preemption, and who hangs up."""

import asyncio
from dataclasses import replace
from itertools import repeat

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.emulator.serving.engine import Engine
from backend.emulator.serving.generation import Generation, Latency
from backend.emulator.serving.vllm_args import ServerConfig, parse_server
from backend.emulator.serving.vllm_metrics import Metrics

NOW = Latency(first_token=(0.0, 0.0), next_token=(0.0, 0.0))
CONFIG = replace(parse_server("vllm/vllm-openai:v0.8.5", ["vllm", "serve", "m"], {}), gpu_blocks=8, max_num_seqs=4)


class Served:
    """An engine with its metrics, and generations that tell when they are done."""

    def __init__(self, config: ServerConfig = CONFIG, latency: Latency = NOW) -> None:
        self.metrics = Metrics(config)
        self.engine = Engine(config, self.metrics, latency=latency, seed=1)
        self.changed = asyncio.Event()

    def generation(self, prompt: int, tokens: int, about: str | None = None) -> Generation:
        """A prompt of so many tokens; those about the same begin alike, and nothing else does."""
        return Generation(
            tokens=repeat("a "),
            prompt_tokens=prompt,
            max_tokens=tokens,
            on_output=self.changed.set,
            prefix=self.engine.prefix([about] * prompt) if about else (),
        )

    async def until_done(self, *generations: Generation) -> None:
        async with asyncio.timeout(5):
            while any(each.finish_reason is None for each in generations):
                self.changed.clear()
                await self.changed.wait()

    def read(self, series: str) -> float:
        lines = self.metrics.page().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series + "{"))


async def test_a_finished_request_has_all_its_tokens_and_holds_no_block() -> None:
    served = Served()
    one = served.generation(prompt=20, tokens=5)
    served.engine.add(one)
    assert served.engine.cache_usage() == pytest.approx(2 / 8)
    await served.until_done(one)
    assert (one.finish_reason, one.generated, one.take()) == ("length", 5, "a " * 5)
    assert served.engine.cache_usage() == 0
    assert served.read("vllm:generation_tokens_total") == 5


async def test_what_does_not_fit_waits_its_turn() -> None:
    served = Served(latency=Latency(first_token=(60.0, 0.0)))
    first, second = served.generation(100, 5), served.generation(100, 5)
    served.engine.add(first)
    served.engine.add(second)
    assert (served.engine.running, served.engine.waiting) == (1, 1)
    served.engine.abort(first)
    assert (served.engine.running, served.engine.waiting) == (1, 0)
    served.engine.close()
    assert served.engine.cache_usage() == 0


async def test_the_youngest_is_preempted_when_the_cache_is_full_and_still_finishes() -> None:
    served = Served()
    several = [served.generation(prompt=30, tokens=40) for _ in range(4)]
    for each in several:
        served.engine.add(each)
    await served.until_done(*several)
    assert [each.generated for each in several] == [40] * 4
    assert served.read("vllm:num_preemptions_total") > 0
    assert served.engine.cache_usage() == 0


async def test_a_client_that_hangs_up_frees_its_blocks() -> None:
    served = Served(latency=Latency(first_token=(60.0, 0.0)))
    gone = served.generation(50, 5)
    served.engine.add(gone)
    assert served.engine.cache_usage() > 0
    served.engine.abort(gone)
    assert (served.engine.cache_usage(), gone.finish_reason) == (0, "abort")
    served.engine.abort(gone)
    assert served.read("vllm:request_success_total") == 1


async def test_a_prompt_that_begins_like_an_earlier_one_reuses_its_blocks_and_is_answered_sooner() -> None:
    served = Served(latency=Latency(first_token=(60.0, 0.0), next_token=(1.0, 0.0), load_factor=1))
    first, other, second = (served.generation(64, 5, about) for about in ("pizza", "pasta", "pizza"))
    for each in (first, other, second):
        served.engine.add(each)
    assert (first.reused, other.reused, second.reused) == (0, 0, 48)
    assert served.engine.cache_usage() == 1, "the third request needs no block of its own"
    assert second.first_due - second.arrived_at == pytest.approx(60 - 59 * 48 / 64, abs=0.1)
    assert other.first_due - other.arrived_at == pytest.approx(60, abs=0.1)
    assert served.read("vllm:gpu_prefix_cache_queries_total") == 3 * 64
    assert served.read("vllm:gpu_prefix_cache_hits_total") == 48
    for each in (first, other, second):
        served.engine.abort(each)
    assert served.engine.cache_usage() == 0


async def test_a_server_without_prefix_caching_reuses_nothing() -> None:
    words = ["vllm", "serve", "m", "--no-enable-prefix-caching"]
    served = Served(parse_server("vllm/vllm-openai:v0.8.5", words, {}))
    for _ in range(2):
        served.engine.add(served.generation(64, 5, "pizza"))
    assert served.read("vllm:gpu_prefix_cache_hits_total") == 0
    served.engine.close()


async def test_a_token_that_is_not_there_yet_is_waited_for() -> None:
    served = Served(latency=Latency(first_token=(0.0, 0.0), next_token=(0.001, 0.0)))
    slow = served.generation(10, 3)
    slow.tokens = iter(["", "", "a", "", "b", "c"])
    served.engine.add(slow)
    await served.until_done(slow)
    assert (slow.generated, slow.take(), slow.finish_reason) == (3, "abc", "length")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 90), st.integers(1, 30), st.booleans(), st.sampled_from([None, "pizza", "pasta"])),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_comes_everything_ends_and_nothing_leaks(requests: list[tuple[int, int, bool, str | None]]) -> None:
    async def run() -> None:
        served = Served()
        kept = []
        for prompt, tokens, hangs_up, about in requests:
            one = served.generation(prompt, min(tokens, 8 * 16 - prompt), about)
            served.engine.add(one)
            assert 0 <= served.engine.cache_usage() <= 1
            if hangs_up:
                served.engine.abort(one)
            else:
                kept.append(one)
        await served.until_done(*kept)
        assert all(each.generated == each.max_tokens for each in kept)
        assert (served.engine.running, served.engine.waiting, served.engine.cache_usage()) == (0, 0, 0)

    asyncio.run(run())


def test_requests_that_arrive_when_a_token_is_already_due_are_taken_in() -> None:
    async def run() -> None:
        served = Served()
        several = [served.generation(10, 3) for _ in range(4)]
        for each in several:
            served.engine.add(each)
        await served.until_done(*several)

    uvloop.run(run())
