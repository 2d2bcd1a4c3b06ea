"""Requests to the API server of one cluster.

Invariants: nothing is loaded and nobody is asked before the first request; every failure is a ``CloudError``; a server
that asks for a pause gets it; a cluster that was made anew is found at its new address by who knew the old one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from backend.clients.kube_errors import error_of
from backend.clients.loading import load
from backend.errors import PATIENCE_S, CloudError, NotFound, Unavailable, Unreachable

if TYPE_CHECKING:
    import aiohttp

Failed = TypeVar("Failed", bound=CloudError)
Locate = Callable[[bool], Awaitable[tuple[str, bytes]]]
"""Finds the API server: its URL and its certificate authority in PEM; raises ``NotFound`` while there is none.

It is told whether to look anew, because what was found before cannot be connected to.
"""

REQUEST_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 20.0
ATTEMPTS = 4
"""Times a request is sent while the server answers Retry-After, as kubectl does."""
LONGEST_RETRY_S = 10.0
AT_ONCE = 6
"""Requests to one server that are under way together, streams not counted: a connection takes 0.3 MB, and the Go client
asks for less at a time."""
STAYS_S = 5.0
"""Seconds after a look for a server that does not answer, within which it is not looked for again."""
LOOK_S = 3.0
"""Seconds that such a look may take."""
STILL_FIX = "`mcig status` tells which clusters answer: where one is down, wait until it is back"
UNREACHABLE_FIX = "check the network way to the cluster (VPN, authorized networks), then run the same command again"


class ApiServer:
    """One API server, found when it is first asked."""

    def __init__(
        self,
        server: str,
        ca_pem: bytes,
        token: Callable[[], Awaitable[str]],
        *,
        cluster: str = "",
        unreachable_fix: str = UNREACHABLE_FIX,
        patience_s: float = PATIENCE_S,
    ) -> None:
        async def here(anew: bool) -> tuple[str, bytes]:
            del anew
            return server, ca_pem

        self._locate: Locate = here
        self._token = token
        self._cluster = cluster
        self._unreachable_fix, self._patience_s = unreachable_fix, patience_s
        self._connecting = asyncio.Lock()
        self._api: Any = None
        self._found = (server, ca_pem)
        """Where the server was found last."""
        self._stays_until = -math.inf
        """Time of the event loop's clock."""
        self._former: list[Any] = []
        """What led to addresses that are given up; requests under way may still hold it."""
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._writes = 0
        """Requests so far that may have changed something."""

    @classmethod
    def lazily(
        cls,
        locate: Locate,
        token: Callable[[], Awaitable[str]],
        *,
        cluster: str = "",
        unreachable_fix: str = UNREACHABLE_FIX,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """Make a client that finds its server at the first request; a failure to find it is not remembered."""
        made = cls("", b"", token, cluster=cluster, unreachable_fix=unreachable_fix, patience_s=patience_s)
        made._locate = locate
        return made

    async def way(self) -> tuple[Any, dict[str, str]]:
        """Give the client's configuration and the headers that let it in, for what is no plain request."""
        api = await self._connected()
        return api.configuration, {"Authorization": f"Bearer {await self._token()}"}

    async def close(self) -> None:
        """Give the connections back."""
        former, self._former = [*self._former, self._api], []
        self._api = None
        for api in former:
            if api is not None:
                await api.close()

    async def _send(
        self,
        method: str,
        url: str,
        doing: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        missing_is_an_error: bool = False,
        writes: bool = False,
    ) -> tuple[int, bytes]:
        """Send a request and read its answer whole: status and body; raises ``CloudError``.

        Absence is a status, 404, unless it is an error.
        """
        import aiohttp

        doing = f"{doing} on {self._cluster}" if self._cluster else doing
        for attempt in range(1, ATTEMPTS + 1):
            async with self._turn:
                response = await self._open(method, url, doing, body=body, headers={"Content-Type": content_type})
                if writes:
                    self._writes += 1
                try:
                    data = await response.read()
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    raise self._no_connection(doing, error) from error
                finally:
                    response.release()
            pause = _retry_after(response.headers) if response.status in {429, 503} else None
            if pause is None or attempt == ATTEMPTS:
                break
            await asyncio.sleep(pause)
        if response.status == 404 and not missing_is_an_error:
            return 404, data
        if response.status >= 400:
            raise self._of_here(error_of(response.status, data, doing))
        return response.status, data

    async def _open(
        self,
        method: str,
        url: str,
        doing: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        read_timeout_s: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and give its answer as it begins, whatever its status; raises ``Unavailable`` without one."""
        import aiohttp

        api = await self._connected()
        sent = {"Accept": "application/json, */*", **(headers or {}), "Authorization": f"Bearer {await self._token()}"}
        timeout = aiohttp.ClientTimeout(
            total=REQUEST_TIMEOUT_S if read_timeout_s is None else None,
            sock_connect=CONNECT_TIMEOUT_S,
            sock_read=read_timeout_s,
        )
        while True:
            try:
                answer = await api.rest_client.request(
                    method, api.configuration.host + url, headers=sent, body=body, _request_timeout=timeout
                )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                moved = await self._moved(api)
                if moved is None:
                    raise self._no_connection(doing, error) from error
                api = moved
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._no_connection(doing, error) from error
            else:
                response: aiohttp.ClientResponse = answer.response
                return response

    async def _connected(self) -> Any:
        async with self._connecting:
            return await self._present()

    async def _present(self) -> Any:
        if self._api is None:
            await self._lead_to(await self._locate(False))
        return self._api

    async def _moved(self, api: Any) -> Any:
        """A client of the server's new address, where it has another one than the client that cannot connect.

        Raises ``NotFound`` when the cluster is gone, or has no server yet.
        """
        async with self._connecting:
            if self._api is not api:
                return await self._present()
            clock = asyncio.get_running_loop().time
            if clock() < self._stays_until:
                return None
            try:
                async with asyncio.timeout(LOOK_S):
                    found = await self._locate(True)
            except NotFound:
                self._give_up(api)
                raise
            except (CloudError, TimeoutError):
                found = self._found
            if found == self._found:
                self._stays_until = clock() + STAYS_S
                return None
            self._give_up(api)
            await self._lead_to(found)
            return self._api

    async def _lead_to(self, found: tuple[str, bytes]) -> None:
        self._api = await asyncio.to_thread(_api_client, *found)
        self._found = found

    def _give_up(self, api: Any) -> None:
        self._former.append(api)
        self._api = None

    def _no_connection(self, doing: str, error: BaseException) -> Unavailable:
        told, cause = f"cannot {doing}: no answer from the cluster's API server", str(error) or type(error).__name__
        refused = isinstance(getattr(error, "os_error", error), ConnectionRefusedError)
        fix = self._unreachable_fix if refused else f"{STILL_FIX}; otherwise {self._unreachable_fix}"
        kind = Unreachable if refused else Unavailable
        return self._of_here(kind(told, cause=cause, fix=fix, patience_s=self._patience_s))

    def _of_here(self, error: Failed) -> Failed:
        error.cluster = self._cluster
        return error


def _api_client(server: str, ca_pem: bytes) -> Any:
    client = load("kubernetes.aio.client")
    host = server if "://" in server else f"https://{server}"
    settings = {"trust_env": not _loopback(host)}
    return client.ApiClient(
        client.Configuration(host=host, ca_cert_data=ca_pem.decode(), client_session_kwargs=settings)
    )


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return min(float(headers["Retry-After"]), LONGEST_RETRY_S)
    except (KeyError, ValueError):
        return None
