"""Reading a few series off a metrics page, counting requests on their way, and remembering prompts."""

from pathlib import Path

import aiohttp
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from backend.emulator.serving.loads import Loads, series
from backend.emulator.serving.prefixes import BLOCK, Prefixes, blocks
from tests.emulator.serving.gateways import listen

values = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)


@given(st.dictionaries(st.text(max_size=8), values, max_size=4), values)
def test_a_series_is_read_as_prometheus_own_parser_reads_it(labelled: dict[str, float], plain: float) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("vllm:usage", "With {braces} in its text.", ("model",), registry=registry)
    for label, value in labelled.items():
        gauge.labels(model=label).set(value)
    Gauge("other", "Not wanted.", registry=registry).set(plain)
    Gauge("vllm:plain", "Without labels.", registry=registry).set(plain)
    page = generate_latest(registry).decode()
    wanted = {"vllm:usage", "vllm:plain"}
    expected: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in wanted:
                expected[sample.name] = expected.get(sample.name, 0.0) + sample.value
    assert series(page, wanted) == expected


def test_what_is_no_number_is_no_data() -> None:
    page = 'kv NaN\nkv{a="b"} +Inf\nkv{\nkv\nkv{a="b"} 0.5 1700000000\nwaiting x\n'
    assert series(page, {"kv", "waiting"}) == {"kv": 0.5}


@given(st.text(max_size=400))
def test_any_page_is_read_without_an_error(page: str) -> None:
    series(page, {"kv"})


class Gateway:
    """Envoy's count of its requests, and one Pod with a full metrics page."""

    def __init__(self) -> None:
        self.active = self.sent = 0
        self.port = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/clusters", self._clusters)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _clusters(self, _: web.Request) -> web.Response:
        stats = [{"name": "rq_active", "value": str(self.active)}, {"name": "rq_total", "value": str(self.sent)}]
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.port}}
        return web.json_response({"cluster_statuses": [{"host_statuses": [{"address": address, "stats": stats}]}]})

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text="vllm:kv_cache_usage_perc 0.5\n")


async def test_an_admitted_request_counts_once_before_and_after_envoy_sent_it(tmp_path: Path) -> None:
    gateway = Gateway()
    runner, gateway.port = await listen(gateway.app())
    await web.UnixSite(runner, str(tmp_path / "admin.sock")).start()
    address = f"127.0.0.1:{gateway.port}"
    connector = aiohttp.UnixConnector(str(tmp_path / "admin.sock"))
    async with aiohttp.ClientSession(connector=connector) as admin, aiohttp.ClientSession() as pages:
        loads = Loads(admin, pages)
        await loads.close()  # from here on it looks when the test says so
        endpoint = {"host": "127.0.0.1", "port": gateway.port, "cluster": "a/gke", "region": "a", "terms": {}}
        loads.want([{**endpoint, "gauges": ()}])

        def under_way() -> float:
            (load,) = loads.of([address])
            return load.in_flight

        loads.admit(address)
        loads.admit(address)
        await loads.look()
        assert under_way() == 2, "Envoy has not sent them yet"
        gateway.active = gateway.sent = 1
        await loads.look()
        assert under_way() == 2
        gateway.active, gateway.sent = 1, 2
        await loads.look()
        assert under_way() == 1, "one has ended"
        loads.admit(address)
        loads.want([{**endpoint, "region": "b", "gauges": ()}])
        await loads.look()
        assert under_way() == 2
        loads._pods[address].forget(float("inf"))
        assert under_way() == 1, "its client hung up before Envoy sent it"
    await runner.cleanup()


def test_a_prompt_that_begins_like_an_earlier_one_goes_where_that_one_went() -> None:
    shared = b"x" * (3 * BLOCK)
    first = blocks(b'{"model": "m", "prompt": "' + shared + b'one"}')
    second = blocks(b'{"temperature": 0, "prompt": "' + shared + b"other and much longer" * 20 + b'"}')
    known = Prefixes()
    known.remember(first, "a:1")
    assert known.share(second, "b:1") == 0
    assert 0 < known.share(second, "a:1") < 1
    assert known.share(first, "a:1") == 1
    assert blocks(b"no prompt here") == []


def test_old_prefixes_are_forgotten_first() -> None:
    known = Prefixes(capacity=2)
    for block in (1, 2, 3):
        known.remember([block], "a:1")
    assert [known.share([block], "a:1") for block in (1, 2, 3)] == [0, 1, 1]
