"""What the full-screen app knows: where its files are, what is being written, and the stack that is open.

Data and doors to the back end, without a widget. Invariants: nothing heavy is imported before it is asked for; the
Hugging Face token that was typed lives in memory only; one stack is open at a time, and opening another closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend.presets import Places

if TYPE_CHECKING:
    from pydantic import SecretStr

    from backend.found import Found
    from backend.preflight import Survey
    from backend.preflight.offers import RegionOffer
    from backend.spec import GatewaySpec, Target
    from backend.stack import Stack


@dataclass
class Session:
    """One run of the app."""

    places: Places
    environ: Mapping[str, str]
    settings: tuple[str, ...] = ()
    """``path=value`` overrides of every specification that is read, from the command line."""
    speed: float | None = None
    """Pace of an emulated cloud that the app starts; ``None`` takes the specification's."""
    token: SecretStr | None = None
    """The Hugging Face token as it was typed; ``None`` takes the surroundings'."""
    stack: Stack | None = None
    """The stack that is open."""
    unfinished: str = ""
    """The command that goes on with a run that was begun and has not succeeded; empty when there is none."""
    found: Found | None = None
    """What was found on this machine; ``None`` until somebody has looked."""
    offers: tuple[RegionOffer, ...] = ()
    """What regions had to offer when they were last asked."""
    _open: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)
    _surveyed: tuple[str, str | None] | None = None
    _survey: Survey | None = field(default=None, repr=False)
    _surveys: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def surroundings(self) -> Mapping[str, str]:
        """The environment, with the token that was typed in the place of one that was found."""
        return self.environ if self.token is None else {**self.environ, "HF_TOKEN": self.token.get_secret_value()}

    async def open(self, spec: GatewaySpec, *, shared: bool = False, include_adopted: bool = False) -> Stack:
        """Open a specification's stack in place of the one that is open; raises what ``open_stack`` raises."""
        from backend.stack import open_stack

        await self.close()
        self.stack = await self._open.enter_async_context(
            open_stack(
                spec,
                environ=self.surroundings,
                places=self.places,
                speed=self.speed,
                shared=shared,
                include_adopted=include_adopted,
            )
        )
        return self.stack

    async def close(self) -> None:
        """Close the stack that is open; nothing where none is."""
        self.stack = None
        closing, self._open = self._open, AsyncExitStack()
        await closing.aclose()

    # --- before there is a stack --------------------------------------------------------------------------------------

    @property
    def token_from(self) -> str | None:
        """Where a Hugging Face token was found on this machine; ``None`` without one."""
        return None if self.found is None else self.found.token_from

    def type_token(self, text: str) -> None:
        """Take a token as typed; an empty text takes the surroundings' again."""
        from pydantic import SecretStr

        self.token = SecretStr(text.strip()) if text.strip() else None

    def hugging_face(self, target: Target) -> SecretStr | None:
        """The token that a stack would be opened with; ``None`` without one."""
        from backend.found import hugging_face_token

        return hugging_face_token(target, self.surroundings)

    async def look_around(self) -> Found:
        """Find out what there is on this machine, in a thread."""
        from backend.found import look

        self.found = await asyncio.to_thread(look, self.environ, self.places)
        return self.found

    async def survey(self, spec: GatewaySpec) -> Survey:
        """The way to ask a specification's cloud before there is a stack; raises what ``open_survey`` raises.

        It stays open until another cloud or project is wanted.
        """
        from backend.found import project_of
        from backend.preflight import open_survey

        async with self._asking:
            wanted = (str(spec.target), project_of(spec, self.environ))
            if self._survey is None or self._surveyed != wanted:
                await self.close_survey()
                self._survey = await self._surveys.enter_async_context(
                    open_survey(
                        spec.target,
                        wanted[1],
                        places=self.places,
                        environ=self.surroundings,
                        speed=self.speed,
                        rehearsal=spec.rehearsal,
                    )
                )
                self._surveyed = wanted
            return self._survey

    async def close_survey(self) -> None:
        """Give the survey's connections back."""
        self._survey, self.offers = None, ()
        closing, self._surveys = self._surveys, AsyncExitStack()
        await closing.aclose()
