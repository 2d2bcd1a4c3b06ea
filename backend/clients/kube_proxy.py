"""A Pod's answer through the API server's proxy, as it arrives.

Invariant: an answer that breaks off is an error and never a short answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import Unavailable

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True)
class ProxyResponse:
    """A Pod's answer through the API server, still arriving."""

    status: int
    headers: Mapping[str, str]
    """Names are looked up without regard to case."""
    _response: aiohttp.ClientResponse

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece as it arrives; raises ``Unavailable`` when it breaks off."""
        import aiohttp

        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                "the answer broke off before its end",
                cause=str(error) or type(error).__name__,
                fix="send it again; if it keeps happening look at the gateway with `mcig status`",
            ) from error

    async def read(self) -> bytes:
        """Give the whole body."""
        return b"".join([chunk async for chunk in self.chunks()])
