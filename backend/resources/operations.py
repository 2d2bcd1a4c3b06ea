"""Following what Google's APIs carry out by a long-running operation.

Each API has a shape of its own for the state of one, and leaves out what is false. Invariant: an operation is followed
by name until it has ended or is no longer known, and one that ended badly never passes for a success.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from backend.clients.failures import operation_failed
from backend.clients.google import Json
from backend.errors import NotFound
from backend.resources.waiting import Watch


async def until_done(
    watch: Watch,
    read: Callable[[], Awaitable[Json]],
    *,
    doing: str,
    project: str,
    places: tuple[str, ...] = (),
    meanwhile: Callable[[Json], None] = lambda state: None,
) -> None:
    """Return once an operation has ended well; raises ``OperationFailed`` and ``StockOut``.

    ``read`` gives its state, ``places`` are the zones that it works in, and ``meanwhile`` hears each state before the
    last.
    """

    async def done() -> bool | None:
        try:
            state = await read()
        except NotFound:
            return True
        if error := state.get("error"):
            told, code = _explained(error, state)
            raise operation_failed(doing, told, project=project, places=places, code=code)
        if state.get("done") or state.get("status") == "DONE":
            return True
        meanwhile(state)
        return None

    await watch.until(done)


def _explained(error: Json, state: Json) -> tuple[str, int | None]:
    several = [str(one.get("message") or one.get("code")) for one in error.get("errors", ())]
    told = "; ".join(several) or error.get("message") or state.get("statusMessage")
    return str(told or "no explanation was given"), error.get("code")
