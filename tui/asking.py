"""What a cloud says of the wizard's answers, page by page, before there is a stack.

Invariant: a cloud that cannot be asked is told on the page, with the way to ask again, and is never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backend.errors import McigError
from backend.fields import Page, page_of
from backend.found import NoProject
from backend.preflight.findings import Finding, Topic
from backend.spec import GatewaySpec
from tui.session import Session

BUSY = "asking the cloud"
"""Said while answers are still to come."""
AGAIN = "f5 asks again; your answers are kept."
"""What can be done where the cloud could not be asked."""


class Asker(Protocol):
    """A page that shows what the cloud says of it."""

    def tell(self, found: Sequence[Finding], state: str) -> None:
        """Show what the checks found so far, and what they are doing."""

    async def look(self, spec: GatewaySpec) -> None:
        """Ask the cloud for what this page alone shows."""


class Asking:
    """Asks about one page at a time, and remembers what was said of each."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: dict[str, tuple[Finding, ...]] = {}

    def of(self, page: str) -> tuple[Finding, ...]:
        """What was said of a page when it was last asked about."""
        return self._found.get(page, ())

    async def anew(self) -> None:
        """Forget what was said, and ask over new connections."""
        self._found.clear()
        await self._session.close_survey()

    async def about(self, page: Page, spec: GatewaySpec, asker: Asker) -> None:
        """Ask what a page wants to know, and make its checks; each is shown as it comes."""
        topics = [Topic(name) for name in page.topics]
        found: dict[str, Finding] = {}
        asker.tell(self.of(page.name), BUSY if topics else "")
        try:
            await asker.look(spec)
            if not topics:
                return
            survey = await self._session.survey(spec)
            token = self._session.hugging_face(spec.target)
            async for finding in survey.examine(spec, token=token, topics=topics):
                found[finding.id] = finding
                asker.tell(tuple(found.values()), BUSY)
        except McigError as error:
            asker.tell(tuple(found.values()), f"could not ask the cloud: {error.message}.{_fix(error, page)} {AGAIN}")
        else:
            self._found[page.name] = tuple(found.values())
            asker.tell(self._found[page.name], "")


def _fix(error: McigError, page: Page) -> str:
    """What to do about it, as a sentence; a project is typed into the wizard's own field."""
    if isinstance(error, NoProject):
        here = page_of("project").name == page.name
        return " Type its id above." if here else f" Type its id on the page {page_of('project').title}."
    return f" Fix: {error.fix.rstrip('.')}." if error.fix else ""
