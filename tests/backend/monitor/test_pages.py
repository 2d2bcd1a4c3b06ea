"""Reading a metrics page."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from backend.monitor.pages import (
    ADAPTERS,
    CACHES,
    FINISHED,
    GENERATED,
    RUNNING,
    TTFT,
    added,
    quantile,
    read,
    summed,
)

numbers = st.floats(min_value=0, max_value=1e9)
labels = st.text(max_size=12)


@given(st.dictionaries(labels, numbers, max_size=3), st.lists(st.floats(0, 5), max_size=20), numbers)
def test_it_is_read_as_prometheus_own_parser_reads_it(
    finished: dict[str, float], first_tokens: list[float], cache: float
) -> None:
    registry = CollectorRegistry()
    counter = Counter("vllm:request_success", "Text {with} braces.", ("reason", "model"), registry=registry)
    for reason, count in finished.items():
        counter.labels(reason=reason, model='a"}b').inc(count)
    Gauge(CACHES[1], "Cache.", ("model",), registry=registry).labels(model="m").set(cache)
    Gauge("vllm:num_requests_running_elsewhere", "Not wanted.", registry=registry).set(3)
    histogram = Histogram(TTFT.removesuffix("_bucket"), "First token.", ("model",), registry=registry)
    for each in first_tokens:
        histogram.labels(model="m").observe(each)
    text = generate_latest(registry).decode()
    page = read(text)

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    totals = [sample.value for sample in samples if sample.name == FINISHED]
    assert page.counters.get(FINISHED, 0) == pytest.approx(sum(totals))
    assert (FINISHED in page.counters) is bool(totals)
    assert page.kv_cache == cache
    buckets = {float(sample.labels["le"]): sample.value for sample in samples if sample.name == TTFT}
    assert page.buckets.get(TTFT, {}) == buckets
    assert RUNNING not in page.gauges


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    read(text)


@given(st.integers(0, 400))
def test_half_a_page_says_what_its_whole_lines_say(length: int) -> None:
    whole = f'{RUNNING}{{model="m"}} 3.0\n{GENERATED}{{model="m"}} 120.0\n{CACHES[0]}{{model="m"}} 0.25\n'
    page = read(whole[:length])
    assert set(page.gauges) <= {RUNNING, CACHES[0]}
    assert page.counters.get(GENERATED) in {None, 1.0, 12.0, 120.0}


def test_what_is_not_a_number_is_unknown() -> None:
    page = read(f'{RUNNING} NaN\n{CACHES[0]} +Inf\n{GENERATED} twelve\n{TTFT}{{le="x"}} 1\n')
    assert (page.gauges, page.counters, page.buckets, page.kv_cache) == ({}, {}, {}, None)


def test_the_newest_series_names_the_adapters() -> None:
    text = (
        f'{ADAPTERS}{{max_lora="2",running_lora_adapters="",waiting_lora_adapters=""}} 10\n'
        f'{ADAPTERS}{{max_lora="2",running_lora_adapters="a,b",waiting_lora_adapters=""}} 12\n'
        f'{ADAPTERS}{{max_lora="2",running_lora_adapters="c",waiting_lora_adapters=""}} 11\n'
    )
    assert read(text).adapters == ("a", "b")


def test_the_newer_name_of_the_cache_counts_where_both_are_there() -> None:
    assert read(f"{CACHES[1]} 0.4\n{CACHES[0]} 0.3\n").kv_cache == 0.3


def test_quantiles_are_prometheus_own_estimate() -> None:
    buckets = {0.1: 50.0, 0.2: 90.0, 0.5: 100.0, float("inf"): 100.0}
    assert quantile(0.5, buckets) == pytest.approx(0.1)
    assert quantile(0.7, buckets) == pytest.approx(0.15)
    assert quantile(0.95, buckets) == pytest.approx(0.35)
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {0.1: 0.0, float("inf"): 0.0}) is None
    assert quantile(0.9, {0.1: 1.0, float("inf"): 10.0}) == 0.1
    assert quantile(0.9, {float("inf"): 10.0}) is None


def test_a_histogram_that_lost_something_has_started_anew() -> None:
    assert added({0.1: 5, 0.2: 9}, {0.1: 6, 0.2: 12}) == {0.1: 1, 0.2: 3}
    assert added({0.1: 5, 0.2: 9}, {0.1: 1, 0.2: 1}) == {0.1: 1, 0.2: 1}
    assert summed([{0.1: 1}, {0.1: 2, 0.2: 5}]) == {0.1: 3, 0.2: 5}


def test_a_hostile_page_is_read_in_time() -> None:
    page = f'{RUNNING}{{a="' + "\\" * 200_000 + "\n" + f"{RUNNING}{{" * 20_000
    began = time.process_time()
    read(page)
    assert time.process_time() - began < 5
