"""Calls of Google's APIs from asynchronous code.

Reads go by paths over google-auth's session, so that who only looks loads none of Google's packages; changes of large
things go through the packages, which check every field before it is sent. Neither has an asynchronous REST transport,
so each call runs in a thread. Requests go in and answers come out as plain dicts in Google's own JSON form (camelCase,
enums by name). Invariants: importing this module loads none of the SDK; the SDK's own retries, which last minutes, are
off; every failure leaves as an error of ``backend.errors``.
"""

from __future__ import annotations

import asyncio
import copy
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from backend.clients import failures
from backend.clients.loading import SESSIONS, load
from backend.clients.paging import pages
from backend.errors import CloudError, RateLimited, Unavailable

if TYPE_CHECKING:
    from backend.clients.connect import Connection

Json = dict[str, Any]
Found = TypeVar("Found")

THREADS = 16
"""Calls that run at the same time."""
CALL_TIMEOUT_S = 30.0
"""Longest wait for one answer."""
LOOK_TIMEOUT_S = 8.0
"""Longest wait for one answer that can be done without; one that fails is asked for again as any other."""
PAUSES_S = (0.25, 0.5)
"""Pauses before the second and the third try."""
LONGEST_RETRY_AFTER_S = 10.0
NO_QUERY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Service:
    """One client class of Google's SDK."""

    module: str
    """Import name of its package, such as ``google.cloud.container_v1``."""
    client: str
    """Name of the class; empty for an API that is called by paths."""
    api: str
    """Key of its base URL in ``Connection.endpoints``, and its host name before ``.googleapis.com``."""


