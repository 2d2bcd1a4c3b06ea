"""Requests to the API server of one cluster.

Invariants: nothing is loaded and nobody is asked before the first request; every failure is a ``CloudError``; a server
that asks for a pause gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from backend.clients.kube_errors import error_of
from backend.clients.loading import load
from backend.errors import Unavailable, Unreachable

if TYPE_CHECKING:
    import aiohttp

Locate = Callable[[], Awaitable[tuple[str, bytes]]]
"""Finds the API server: its URL and its certificate authority in PEM; raises ``NotFound`` while there is none."""

REQUEST_TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 20.0
ATTEMPTS = 4
"""Times a request is sent while the server answers Retry-After, as kubectl does."""
LONGEST_RETRY_S = 10.0
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
    ) -> None:
        async def here() -> tuple[str, bytes]:
            return server, ca_pem

        self._locate: Locate = here
        self._token = token
        self._cluster = cluster
        self._unreachable_fix = unreachable_fix
        self._connecting = asyncio.Lock()
        self._api: Any = None
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
    ) -> Self:
        """Make a client that finds its server at the first request; a failure to find it is not remembered."""
        made = cls("", b"", token, cluster=cluster, unreachable_fix=unreachable_fix)
        made._locate = locate
        return made

    async def way(self) -> tuple[Any, dict[str, str]]:
        """Give the client's configuration and the headers that let it in, for what is no plain request."""
        api = await self._connected()
        return api.configuration, {"Authorization": f"Bearer {await self._token()}"}

    async def close(self) -> None:
        """Give the connections back."""
        api, self._api = self._api, None
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
            raise error_of(response.status, data, doing)
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
        try:
            answer = await api.rest_client.request(
                method, api.configuration.host + url, headers=sent, body=body, _request_timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._no_connection(doing, error) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._api is None:
                server, ca_pem = await self._locate()
                self._api = await asyncio.to_thread(_api_client, server, ca_pem)
            return self._api

    def _no_connection(self, doing: str, error: BaseException) -> Unavailable:
        refused = isinstance(getattr(error, "os_error", error), ConnectionRefusedError)
        return (Unreachable if refused else Unavailable)(
            f"cannot {doing}: no answer from the cluster's API server",
            cause=str(error) or type(error).__name__,
            fix=self._unreachable_fix if refused else f"{STILL_FIX}; otherwise {self._unreachable_fix}",
        )


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
