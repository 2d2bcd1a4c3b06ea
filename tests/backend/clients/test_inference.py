"""Prompts through a relay, over an API server's Pod proxy that the tests play."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from backend.clients.answers import Answer, Ask, ServedBy
from backend.clients.inference import prompt
from backend.clients.kube import Kube
from backend.clients.request_logs import RequestLogs
from backend.clients.sse import Events
from backend.errors import PromptError
from tests.backend.kubes import stub_server, token

RELAYED = {"x-mcig-relay-ttfb-ms": "120.5"}
Json = dict[str, Any]


def event(**said: Any) -> bytes:
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def completion(*tokens: str) -> list[bytes]:
    pieces = [event(choices=[{"text": text, "index": 0}], usage=None) for text in tokens]
    return [
        *pieces,
        event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": len(tokens)}),
        b"data: [DONE]\n\n",
    ]


class Cluster:
    """An API server with two model-server Pods, and a relay whose answer a test decides."""

    def __init__(self, *pieces: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.pieces, self.status = pieces, status
        self.headers = RELAYED if headers is None else headers
        self.asked: Json = {}
        self.path = ""
        self.sent_headers: Mapping[str, str] = {}
        self.break_off = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/pods"):
            assert request.query["labelSelector"] == "app=llama"
            running = {"phase": "Running"}
            pods = [{"metadata": {"name": name}, "status": running} for name in ("llama-a", "llama-b")]
            return web.json_response({"items": pods})
        if request.path.endswith("/llama-a/log"):
            return web.json_response({"reason": "BadRequest", "message": "is waiting to start"}, status=400)
        if request.path.endswith("/llama-b/log"):
            line = f"INFO Received request cmpl-{self.sent_headers.get('X-Request-Id')}-0: prompt: ..."
            return web.Response(text=line)
        self.path, self.asked, self.sent_headers = request.path, await request.json(), request.headers
        response = web.StreamResponse(status=self.status, headers={"Content-Type": "text/event-stream", **self.headers})
        if self.break_off:
            response.headers["Content-Length"] = "100000"
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        if self.break_off:
            assert request.transport is not None
            request.transport.close()
        return response


@asynccontextmanager
async def kube_of(cluster: Cluster) -> AsyncIterator[Kube]:
    async with stub_server(cluster) as url:
        kube = Kube(url, b"", token, cluster="gke-west")
        try:
            yield kube
        finally:
            await kube.close()


async def ask(
    cluster: Cluster, on_token: Callable[[str], None] | None = None, *, timeout_s: float = 5, **changes: Any
) -> Answer:
    async with kube_of(cluster) as kube:
        return await prompt(
            kube,
            RequestLogs({"gke-west": kube}, namespace="default", app="llama"),
            Ask(**{"text": "Hello?", "model": "llama", **changes}),
            namespace="default",
            region="europe-west3",
            address="10.0.0.7",
            port=80,
            timeout_s=timeout_s,
            on_token=on_token,
        )


async def test_an_answer_streams_and_tells_who_served_it() -> None:
    cluster = Cluster(*completion("Good", " day"))
    tokens: list[str] = []
    answer = await ask(cluster, tokens.append, objective="food-review", max_tokens=9)
    assert answer.ok
    assert (answer.text, tokens) == ("Good day", ["Good", " day"])
    assert answer.usage == {"prompt_tokens": 3, "completion_tokens": 2}
    assert answer.served_by == ServedBy("gke-west", "llama-b")
    assert answer.ttft_s == 0.1205
    assert answer.total_s is not None
    assert answer.total_s > 0
    assert cluster.path == "/api/v1/namespaces/default/pods/mcig-relay:8080/proxy/to/10.0.0.7:80/v1/completions"
    assert cluster.asked["stream_options"] == {"include_usage": True}
    assert cluster.asked["max_tokens"] == 9
    assert cluster.sent_headers["X-Request-Id"] == answer.request_id
    assert cluster.sent_headers["x-gateway-inference-objective"] == "food-review"


async def test_the_json_has_the_fields_that_are_promised() -> None:
    told = (await ask(Cluster(*completion("x")))).to_json()
    promised = {"status", "address", "region", "model", "request_id", "served_by", "text", "usage", "ttft_s", "total_s"}
    assert promised <= set(told)
    assert told["served_by"] == {"cluster": "gke-west", "pod": "llama-b"}
    assert json.loads(json.dumps(told)) == told


async def test_without_an_objective_no_header_is_sent() -> None:
    cluster = Cluster(*completion("x"))
    await ask(cluster)
    assert "x-gateway-inference-objective" not in cluster.sent_headers


async def test_two_prompts_have_different_ids() -> None:
    assert (await ask(Cluster(*completion("x")))).request_id != (await ask(Cluster(*completion("x")))).request_id


async def test_garbage_between_the_events_is_passed_over() -> None:
    tokens = completion("Good", " day")
    noise = [b": comment\n\n", b"data: {half\n\n", b"data: 7\n\n", b"what: is this\n\n", b"\xff\xfe\n"]
    answer = await ask(Cluster(tokens[0], *noise, *tokens[1:]))
    assert (answer.text, answer.ok) == ("Good day", True)


async def test_a_model_servers_error_keeps_status_and_words() -> None:
    said = json.dumps({"object": "error", "message": "The model `x` does not exist.", "code": 404}).encode()
    answer = await ask(Cluster(said, status=404))
    assert (answer.status, answer.error, answer.ok) == (404, "The model `x` does not exist.", False)
    assert answer.served_by is None
    assert answer.served_by_reason
    assert answer.ttft_s is None


async def test_a_gateway_without_backends_is_an_answer() -> None:
    answer = await ask(Cluster(b"no healthy upstream", status=503))
    assert (answer.status, answer.error) == (503, "no healthy upstream")


async def test_what_the_relay_says_is_an_answer() -> None:
    said = b'{"error": "no connection to 10.0.0.7:80: timed out"}'
    answer = await ask(Cluster(said, status=502, headers={"x-mcig-relay-error": "1"}))
    assert (answer.status, answer.error) == (502, "no connection to 10.0.0.7:80: timed out")


async def test_what_the_api_server_says_is_no_answer_of_the_gateway() -> None:
    said = json.dumps({"kind": "Status", "message": 'pods "mcig-relay" not found', "code": 404}).encode()
    with pytest.raises(PromptError, match='pods "mcig-relay" not found') as caught:
        await ask(Cluster(said, status=404, headers={}))
    assert caught.value.cause
    assert caught.value.fix


async def test_an_error_in_the_middle_of_a_stream_keeps_what_came() -> None:
    tokens = completion("Good")
    answer = await ask(Cluster(tokens[0], event(error={"message": "out of memory"})))
    assert (answer.status, answer.text, answer.error, answer.ok) == (200, "Good", "out of memory", False)


async def test_a_stream_that_breaks_off_keeps_what_came() -> None:
    cluster = Cluster(completion("Good")[0])
    cluster.break_off = True
    answer = await ask(cluster)
    assert answer.text == "Good"
    assert answer.error.startswith("it broke off after ")
    assert answer.error.endswith(" s, in the middle")
    assert (answer.ok, answer.timed_out) == (False, False)


async def test_an_answer_that_the_gateway_gives_up_says_so() -> None:
    cluster = Cluster()
    cluster.break_off = True
    answer = await ask(cluster, timeout_s=0)
    assert answer.error.endswith("before its first word")
    assert answer.timed_out
    assert (await ask(Cluster(b"upstream request timeout", status=504))).timed_out


async def test_an_answer_that_is_not_streamed_is_read_too() -> None:
    said = json.dumps({"choices": [{"text": "Good day"}], "usage": {"prompt_tokens": 1}}).encode()
    answer = await ask(Cluster(said, headers={**RELAYED, "Content-Type": "application/json"}))
    assert (answer.text, answer.usage) == ("Good day", {"prompt_tokens": 1})


@given(st.data())
def test_how_a_stream_is_cut_never_matters(data: st.DataObject) -> None:
    line_end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
    events = data.draw(st.lists(st.lists(text, min_size=1, max_size=3), max_size=5))
    noise = data.draw(st.sampled_from(["", ": comment", "id: 4", "event: x"]))
    stream = "".join(
        "".join(f"data: {line}{line_end}" for line in lines) + (noise + line_end if noise else "") + line_end
        for lines in events
    ).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = Events()
    found: list[str] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:stop])
    found += reader.end()
    assert found == ["\n".join(lines) for lines in events]


@given(st.lists(st.binary()))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    reader = Events()
    for piece in pieces:
        list(reader.feed(piece))
    list(reader.end())
