"""The SDK behind asynchronous calls, against a server that answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from backend.clients.compute import Compute
from backend.clients.connect import emulated
from backend.clients.container import Container
from backend.clients.fleet import Fleet
from backend.clients.google import Google, Service
from backend.clients.paging import MOST_PAGES
from backend.clients.services import Services
from backend.errors import Busy, InvalidRequest, NotFound, RateLimited, Unauthenticated, Unavailable

TOKEN = "token-that-nobody-may-see"
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


class Cloud:
    """Answers requests in the order in which answers were given, and remembers what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: Iterator[Answer] = iter(())
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    def say(self, *answers: Answer) -> None:
        self.answers = iter(answers)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, await request.json() if request.can_read_body else None))
        self.headers.append(dict(request.headers))
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        status, body, *headers = next(self.answers)
        if isinstance(body, str):
            return web.Response(text=body, status=status, content_type="text/html")
        return web.json_response(body, status=status, headers=headers[0] if headers else None)


def refusal(code: int, message: str, status: str = "") -> Any:
    return {"error": {"code": code, "message": message, "status": status}}


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


@pytest.fixture
def pauses() -> list[float]:
    """How long was slept between tries."""
    return []


@pytest.fixture
async def google(cloud: Cloud, pauses: list[float]) -> AsyncIterator[Google]:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    made = Google(emulated(cloud.url, TOKEN, project="demo-project"), sleep=sleep)
    yield made
    await made.close()


async def test_what_a_package_answers_is_google_json_with_enum_names(google: Google, cloud: Cloud) -> None:
    cloud.say((200, {"name": "o", "status": 3, "progress": {"metrics": [{"name": "NODES", "intValue": "7"}]}}))

    found = await Container(google).delete_cluster("us-east4", "c")

    assert found == {"name": "o", "status": "DONE", "progress": {"metrics": [{"name": "NODES", "intValue": "7"}]}}
    path = "/container/v1/projects/demo-project/locations/us-east4/clusters/c"
    assert cloud.asked == [("DELETE", path, None)]
    assert cloud.headers[0]["Authorization"] == f"Bearer {TOKEN}"


async def test_what_is_read_keeps_fields_that_nobody_knows(google: Google, cloud: Cloud) -> None:
    cloud.say((200, {"name": "c", "status": "RUNNING", "newerThanThis": {"on": True}}))

    found = await Container(google).cluster("us-east4", "c")

    assert found == {"name": "c", "status": "RUNNING", "newerThanThis": {"on": True}}
    assert cloud.asked == [("GET", "/container/v1/projects/demo-project/locations/us-east4/clusters/c", None)]
    assert cloud.headers[0]["Authorization"] == f"Bearer {TOKEN}"


async def test_absent_things_are_none(google: Google, cloud: Cloud) -> None:
    cloud.say(*[(404, refusal(404, "Not found", "NOT_FOUND"))] * 4)

    assert await Container(google).cluster("us-east4", "c") is None
    assert await Container(google).node_pool("us-east4", "c", "h100") is None
    assert await Fleet(google).feature("multiclusteringress") is None
    assert await Compute(google).subnetwork("us-east4", "s") is None


async def test_operations_are_read_at_the_same_place(google: Google, cloud: Cloud) -> None:
    failed = {"name": "operations/a", "done": True, "error": {"code": 7, "message": "no"}}
    cloud.say((200, {"name": "operations/a", "done": False}), (200, failed))

    assert await Services(google).operation("operations/a") == {"name": "operations/a", "done": False}
    assert (await Services(google).operation("operations/a"))["error"] == {"code": 7, "message": "no"}
    assert {path for _, path, _ in cloud.asked} == {"/serviceusage/v1/operations/a"}


async def test_a_read_is_tried_three_times(google: Google, cloud: Cloud, pauses: list[float]) -> None:
    down = (503, refusal(503, "The service is currently unavailable.", "UNAVAILABLE"))
    cloud.say(down, down, (200, {"name": "c"}))

    assert await Container(google).cluster("us-east4", "c") == {"name": "c"}
    assert pauses == [0.25, 0.5]

    cloud.say(down, down, down, (200, {"name": "c"}))
    with pytest.raises(Unavailable, match="reading cluster c"):
        await Container(google).cluster("us-east4", "c")


async def test_a_creation_is_not_repeated_when_its_fate_is_unknown(google: Google, cloud: Cloud) -> None:
    cloud.say((503, refusal(503, "backend error")), (200, {"name": "operation-1"}))

    with pytest.raises(Unavailable):
        await Container(google).create_cluster("us-east4", {"name": "c"})
    assert len(cloud.asked) == 1


async def test_a_rate_limit_waits_as_long_as_it_is_told(google: Google, cloud: Cloud, pauses: list[float]) -> None:
    limited = (429, refusal(429, "Quota exceeded for quota metric 'Read requests'", "RESOURCE_EXHAUSTED"))
    cloud.say((*limited, {"Retry-After": "3"}), (200, {"name": "operation-1"}))

    assert (await Container(google).create_cluster("us-east4", {"name": "c"}))["name"] == "operation-1"
    assert pauses == [3.0]

    cloud.say(limited, limited, limited)
    with pytest.raises(RateLimited):
        await Container(google).cluster("us-east4", "c")


async def test_a_refusal_is_not_repeated(google: Google, cloud: Cloud) -> None:
    busy = "Operation x is currently creating cluster c. Please wait and try again once it is done."
    cloud.say((400, refusal(400, busy, "FAILED_PRECONDITION")))

    with pytest.raises(Busy, match="is currently creating"):
        await Container(google).delete_cluster("us-east4", "c")
    assert len(cloud.asked) == 1