class Google:
    """One connection's clients and the threads in which they are called."""

    def __init__(self, connection: Connection, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.connection = connection
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="google")
        self._clients: dict[Service, Any] = {}
        self._building = threading.Lock()
        self._under_way: dict[str, asyncio.Task[Any]] = {}
        self._closed = threading.Event()
        self.timeout_s = CALL_TIMEOUT_S

    def brief(self) -> Self:
        """The same clients and threads for somebody who would rather have no answer than wait long for one."""
        made = copy.copy(self)
        made.timeout_s = LOOK_TIMEOUT_S
        return made

    @property
    def project(self) -> str:
        """Id of the project that everything is in."""
        return self.connection.project

    async def call(
        self, service: Service, method: str, request: str, body: Json, *, doing: str, repeat: bool = True
    ) -> Json:
        """Call a method and give its answer.

        ``request`` names the message class that ``body`` is the JSON of. ``repeat`` says whether the call may be made
        again after a failure of which nobody knows whether it was carried out. Raises ``CloudError``.
        """

        def run(client: Any, module: Any) -> Json:
            ask = getattr(client, method)
            return plain(ask(message(getattr(module, request), body), retry=None, timeout=self.timeout_s))

        return await self._tried(service, run, doing=doing, repeat=repeat)

    async def rest(
        self, api: str, method: str, path: str, body: Json | None = None, *, doing: str, repeat: bool = True
    ) -> Json:
        """Call a method of an API by its path, without a client of Google's; raises ``CloudError``."""
        service = Service(SESSIONS, "", api)

        def run(session: Any, _: Any) -> Json:
            answer = session.request(method, f"{self._url(service)}{path}", json=body, timeout=self.timeout_s)
            answer.raise_for_status()
            return dict(answer.json())

        return await self._tried(service, run, doing=doing, repeat=repeat)

    async def read(self, api: str, path: str, *, doing: str) -> Json:
        """Read something by its path; raises ``CloudError``."""
        return await self.rest(api, "GET", path, doing=doing)

    async def read_pages(self, api: str, path: str, query: Mapping[str, str] = NO_QUERY, *, doing: str) -> list[Json]:
        """Read a list by its path, all pages of it; raises ``CloudError``."""

        async def read(whole: str) -> Json:
            return await self.read(api, whole, doing=doing)

        return await pages(read, path, query)

    async def shared(self, key: str, read: Callable[[], Awaitable[Found]]) -> Found:
        """Make a read, or join the same read when somebody who waits as long has it under way already."""
        key = f"{key} within {self.timeout_s:g} s"
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(read())
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        found: Found = await asyncio.shield(task)
        return found

    async def pause(self, tries: int) -> None:
        """Pause before the next of several tries at something that others write too; longer each time, in jitter."""
        await self._sleep(random.uniform(0.5, 1.0) * min(PAUSES_S[0] * 2**tries, LONGEST_RETRY_AFTER_S))

    def _landed(self, key: str, task: asyncio.Task[Any]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def token(self) -> str:
        """Give the bearer token, refreshed when it is due; raises ``Unauthenticated`` or ``Unavailable``."""

        def run() -> str:
            credentials = self.connection.credentials
            try:
                if not credentials.valid:
                    credentials.refresh(load("google.auth.transport.requests").Request())
            except Exception as error:
                raise self._mapped(error, "getting an access token", "oauth2.googleapis.com") from error
            return str(credentials.token)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def close(self) -> None:
        """Close connections and threads; calls under way end by themselves, also those that are still connecting."""
        self._closed.set()
        for task in list(self._under_way.values()):
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._clients:
            _, client = self._clients.popitem()
            _close(client)

    async def _tried(self, service: Service, run: Callable[[Any, Any], Found], *, doing: str, repeat: bool) -> Found:
        loop = asyncio.get_running_loop()

        def once() -> Found:
            try:
                module = load(service.module)
                return run(self._client(service, module), module)
            except Exception as error:
                raise self._mapped(error, doing, self._url(service)) from error

        for pause in PAUSES_S:
            try:
                return await loop.run_in_executor(self._threads, once)
            except RateLimited as error:
                wait = failures.retry_after_s(error) or pause
            except Unavailable:
                if not repeat:
                    raise
                wait = pause
            await self._sleep(min(wait, LONGEST_RETRY_AFTER_S))
        return await loop.run_in_executor(self._threads, once)

    def _mapped(self, error: Exception, doing: str, url: str) -> Exception:
        if isinstance(error, CloudError):
            return error
        return failures.of_exception(error, doing=doing, connection=self.connection, url=url) or error

    def _url(self, service: Service) -> str:
        return self.connection.endpoints.get(service.api, f"https://{service.api}.googleapis.com")

    def _client(self, service: Service, module: Any) -> Any:
        with self._building:
            client = self._clients.get(service)
            if client is None:
                client = self._made(service, module)
                self._clients[service] = client
            if self._closed.is_set():
                _close(client)
                raise RuntimeError(f"the clients were closed while one of {service.api} was made")
            return client

    def _made(self, service: Service, module: Any) -> Any:
        if not service.client:
            return module.AuthorizedSession(self.connection.credentials)
        options = load("google.api_core.client_options").ClientOptions
        return getattr(module, service.client)(
            credentials=self.connection.credentials,
            transport="rest",
            client_options=options(api_endpoint=self._url(service)),
        )


def _close(client: Any) -> None:
    (client if hasattr(client, "close") else client.transport).close()


def message(kind: Any, body: Json) -> Any:
    """Make a request message from its JSON form; raises ``ParseError`` for a field that it does not have."""
    json_format = load("google.protobuf.json_format")
    made = kind()
    json_format.ParseDict(body, kind.pb(made))
    return made


def plain(answer: Any) -> Json:
    """Give an answer in Google's JSON form; of a long-running operation only name, done and error."""
    json_format = load("google.protobuf.json_format")
    if answer is None:
        return {}
    if hasattr(answer, "operation"):
        return _operation(answer.operation)
    raw = type(answer).pb(answer) if hasattr(type(answer), "pb") else answer
    return dict(json_format.MessageToDict(raw))


def _operation(raw: Any) -> Json:
    state: Json = {"name": raw.name, "done": raw.done}
    if raw.HasField("error"):
        state["error"] = {"code": raw.error.code, "message": raw.error.message}
    return state
