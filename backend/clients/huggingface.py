"""Hugging Face: whose a token is, and which repositories it opens.

Invariants: the token travels in a header only and is in no message; only answers that mean something are told apart,
so a hub that fails is ``Unavailable`` and never "refused".
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from backend.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    import aiohttp

    from backend.clients.connect import Connection

TIMEOUT_S = 8.0


class Door(StrEnum):
    """Whether a repository opens for a token."""

    OPEN = "open"
    GATED = "gated"
    """Its licence was not accepted, or it was asked for without a token."""
    AWAITING = "awaiting review"
    """Access was asked for, and its authors have not answered."""
    ABSENT = "absent"
    """There is none of that name, or it is private and hidden."""
    LACKS_FILE = "lacks file"
    """It is there, without the file that was looked for."""
    REFUSED = "refused"
    """The token itself was not accepted, or may not read it."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token belongs to."""

    name: str
    scope: str
    """``read``, ``write``, ``fineGrained``, or empty when the hub does not tell."""


@dataclass(frozen=True, slots=True)
class Knock:
    """How a repository answered."""

    door: Door
    words: str
    """The hub's own words; empty when it opened."""


class HuggingFace:
    """The hub that a connection's models come from."""

    def __init__(self, connection: Connection) -> None:
        self._base = connection.hub.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self.skew_s: float | None = None
        """Seconds by which this machine's clock is ahead of the hub's, to a second; ``None`` before any answer."""

    async def owner(self, token: SecretStr) -> Account:
        """Whose a token is; raises ``Unauthenticated`` when the hub does not know it, and ``Unavailable``."""
        status, _, body = await self._ask("GET", "/api/whoami-v2", token)
        if status in {401, 403}:
            raise Unauthenticated(
                f"Hugging Face does not accept the token: {_words(body) or 'no reason given'}",
                cause="it was mistyped, revoked or has expired",
                fix="make one at https://huggingface.co/settings/tokens",
                status=status,
            )
        if status >= 400 or not isinstance(body, dict):
            raise _failed("asking whose the token is", status)
        access = (body.get("auth") or {}).get("accessToken") or {}
        return Account(str(body.get("name", "")), str(access.get("role", "")))

    async def knock(self, repository: str, file: str, token: SecretStr | None) -> Knock:
        """Whether a file of a repository's main branch could be fetched with a token; raises ``Unavailable``."""
        status, headers, _ = await self._ask("HEAD", f"/{repository}/resolve/main/{file}", token)
        if status < 400:
            return Knock(Door.OPEN, "")
        code, words = headers.get("X-Error-Code", ""), headers.get("X-Error-Message", "")
        if code == "GatedRepo":
            awaiting = "awaiting a review" in words
            return Knock(Door.AWAITING if awaiting else Door.GATED, words or f"{repository} is gated")
        if code == "EntryNotFound":
            return Knock(Door.LACKS_FILE, words or f"{repository} has no {file}")
        if status in {401, 404}:
            hidden = code == "RepoNotFound" or status == 404
            return Knock(Door.ABSENT if hidden else Door.REFUSED, words or f"the hub answered {status}")
        if status == 403:
            return Knock(Door.REFUSED, words or "the hub answered 403")
        raise _failed(f"looking at {repository}", status)

    async def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            await self._session.close()

    def _compare(self, date: str) -> None:
        with suppress(ValueError, TypeError):
            self.skew_s = time.time() - parsedate_to_datetime(date).timestamp()

    async def _ask(self, method: str, path: str, token: SecretStr | None) -> tuple[int, dict[str, str], Any]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                trust_env=True,
            )
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        try:
            request = self._session.request(method, f"{self._base}{path}", headers=headers, allow_redirects=False)
            async with request as answer:
                plain = answer.content_type == "application/json"
                body = await answer.json() if plain and method != "HEAD" else None
                self._compare(answer.headers.get("Date", ""))
                return answer.status, dict(answer.headers), body
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(
                f"Hugging Face cannot be reached at {self._base}: {type(error).__name__}",
                cause="no network, a proxy in between, or the hub is down",
                fix="check the network, then ask again",
            ) from None


def _failed(doing: str, status: int) -> Unavailable:
    return Unavailable(
        f"{doing}: Hugging Face answered {status}",
        cause="the hub itself failed; this is usually short",
        fix="ask again in a minute",
        status=status,
    )


def _words(body: Any) -> str:
    return str(body.get("error", "")) if isinstance(body, dict) else ""