async def test_equal_reads_at_the_same_time_share_one_request(google: Google, cloud: Cloud) -> None:
    cloud.hold = asyncio.Event()
    cloud.say((200, {"resources": [{"name": "m"}]}), (200, {"resources": []}))
    fleet = Fleet(google)
    looks = [asyncio.create_task(fleet.memberships()) for _ in range(3)]
    await cloud.arrived.wait()
    looks[0].cancel()
    cloud.hold.set()

    assert [await look for look in looks[1:]] == [[{"name": "m"}]] * 2
    assert len(cloud.asked) == 1
    assert await fleet.memberships() == []


async def test_all_pages_of_all_regions_are_read(google: Google, cloud: Cloud) -> None:
    network = "https://www.googleapis.com/compute/v1/projects/demo-project/global/networks/default"

    def page(name: str, **more: str) -> Any:
        return {"items": {"regions/r": {"subnetworks": [{"name": name, "network": network}]}, "regions/s": {}}, **more}

    cloud.say((200, page("one", nextPageToken="2")), (200, page("two")))

    assert [found["name"] for found in await Compute(google).subnetworks("default")] == ["one", "two"]
    cloud.say((200, page("one")))
    assert await Compute(google).subnetworks("other") == []


async def test_a_list_without_an_end_is_no_list(google: Google, cloud: Cloud) -> None:
    cloud.answers = ((200, {"items": {}, "nextPageToken": "more"}) for _ in range(MOST_PAGES))

    with pytest.raises(Unavailable, match="does not end within"):
        await Compute(google).subnetworks("default")


async def test_a_field_that_google_does_not_have_is_found_before_it_is_sent(google: Google, cloud: Cloud) -> None:
    from google.protobuf.json_format import ParseError

    with pytest.raises(ParseError, match="noSuchField"):
        await Container(google).create_cluster("us-east4", {"name": "c", "noSuchField": 1})
    assert cloud.asked == []


async def test_a_refused_token_is_told_without_the_token(google: Google, cloud: Cloud) -> None:
    cloud.say((401, refusal(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")))

    with pytest.raises(Unauthenticated) as caught:
        await Container(google).cluster("us-east4", "c")
    told = f"{caught.value!r} {caught.value.cause} {caught.value.fix} {google.connection!r}"
    assert TOKEN not in told
    assert "mcig emulator stop" in caught.value.fix


@pytest.mark.parametrize(
    "ask",
    [
        lambda google: Services(google).enabled(),
        lambda google: Compute(google).subnetworks("default"),
        lambda google: Container(google).cluster("us-east4", "c"),
        lambda google: Fleet(google).memberships(),
        lambda google: Fleet(google).operation("projects/p/locations/global/operations/o"),
    ],
)
async def test_a_cloud_that_is_gone_is_told_at_once(ask: Callable[[Google], Any]) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    google = Google(emulated(url, TOKEN, project="demo-project"), sleep=sleep)

    with pytest.raises(Unavailable) as caught:
        await ask(google)

    assert sum(pauses) < 1
    assert url in caught.value.message
    assert "refused" in caught.value.cause
    assert "mcig emulator start" in caught.value.fix
    await google.close()


async def test_an_answer_of_something_in_between_is_told_as_such(google: Google, cloud: Cloud) -> None:
    cloud.say(*[(200, "<html>Sign in to GuestWiFi</html>")] * 3)
    with pytest.raises(Unavailable, match="something else than JSON") as caught:
        await Container(google).clusters()
    assert "sign-in page" in caught.value.cause

    cloud.say(*[(502, "<html><h1>Bad Gateway</h1></html>")] * 3)
    with pytest.raises(Unavailable, match=r"listing clusters: 502 Bad Gateway$"):
        await Container(google).clusters()


async def test_a_wrong_answer_to_the_wrong_question_is_not_hidden(google: Google, cloud: Cloud) -> None:
    cloud.say((404, refusal(404, "Not found", "NOT_FOUND")), (400, refusal(400, "Bad name", "INVALID_ARGUMENT")))

    with pytest.raises(NotFound):
        await Container(google).server_config("nowhere")
    with pytest.raises(InvalidRequest, match="Bad name"):
        await Container(google).cluster("us-east4", "C")


async def test_a_client_that_is_made_while_all_are_closed_is_closed_too(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, closing, closed = threading.Event(), threading.Event(), list[str]()

    class Client:
        def __init__(self, **_: object) -> None:
            self.name = threading.current_thread().name

        def close(self) -> None:
            closed.append(self.name)
            closing.set()

    class Slow(Client):
        def __init__(self, **_: object) -> None:
            super().__init__()
            connecting.set()
            closing.wait(10)

    package = ModuleType("a_package")
    vars(package).update(Client=Client, Slow=Slow)
    monkeypatch.setitem(sys.modules, "a_package", package)
    with pytest.raises(AttributeError, match="get"):
        await google.call(Service("a_package", "Client", "fast"), "get", "Request", {}, doing="asking")
    call = asyncio.create_task(google.call(Service("a_package", "Slow", "slow"), "get", "Request", {}, doing="asking"))
    await asyncio.to_thread(connecting.wait, 10)

    await google.close()

    with pytest.raises(RuntimeError, match="closed while one of slow was made"):
        await call
    assert len(closed) == 2
